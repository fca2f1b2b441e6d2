"""experiments.posteriors: every method on a toy and on digits, the promised names, seeds, and bad
input."""

import json

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_distinct_keys, record_keys

from diffenc import models
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.errors import InputError
from diffenc.latent import decoders, toys
from diffenc.run import records
from experiments.arguments import load_config
from experiments.posteriors import __main__ as posteriors
from experiments.posteriors import cases, measures, settings

CONFIGS = "configs/posteriors"
TINY = {
    "num_devices": 1,
    "num_updates": 4,
    "updates_per_dispatch": 2,
    "save_every": 4,
    "evaluate_every": 4,
    "batch_size": 8,
    "model.embed_features": (8,),
    "model.features": (8,),
    "em.langevin_steps": 1,
    "em.sampler_steps": 1,
    "em.proposals": 3,
    "em.draws": 1,
    "rivals.iwae_samples": 3,
    "eval.num_examples": 20,
    "eval.batch_size": 16,  # as many as are encoded by a loaded run
    "eval.num_samples": 10,  # as many as the curves have: one program
    "eval.sampler_steps": 1,
    "eval.langevin_steps": 2,
    "eval.grid_examples": 4,
    "eval.grid_sampler_steps": 2,
    "eval.grid_draws": 3,
    "eval.ais_simulated": 10,
    "eval.ais_temperatures": 2,
    "eval.ais_chains": 2,
}


def make_config(name, **changes):
    config = load_config(f"{CONFIGS}/{name}.py")
    fields = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict({key: value for key, value in fields.items()})
    return config


def values_of(workdir):
    rows = json.loads((workdir / "results.json").read_text())
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


def check_loaded(workdir, methods):
    """A system of a run on a toy is loaded by its case, its method and its seed."""
    toy = toys.make("ring")
    x = np.asarray(jax.jit(toy.sample)(jax.random.key(1), {}, np.ones((16, 2), np.float32)))
    labels = models.load(workdir).systems
    assert labels == tuple(f"ring.{method}.{seed}" for method in methods for seed in (0, 1))
    for label in (labels[1], f"ring.{methods[-1]}.0"):
        trained = models.load(workdir, label)
        assert trained.encode(x).shape == (16, 2) and trained.updates == 4
    z = trained.posterior_samples(x, samples=3, proposals=4, steps=1).z
    np.testing.assert_allclose(trained.decode(z[:, 0]), toy.mean({}, z[:, 0]), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize(
    "methods",
    [
        ("importance",),  # with smoothed targets
        pytest.param(("importance", "flow_vae"), marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def test_a_toy_with_two_seeds(tmp_path, capsys, monkeypatch, methods):
    config = make_config("toys", toys=("ring",), num_seeds=2, methods=methods)
    asked = record_keys(monkeypatch)
    posteriors.run(config, tmp_path)
    assert_distinct_keys(asked)
    rows = values_of(tmp_path)
    for method in config.methods:
        for quantity in (
            "nll",
            "neg_elbo",
            "rate",
            "distortion",
            "ess",
            "amortization_gap",
            "posterior_kl",
        ):
            row = rows[f"ring.{method}.{quantity}"]
            assert np.isfinite(row["value"]) and row["stderr"] > 0
        assert (
            rows[f"ring.{method}.nll"]["value"] > rows[f"ring.{method}.nll"]["truth"] - 1.0
        )  # a bound, three sigma
        assert rows[f"ring.{method}.posterior_kl"]["truth"] == 0
        assert (
            abs(rows[f"ring.{method}.mass"]["value"] - 1) < 0.05
        )  # hardly trained: close to N(0, I), inside the box
    assert rows["ring.best_gaussian.posterior_kl"]["value"] > 0.5
    assert ("ring.flow_vae.nll_above_importance" in rows) == (len(methods) == 2)
    assert "ring.importance.nll_above_flow_vae" not in rows
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"posteriors_ring.png", "curves_ring.png"} < names
    assert names <= {"posteriors_ring.png", "curves_ring.png", "methods_ring.png"}
    assert {p.name for p in tmp_path.iterdir()} == {
        "config.json",
        "model.json",
        "metrics.jsonl",
        "results.json",
        "checkpoints",
        "figures",
    }
    check_loaded(tmp_path, methods)
    metrics = records.read_metrics(tmp_path)
    first, second = (metrics[1][f"ring.{methods[-1]}.{seed}.decoder_loss"] for seed in (0, 1))
    assert first != second
    capsys.readouterr()
    posteriors.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_every_method_on_digits(tmp_path, capsys):
    config = make_config("digits", model__decoder_features=(8,), eval__ais_examples=10)
    posteriors.run(config, tmp_path)
    rows = values_of(tmp_path)
    for method in ("langevin", "importance", "persistent", "wake_sleep", "vae", "iwae", "flow_vae"):
        for quantity in (
            "nll",
            "train_nll",
            "neg_elbo",
            "ess",
            "amortization_gap",
            "ais_nll",
            "ais_lower",
            "ais_upper",
            "ais_gap",
        ):
            assert np.isfinite(rows[f"digits.{method}.{quantity}"]["value"])
        assert f"digits.{method}.posterior_kl" not in rows
    assert "flow_vae" in capsys.readouterr().out


@pytest.mark.optimized
@pytest.mark.slow
def test_a_trained_encoder_reaches_a_posterior_that_no_gaussian_does(tmp_path):
    """The ring, trained as its config says, one seed: KL(exact || encoder) against that of the best
    Gaussian."""
    config = load_config(f"{CONFIGS}/toys.py")
    config.update(toys=("ring",), num_seeds=1, methods=("importance", "vae"), num_devices=1)
    config.em.update(langevin_steps=2, sampler_steps=1)  # their defaults: no chains here
    config.eval.update(num_examples=250, num_samples=16, sampler_steps=16, grid_examples=2)
    posteriors.run(config, tmp_path)
    rows = values_of(tmp_path)
    encoder, gaussian = (
        rows[f"ring.{one}.posterior_kl"] for one in ("importance", "best_gaussian")
    )
    assert abs(encoder["value"]) < 0.03 * gaussian["value"]
    assert NUM_SIGMAS * encoder["stderr"] < 0.03 * gaussian["value"]
    lead = rows["ring.vae.nll_above_importance"]
    assert lead["value"] > NUM_SIGMAS * lead["stderr"] > 0


def test_a_flow_is_left_out_where_the_latent_has_one_dimension():
    experiment = settings.read_experiment(make_config("toys", toys=("absolute",)))
    case = cases.load_cases(experiment)["absolute"]
    assert tuple(experiment.methods) == ("importance", "langevin", "vae", "flow_vae")
    of_case = cases.methods_of(experiment.methods, case)
    assert tuple(of_case) == ("importance", "langevin", "vae")
    assert {of_method.model.latent_dim for of_method in of_case.values()} == {1}


def test_a_changed_field_that_no_method_reads_is_named(caplog):
    changes = dict(methods=("importance", "vae"), em__langevin_steps=7, em__proposals=9)
    settings.read_experiment(make_config("toys", **changes))
    assert "none of the methods importance, vae reads em.langevin_steps" in caplog.text
    assert "proposals" not in caplog.text


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(methods=("langevin", "hmm")), "methods is 'hmm'"),
        (dict(methods=("vae", "vae")), "once"),
        (dict(methods=("vae", "deterministic")), "methods is deterministic: it has no density"),
        (dict(methods=("without_latent",)), "methods is without_latent: only a diffusion decoder"),
        (dict(toys=("square",)), "no toy 'square'"),
        (dict(rivals__iwae_samples=0), "rivals.iwae_samples is 0"),
        (dict(num_seeds=0), "num_seeds is 0"),
        (dict(em__gamma=0.5), "em.gamma is 0.5"),
        (dict(em__proposal="encoder"), "em.proposal is 'encoder'"),
        (dict(em__proposal_width=0.0), "em.proposal_width is 0.0"),
        (dict(toys=()), "toys want one name"),
        (
            dict(
                methods=("importance", "a"),
                variants=dict(a=dict(method="langevin", em=dict(proposals=9))),
            ),
            "variants.a.em.proposals would have no effect",
        ),
        (dict(eval__ais_examples=1), "eval.ais_examples is 1"),
        (
            dict(eval__ais_examples=4, eval__ais_simulated=0),
            "eval.ais_simulated is 0: a standard error needs 2 or more",
        ),
        (dict(methods=("flow_vae",)), "flow_vae alone"),
        (
            dict(variants=dict(vae=dict(batch_size=3))),
            "variants.vae.batch_size would have no effect",
        ),
        (
            dict(variants=dict(vae=dict(eval=dict(num_samples=3)))),
            "variants.vae.eval.num_samples would have no effect",
        ),
        (
            dict(variants=dict(vae=dict(model=dict(activation="relu")))),
            "variants.vae.model.activation would have no effect",
        ),
        (
            dict(variants=dict(vae=dict(model=dict(latent_dim=3)))),
            "variants.vae.model.latent_dim would have no effect",
        ),
        (
            dict(methods=("vae",), variants=dict(vae=dict(model=dict(latent=3)))),
            "variants.vae: Key",
        ),
        (dict(variants=dict(vae=dict(em=3))), "variants.vae: "),
        (
            dict(methods=("vae",), variants=dict(vae=dict(model=dict(latent_dim="a")))),
            "variants.vae: ",
        ),
        (
            dict(methods=("a",), variants=dict(a=dict(method="vae", em=dict(draws=0)))),
            "em.draws is 0",
        ),
    ],
)
def test_bad_settings_name_the_field(tmp_path, changes, words):
    config = make_config("toys", **changes)
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        posteriors.run(config, tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_annealing_starts_near_the_mode_whatever_the_encoder_says():
    model = FactorAnalysis(
        np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
        np.array([0.1, 0.0, -0.2], np.float32),
        np.float32(0.6),
    )
    dense = {"kernel": model.weight.T, "bias": model.mean}
    params = {"network": {"params": {"Dense_0": dense}}, "log_tau": np.log(model.noise_std)}
    x, dreams = np.tile(np.float32([[0.9, -1.4, 0.8]]), (200, 1)), 128
    far = np.full((200, 2), 20.0, np.float32), np.tile(3 * np.eye(2, dtype=np.float32), (200, 1, 1))
    start = jax.jit(
        lambda key: measures.near_mode(key, decoders.make("gaussian", 3), params, x, far, 3)
    )
    mean, factor = map(np.asarray, start(jax.random.key(0)))
    exact_mean, cov = map(np.asarray, jax.jit(model.posterior)(x[:1]))
    np.testing.assert_allclose(mean, np.tile(exact_mean, (200, 1)), atol=1e-3)
    precision = np.linalg.inv(factor @ factor.mT)
    fisher = np.linalg.inv(cov) - np.eye(2)
    diagonal = np.diagonal(fisher)
    variance = (fisher**2 + np.outer(diagonal, diagonal)) / dreams / 200  # of Wishart's mean
    assert np.all(np.abs(precision.mean(axis=0) - np.linalg.inv(cov)) < 4 * np.sqrt(variance))
