"""experiments.guidance: without weight the nats injected are the information; simulation against recursion; names."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc import data, information_tasks, reporting
from diffenc.errors import InputError
from diffenc.estimators import Estimate
from diffenc.guidance import guided_chain
from diffenc.processes import VPLinear
from experiments import command_line, guidance, guidance_images

PAIR = information_tasks.linear_channel(jax.random.key(1), 3, 2)


def make_config(**changes):
    config = command_line._load("configs/guidance/joint_gaussian.py")
    config.update(dict(dim_x=3, dim_y=2, num_steps=300, num_samples=2000, weights=(0.0, 2.0)) | changes)
    return config


def test_unguided_nats_are_the_information():
    coarse, fine = (guidance.recursion(PAIR, 0.0, steps) for steps in (1500, 3000))
    assert abs(fine.injected - PAIR.information) < 0.6 * abs(coarse.injected - PAIR.information)  # first order
    assert 2 * fine.injected - coarse.injected == pytest.approx(PAIR.information, abs=2e-3)
    assert fine.information == pytest.approx(PAIR.information, abs=0.02) and abs(fine.distortion) < 1e-3


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_continuous_time_agrees_with_an_integration_of_its_equations(weight):
    """One coordinate of each: dx = (1/2 sigma^2 x + sigma^2 s_w) d(lambda) + sigma dB, its moments by scipy."""
    from scipy.integrate import solve_ivp

    pair = information_tasks.bivariate(0.8)

    def rates(log_snr, state):
        slope, cov, _ = state
        alpha2 = 1 / (1 + np.exp(-log_snr))
        free, bound = 1.0, 1 / (alpha2 * 0.36 + 1 - alpha2)  # of x_l, and of x_l given y with mean alpha 0.8 y
        by_x, by_y = (1 + weight) * (free - bound), (1 + weight) * bound * np.sqrt(alpha2) * 0.8
        drift = (1 - alpha2) * (0.5 - free + by_x)
        rate = 0.5 * (1 - alpha2) * (by_x**2 * cov + (by_x * slope + by_y) ** 2)
        return drift * slope + (1 - alpha2) * by_y, 2 * drift * cov + 1 - alpha2, rate

    slope, cov, injected = solve_ivp(rates, guidance.LOG_SNR, (0.0, 1.0, 0.0), rtol=1e-10, atol=1e-12).y[:, -1]
    coarse, exact = guidance.recursion(pair, weight, 2000), guidance.continuous(pair, weight, 2000)
    assert exact.injected == pytest.approx(injected, rel=1e-4)
    assert exact.slope[0, 0] == pytest.approx(slope, rel=1e-4) and exact.cov[0, 0] == pytest.approx(cov, rel=1e-3)
    assert abs(exact.injected - injected) < 0.1 * abs(coarse.injected - injected)


def test_guidance_injects_more_and_distorts():
    values = [guidance.recursion(PAIR, weight, 500) for weight in (0.0, 1.0, 3.0)]
    for field in ("injected", "information", "distortion"):
        assert np.all(np.diff([getattr(value, field) for value in values]) > 0.1)


def test_chains_do_what_the_recursion_says():
    config = make_config()
    exact = guidance.recursion(PAIR, 2.0, config.num_steps)
    measured = guidance.simulate(jax.random.key(2), PAIR, 2.0, config)
    assert abs(measured.injected.mean - exact.injected) < NUM_SIGMAS * measured.injected.stderr
    assert abs(measured.information.mean - exact.information) < NUM_SIGMAS * measured.information.stderr
    rest = measured.x - measured.y @ exact.slope.T
    spread = np.sqrt(np.diag(exact.cov))
    assert np.all(np.abs(rest.mean(axis=0)) < NUM_SIGMAS * spread / len(rest) ** 0.5)
    assert np.all(np.abs(rest.std(axis=0) / spread - 1) < NUM_SIGMAS / (2 * len(rest)) ** 0.5)


def test_a_run_has_its_names_and_figures(tmp_path, capsys):
    config = make_config(num_steps=100, num_samples=200)
    guidance.run(config, tmp_path)
    rows = {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}
    for weight in ("w=0", "w=2"):
        assert rows[f"{weight}.injected"]["stderr"] > 0 and rows[f"{weight}.injected"]["truth"] > 0
        assert {f"{weight}.sample_information", f"{weight}.distortion", "information"} < set(rows)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"guidance.png", "picture.png"}
    assert [line["weight"] for line in reporting.read_metrics(tmp_path)] == [0.0, 2.0]
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


# --------------------------------------------------------------------------------------- chains, and guidance of images


def chain_of_a_pair(weight, num_steps, num_samples=4000):
    """The guided chain of x in a pair of correlation 0.8, with exact scores: (Guided, y)."""
    process, y = VPLinear(), jax.random.normal(jax.random.key(3), (num_samples, 1))

    def free(x, t):
        return -x

    def given(x, t):
        alpha = process.alpha(t)[:, None]
        return -(x - alpha * 0.8 * y) / (1 - 0.64 * jnp.square(alpha))

    start = jax.random.normal(jax.random.key(4), y.shape)
    return guided_chain(jax.random.key(5), free, given, weight, process, start, num_steps), y


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_chains_of_exact_scores_inject_what_continuous_time_says(weight):
    """The excess of a step is of first order: two numbers of steps make it small against the error."""
    exact = guidance.continuous(information_tasks.bivariate(0.8), weight, 2000)
    (coarse, _), (fine, y) = (chain_of_a_pair(weight, steps) for steps in (300, 600))
    extrapolated = Estimate.of(2 * np.asarray(fine.nats.sum(axis=0)) - np.asarray(coarse.nats.sum(axis=0)))
    assert abs(extrapolated.mean - exact.injected) < NUM_SIGMAS * extrapolated.stderr
    if weight == 0:
        assert exact.injected == pytest.approx(-0.5 * np.log(0.36), abs=1e-3)
        assert_mean(np.asarray(fine.x) * np.asarray(y), 0.8)
    assert fine.nats.shape == (600, 4000) and np.all(np.diff(fine.log_snr) > 0)


def make_image_config(**changes):
    config = command_line._load("configs/guidance/digits.py")
    tiny = {"model.channels": (8, 8), "num_updates": 4, "updates_per_dispatch": 2, "save_every": 4, "evaluate_every": 2}
    tiny |= {"batch_size": 8, "weights": (0.0, 2.0), "num_steps": 3, "num_samples": 100, "eval.num_levels": 4}
    tiny |= {"eval.num_examples": 100} | {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(tiny)
    return config


def test_images_have_their_names_and_figures(tmp_path, capsys):
    guidance.run(make_image_config(), tmp_path)
    rows = {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}
    shares = np.bincount(data.load("digits").test_labels[:100]) / 100
    assert rows["images.label_entropy"]["value"] == pytest.approx(-np.sum(shares * np.log(shares)))
    assert rows["images.entropy_difference"]["value"] == pytest.approx(
        rows["images.s_nn_given_label"]["value"] - rows["images.s_nn"]["value"], abs=1e-3
    )
    for form in guidance_images.FORMS:
        assert rows[f"images.{form}"]["stderr"] > 0
    for quantity in ("injected", "label_information", "w2_squared", "diversity"):
        assert np.isfinite(rows[f"w=2.{quantity}"]["value"])
    assert rows["w=2.injected"]["value"] >= rows["w=0.injected"]["value"] >= 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"guidance.png", "samples.png"}
    capsys.readouterr()
    guidance.run(make_image_config(), tmp_path)
    assert "is complete" in capsys.readouterr().out


def test_a_classifier_bounds_what_labels_say():
    """Two normal clusters: the bound is below log 2 by the classifier's surprise, and 0 where labels say nothing."""
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 2
    x = rng.normal(size=(2000, 2)) + 4.0 * labels[:, None]
    classify = guidance_images.classifier(x[:1000], labels[:1000])
    found = guidance_images.label_information(classify, x[1000:], labels[1000:])
    assert np.log(2) - 0.05 < found.mean < np.log(2) + NUM_SIGMAS * found.stderr
    chance = guidance_images.label_information(classify, x[1000:], rng.permutation(labels[1000:]))
    assert chance.mean < NUM_SIGMAS * chance.stderr


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"null_probability": 1.0}, "null_probability is 1.0"),
        ({"weights": (-1.0,)}, "weights is (-1.0,)"),
        ({"num_samples": 10}, "num_samples"),
        ({"model__channels": (8, 8, 8, 8, 8)}, "cannot be halved"),
        ({"model__channels": (9,)}, "multiples of 8"),
        ({"num_steps": 0}, "num_steps is 0"),
    ],
)
def test_bad_settings_of_images_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        guidance.run(make_image_config(**changes), tmp_path)
    assert not list(tmp_path.glob("*.jsonl"))
