"""experiments.benchmarks.growth: exponents of known powers with their errors, what a run refuses,
small runs."""

import json

import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.errors import InputError
from experiments.arguments import load_config
from experiments.benchmarks import growth
from experiments.benchmarks.growth_fits import power_law
from experiments.benchmarks.growth_hosts import rise_of_memory

CONFIG = "configs/benchmarks/growth.py"
SIZES = (8, 16, 32, 64, 128)


def test_a_power_is_found_exactly_where_nothing_scatters():
    fit = power_law(SIZES, [3.0 * np.array(SIZES) ** 1.7], 4)
    assert fit.exponent.mean == pytest.approx(1.7) and fit.exponent.stderr < 1e-12
    np.testing.assert_array_equal(fit.sizes, SIZES[1:])
    np.testing.assert_allclose(fit.values, 3.0 * fit.sizes**1.7)


def test_errors_of_exponents_are_those_of_many_experiments():
    """Noise of a tenth on each point: the exponents scatter around the truth by what is stated."""
    rng = np.random.default_rng(0)
    fits = [
        power_law(SIZES, np.array(SIZES) ** 2 * np.exp(0.1 * rng.normal(size=(9, 5))), 5).exponent
        for _ in range(200)
    ]
    scores = np.array([(fit.mean - 2) / fit.stderr for fit in fits])
    assert abs(scores.mean()) < NUM_SIGMAS * scores.std(ddof=1) / np.sqrt(len(scores))
    scatter = np.std([fit.mean for fit in fits], ddof=1)
    stated = np.sqrt(np.mean([fit.stderr**2 for fit in fits]))
    # Noise is in both parts of the error, which is up to sqrt(2) too large for it, not too small.
    assert scatter * (1 - NUM_SIGMAS / np.sqrt(2 * 200)) < stated
    assert stated < np.sqrt(2) * scatter * (1 + NUM_SIGMAS / np.sqrt(2 * 200))


def test_a_line_that_bends_has_an_error():
    """A constant beside a line: between no growth and the first power, and the error says so."""
    bent = power_law(SIZES, [10.0 + np.array(SIZES)], 5).exponent
    straight = power_law(SIZES, [np.array(SIZES)], 5).exponent
    assert 0 < bent.mean < 1 and bent.stderr > 0.02 > straight.stderr


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("sweeps.sampling.steps", (8, 4, 16), "ascending"),
        ("sweeps.sampling.steps", (4, 8), "3 whole numbers or more"),
        ("sweeps.unet_update.side", (8, 16, 33), "even"),
        ("devices", (1, 2), "3 whole numbers or more"),
        ("fitted", 2, "give 3 or more"),
        ("estimator.denoiser.widht", 3, "widht"),
    ],
)
def test_what_cannot_be_measured_is_refused(field, value, complaint, tmp_path):
    config = load_config(CONFIG)
    *sections, name = field.split(".")
    section = config
    for one in sections:
        section = section[one]
    with section.unlocked():
        section[name] = value
    with pytest.raises(InputError, match=complaint) as error:
        growth.run(config, tmp_path)
    assert field.split(".")[-1] in str(error.value)
    assert not list(tmp_path.iterdir())


def test_memory_that_a_function_takes_for_a_while_is_a_rise_of_it():
    def take(count):
        np.ones(count, np.uint8).sum()

    rises = [rise_of_memory(lambda count=count: take(count)) for count in (10**8, 3 * 10**8)]
    if None in rises:
        pytest.skip("the system does not tell")
    np.testing.assert_allclose(rises, (10**8, 3 * 10**8), rtol=0.1)


def small(**sweeps):
    """The config with these sweeps alone, of tiny programs."""
    config = load_config(CONFIG)
    config.turns = 2
    config.estimates = 2
    config.least_seconds = 1e-3
    config.devices = ()
    for section in config.sweeps.values():
        for axis in section:
            section[axis] = ()
    for name, section in sweeps.items():
        config.sweeps[name].update(section)
    config.encoder_update.update(batch=8, latent_dim=2, width=8)
    config.unet_update.update(batch=8, side=4, width=8)
    config.attending_unet_update.update(batch=2, side=4, width=8)
    config.mlp_update.update(batch=8, dim=2, width=8, depth=1)
    config.sampling.update(steps=2, draws=8, width=8)
    config.encoding.update(examples=8, steps=1, width=8)
    config.bound.update(samples=2, width=8)
    config.annealing.update(chains=2, temperatures=2, width=8)
    return config


def rows_of(config, tmp_path):
    growth.run(config, tmp_path)
    return {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}


@pytest.mark.slow
def test_counted_growth_is_that_of_theory(tmp_path, monkeypatch):
    """Operations and bytes are exact; times are there, and nothing is asserted of them."""
    config = small(
        sampling={"steps": (2, 4, 8)},
        order={"examples": (10**4, 10**5, 10**6)},
        checkpoint={"parameters": (10**4, 10**5, 10**6)},
    )
    rows = rows_of(config, tmp_path)
    assert rows["sampling.steps.operations_exponent"]["value"] == pytest.approx(1)
    assert rows["sampling.steps.memory_exponent"]["value"] == pytest.approx(0, abs=0.1)
    assert rows["order.examples.memory_exponent"]["value"] == pytest.approx(1, abs=0.01)
    at_least = 3 * 4 * 10**6 / 1e6  # orders are whole numbers of 8 bytes, and then of 4
    assert rows["order.examples=1000000.memory"]["value"] == pytest.approx(at_least, rel=0.1)
    # parameters, averages and two moments, of 4 bytes each, which noise keeps from being compressed
    size = rows["checkpoint.parameters=1000000.memory"]["value"]
    assert 0.8 * 16 < size < 1.1 * 16
    for name in ("sampling.steps", "order.examples", "checkpoint.parameters"):
        assert rows[f"{name}.time_exponent"]["stderr"] > 0
    (tmp_path / "results.json").unlink()  # as if it had been stopped after its last sweep
    monkeypatch.setattr(growth, "measure", lambda *_: pytest.fail("measured already"))
    assert rows_of(config, tmp_path) == rows
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"growth_time.png", "growth_memory.png"}


@pytest.mark.slow
def test_every_kind_of_program_is_measured(tmp_path):
    sizes = {
        "encoder_update": dict(batch=(8, 16, 32)),
        "unet_update": dict(side=(4, 8, 16)),
        "mlp_update": dict(width=(8, 16, 32)),
        "encoding": dict(examples=(8, 16, 32)),
        "bound": dict(samples=(2, 4, 8)),
        "annealing": dict(chains=(2, 4, 8)),
        "information": dict(rows=(100, 200, 300)),
    }
    config = small(**sizes)
    config.information.update(rows=100)
    config.estimator.denoiser.update(width=8, rounds=1)
    config.devices = (1, 2, 4)
    rows = rows_of(config, tmp_path)
    assert {tuple(name.split(".")[:2]) for name in rows if "=" not in name} == {
        *((name, axis) for name, section in sizes.items() for axis in section),
        *((name, "devices") for name in growth.DIVIDED),
    }
    for name in growth.DIVIDED:
        assert rows[f"{name}.devices=1.summed"]["value"] == 0
        # gradients are summed whole, on two devices and on four
        summed = [rows[f"{name}.devices={count}.summed"]["value"] for count in (2, 4)]
        assert summed[0] == summed[1] > 0
    assert (tmp_path / "figures" / "growth_devices.png").exists()
