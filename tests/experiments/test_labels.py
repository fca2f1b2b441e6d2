"""experiments.labels: labelled clusters; names; resumption; bad input."""

import json
import re
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_every_field_is_read, assert_mean, record_reads
from clusters import TwoClusters, information_up_to, sample_clusters

from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.run import data, records
from diffenc.run.tables import Result
from experiments import command_line
from experiments.arguments import load_config
from experiments.labels import __main__ as label_information
from experiments.labels import denoiser, figures, forms, posterior
from experiments.labels.settings import Evaluation, Images, read_classifier, read_training
from experiments.labels.smoothing import make_kernel


def make_config(**changes):
    config = load_config("configs/labels/digits.py")
    tiny = {
        "model.channels": (8,),
        "num_updates": 4,
        "updates_per_dispatch": 2,
        "save_every": 2,
        "evaluate_every": 2,
    }
    tiny |= {
        "num_devices": 1,
        "batch_size": 8,
        "eval.num_levels": 4,
        "eval.num_examples": 100,
        "eval.monitor": 20,
        "eval.batch_size": 20,
    }
    small = {
        "features": (8,),
        "batch_size": 8,
        "num_updates": 4,
        "save_every": 2,
        "evaluate_every": 2,
    }
    small |= {"num_levels": 4, "num_draws": 1, "num_examples": 100}
    tiny |= {f"posterior.{field}": value for field, value in small.items()}
    config.update_from_flattened_dict(
        tiny | {key.replace("__", "."): value for key, value in changes.items()}
    )
    return config


def measured_clusters(x, labels, levels):
    config = make_config(eval__num_levels=32, eval__batch_size=5000)
    evaluation = command_line.read(Evaluation, config, "eval")
    measure = forms.make_measure(jax.random.key(21), TwoClusters(), None, 1.0, levels, evaluation)
    return measure(None, types.SimpleNamespace(test=x, test_labels=labels), len(x))


@pytest.fixture(scope="module")
def clusters():
    """(x, labels, I(X;Y), levels, draws with exact scores)."""
    x, labels, truth = sample_clusters()
    levels = Uniform(*log_snr_range(TwoClusters.process))
    return x, labels, truth, levels, measured_clusters(x, labels, levels)


def test_the_three_forms_of_exact_scores_are_the_information(clusters):
    x, labels, truth, levels, draws = clusters
    for form in forms.FORMS:
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
        found = label_information.peak(rng, figures.form(draws, form), levels)
        assert abs(found.mean - truth) < NUM_SIGMAS * found.stderr and found.stderr < most
    share = information_up_to(0.0) / information_up_to(np.inf)
    for form in forms.FORMS:
        found = label_information.high_noise_share(figures.form(draws, form))
        assert abs(found.mean - share) < NUM_SIGMAS * found.stderr


def measured_posterior(clusters, certainty=1.0):
    """The curve of the posterior of the clusters, exact for certainty 1: log p(y|x) = log
    sigmoid(+-4 alpha x)."""
    x, labels, _, levels, _ = clusters

    def log_q(params, x_t, t):
        logit = 4 * certainty * TwoClusters.process.alpha(t) * x_t[:, 0, 0, 0]
        return jax.nn.log_sigmoid(jnp.stack([-logit, logit], axis=1))

    config = make_config(posterior__num_levels=64, eval__batch_size=5000)
    measure = posterior.make_measure(
        jax.random.key(22),
        log_q,
        TwoClusters.process,
        levels,
        read_classifier(config),
        config.eval.batch_size,
    )
    return measure(
        None, types.SimpleNamespace(test=x, test_labels=labels, train_labels=labels), 1.0, len(x)
    )


def test_the_exact_posterior_gives_the_information_at_every_level(clusters):
    """Against quadrature, and the rise of what is bet against the gradients."""
    curve, levels = measured_posterior(clusters), clusters[3]
    truth = np.array([information_up_to(level) for level in curve.log_snr])
    assert_mean(curve.information.T, truth)
    assert_mean(curve.integral()[-1], truth[-1] - truth[0])
    assert_mean((curve.slope().values - 0.5 * (curve.density[1:] + curve.density[:-1])).T, 0.0)
    assert_mean(curve.up_to(0.0), information_up_to(0.0))
    rng, density = np.random.default_rng(0), np.diff(truth)
    found = label_information.peak(rng, curve.slope(), levels)
    centres, grid = (
        0.5 * (curve.log_snr[1:] + curve.log_snr[:-1]),
        np.linspace(*curve.log_snr[[0, -1]], 2001),
    )
    highest = grid[np.argmax(make_kernel(grid, centres) @ density)]  # smoothed alike
    assert abs(found.mean - highest) < NUM_SIGMAS * found.stderr < 1.0
    found = posterior.high_noise_share(rng, curve)
    assert abs(found.mean - information_up_to(0.0) / truth[-1]) < NUM_SIGMAS * found.stderr < 0.1


def test_a_posterior_that_is_too_certain_wins_less(clusters):
    exact, certain = measured_posterior(clusters), measured_posterior(clusters, certainty=2.0)
    for level in (0.0, exact.log_snr[-1]):
        lost = Estimate.of(exact.up_to(level) - certain.up_to(level))
        assert lost.mean > NUM_SIGMAS * lost.stderr


@pytest.mark.parametrize(
    "channels",
    [pytest.param((), id="dense"), pytest.param((16,), id="blocks", marks=pytest.mark.slow)],
)
def test_a_trained_classifier_finds_nearly_all(clusters, channels, tmp_path):
    """Of four pixels that share a number x as x/2, the sum knows what one pixel of x did."""
    x, labels, truth, *_ = clusters
    if channels:
        x = np.tile(x / 2, (1, 2, 2, 1))
    images = types.SimpleNamespace(
        train=x[:10000], train_labels=labels[:10000], test=x[10000:], test_labels=labels[10000:]
    )
    changes = {
        "features": (16,),
        "num_updates": 400,
        "batch_size": 256,
        "learning_rate": 1e-2,
        "save_every": 400,
    }
    changes |= {"evaluate_every": 0, "average_decay": 0.98, "num_examples": 10000}
    changes |= {"channels": channels}
    config = make_config(
        updates_per_dispatch=100,
        eval__batch_size=5000,
        **{f"posterior__{field}": value for field, value in changes.items()},
    )
    labelled = denoiser.Labelled(images, 1.0, 2)
    classifier = read_classifier(config)
    training = read_training(config)
    curve = posterior.run(0, tmp_path, labelled, classifier, training, config.eval.batch_size)
    found = Estimate.of(curve.information[-1])
    truth = information_up_to(curve.log_snr[-1])
    assert truth - 0.02 - NUM_SIGMAS * found.stderr < found.mean < truth + NUM_SIGMAS * found.stderr


@pytest.mark.slow
def test_updates_in_bfloat16_are_those_in_float32_rounded():
    """Losses of the same draws: the network starts at zero, and differs after the first update."""
    losses = {}
    for dtype in ("float32", "bfloat16"):
        config = make_config(model__dtype=dtype, warmup=0)
        labelled = denoiser.load(command_line.read(Images, config, "data"))
        system = denoiser.make_system(0, labelled, read_training(config))
        x = jnp.asarray(labelled.images.train[:64], jnp.float32) / labelled.scale
        batch = (x, jnp.asarray(labelled.images.train_labels[:64]))

        @jax.jit
        def train(state, update=system.update, batch=batch):
            def one(state, step):
                return update(state, jax.random.fold_in(jax.random.key(1), step), batch)

            return jax.lax.scan(one, state, jnp.arange(3))

        state, metrics = train(system.state)
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))
        losses[dtype] = np.asarray(metrics["loss"])
    exact = losses["float32"]
    difference = np.abs(losses["bfloat16"] - exact)
    assert exact[-1] < exact[0] and difference[0] == 0
    # The loss is of squares: it differs by twice the relative rounding of about 30 layers.
    rounding = np.sqrt(30) * float(jnp.finfo(jnp.bfloat16).eps) / 2
    assert 0 < difference[-1] < 2 * rounding * exact[-1]


def test_labels_have_their_names(tmp_path, capsys, monkeypatch):
    config = make_config()
    reads = record_reads(monkeypatch, config)
    label_information.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows.values())
    digits = data.load("digits")
    odds, shares = (
        np.bincount(labels) / len(labels)
        for labels in (digits.train_labels, digits.test_labels[:100])
    )
    assert rows["digits.label_entropy"]["value"] == pytest.approx(-np.sum(shares * np.log(odds)))
    names = {
        *figures.TEXTS,
        "label_entropy",
        "peak_log_snr",
        "high_noise_share",
        "lambda=0.label_information",
    }
    names |= {"peak_log_snr_by_scores", "high_noise_share_by_scores"}
    assert {f"digits.{name}" for name in names} < set(rows)
    unsure = names - {
        "peak_log_snr_by_scores"
    }  # of an untrained network it can be the last cell for certain
    assert all(rows[f"digits.{name}"]["stderr"] > 0 for name in unsure)
    assert rows["digits.label_information"]["value"] < rows["digits.label_entropy"]["value"]
    value = {name.removeprefix("digits."): row["value"] for name, row in rows.items()}
    assert value["growth_difference"] == pytest.approx(
        value["growth_given_label"] - value["growth"], abs=1e-3
    )
    assert value["entropy_difference"] == pytest.approx(
        value["s_nn_given_label"] - value["s_nn"], abs=1e-3
    )
    promised = {
        "config.json",
        "metrics.jsonl",
        "results.json",
        "checkpoints",
        "figures",
        "posterior",
    }
    assert {path.name for path in tmp_path.iterdir()} == promised
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["density.png"]
    assert records.read_metrics(tmp_path)[-1]["score_difference_stderr"] > 0
    capsys.readouterr()
    label_information.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


def test_what_no_label_can_tell_is_said():
    def sentences(**values):
        forms_of = dict(entropy_difference=(2.0, 0.3), growth_difference=(2.1, 0.2))
        rows = forms_of | dict(score_difference=(2.35, 0.1), label_entropy=(2.3, 0.001)) | values
        return forms.remarks([Result(f"a.{name}", *row, "nats") for name, row in rows.items()])

    assert sentences() == sentences(peak_log_snr=(6.3, 0.1)) == []
    (above,) = sentences(score_difference=(4.24, 0.14))
    assert above.startswith("a.score_difference is 4.24 ± 0.14 nats, above the 2.3 nats")
    (at_the_end,) = sentences(peak_log_snr_by_scores=(6.32, 0.0))
    assert "a.peak_log_snr_by_scores is 6.32 in every resampling" in at_the_end


@pytest.mark.slow
def test_both_networks_of_labels_are_resumed(tmp_path, capsys):
    config = make_config()
    label_information.run(config, tmp_path)
    results = (tmp_path / "results.json").read_text()
    (tmp_path / "results.json").unlink()
    for part in (tmp_path, tmp_path / "posterior"):
        shutil.rmtree(part / "checkpoints" / "4")  # as if killed after the save of update 2
    label_information.run(config, tmp_path)
    assert capsys.readouterr().out.count("continuing from update 2") == 2
    assert (tmp_path / "results.json").read_text() == results


def test_settings_can_be_chosen_without_the_test_images():
    images = denoiser.load(command_line.read(Images, make_config(), "data")).images
    config = make_config(data__validation=250)
    chosen = denoiser.load(command_line.read(Images, config, "data")).images
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
        ({"model__attention": (3,)}, "config field model.attention is (3,): choose among"),
        ({"model__dtype": "float16"}, "config field model.dtype is 'float16'"),
        ({"posterior__channels": (12,)}, "config field posterior.channels is (12,)"),
        ({"posterior__channels": (8,) * 4}, "config field posterior.channels has 4 widths"),
        ({"posterior__dropout": 1.0}, "config field posterior.dropout is 1.0"),
        ({"posterior__features": ()}, "posterior.features is ()"),
        ({"posterior__average_decay": 1.0}, "posterior.average_decay is 1.0"),
        ({"posterior__num_examples": 10}, "posterior.num_examples is 10"),
        ({"posterior__num_draws": 0}, "posterior.num_draws is 0"),
        ({"posterior__num_levels": 0}, "posterior.num_levels is 0"),
        ({"posterior__save_every": 3}, "posterior.save_every is 3"),
        (
            {"posterior__batch_size": 6, "num_devices": 4},
            "batch size 6 does not divide over 4 devices",
        ),
        ({"data__name": "file"}, "data.name is 'file'"),
        ({"data__name": "digit"}, "no data set is called 'digit'"),
        ({"data__validation": 1450}, "data.validation is 1450"),
        ({"num_updates": 3}, "num_updates is 3"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        label_information.run(make_config(**changes), tmp_path)
    assert "\n" not in str(raised.value) and not list(tmp_path.glob("*.jsonl"))
