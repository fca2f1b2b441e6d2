"""The training loop that can be stopped anywhere: dispatch, log, save, resume.

A run is a function of its config alone. State moves in dispatches of a fixed number of updates;
checkpoints, metrics and signals act between dispatches, so a run that was killed repeats the
arithmetic of one that was not, bit for bit.
"""

import contextlib
import signal
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.run import checkpoints, parallel, records

Metrics = dict[str, np.ndarray]


class Stopped(SystemExit):
    """Raised after a stop signal, once the state is saved; the exit status is 128 + the signal's
    number."""


class NonFiniteLoss(InputError):
    """A loss became NaN or infinite; the message names the step and the checkpoint that is kept."""


def train(
    workdir,
    state: Any,
    advance: Callable[[Any, int, int], tuple[Any, Metrics]],
    num_updates: int,
    updates_per_dispatch: int,
    save_every: int,
    evaluate: Callable[[Any, int], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    headline: Callable[[dict[str, float]], str] = lambda metrics: "",
    extras: tuple[str, ...] = (),
    description: str = "training",
) -> Any:
    """Bring `state` to num_updates and return it, continuing from the newest checkpoint in workdir.

    advance(state, step, n) -> (state, metrics) makes n updates and returns each metric as an array
    [n]; it may donate its argument. evaluate(state, step) gives scalars that are logged every
    evaluate_every updates, at the start and at the end. headline(metrics) is the text beside the
    progress bar. Raises InputError for an impossible schedule, NonFiniteLoss when a metric named
    *loss is not finite, Stopped after SIGTERM or an interrupt.
    """
    for name, every in (
        ("num_updates", num_updates),
        ("save_every", save_every),
        ("evaluate_every", evaluate_every),
    ):
        if every % updates_per_dispatch:
            near = max(1, round(every / updates_per_dispatch)) * updates_per_dispatch
            raise InputError(
                f"{name} is {every}, not a multiple of updates_per_dispatch {updates_per_dispatch}: give {near}, say"
            )
    with (
        checkpoints.open(f"{workdir}/checkpoints", every=save_every) as saved,
        _StopSignals() as stop,
    ):
        restored = saved.restore(state)
        step, state = (0, state) if restored is None else restored
        last_saved = step if restored is not None else None
        if 0 < step < num_updates:
            print(f"continuing from update {step} of {num_updates}", flush=True)
        kept = (
            -1 if restored is None else step
        )  # a new run keeps no line of one that never reached a checkpoint
        writer = records.MetricsWriter(workdir, resume_step=kept, extras=extras)
        with writer, records.progress(num_updates, step, description) as show:
            if evaluate and evaluate_every and restored is None:
                writer.write(step, **evaluate(state, step))
                parallel.wait_for_all("evaluation")
            while step < num_updates:
                state, metrics = advance(state, step, updates_per_dispatch)
                metrics = {
                    name: np.asarray(jax.device_get(value)) for name, value in metrics.items()
                }
                _check_finite(metrics, step, last_saved, workdir)
                step += updates_per_dispatch
                means = {name: float(values.mean()) for name, values in metrics.items()}
                if (
                    evaluate
                    and evaluate_every
                    and (step % evaluate_every == 0 or step >= num_updates)
                ):
                    means |= evaluate(state, step)
                    parallel.wait_for_all("evaluation")
                writer.write(step, **means)
                show(step, headline(means))
                if stop.received:
                    saved.save(step, state)
                    saved.wait()
                    print(
                        f"stopped by signal {stop.received} at update {step}, saved; the same command continues"
                    )
                    raise Stopped(128 + stop.received)
                if saved.maybe_save(step, state):
                    last_saved = step
        saved.save(step, state)
        saved.wait()
    return state


def _check_finite(metrics: Metrics, step: int, last_saved: int | None, workdir) -> None:
    bad = {
        name: int(np.argmin(np.isfinite(values)))
        for name, values in metrics.items()
        if name.endswith("loss") and not np.isfinite(values).all()
    }
    if bad:
        name, offset = min(bad.items(), key=lambda item: item[1])
        kept = (
            f"the checkpoint of update {last_saved} is kept"
            if last_saved is not None
            else "no checkpoint exists yet"
        )
        raise NonFiniteLoss(
            f"{name} is {metrics[name].ravel()[offset]} at update {step + offset + 1} ({kept} in {workdir}): "
            "lower learning_rate, or look for extreme values in the data"
        )


class _StopSignals:
    """Remembers the first SIGTERM or SIGINT; a second one acts at once."""

    def __init__(self):
        self.received = 0

    def __enter__(self):
        self._before = {}
        with contextlib.suppress(
            ValueError
        ):  # signals belong to the main thread; elsewhere there is nothing to catch
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def _remember(self, number, frame):
        self.received = int(number)
        signal.signal(number, self._before[number])

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)
