"""Train the experiments of `small_runs.py` one after another in the same processes.

    python tests/pods/trainings.py FOLDER NAME ...

The measures during training and after it, which would take most of the time, are left out."""

import importlib
import sys

from etils import epath
from hosts import ROOT
from small_runs import RUNS

from diffenc.run import cluster, loop
from experiments.arguments import load_config

NUM_TRAININGS = {
    "labels": 2,
    "diffusion_decoder": 2,
}  # of which the second is another model


class Trained(Exception):
    """The last training of an experiment is done."""


def train(name: str, workdir: epath.Path) -> None:
    """Run an experiment until its last training is done."""
    experiment, path, changes = RUNS[name]
    module = "experiments." + experiment
    run = importlib.import_module(f"{module}.__main__").run
    config = load_config(str(ROOT / "configs" / f"{path}.py"))
    config.update_from_flattened_dict(changes)
    rest = NUM_TRAININGS.get(name, 1)

    def train_and_stop(*arguments, **options):
        nonlocal rest
        states = train_by(*arguments, **options | {"evaluate": None})
        rest -= 1
        if not rest:
            raise Trained
        return states

    train_by = loop.train
    loop.train = train_and_stop
    try:
        run(config, workdir)
    except Trained:
        return
    finally:
        loop.train = train_by


if __name__ == "__main__":
    with cluster.joined():
        for name in sys.argv[2:]:
            train(name, epath.Path(sys.argv[1]) / name)
            print(name, flush=True)
