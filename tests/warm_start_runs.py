"""Tiny runs of experiments.warm_start."""

import io
from contextlib import redirect_stdout
from pathlib import Path

from experiments import arguments
from experiments.warm_start import __main__ as warm_start

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "methods": ("cold", "plain"),
    "num_seeds": 1,
    "num_devices": 1,
    "model.network": "mlp",
    "model.features": (8,),
    "model.blocks": 1,
    "num_updates": 6,
    "updates_per_dispatch": 2,
    "save_every": 2,
    "evaluate_every": 6,
    "batch_size": 8,
    "warmup": 1,
    "eval.num_examples": 20,
    "eval.monitor": 20,
    "eval.draws": 8,
    "eval.batch_size": 20,
    "eval.samples": 4,
    "eval.sampler_steps": 2,
}


def make_config(**changes):
    """The config of digits with tiny settings and these changes (dots written as two
    underscores)."""
    config = arguments.load_config(str(ROOT / "configs/warm_start/digits.py"))
    fields = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(fields)
    return config


def train(workdir, **changes) -> str:
    """Run the experiment; returns what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        warm_start.run(make_config(**changes), workdir)
    return printed.getvalue()
