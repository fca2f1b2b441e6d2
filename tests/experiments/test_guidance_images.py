"""experiments.guidance_images: names and resumption; the classifier and distances that judge; bad
input."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_every_field_is_read, record_reads
from clusters import sample_clusters

from diffenc.diffusion.gaussians import gaussian_w2_squared
from diffenc.errors import InputError
from diffenc.run import data
from experiments.arguments import load_config
from experiments.guidance_images import __main__ as guidance_images
from experiments.guidance_images import judgement
from experiments.labels import forms


def make_config(**changes):
    config = load_config("configs/guidance_images/digits.py")
    tiny = {"num_devices": 1, "model.channels": (8,), "num_updates": 4}
    tiny |= {"updates_per_dispatch": 2, "save_every": 4, "evaluate_every": 2}
    tiny |= {
        "batch_size": 8,
        "weights": (0.0, 2.0),
        "num_steps": 4,
        "num_samples": 100,
        "eval.num_levels": 4,
    }
    tiny |= {"eval.num_examples": 100, "eval.monitor": 20, "eval.batch_size": 20} | {
        key.replace("__", "."): value for key, value in changes.items()
    }
    config.update_from_flattened_dict(tiny)
    return config


@pytest.mark.slow
def test_images_have_their_names_and_figures_and_are_resumed(tmp_path, capsys, monkeypatch):
    config = make_config(save_every=2)
    reads = record_reads(monkeypatch, config)
    guidance_images.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}
    digits = data.load("digits")
    odds, shares = (
        np.bincount(labels) / len(labels)
        for labels in (digits.train_labels, digits.test_labels[:100])
    )
    assert rows["images.label_entropy"]["value"] == pytest.approx(-np.sum(shares * np.log(odds)))
    assert rows["images.entropy_difference"]["value"] == pytest.approx(
        rows["images.s_nn_given_label"]["value"] - rows["images.s_nn"]["value"], abs=1e-3
    )
    for form in forms.FORMS:
        assert rows[f"images.{form}"]["stderr"] > 0
    for quantity in (
        "injected",
        "injected_in_continuous_time",
        "label_information",
        "w2_squared",
        "diversity",
    ):
        assert (
            np.isfinite(rows[f"w=2.{quantity}"]["value"]) and rows[f"w=2.{quantity}"]["stderr"] > 0
        )
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "guidance.png",
        "samples.png",
    }
    capsys.readouterr()
    guidance_images.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out
    results = (tmp_path / "results.json").read_text()
    (tmp_path / "results.json").unlink()
    shutil.rmtree(tmp_path / "checkpoints" / "4")  # as if killed after the save of update 2
    guidance_images.run(config, tmp_path)
    assert (tmp_path / "results.json").read_text() == results


def test_a_classifier_bounds_what_labels_say():
    """From below: close to it with true labels, nothing once they are shuffled, for training
    too."""
    x, labels, truth = sample_clusters()
    x, rng = x.reshape(len(x), 1), np.random.default_rng(1)
    found = judgement.label_information(
        judgement.classifier(x[:2000], labels[:2000], rng), x[2000:], labels[2000:]
    )
    assert found.mean < truth + NUM_SIGMAS * found.stderr
    assert found.mean > 0.95 * truth
    shuffled = rng.permutation(labels)
    classify = judgement.classifier(x[:2000], shuffled[:2000], rng)
    chance = judgement.label_information(classify, x[2000:], shuffled[2000:])
    assert chance.mean < NUM_SIGMAS * chance.stderr


def test_equal_laws_lie_at_no_distance_but_that_of_their_samples():
    rng, labels = np.random.default_rng(0), np.arange(4000) % 2
    x, others = (rng.normal(size=(4000, 3)) + 5 * labels[:, None] for _ in range(2))
    near = {row.name: row for row in judgement.distances("a", rng, (x, labels), (others, labels))}
    assert near["a.w2_squared"].value < NUM_SIGMAS * near["a.w2_squared"].stderr
    assert abs(near["a.diversity"].value - 1) < NUM_SIGMAS * near["a.diversity"].stderr
    wide = {
        row.name: row for row in judgement.distances("b", rng, (2 * x, labels), (others, labels))
    }
    assert abs(wide["b.diversity"].value - 4) < NUM_SIGMAS * wide["b.diversity"].stderr
    row = wide["b.w2_squared"]  # from x to 2 x: E|x|^2
    assert abs(row.value - np.square(x).sum(axis=1).mean()) < NUM_SIGMAS * row.stderr


@pytest.mark.parametrize("num_samples", [12, 200])
def test_distances_of_few_and_of_many_samples_are_those_of_their_moments(num_samples):
    """With fewer samples than pixels, and with more; the other set is large."""
    rng = np.random.default_rng(0)
    scales = np.linspace(0.5, 2.0, 20)[None]
    x = rng.normal(size=(num_samples, 20)) * scales + 1.0
    others = rng.normal(size=(300, 20)) @ rng.normal(size=(20, 20))
    moments = [(rows.mean(axis=0), np.cov(rows.T)) for rows in (x, others)]
    with jax.enable_x64(True):
        truth = float(gaussian_w2_squared(*moments[0], *moments[1]))
    assert judgement.between(x, others) == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"null_probability": 1.0}, "null_probability is 1.0"),
        ({"weights": (-1.0,)}, "weights is (-1.0,)"),
        ({"num_samples": 10}, "num_samples"),
        ({"model__channels": (8, 8, 8, 8, 8)}, "cannot be halved"),
        ({"model__channels": (9,)}, "multiples of 8"),
        ({"num_steps": 3}, "num_steps is 3"),
        ({"weights": (1.0, 1.0)}, "weights is (1.0, 1.0)"),
        ({"average_decay": 1.0}, "average_decay is 1.0"),
        ({"eval__num_examples": 5000}, "num_examples is 5000 of 299"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        guidance_images.run(make_config(**changes), tmp_path)
    assert not list(tmp_path.glob("*.jsonl"))
