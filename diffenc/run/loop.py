"""The training loop that can be stopped anywhere: dispatch, log, save, resume.

A run is a function of its config alone. State moves in dispatches of a fixed number of updates;
checkpoints, metrics and signals act between dispatches, so a run that was killed repeats the
arithmetic of one that was not, bit for bit.
"""

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.run import checkpoints, division, parallel, records, stops

Metrics = dict[str, np.ndarray]


class Stopped(SystemExit):
    """Raised after a stop signal; in training, once the state is saved.

    The exit status is 128 + the signal's number.
    """


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
    """Bring a state to its last update, continuing from the newest checkpoint in workdir.

    Args:
        workdir: the directory of the run, in which checkpoints and metrics are kept.
        state: the state of a new run, a tree of arrays.
        advance: `advance(state, step, n) -> (state, metrics)` makes the n updates step, ...,
            step + n - 1 and returns each metric as an array [n]; it may donate its argument.
        num_updates: the last update.
        updates_per_dispatch: how many `advance` makes at a time. Between two dispatches the run
            saves, logs, and can be stopped.
        save_every: updates between checkpoints, a multiple of updates_per_dispatch.
        evaluate: `evaluate(state, step)` gives scalars that are logged with the metrics; None is
            none.
        evaluate_every: updates between evaluations, a multiple of updates_per_dispatch. There is
            one before the first update and one after the last, too. 0 is never.
        headline: `headline(metrics)` is the text beside the progress bar.
        extras: other places that metrics go to, see `records.MetricsWriter`.
        description: what the progress bar is called.

    Returns:
        The state after num_updates.

    Raises:
        InputError: the schedule is impossible.
        NonFiniteLoss: a metric whose name ends with "loss" is not finite.
        Stopped: after SIGTERM or an interrupt.
    """
    _check_schedule(
        updates_per_dispatch,
        num_updates=num_updates,
        save_every=save_every,
        evaluate_every=evaluate_every,
    )
    with (
        checkpoints.open(f"{workdir}/checkpoints", every=save_every) as store,
        _StopSignals() as stop,
    ):
        newest = store.restore(state)
        is_new = newest is None
        step = 0
        if not is_new:
            step, state = newest
        last_saved = None if is_new else step
        if 0 < step < num_updates:
            print(f"continuing from update {step} of {num_updates}", flush=True)
        # A new run keeps no line of one that never reached a checkpoint.
        resume_step = -1 if is_new else step
        writer = records.MetricsWriter(workdir, resume_step, extras)
        with writer, records.progress(num_updates, step, description) as show:
            if evaluate and evaluate_every and is_new:
                with division.spread_over(parallel.mesh_of(state)):
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
                if evaluate and evaluate_every:
                    if step % evaluate_every == 0 or step >= num_updates:
                        with division.spread_over(parallel.mesh_of(state)):
                            means |= evaluate(state, step)
                        parallel.wait_for_all("evaluation")
                writer.write(step, **means)
                show(step, headline(means))
                number = parallel.agree(stop.received)
                if number or step % save_every == 0:
                    writer.flush()  # before the checkpoint
                if number:
                    _save_and_stop(store, step, state, number)
                if store.maybe_save(step, state):
                    last_saved = step
        store.save(step, state)
        store.wait()
        if number := parallel.agree(stop.received):  # since the last update
            _save_and_stop(store, step, state, number)
    return state


def _save_and_stop(store: checkpoints.Checkpoints, step: int, state, number: int) -> None:
    """Save a state and raise `Stopped`, in all processes of the run."""
    store.save(step, state)
    store.wait()
    parallel.wait_for_all("save after a stop")
    print(f"stopped by signal {number} at update {step}, saved; the same command continues")
    raise Stopped(128 + number)


def _check_schedule(updates_per_dispatch: int, **counts: int) -> None:
    """Raise InputError unless every count of updates is a multiple of those of a dispatch."""
    for name, count in counts.items():
        if count % updates_per_dispatch:
            near = max(1, round(count / updates_per_dispatch)) * updates_per_dispatch
            raise InputError(
                f"{name} is {count}, not a multiple of updates_per_dispatch "
                f"{updates_per_dispatch}: give {near}, say"
            )


def _check_finite(metrics: Metrics, step: int, last_saved: int | None, workdir) -> None:
    bad = {
        name: int(np.argmin(np.isfinite(values)))
        for name, values in metrics.items()
        if name.endswith("loss") and not np.isfinite(values).all()
    }
    if bad:
        name, offset = min(bad.items(), key=lambda item: item[1])
        last = "no checkpoint exists yet"
        if last_saved is not None:
            last = f"the checkpoint of update {last_saved} is kept"
        raise NonFiniteLoss(
            f"{name} is {metrics[name].ravel()[offset]} at update {step + offset + 1} "
            f"({last} in {workdir}): lower learning_rate, in another workdir, or look for extreme "
            "values in the data"
        )


class _StopSignals:
    """Remembers the first SIGTERM or SIGINT; one that comes `stops.SECOND` later acts at once."""

    def __init__(self):
        self.received = 0

    def __enter__(self):
        self._before = {}
        # Signals belong to the main thread; elsewhere there is nothing to catch.
        with contextlib.suppress(ValueError):
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def _remember(self, number, frame):
        if not self.received:
            self.received = int(number)
            self._when = time.monotonic()
        elif time.monotonic() > self._when + stops.SECOND:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)
