"""label_denoiser, label_information: forms, peak and share of labelled clusters; names; resumption; bad input."""

import json
import re
import shutil
import types

import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from clusters import TwoClusters, information_up_to, sample_clusters

from diffenc import data, reporting
from diffenc.errors import InputError
from diffenc.estimators import Estimate
from diffenc.noise_levels import Uniform, log_snr_range
from experiments import command_line, label_denoiser, label_information, mutual_information


def make_config(**changes):
    config = command_line._load("configs/mutual_information/labels.py")
    tiny = {"model.channels": (8, 8), "num_updates": 4, "updates_per_dispatch": 2, "save_every": 2, "evaluate_every": 2}
    tiny |= {"batch_size": 8, "eval.num_levels": 4, "eval.num_examples": 100, "eval.monitor": 20}
    config.update_from_flattened_dict(tiny | {key.replace("__", "."): value for key, value in changes.items()})
    return config


def measured_clusters(x, labels, levels):
    config = make_config(eval__num_levels=32, eval__batch_size=5000)
    measure = label_denoiser.make_measure(config, TwoClusters(), None, 1.0, levels)
    return measure(None, types.SimpleNamespace(test=x, test_labels=labels), len(x))


@pytest.fixture(scope="module")
def clusters():
    """(x, labels, I(X;Y), levels, draws with exact scores)."""
    x, labels, truth = sample_clusters()
    levels = Uniform(*log_snr_range(TwoClusters.process))
    return x, labels, truth, levels, measured_clusters(x, labels, levels)


def test_the_three_forms_of_exact_scores_are_the_information(clusters):
    x, labels, truth, levels, draws = clusters
    for form in label_denoiser.FORMS:
        assert_mean(draws.total()[form], truth)
    wrong = Estimate.of(measured_clusters(x, 1 - labels, levels).total()["growth_difference"])
    assert wrong.mean < -NUM_SIGMAS * wrong.stderr  # who bets on the wrong label loses


def test_the_density_of_exact_scores_has_its_peak_and_its_share(clusters):
    """Against differences of I(x_lambda; Y), the integral of the density up to lambda."""
    *_, levels, draws = clusters
    edges = np.linspace(levels.low, levels.high, 400)
    density = np.diff([information_up_to(edge) for edge in edges])
    truth = edges[np.argmax(density)] + 0.5 * (edges[1] - edges[0])
    rng = np.random.default_rng(0)
    for form, most in (("score_difference", 0.1), ("growth_difference", 0.3)):
        found = label_information.peak(rng, label_information.form(draws, form), levels)
        assert abs(found.mean - truth) < NUM_SIGMAS * found.stderr and found.stderr < most
    share = information_up_to(0.0) / information_up_to(np.inf)
    for form in label_denoiser.FORMS:
        found = label_information.high_noise_share(label_information.form(draws, form))
        assert abs(found.mean - share) < NUM_SIGMAS * found.stderr


def test_labels_have_their_names_and_are_resumed(tmp_path, capsys):
    config = make_config()
    mutual_information.run(config, tmp_path)
    results = (tmp_path / "results.json").read_text()
    rows = {row["name"]: row for row in json.loads(results)}
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows.values())
    shares = np.bincount(data.load("digits").test_labels[:100]) / 100
    assert rows["digits.label_entropy"]["value"] == pytest.approx(-np.sum(shares * np.log(shares)) + 9 / 200)
    names = {*label_denoiser.FORMS, "label_entropy", "peak_log_snr", "high_noise_share"}
    names |= {"peak_log_snr_by_scores", "high_noise_share_by_scores"}
    assert {f"digits.{name}" for name in names} < set(rows)
    assert all(rows[f"digits.{name}"]["stderr"] > 0 for name in names)
    value = {name.split(".")[1]: row["value"] for name, row in rows.items()}
    assert value["growth_difference"] == pytest.approx(value["growth_given_label"] - value["growth"], abs=1e-3)
    assert value["entropy_difference"] == pytest.approx(value["s_nn_given_label"] - value["s_nn"], abs=1e-3)
    promised = {"config.json", "metrics.jsonl", "results.json", "checkpoints", "figures"}
    assert {path.name for path in tmp_path.iterdir()} == promised
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["density.png"]
    assert reporting.read_metrics(tmp_path)[-1]["score_difference_stderr"] > 0
    capsys.readouterr()
    mutual_information.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out
    (tmp_path / "results.json").unlink()
    shutil.rmtree(tmp_path / "checkpoints" / "4")  # as if killed after the save of update 2
    mutual_information.run(config, tmp_path)
    assert "continuing from update 2" in capsys.readouterr().out
    assert (tmp_path / "results.json").read_text() == results


def test_settings_can_be_chosen_without_the_test_images():
    images, *_ = label_denoiser.load(make_config())
    chosen, *_ = label_denoiser.load(make_config(data__validation=250))
    assert len(chosen.test) == 250 and len(chosen.train) == len(images.train) - 250
    known = {image.tobytes() for image in images.train}
    assert all(image.tobytes() in known for image in chosen.test)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"null_probability": 1.0}, "null_probability is 1.0"),
        ({"average_decay": 1.0}, "average_decay is 1.0"),
        ({"t_min": 1.0}, "t_min is 1.0"),
        ({"eval__num_examples": 10}, "eval.num_examples is 10"),
        ({"eval__num_levels": 0}, "eval.num_levels is 0"),
        ({"eval__monitor": 1}, "eval.monitor is 1"),
        ({"model__channels": (8, 8, 8, 8, 8)}, "cannot be halved"),
        ({"model__channels": (9,)}, "multiples of 8"),
        ({"data__name": "file"}, "data.name is 'file'"),
        ({"data__name": "digit"}, "no data set is called 'digit'"),
        ({"data__validation": 1450}, "data.validation is 1450"),
        ({"num_updates": 3}, "num_updates is 3"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        mutual_information.run(make_config(**changes), tmp_path)
    assert "\n" not in str(raised.value) and not list(tmp_path.glob("*.jsonl"))
