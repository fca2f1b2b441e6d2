"""A loaded run against the run itself, closed forms, and what a person may give it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from checks import NUM_SIGMAS, assert_mean, assert_moments, count_compilations
from workdirs import DIM, LATENT_DIM, draw, make_truth, make_workdir

from diffenc import models, storage
from diffenc.errors import InputError
from diffenc.estimate import map_examples
from diffenc.keys import key_of
from diffenc.latent import held_out
from diffenc.run import checkpoints, parallel
from diffenc.run.scaling import Scaling
from experiments.arguments import load_config
from experiments.diffusion_encoder import __main__ as diffusion_encoder
from experiments.diffusion_encoder.settings import read_experiment

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "num_updates": 4,
    "model.decoder_features": (8,),
    "model.embed_features": (8,),
    "model.features": (8,),
    "eval.sampler_steps": 2,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on digits as two devices leave it: its workdir, systems, parameters and data. Runs that
    were trained are loaded by the tests of experiments."""
    workdir = tmp_path_factory.mktemp("digits")
    config = load_config(str(ROOT / "configs/diffusion_encoder/digits.py"))
    config.update_from_flattened_dict(TINY)
    experiment = read_experiment(config)
    dataset, _ = diffusion_encoder.load(experiment)
    systems = diffusion_encoder.make_systems(experiment, dataset)
    blueprints = diffusion_encoder.make_blueprints(experiment, dataset)
    storage.write(workdir, "diffusion_encoder", 4, blueprints)
    rng = np.random.default_rng(0)

    def moved(weights):
        return np.asarray(weights + 0.1 * rng.normal(size=np.shape(weights)), np.float32)

    states = {
        name: system.state.replace(averages=jax.tree.map(moved, system.state.averages))
        for name, system in systems.items()
    }
    with checkpoints.open(workdir / "checkpoints") as store:
        store.save(4, parallel.replicate(parallel.data_mesh(2), states))
        store.wait()
    params = {name: state.averages for name, state in states.items()}
    return workdir, systems, params, dataset


@pytest.fixture(scope="module")
def trained(run):
    """The diffusion encoder of the run on digits."""
    return models.load(run[0])


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A workdir whose model is factor analysis."""
    workdir = tmp_path_factory.mktemp("linear")
    make_workdir(workdir)
    return workdir


@pytest.fixture(scope="module")
def factor_encoder(linear):
    """Its diffusion encoder."""
    return models.load(linear)


@pytest.mark.parametrize("name", ["diffusion_encoder", "vae"])
def test_latents_are_those_of_the_run_bit_for_bit(run, name):
    workdir, systems, all_params, dataset = run
    trained = models.load(workdir, name)
    assert trained.name == name and trained.systems == ("diffusion_encoder", "vae")
    assert trained.updates == trained.num_updates == 4
    system, params = systems[name], all_params[name]
    assert trained._system.encoder == system.encoder and trained._system.decoder == system.decoder
    bits = np.asarray(dataset.test[:64] >= 8, np.float32)

    def own(key, x):
        return held_out.own_samples(key, system, params, x)

    with jax.default_matmul_precision("highest"):
        z = map_examples(own, key_of(3, "encode"), bits, 64)
    np.testing.assert_array_equal(trained.encode(16 * bits, seed=3), z)


def test_what_a_model_of_bits_gives_is_in_the_units_and_the_shape_of_the_data(run, trained):
    workdir, _, _, dataset = run
    x = dataset.test[:5]
    assert x.dtype == np.uint8 and x.shape[1:] == trained.example_shape == (8, 8, 1)
    z = trained.encode(x)
    assert z.shape == (5, 4) and z.dtype == np.float32 and trained.latent_dim == 4
    for same in (x[..., 0], x.reshape(5, -1), x.astype(np.float64), x.tolist()):
        np.testing.assert_array_equal(trained.encode(same), z)
    assert np.abs(trained.encode(x, seed=1) - z).max() > 1e-3
    np.testing.assert_allclose(trained.encode(x[:3]), z[:3], atol=1e-5)  # of no other example
    mean = trained.decode(z)
    assert mean.shape == x.shape and 0 < mean.min() and 1 < mean.max() < 16
    np.testing.assert_array_equal(trained.reconstruct(x), mean)
    drawn = trained.sample(40)
    assert drawn.shape == (40, 8, 8, 1) and set(np.unique(drawn)) == {0.0, 16.0}
    expected = trained.sample(40, mean=True)
    variance = expected * (16 - expected)  # of bits that are 0 or 16
    assert_mean(((drawn - expected) / np.sqrt(variance)).reshape(40, -1).mean(axis=1), 0.0)
    bound = trained.log_prob(x, samples=3)
    assert bound.values.shape == bound.stderr.shape == bound.ess.shape == (5,)
    assert (bound.values < 0).all() and (bound.stderr > 0).all() and (bound.ess <= 3.001).all()
    assert "bits drawn from x" in bound.bound and "K = 3" in bound.bound
    counts = []
    models.load(workdir, batch_size=2).encode(x, progress=counts.append)
    assert counts == [2, 4, 5]


def test_a_second_call_compiles_nothing_and_another_size_each_program_once(run):
    workdir, _, _, dataset = run
    trained = models.load(workdir, batch_size=8)
    calls = {
        "encode": lambda n: trained.encode(dataset.test[:n]),
        "mean": lambda n: trained.encode(dataset.test[:n], mean=True, samples=3),
        "reconstruct": lambda n: trained.reconstruct(dataset.test[:n]),
        "sample": trained.sample,
        "log_prob": lambda n: trained.log_prob(dataset.test[:n], samples=3),
        "posterior_samples": lambda n: trained.posterior_samples(
            dataset.test[:n], samples=2, proposals=3, steps=1
        ),
    }
    for name, call in calls.items():
        call(7)
        for n in (7, 5, 8, 30):  # the batch of all of these holds 8
            assert count_compilations(lambda call=call, n=n: call(n)) == 0, (name, n)
    again = models.load(workdir, batch_size=8)
    assert count_compilations(lambda: again.encode(dataset.test[:7])) == 0
    jax.block_until_ready(trained.encode(dataset.test[:3]))
    assert count_compilations(lambda: trained.encode(dataset.test[:4])) == 0


def test_the_bound_of_factor_analysis_is_its_likelihood(linear):
    """E exp(bound) = p(x) at any K, and the bound comes with its error."""
    truth = make_truth()
    x = draw(truth, 1, 256)
    exact = np.asarray(jax.jit(truth.log_prob)(x))
    for name in ("diffusion_encoder", "vae"):
        bound = models.load(linear, name).log_prob(x, samples=200, seed=1)
        ratio = np.exp(bound.values - exact)
        assert_mean(ratio, 1.0)
        assert ratio.std(ddof=1) / 16 < 0.05
        z_score = (bound.values - exact) / bound.stderr
        is_regular = bound.ess > 50  # elsewhere the error is known to be too small
        assert (
            not bound.folds.any()
            and is_regular.mean() > 0.2
            and 0.7 < z_score[is_regular].std() < 1.3
        )
    assert bound.bound == "importance-weighted lower bound of log p(x) in nats, K = 200"


def test_an_encoder_that_folds_the_space_says_so(tmp_path):
    """Untrained, it overshoots with the decoder's gradient, and its "bound" is above log p(x)."""
    make_workdir(tmp_path, updates=(0,), pressure=True, noise_std=0.7)
    truth = make_truth(0.7)
    x = draw(truth, 1, 64)
    bound = models.load(tmp_path).log_prob(x, samples=50)
    above = bound.values - np.asarray(jax.jit(truth.log_prob)(x))
    assert above.mean() > NUM_SIGMAS * above.std(ddof=1) / 8
    assert bound.folds.mean() > 0.1


def test_posterior_samples_and_means_are_those_of_the_closed_form(factor_encoder):
    truth = make_truth()
    x = draw(truth, 2, 600)
    draws = factor_encoder.posterior_samples(x, samples=2, proposals=300, steps=10)
    assert draws.z.shape == (600, 2, LATENT_DIM) and draws.ess.shape == (600,)
    assert draws.ess.min() > 30
    mean, cov = map(np.asarray, jax.jit(truth.posterior)(x))
    for column in range(2):
        assert_moments(draws.z[:, column] - mean, np.zeros(LATENT_DIM), cov)
    decoded = factor_encoder.decode(mean)
    expected = mean @ truth.weight.T + truth.mean
    np.testing.assert_allclose(decoded, expected, rtol=1e-5, atol=1e-5)
    drawn = factor_encoder.sample(4000)
    assert_moments(drawn, truth.mean, jax.jit(truth.marginal)().cov)


def test_the_mean_of_a_vae_is_its_mean(linear):
    trained = models.load(linear, "vae")
    x = draw(make_truth(), 3, 400)
    mean, log_width = jax.jit(trained._system.encoder.infer)(trained._params, x)
    error = trained.encode(x, mean=True, samples=25) - np.asarray(mean)
    assert_moments(5 * error / np.exp(log_width), np.zeros(LATENT_DIM), np.eye(LATENT_DIM))


@pytest.mark.parametrize(
    "x, words",
    [
        (np.zeros((8, 8)), r"x has shape \(8, 8\), one example .*: give x\[None\]"),
        (np.zeros((3, 7, 7)), r"x has shape \(3, 7, 7\).* give \[n, 8, 8, 1\] or \[n, 8, 8\]"),
        (np.zeros((0, 64)), "no examples"),
        (np.full((2, 64), np.nan), r"128 values that are NaN.*the first at \(0, 0\)"),
        (np.full((2, 64), 17), "from 17 to 17, and the model was trained on intensities from 0"),
        (np.full((2, 64), -1.0), "from -1 to -1"),
        (np.full((2, 64), 0.5), r"no value above 0.5.*such as 16 \* x"),
        ([["a"] * 64], "dtype"),
        ([[1.0], [1.0, 2.0]], "no array"),
    ],
)
def test_bad_data_are_named(trained, x, words):
    with pytest.raises(InputError, match=words):
        trained.encode(x)


def test_the_columns_of_a_table_are_found_by_their_names(tmp_path):
    make_workdir(tmp_path, updates=(1,))
    x = draw(make_truth(), 1, 5)
    names = [f"c{i}" for i in range(DIM)]
    table = pd.DataFrame(x, columns=names)
    without = models.load(tmp_path).encode(table[names[::-1]])  # trained on data without names
    rewrite(tmp_path / "model.json", columns=names)
    trained = models.load(tmp_path)
    z = trained.encode(x)
    for same in (table, table[names[::-1]].assign(more=1.0), pd.DataFrame(x)):
        np.testing.assert_array_equal(trained.encode(same), z)
    np.testing.assert_array_equal(trained.encode(x[:, ::-1]), without)
    with pytest.raises(InputError, match="x has the columns a, c1, .*: give c0 as well"):
        trained.encode(table.rename(columns={"c0": "a"}))


def test_what_is_too_far_for_a_density_is_told(factor_encoder, caplog):
    x = np.zeros((3, DIM), np.float32)
    x[1] = 1e30
    values = factor_encoder.log_prob(x, samples=2).values
    assert np.isfinite(values).tolist() == [True, False, True]
    assert "log p(x) of 1 of 3 examples is no number" in caplog.text and "x[1]" in caplog.text


def test_masks_and_seeds_that_are_none_are_refused(trained):
    x = np.ma.masked_greater(np.arange(128.0).reshape(2, 64) % 17, 15)
    with pytest.raises(InputError, match="x has masked entries"):
        trained.encode(x)
    for seed in (1.5, -1, "a", True):
        with pytest.raises(InputError, match="seed is .*: give (a whole number of )?0 or more"):
            trained.encode(x.data, seed=seed)


def test_bad_latents_and_counts_are_named(linear, factor_encoder):
    with pytest.raises(InputError, match=r"z has shape \(3, 5\).*give \[n, 2\]"):
        factor_encoder.decode(np.zeros((3, 5)))
    for call in (
        lambda: factor_encoder.sample(0),
        lambda: factor_encoder.log_prob(np.zeros((1, DIM)), samples=1),
        lambda: factor_encoder.posterior_samples(np.zeros((1, DIM)), samples=0),
        lambda: factor_encoder.encode(np.zeros((1, DIM)), samples=0),
        lambda: models.load(linear, batch_size=0),
    ):
        with pytest.raises(InputError, match="give [12] or more"):
            call()


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_no_trained_run_is_named(linear, tmp_path):
    def refused(words):
        with pytest.raises(InputError, match=words) as raised:
            models.load(tmp_path)
        assert "\n" not in str(raised.value)

    refused("is no workdir, it has no model.json")
    with pytest.raises(InputError, match="none does not exist"):
        models.load(tmp_path / "none")
    (tmp_path / "config.json").write_text("{}")
    refused("another experiment, or of a version that kept no model.json")
    (tmp_path / "run.json").write_text(json.dumps({"experiment": "kelly", "sessions": []}))
    refused("is a run of experiments.kelly, which keeps no model.json: give the workdir of")
    shutil.copy(linear / "model.json", tmp_path)
    refused("has no checkpoint yet")
    (tmp_path / "checkpoints").mkdir()
    refused("has no checkpoint yet")
    assert not list((tmp_path / "checkpoints").iterdir())
    rewrite(tmp_path / "model.json", format=6, diffenc="9.0.0")
    refused("is of format 6, written by diffenc 9.0.0, and diffenc .* reads 5")
    rewrite(tmp_path / "model.json", format=1, systems=[{"name": "vae"}])
    refused("model.json is damaged")
    (tmp_path / "model.json").write_text("{")
    refused("model.json is damaged")
    with pytest.raises(InputError, match="'vea': choose one of diffusion_encoder, vae .nearest: v"):
        models.load(linear, "vea")


def test_a_damaged_checkpoint_is_passed_over_and_nothing_is_changed(linear, tmp_path, caplog):
    workdir = tmp_path / "run"
    shutil.copytree(linear, workdir)
    assert models.load(workdir).updates == 4
    largest = max(
        (path for path in (workdir / "checkpoints" / "4").rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 255
    largest.write_bytes(content)
    being_written = workdir / "checkpoints" / "6.orbax-checkpoint-tmp"
    being_written.mkdir()
    before = sorted(path for path in workdir.rglob("*"))
    trained = models.load(workdir)
    assert (trained.updates, trained.num_updates) == (2, 4)
    assert "checkpoint 4" in caplog.text and "continuing from 2" in caplog.text
    assert sorted(path for path in workdir.rglob("*")) == before


ENCODE = """
import sys
import numpy as np
from diffenc import models

trained = models.load(sys.argv[1])
np.save(sys.argv[3], trained.encode(np.load(sys.argv[2])))
"""


@pytest.mark.slow
def test_another_python_gives_the_same_latents(run, tmp_path):
    """DIFFENC_OTHER_PYTHON is an interpreter in which diffenc and the same release of JAX are
    installed."""
    python = os.environ.get("DIFFENC_OTHER_PYTHON")
    if not python:
        pytest.skip("set DIFFENC_OTHER_PYTHON to another Python that has diffenc")
    workdir, _, _, dataset = run
    np.save(tmp_path / "x.npy", dataset.test)
    z = []
    for name, interpreter in (("here", sys.executable), ("there", python)):
        words = [workdir, tmp_path / "x.npy", tmp_path / f"{name}.npy"]
        subprocess.run([interpreter, "-c", ENCODE, *words], check=True, cwd=ROOT)
        z.append(np.load(tmp_path / f"{name}.npy"))
    np.testing.assert_array_equal(*z)


def test_what_is_no_whole_number_or_no_number_is_refused(linear, factor_encoder):
    x = np.zeros((2, DIM))
    for call in (
        lambda: factor_encoder.sample(2.5),
        lambda: factor_encoder.log_prob(x, samples="10"),
        lambda: factor_encoder.posterior_samples(x, proposals=10.0),
        lambda: factor_encoder.encode(x, mean=True, samples=True),
        lambda: models.load(linear, batch_size="2"),
    ):
        with pytest.raises(InputError, match="give a whole number of [12] or more"):
            call()
    with pytest.raises(InputError, match="dtype timedelta64"):
        factor_encoder.encode(x.astype("timedelta64[s]"))


def test_a_caller_in_double_precision_gets_the_same(linear, factor_encoder):
    x = np.zeros((2, DIM))
    z = factor_encoder.encode(x)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(models.load(linear).encode(x), z)


def test_a_run_that_has_just_begun_is_not_called_another_experiment(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "run.json").write_text(json.dumps({"experiment": "posteriors", "sessions": []}))
    with pytest.raises(InputError, match="is a run of experiments.posteriors without model.json"):
        models.load(tmp_path)
    with pytest.raises(InputError, match="run.json is a file: give the workdir"):
        models.load(tmp_path / "run.json")
    (tmp_path / "model.json").write_text('{"format": 1, "diffenc": "", "systems": []}')
    with pytest.raises(InputError, match="model.json is damaged .ValueError: it has no systems"):
        models.load(tmp_path)


def test_a_run_of_data_in_other_units_takes_and_gives_those(tmp_path):
    """The density of 8 x + 3 is lower by D log 8, and its decoder gives 8 E[x|z] + 3."""
    units = Scaling((3.0,) * DIM, (8.0,) * DIM)
    make_workdir(tmp_path, **units.fields(DIM))
    trained = models.load(tmp_path)
    truth = make_truth()
    x = draw(truth, 3, 16)
    z = np.random.default_rng(0).normal(size=(4, LATENT_DIM))
    expected = 8.0 * (z @ truth.weight.T + truth.mean) + 3.0
    np.testing.assert_allclose(trained.decode(z), expected, rtol=1e-4, atol=1e-4)
    density = trained.log_prob(8.0 * x + 3.0, samples=1000)
    off = density.values - (np.asarray(truth.log_prob(x)) - DIM * np.log(8.0))
    assert np.all(np.abs(off) < NUM_SIGMAS * density.stderr) and density.stderr.max() < 0.2
    assert "log p(x) in nats" in density.bound
