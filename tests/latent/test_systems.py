"""Systems with a diffusion decoder: what is refused, what pulls the encoders of the rivals, the
bottleneck that each method carries, and the refit."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_models import DIFFUSION, make_model

from diffenc import training
from diffenc.errors import InputError
from diffenc.latent import baselines, em, system_settings, systems
from diffenc.latent.bottleneck import ASCENT
from diffenc.latent.decoder_settings import DiffusionSettings


def make_settings(method, gamma=1.0, rate=None, only_encoder=False, **model):
    optimizer = system_settings.OptimizerSettings(
        learning_rate=1e-2, num_updates=9, warmup=0, only_encoder=only_encoder
    )
    alternation = em.Settings(gamma=gamma, rate=rate, draws=1, kernel="ula")
    return system_settings.Settings(
        method, make_model(**model), alternation, optimizer, sampler_steps=1
    )


OF_SYSTEMS = {
    "settings are missing": (
        dict(method="vae", diffusion=None),
        "^decoder is diffusion: it has settings .* train it by experiments.diffusion_decoder",
    ),
    "settings of another": (
        dict(method="vae", decoder="gaussian"),
        "^decoder is gaussian: settings of a diffusion go with decoder=diffusion alone",
    ),
    "second latent": (
        dict(method="vae", diffusion=DiffusionSettings(perceptual_dim=2)),
        "^latent_dim is 2: a latent that is seen above the split leaves some below it: give more",
    ),
    "rate of an exact decoder": (
        dict(method="vae", decoder="gaussian", diffusion=None, rate=2.0),
        "^rate is 2.0: only a diffusion decoder is held to one: give none",
    ),
    "rate beyond the latent": (
        dict(method="vae", rate=15.0),
        "^rate is 15.0: a latent of 2 dimensions holds 14 nats at most",
    ),
    "rate that is not followed": (
        dict(method="wake_sleep", rate=2.0),
        "^rate is 2.0: wake_sleep does not follow it: give none",
    ),
    "no latent": (
        dict(method="without_latent", decoder="gaussian", diffusion=None),
        "^method is without_latent: only a diffusion decoder can do without: choose vae",
    ),
    "method": (dict(method="deterministik"), "^method is 'deterministik': .*nearest: determini"),
}


@pytest.mark.parametrize("name", OF_SYSTEMS)
def test_a_system_that_cannot_be_is_refused(name):
    values, message = OF_SYSTEMS[name]
    with pytest.raises(InputError, match=message) as raised:
        make_settings(**values)
    assert "\n" not in str(raised.value)


X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)


def make_system(settings):
    decoder = systems.make_decoder(settings.model, (4,), settings.method)
    return systems.make(settings, decoder, (4,), 16, 0)


def train(system, num_updates):
    """The state after some updates, and the metrics of each."""

    @jax.jit
    def run(state):
        def step(state, index):
            return system.update(state, jax.random.fold_in(jax.random.key(1), index), X)

        return jax.lax.scan(step, state, jnp.arange(num_updates))

    return jax.device_get(run(system.state))


@functools.cache
def trained(method):
    """A system that is held to a rate, unless it follows none, and what `train` gives of it."""
    rate = None if method == "deterministic" else 3.0
    system = make_system(make_settings(method, gamma=0.1, rate=rate))
    return system, *train(system, 3)


def test_levels_are_weighted_in_training_and_not_in_what_is_measured():
    """From one start, on the same draws, the update of weighted levels has a smaller loss."""
    plain = make_system(make_settings("vae"))
    sigmoid = dataclasses.replace(DIFFUSION, weighting="sigmoid", weighting_bias=-2.0)
    weighted = make_system(make_settings("vae", diffusion=sigmoid))
    losses = [float(train(one, 1)[1]["decoder_loss"][0]) for one in (plain, weighted)]
    assert losses[1] < losses[0]
    assert weighted.decoder == plain.decoder


def test_the_deterministic_update_descends_the_plain_loss():
    """Its metrics and moments are those of z(x), and gamma has no meaning for it."""
    settings = make_settings("deterministic")
    system = make_system(settings)
    params = train(system, 2)[0].params  # before them the decoder does not look at z
    optimizer = optax.sgd(1.0)
    update = baselines.make_deterministic_update(
        system.encoder, system.decoder, settings.em, optimizer
    )
    state = training.TrainState.create(params, optimizer, system.state.carried)

    @jax.jit
    def both(state):
        observation = system.decoder.observe(jax.random.key(2), X)

        def loss(params):
            z = system.encoder.network.apply(params["encoder"], X)
            return -system.decoder.log_prob(params["decoder"], observation, z).mean(), z

        return update(state, jax.random.key(2), X), jax.value_and_grad(loss, has_aux=True)(params)

    (new, metrics), ((loss, z), grads) = jax.device_get(both(state))
    expected = jax.tree.map(lambda p, g: p - g, params, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), new.params, expected
    )
    is_moved = [np.any(leaf) for leaf in jax.tree.leaves(grads["encoder"])]
    assert all(is_moved)
    np.testing.assert_allclose(metrics["decoder_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(new.carried.mean, 0.01 * z.mean(axis=0), rtol=1e-4, atol=1e-7)
    key = jax.random.key(3)
    np.testing.assert_array_equal(system.encoder.sample(key, params, z), z)


def test_without_a_latent_nothing_but_the_rate_pulls_the_encoder():
    settings = make_settings("without_latent", gamma=0.5)
    optimizer = dataclasses.replace(settings.optimizer, learning_rate=0.1, num_updates=300)
    system = make_system(dataclasses.replace(settings, optimizer=optimizer))
    decoder = system.decoder
    assert decoder.is_blind
    state, metrics = train(system, 300)
    assert metrics["rate"][0] > 0.05 and metrics["rate"][-1] < 1e-3

    @jax.jit
    def slope(params):
        def distortion(encoder_params):
            context = system.encoder.infer({"encoder": encoder_params}, X)
            z = system.encoder.sample(jax.random.key(0), params, context)
            return decoder.log_prob(
                params["decoder"], decoder.observe(jax.random.key(1), X), z
            ).sum()

        return jax.grad(distortion)(params["encoder"])

    params = jax.tree.map(lambda a: a + np.float32(0.1), state.params)
    for leaf in jax.tree.leaves(slope(params)):
        np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize(
    "method", [pytest.param("vae", marks=pytest.mark.slow), "encoder", "deterministic"]
)
def test_a_refit_moves_the_encoder_and_leaves_the_decoder_bit_equal(method):
    system, state, _ = trained(method)
    again = make_settings(method, only_encoder=True)
    refitted = systems.refit(system, again, state.params)
    assert refitted.gamma == 1.0 and refitted.decoder is system.decoder
    jax.tree.map(np.testing.assert_array_equal, refitted.state.params, state.params)
    new, metrics = train(refitted, 3)
    jax.tree.map(np.testing.assert_array_equal, new.params["decoder"], state.params["decoder"])
    moved = jax.tree.map(
        lambda a, b: bool(np.any(a != b)), new.params["encoder"], state.params["encoder"]
    )
    assert any(jax.tree.leaves(moved))
    if method != "deterministic":
        np.testing.assert_array_equal(metrics["gamma"], 1.0)


def test_a_refit_descends_the_bound_at_every_level_at_which_z_is_seen():
    diffusion = DiffusionSettings(features=(8,), blocks=1, draws=1, sees_above=True)
    system = make_system(make_settings("vae", diffusion=diffusion))
    again = make_settings("vae", only_encoder=True, diffusion=diffusion)
    refitted = systems.refit(system, again, system.state.params)

    def program(update):
        return str(jax.make_jaxpr(update)(refitted.state, jax.random.key(0), X))

    def update_of(pulls_above):
        decoder = dataclasses.replace(system.decoder, pulls_above=pulls_above)
        return systems.make_update(again, system.encoder, decoder, systems.make_optimizer(again))

    assert program(refitted.update) == program(update_of(True)) != program(update_of(False))
    assert not refitted.decoder.pulls_above  # by which latents are measured


def test_chains_that_persist_start_anew_in_a_refit():
    system = make_system(make_settings("persistent", gamma=0.1))
    again = make_settings("persistent", only_encoder=True)
    refitted = systems.refit(system, again, system.state.params)
    np.testing.assert_array_equal(refitted.state.carried.z, np.zeros((16, 2)))
    batch = systems.examples_of(refitted, X, np.arange(16))
    new, _ = jax.eval_shape(refitted.update, refitted.state, jax.random.key(0), batch)
    assert new.carried.z.shape == (16, 2)


@pytest.mark.parametrize("method", ["vae", "encoder", "importance"])
def test_gamma_follows_a_rate_in_every_method_that_has_one(method):
    """By one step of dual ascent after each update, from the rate that it reports."""
    _, state, metrics = trained(method)
    steps = ASCENT * (metrics["rate"] / 3.0 - 1)
    log_gamma = np.log(0.1) + np.append(0.0, np.cumsum(steps))
    np.testing.assert_allclose(np.log(metrics["gamma"]), log_gamma[:3], rtol=1e-5)
    carried = state.carried if method == "vae" else state.carried.bottleneck
    np.testing.assert_allclose(carried.log_gamma, log_gamma[3], rtol=1e-5)
    assert np.all(carried.mean != 0)
