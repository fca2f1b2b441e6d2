"""A first phase with a Gaussian decoder: which of its decoders moves what, and the hand-over."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import make_model

from diffenc.latent import em, first_phase, system_settings, systems

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)


def make_settings(method):
    optimizer = system_settings.OptimizerSettings(learning_rate=1e-2, num_updates=9, warmup=0)
    alternation = em.Settings(draws=1, target="mixture")
    return system_settings.Settings(method, make_model(), alternation, optimizer, sampler_steps=1)


def make_first(settings):
    return first_phase.make(settings, systems.make_decoder(settings.model, (4,)), (4,), 16, 0)


@pytest.fixture(scope="module")
def two_updates():
    """Of a Gaussian encoder: the system, and the states before, between and after them."""
    system = make_first(make_settings("vae"))
    update = jax.jit(system.update)
    states = [system.state]
    for index in range(2):
        states.append(update(states[-1], jax.random.key(index), X)[0])
    return system, jax.device_get(states)


def test_the_gradient_in_z_is_that_of_the_gaussian(two_updates):
    system, states = two_updates
    decoder = system.decoder
    params = states[-1].params["decoder"]
    z = np.ones((16, 2), np.float32)

    @jax.jit
    def compute():
        observation = decoder.observe(jax.random.key(5), X)
        both = jax.grad(lambda z: decoder.log_prob(params, observation, z).sum())(z)
        gaussian = decoder.gaussian
        alone = jax.grad(lambda z: gaussian.log_prob(params["gaussian"], X, z).sum())(z)
        about_z = decoder.log_prob(params, decoder.about_latent(observation), z)
        return both, alone, about_z, gaussian.log_prob(params["gaussian"], X, z)

    both, alone, about_z, log_prob = compute()
    np.testing.assert_array_equal(both, alone)
    np.testing.assert_array_equal(about_z, log_prob)
    assert np.all(np.abs(alone).max(axis=1) > 0)


def test_both_decoders_learn(two_updates):
    _, (first, _, last) = two_updates
    for part in ("gaussian", "diffusion"):
        before = jax.tree.leaves(first.params["decoder"][part])
        after = jax.tree.leaves(last.params["decoder"][part])
        assert all(np.any(old != new) for old, new in zip(before, after, strict=True))


def test_a_system_goes_on_where_its_first_phase_ended(two_updates):
    """Its encoder starts alike with and without; what it carries is what it would have carried."""
    _, states = two_updates
    settings = make_settings("vae")
    system = systems.make(settings, systems.make_decoder(settings.model, (4,)), (4,), 16, 0)
    jax.tree.map(
        np.testing.assert_array_equal, states[0].params["encoder"], system.state.params["encoder"]
    )
    going_on = first_phase.hand_over(system, settings, states[-1].params)
    params = going_on.state.params
    jax.tree.map(np.testing.assert_array_equal, params["encoder"], states[-1].params["encoder"])
    jax.tree.map(
        np.testing.assert_array_equal,
        params["decoder"],
        states[-1].params["decoder"]["diffusion"],
    )
    assert going_on.state.carried is system.state.carried and going_on.state.step == 0
    assert jax.tree.structure(going_on.state) == jax.tree.structure(system.state)
    assert going_on.decoder == system.decoder


@pytest.mark.slow
def test_the_alternation_takes_it():
    """The encoder's samples meet the Gaussian's gradient; weighted proposals weigh by it alone."""
    for method in ("encoder", "importance"):
        settings = make_settings(method)
        settings = dataclasses.replace(
            settings, em=dataclasses.replace(settings.em, kernel="ula", proposals=3)
        )
        system = make_first(settings)
        _, metrics = jax.jit(system.update)(system.state, jax.random.key(1), X)
        assert all(jnp.isfinite(value) for value in metrics.values())
