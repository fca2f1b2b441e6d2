"""experiments.benchmarks: shares and ratios turn by turn, second calls that compile nothing, one
run with tiny settings, bad input."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run.compiled_costs import ProgramWork
from experiments.arguments import load_config
from experiments.benchmarks import __main__ as benchmarks
from experiments.benchmarks import report
from experiments.benchmarks.programs import First, Program, Running, start
from experiments.benchmarks.trainings import GROUPS

# No group has a default for another's config: each is made small by its own fields.
TINY = {
    "experiments.diffusion_encoder": {
        "batch_size": 8,
        "model": {"embed_features": (8,), "features": (8,), "decoder_features": (8,)},
    },
    "experiments.posteriors": {"batch_size": 8, "model": {"features": (8,)}},
    "experiments.diffusion_decoder": {"batch_size": 8, "decoder": {"features": (8,)}},
    "experiments.mixture": {"batch_size": 8, "model": {"features": (8,)}, "samples": (100,)},
    "experiments.images": {"batch_size": 8, "model": {"channels": (8, 16)}},
    "experiments.labels": {"batch_size": 8, "model": {"channels": (8, 16)}},
    "experiments.guidance_images": {
        "batch_size": 12,
        "model": {"channels": (8, 16)},
        "num_steps": 4,
    },
    "experiments.warm_start": {"batch_size": 8, "model": {"features": (8, 16)}},
    "experiments.action_learn": {"num_steps": 4, "training": {"num_nodes": 2, "features": (8,)}},
    "experiments.action_sampling": {"num_steps": 4, "training": {"num_nodes": 2}},
    "experiments.mutual_information": {"num_samples": 200},
    "experiments.encoder": {
        "batch_size": 8,
        "model": {"features": (8,)},
        "em": {"proposals": 8},
        "eval": {"num_examples": 20},
    },
    "experiments.sampler": {"batch_size": 8, "model": {"features": (8,)}, "samples": (100,)},
}


def tiny_config(rows):
    config = load_config("configs/benchmarks/table.py")
    config.benchmark.update(
        rows=rows,
        turns=2,
        turn_seconds=1e-3,
        updates=2,
        steps=(1, 16),
        encoder_updates=2,
        draws=1000,
        peak_sides=(128, 256),
    )
    for section, changes in TINY.items():
        config.experiments[section.split(".")[1]].update(changes)
    return config


def run(config, tmp_path) -> dict:
    benchmarks.run(config, tmp_path)
    return {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}


def first_of(flops, num_bytes):
    return First(1.0, 1, 0, ProgramWork(flops, num_bytes))


def test_shares_and_ratios_are_taken_turn_by_turn():
    peaks = report.Peaks(np.array([1e10, 2e10, 1e10]), np.array([1e9, 1e9, 2e9]), 1e8)
    slow = report.Measured(first_of(8e9, 1e8), np.array([4.0, 8.0, 2.0]))
    fast = report.Measured(first_of(1e9, 1e9), np.array([1.0, 2.0, 0.5]))
    rows = report.rows_of("slow", slow, peaks) + report.rows_of("fast", fast, peaks)
    rows += report.rows_of_ratios(
        {"diffusion_encoder.langevin": slow, "diffusion_encoder.vae": fast}
    )
    named = {row.name: row for row in rows}
    assert named["diffusion_encoder.langevin.time_ratio"].value == 4.0
    assert named["diffusion_encoder.langevin.time_ratio"].stderr == 0.0
    assert named["fast.time"].value == 1000.0
    assert named["slow.limit_share"].value == pytest.approx(20.0)  # of 20, 5 and 40
    assert named["fast.limit_share"].value == pytest.approx(100.0)  # by bytes: 100, 50 and 100


def test_a_second_call_compiles_nothing_unless_its_shapes_are_others():
    @jax.jit
    def function(state, weight):
        return jax.lax.scan(lambda x, _: (x @ weight, None), state, length=3)

    def grown(result):
        return jnp.concatenate([result[0], result[0]])

    state = jnp.ones((2, 3))
    program = Program(function, state, (jnp.eye(3),), 3)
    _, first = start(program)
    assert first.compilations == 1 and first.later_compilations == 0
    assert first.work.flops == pytest.approx(2 * 2 * 3 * 3, abs=4)  # of one turn
    _, first = start(dataclasses.replace(program, state_of=grown, inputs=(jnp.eye(3) + 1,)))
    assert first.later_compilations > 0


def test_a_state_is_handed_to_the_next_call_and_its_memory_given_away():
    @jax.jit
    def function(state, step):
        return state + step, None

    counted = Running(Program(function, jnp.zeros(()), (jnp.ones(()),), 1))
    for _ in range(3):
        counted.call()
    assert counted._state == 3
    donating = jax.jit(lambda state: (state + 1, None), donate_argnums=0)
    state = jnp.zeros(())
    Running(Program(donating, state, (), 1)).call()
    assert state == 0  # its own copy was given away


@pytest.mark.slow
def test_every_experiment_has_its_rows_and_compiles_once(tmp_path, capsys):
    config = tiny_config((*GROUPS, "encoder", "sampler"))
    rows = run(config, tmp_path)
    again = {
        name: row["value"] for name, row in rows.items() if name.endswith(".later_compilations")
    }
    assert set(again.values()) == {0}
    assert {name.split(".")[0] for name in again} == set(GROUPS)
    printed = capsys.readouterr().out
    for method in ("importance", "langevin", "iwae"):
        assert rows[f"diffusion_encoder.{method}.time_ratio"]["value"] > 0
        assert f"diffusion_encoder.{method}.time_ratio" in printed
    for quantity in ("flops", "megabytes", "time", "limit_share", "first_step", "compilations"):
        assert rows[f"mixture.vp.D9.{quantity}"]["value"] > 0
    for purpose in ("encoder", "sampler"):
        assert rows[f"{purpose}.steps16.rate"]["value"] > 0
    # With the exact score, few steps lose much and many little.
    loss = {steps: rows[f"sampler.steps{steps}.loss"] for steps in (1, 16)}
    assert loss[1]["value"] > 1
    assert abs(loss[16]["value"]) < 4 * loss[16]["stderr"] + 0.01 and loss[16]["stderr"] < 0.01
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"roofline", "steps"}
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    benchmarks.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ("kelly",)}, "benchmark.rows is 'kelly'"),
        ({"rows": ()}, "rows"),
        ({"turns": 1}, "turns is 1"),
        ({"steps": (0,)}, "steps"),
        ({"turn_seconds": 0.0}, "turn_seconds"),
    ],
)
def test_bad_benchmarks_are_one_line(tmp_path, changes, message):
    config = load_config("configs/benchmarks/table.py")
    config.benchmark.update(changes)
    with pytest.raises(InputError, match=message):
        benchmarks.run(config, tmp_path)
