"""experiments.guidance: without weight the nats injected are the information; simulation against
recursion; names."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_every_field_is_read, assert_mean, assert_moments, record_reads

from diffenc.diffusion.guidance import guided_chain
from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.diffusion.processes import VPLinear
from diffenc.errors import InputError
from diffenc.information.benchmark import pairs
from diffenc.run import records
from experiments.arguments import load_config
from experiments.guidance import __main__ as guidance
from experiments.guidance import recursion

PAIR = pairs.linear_channel(jax.random.key(1), 3, 2)


def make_config(**changes):
    config = load_config("configs/guidance/joint_gaussian.py")
    config.update(
        dict(dim_x=3, dim_y=2, num_steps=300, num_samples=2000, weights=(0.0, 2.0)) | changes
    )
    return config


def test_unguided_nats_are_the_information():
    coarse, fine = (recursion.recursion(PAIR, 0.0, steps) for steps in (1500, 3000))
    assert abs(fine.injected - PAIR.information) < 0.6 * abs(
        coarse.injected - PAIR.information
    )  # first order
    assert 2 * fine.injected - coarse.injected == pytest.approx(PAIR.information, abs=2e-3)
    assert (
        fine.information == pytest.approx(PAIR.information, abs=0.02)
        and abs(fine.distortion) < 1e-3
    )


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_continuous_time_agrees_with_an_integration_of_its_equations(weight):
    """One coordinate of each: dx = (1/2 sigma^2 x + sigma^2 s_w) d(lambda) + sigma dB, its moments
    by scipy."""
    from scipy.integrate import solve_ivp

    pair = pairs.bivariate(0.8)

    def rates(log_snr, state):
        slope, cov, _ = state
        alpha2 = 1 / (1 + np.exp(-log_snr))
        free, bound = (
            1.0,
            1 / (alpha2 * 0.36 + 1 - alpha2),
        )  # of x_l, and of x_l given y with mean alpha 0.8 y
        by_x, by_y = (1 + weight) * (free - bound), (1 + weight) * bound * np.sqrt(alpha2) * 0.8
        drift = (1 - alpha2) * (0.5 - free + by_x)
        rate = 0.5 * (1 - alpha2) * (by_x**2 * cov + (by_x * slope + by_y) ** 2)
        return drift * slope + (1 - alpha2) * by_y, 2 * drift * cov + 1 - alpha2, rate

    slope, cov, injected = solve_ivp(
        rates, recursion.LOG_SNR, (0.0, 1.0, 0.0), rtol=1e-10, atol=1e-12
    ).y[:, -1]
    coarse, exact = (
        recursion.recursion(pair, weight, 2000),
        recursion.continuous(pair, weight, 2000),
    )
    assert exact.injected == pytest.approx(injected, rel=1e-4)
    assert exact.slope[0, 0] == pytest.approx(slope, rel=1e-4) and exact.cov[0, 0] == pytest.approx(
        cov, rel=1e-3
    )
    assert abs(exact.injected - injected) < 0.1 * abs(coarse.injected - injected)


def test_guidance_injects_more_and_distorts():
    values = [recursion.recursion(PAIR, weight, 500) for weight in (0.0, 1.0, 3.0)]
    for field in ("injected", "information", "distortion"):
        assert np.all(np.diff([getattr(value, field) for value in values]) > 0.1)


def test_chains_do_what_the_recursion_says():
    config = make_config()
    exact = recursion.recursion(PAIR, 2.0, config.num_steps)
    measured = guidance.simulate(jax.random.key(2), PAIR, 2.0, config.num_steps, config.num_samples)
    assert abs(measured.injected.mean - exact.injected) < NUM_SIGMAS * measured.injected.stderr
    assert (
        abs(measured.information.mean - exact.information)
        < NUM_SIGMAS * measured.information.stderr
    )
    rest = measured.x - measured.y @ exact.slope.T
    spread = np.sqrt(np.diag(exact.cov))
    assert np.all(np.abs(rest.mean(axis=0)) < NUM_SIGMAS * spread / len(rest) ** 0.5)
    assert np.all(np.abs(rest.std(axis=0) / spread - 1) < NUM_SIGMAS / (2 * len(rest)) ** 0.5)


def test_a_run_has_its_names_and_figures(tmp_path, capsys, monkeypatch):
    config = make_config(num_steps=100, num_samples=200)
    reads = record_reads(monkeypatch, config)
    guidance.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}
    for weight in ("w=0", "w=2"):
        assert rows[f"{weight}.injected"]["stderr"] > 0 and rows[f"{weight}.injected"]["truth"] > 0
        assert {f"{weight}.sample_information", f"{weight}.distortion", "information"} < set(rows)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "guidance.png",
        "picture.png",
    }
    assert [line["weight"] for line in records.read_metrics(tmp_path)] == [0.0, 2.0]
    capsys.readouterr()
    guidance.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(weights=(-1.0,)), "none below 0"),
        (dict(num_samples=10), "num_samples is 10"),
        (dict(num_steps=301), "num_steps is 301"),
        (dict(noise_std=0.0), "noise_std is 0"),
    ],
)
def test_bad_settings_are_named(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        guidance.run(make_config(**changes), tmp_path)


# ------------------------------------------------- the ancestral chain against its closed recursion


def recursion_of_a_pair(weight, levels):
    """The ancestral chain of x in a pair of correlation 0.8 with exact scores, in closed form: the
    nats of every step, and slope and variance of the last x = slope y + noise; levels [steps + 1]
    of lambda."""
    slope, variance, nats = 0.0, 1.0, []
    for start, end in itertools.pairwise(levels):
        (alpha2, sigma2), (alpha2_s, sigma2_s) = (
            (1 / (1 + np.exp(-level)), 1 / (1 + np.exp(level))) for level in (start, end)
        )
        alpha, kept, bound = alpha2**0.5, np.exp(start - end), 1 / (1 - 0.64 * alpha2)
        by_x, by_y = (
            (1 + weight) * (1 - bound),
            (1 + weight) * bound * 0.8 * alpha,
        )  # what is added to the score -x
        square = (by_x * slope + by_y) ** 2 + by_x**2 * variance
        nats.append(0.5 * (np.exp(end) - np.exp(start)) * sigma2**2 / alpha2 * square)
        to_x = (alpha2_s / alpha2) ** 0.5 * (kept + (1 - kept) * (1 + sigma2 * (by_x - 1)))
        to_y = (alpha2_s / alpha2) ** 0.5 * (1 - kept) * sigma2 * by_y
        slope, variance = to_x * slope + to_y, to_x**2 * variance + sigma2_s * (1 - kept)
    return np.array(nats), slope, variance


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_a_chain_of_few_steps_is_its_closed_recursion(weight):
    process, y = VPLinear(), jax.random.normal(jax.random.key(3), (20_000, 1))

    def free(x, t):
        return -x

    def given(x, t):
        alpha = process.alpha(t)[:, None]
        return -(x - alpha * 0.8 * y) / (1 - 0.64 * jnp.square(alpha))

    start = jax.random.normal(jax.random.key(4), y.shape)
    found = jax.jit(lambda key, x: guided_chain(key, free, given, weight, process, x, 12))(
        jax.random.key(5), start
    )
    low, high = log_snr_range(process)
    nats, slope, variance = recursion_of_a_pair(weight, np.linspace(low, high, 13))
    assert_mean(np.asarray(found.nats).T, nats)
    x, y = np.asarray(found.x)[:, 0], np.asarray(y)[:, 0]
    assert_moments(
        np.stack([x, y], axis=1), [0.0, 0.0], [[slope**2 + variance, slope], [slope, 1.0]]
    )


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_many_steps_are_continuous_time(weight):
    exact = recursion.continuous(pairs.bivariate(0.8), weight, 2000).injected
    levels = log_snr_range(VPLinear())
    coarse, fine = (
        recursion_of_a_pair(weight, np.linspace(*levels, n + 1))[0].sum() for n in (500, 1000)
    )
    assert 2 * fine - coarse == pytest.approx(
        exact, rel=3e-4
    )  # what lies beyond the process's levels is left out
