"""Tiny runs of experiments.neural_entropy, which several files of tests share."""

import json

import jax

from experiments.arguments import fields_of, load_config
from experiments.neural_entropy import cases as neural_entropy_cases
from experiments.neural_entropy import measures
from experiments.neural_entropy.settings import read_sweep

TINY = {
    "num_devices": 1,
    "num_updates": 4,
    "updates_per_dispatch": 2,
    "save_every": 4,
    "evaluate_every": 2,
    "batch_size": 8,
    "model.features": (8,),
    "model.channels": (8, 8),
    "eval.num_examples": 40,
    "eval.monitor": 20,
    "eval.num_levels": 4,
    "eval.batch_size": 20,
    "eval.images": 4,
    "eval.repetitions": 2,
    "eval.sampler_steps": 2,
}


def make_config(name, **changes):
    config = load_config(f"configs/{name}.py")
    known = fields_of(config)
    fields = {
        field: value for field, value in TINY.items() if field in known
    }  # images have others than mixtures
    fields |= {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(fields)
    return config


def load_cases(config):
    return neural_entropy_cases.load_cases(read_sweep(config))


def make_measure(config, case, levels=None):
    levels = levels or measures.evaluation_levels(jax.random.key(3), case)
    return measures.make_measure(case, levels, config.eval.num_levels, config.eval.batch_size)


def values_of(workdir):
    rows = json.loads((workdir / "results.json").read_text())
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}
