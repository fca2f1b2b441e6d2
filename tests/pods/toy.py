"""A run of seconds over several processes, by the command line of every experiment.

    python tests/pods/toy.py --config=tests/pods/toy_config.py --workdir=DIR --config.trouble=late

Its state is chaotic, so that one lost or doubled update shows in all digits. Each update sums whole
numbers over all devices, in any order the same. `trouble` is what one process does wrong: see
`make_trouble`.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.run import loop, parallel, records, tables
from experiments import command_line

BATCH = 8


@jax.jit
def update(state, x):
    w = 3.9 * state["w"] * (1 - state["w"]) + 1e-3 * jnp.tanh(jnp.mean(x) + state["step"])
    return {"w": jnp.clip(w, 0.01, 0.99), "step": state["step"] + 1}, jnp.sum(w)


def make_trouble(name: str):
    """Return what to do before the update that begins at a step."""
    last = jax.process_count() - 1

    def act(step):
        if step != 4 or jax.process_index() != last:
            return
        if name == "late":
            time.sleep(600)
        if name == "error":
            raise RuntimeError("the disk of this host is gone")

    if name == "deaf":  # nobody tells anybody, and nobody agrees
        parallel.tell = lambda kind, text: None
        parallel.agree = lambda number: number
    return act


def run(config, workdir):
    """Train the toy."""
    if command_line.is_complete(config, workdir):
        return
    mesh = parallel.data_mesh()
    act = make_trouble(config.trouble)

    def advance(state, step, n):
        act(step)
        time.sleep(config.pause)
        rows = np.random.default_rng(step).integers(-8, 9, BATCH).astype(np.float32)
        x = parallel.shard_batch(mesh, rows[parallel.local_rows(BATCH)])
        with parallel.together(f"update {step}"):
            state, loss = update(state, x)
            return state, {"toy.loss": np.asarray(jax.device_get(loss)).reshape(1)}

    start = {"w": jnp.linspace(0.1, 0.9, 4), "step": jnp.int32(0)}
    state = loop.train(
        workdir,
        parallel.replicate(mesh, start),
        advance,
        num_updates=config.num_updates,
        updates_per_dispatch=1,
        save_every=config.save_every,
    )
    w = np.asarray(parallel.local(state)["w"], np.float64)
    losses = [line["toy.loss"] for line in records.read_metrics(workdir)]
    rows = [tables.Result("w", float(w @ np.arange(1, 5)), None)]
    tables.write_results(workdir, [*rows, tables.Result("losses", float(sum(losses)), None)])


if __name__ == "__main__":
    command_line.main(run)
