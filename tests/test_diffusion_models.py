"""A loaded run of a diffusion decoder: what it draws, what it bounds, and what it refuses; and runs
of the format of model.json before it."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest
from tiny_models import make_model
from workdirs import draw, make_truth, make_workdir
from workdirs import make_blueprint as make_workdir_blueprint

from diffenc import models, storage
from diffenc.errors import InputError
from diffenc.estimate import map_examples
from diffenc.keys import key_of
from diffenc.latent import bounds, em, system_settings, systems
from diffenc.latent.blueprints import Blueprint
from diffenc.latent.decoder_settings import DiffusionSettings
from diffenc.run import checkpoints
from diffenc.run.centring import Centring

SHAPE = (4, 2, 1)
ROWS = np.random.default_rng(0).integers(0, 17, (9, *SHAPE)).astype(np.uint8)


def make_blueprint(name, method, max_value, levels) -> Blueprint:
    """A tiny system with a diffusion of x as decoder."""
    model = make_model(
        embed_channels=(4,) if method == "encoder" else (),
        diffusion=DiffusionSettings(features=(8,), blocks=1, draws=2, sampler_steps=3),
    )
    optimizer = system_settings.OptimizerSettings(learning_rate=1e-3, num_updates=4, warmup=1)
    alternation = em.Settings(gamma=0.1, rate=3.0)
    settings = system_settings.Settings(method, model, alternation, optimizer, sampler_steps=2)
    return Blueprint((name, 0), settings, SHAPE, 100, max_value, levels=levels)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir as an untrained run leaves it, with weights away from zero; and its parameters."""
    workdir = tmp_path_factory.mktemp("diffusion")
    blueprints = [
        make_blueprint("diffusion_encoder", "encoder", 16.0, 17),
        make_blueprint("gaussian_encoder", "vae", 1.0, None),
        make_blueprint("deterministic_encoder", "deterministic", None, None),
    ]
    rng = np.random.default_rng(1)

    def moved(weights):
        return np.float32(weights + 0.1 * rng.normal(size=np.shape(weights)))

    states = {}
    for one in blueprints:
        outline = one.outline()
        state = systems.make(one.settings, outline.decoder, SHAPE, 100, 0).state
        states[one.name] = state.replace(averages=jax.tree.map(moved, state.averages))
    storage.write(workdir, "diffusion_decoder", 4, blueprints)
    (workdir / "config.json").write_text(json.dumps({"seed": 0}))
    with checkpoints.open(workdir / "checkpoints") as store:
        store.save(4, states)
        store.wait()
    return workdir, {name: state.averages for name, state in states.items()}


@pytest.fixture(scope="module")
def load(run):
    """Loads a system of the run, once."""
    return functools.cache(lambda name=None: models.load(run[0], name))


def test_it_is_the_system_that_was_written(run, load):
    _, averages = run
    trained = load()
    names = ("diffusion_encoder.0", "gaussian_encoder.0", "deterministic_encoder.0")
    assert trained.name == names[0] and trained.systems == names
    assert trained.latent_dim == 2 and trained.example_shape == SHAPE
    assert trained._system.decoder.shape == (8,) and trained._system.decoder.draws == 2
    expected = averages["diffusion_encoder", 0]
    jax.tree.map(np.testing.assert_array_equal, trained._params, expected)


def test_it_decodes_by_seed_in_the_units_of_the_data(load):
    trained = load()
    z = trained.encode(ROWS, seed=3)
    assert z.shape == (9, 2) and np.all(z == trained.encode(ROWS, seed=3))
    x = trained.decode(z, seed=1)
    assert x.shape == ROWS.shape and 0 <= x.min() and x.max() <= 16
    np.testing.assert_array_equal(trained.decode(z, seed=1), x)
    np.testing.assert_allclose(trained.decode(z[:4], seed=1), x[:4], atol=1e-4)
    assert np.all(np.abs(trained.decode(z, seed=2) - x).max(axis=(1, 2, 3)) > 0.01)
    mean = trained.decode(z, mean=True)
    np.testing.assert_array_equal(trained.decode(z, seed=5, mean=True), mean)
    direct = jax.jit(trained._system.decoder.mean)(trained._params["decoder"], z)
    centring = Centring(16.0, 17)
    np.testing.assert_allclose(mean.reshape(9, -1), centring.restore(direct), atol=1e-3)
    both = trained.reconstruct(ROWS, seed=3)
    np.testing.assert_array_equal(both, trained.decode(z, seed=3))


def test_it_samples(load):
    trained = load()
    x = trained.sample(6, seed=1)
    assert x.shape == (6, *SHAPE) and 0 <= x.min() and x.max() <= 16
    np.testing.assert_array_equal(trained.sample(6, seed=1), x)
    assert np.abs(trained.sample(6, seed=2) - x).max() > 0.01
    assert np.abs(trained.sample(6, seed=1, mean=True) - x).max() > 0.01


UNITS = {
    "diffusion_encoder.0": (ROWS, "evidence lower bound of log p(x) in nats, 5 draws"),
    "gaussian_encoder.0": (
        ROWS / np.float32(16),
        "evidence lower bound of log p(x in [-1, 1]) in nats, 5 draws",
    ),
}


@pytest.mark.parametrize(
    "name",
    ["diffusion_encoder.0", pytest.param("gaussian_encoder.0", marks=pytest.mark.slow)],
)
def test_it_bounds_the_likelihood(load, name):
    """By the ELBO of the prepared data; whole numbers add their cells."""
    trained = load(name)
    rows, words = UNITS[name]
    bound = trained.log_prob(rows, samples=5, seed=2)
    assert bound.bound == words
    assert np.isnan(bound.ess).all() and bound.folds.shape == (9,)
    centring = Centring(*((16.0, 17) if name == "diffusion_encoder.0" else (1.0, None)))
    system = trained._system

    @jax.jit
    def direct(key, x):
        with jax.default_matmul_precision("highest"):
            return bounds.elbo(key, system.encoder, system.decoder, trained._params, x, 5, 2)

    x = map_examples(jax.jit(centring.prepare), key_of(2, "bits"), rows, 9)
    elbo = map_examples(direct, key_of(2, "log_prob"), x, 9)
    values = -elbo.rate - elbo.distortion - centring.log_cells(8)
    np.testing.assert_allclose(bound.values, values, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(bound.stderr, elbo.scatter / 2, rtol=1e-3)
    assert (bound.stderr > 0).all()


def test_what_it_cannot_do_is_refused_in_one_line(load):
    refusals = {
        "gives draws of a bound": lambda: load().posterior_samples(ROWS, samples=1),
        "deterministic_encoder.0 has an encoder without a density": lambda: load(
            "deterministic_encoder.0"
        ).log_prob(np.float32(ROWS), samples=2),
        "values from 17 to 17": lambda: load().encode(np.full((1, *SHAPE), 17)),
        r"z has shape \(3, 5\)": lambda: load().decode(np.zeros((3, 5))),
    }
    for words, call in refusals.items():
        with pytest.raises(InputError, match=words) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_an_encoder_without_a_density_encodes_and_decodes(load):
    trained = load("deterministic_encoder.0")
    x = np.float32(ROWS)
    z = trained.encode(x)
    np.testing.assert_array_equal(trained.encode(x, seed=1), z)
    np.testing.assert_allclose(trained.encode(x, mean=True, samples=3), z, rtol=1e-4, atol=1e-5)
    assert trained.decode(z).shape == ROWS.shape


NEW_FIELDS = {
    "model": ("embed_channels", "diffusion"),
    "em": ("rate",),
    "optimizer": ("accumulate", "only_encoder"),
}


def test_a_run_of_the_first_format_still_loads(tmp_path):
    """Its model.json has none of the fields that came with the second, and its checkpoints hold
    chains of two fields: another one would be another structure, even where it is None."""
    carried = make_workdir_blueprint("diffusion_encoder", "langevin", False).outline().state.carried
    assert [field.name for field in dataclasses.fields(carried)] == ["log_step", "z"]
    make_workdir(tmp_path)
    x = draw(make_truth(), 0, 5)
    z = models.load(tmp_path).encode(x)
    path = tmp_path / "model.json"
    content = json.loads(path.read_text()) | {"format": 1}
    del content["kind"]
    for one in content["systems"]:
        del one["levels"], one["is_rival"]
        for section, names in NEW_FIELDS.items():
            for name in names:
                del one["settings"][section][name]
    path.write_text(json.dumps(content))
    np.testing.assert_array_equal(models.load(tmp_path).encode(x), z)
