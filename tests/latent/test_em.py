"""Alternating EM: what one update changes, and where many of them lead."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_model import DECODER, ENCODER, MODEL, X

from diffenc import training
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.latent import chains, em
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.encoder_loss import dream_gradient


def learned_model(params):
    """The factor analysis that parameters of DECODER are."""
    dense = params["network"]["params"]["Dense_0"]
    return FactorAnalysis(dense["kernel"].T, dense["bias"], jnp.exp(params["log_tau"]))


def make_state(optimizer, settings, z=None):
    """The state before the first update, with chains at z."""
    key_encoder, key_decoder = jax.random.split(jax.random.key(0))
    params = {"encoder": ENCODER.init(key_encoder, X), "decoder": DECODER.init(key_decoder, 2)}
    create = jax.jit(training.TrainState.create, static_argnums=1)
    return create(params, optimizer, chains.ChainState.create(settings, z))


@functools.cache
def data():
    """x [400, 3] of the model."""
    return np.asarray(jax.jit(lambda: MODEL.sample(jax.random.key(1), 400)[0])())


def test_an_update_descends_the_gradients_at_its_own_pairs():
    """With plain descent of rate one the parameters change by the gradient at fixed z: none passes
    the chain."""
    settings = em.Settings(e_step="langevin", draws=2)
    optimizer = optax.sgd(1.0)
    state, x = make_state(optimizer, settings), data()[:12]
    new, metrics = jax.jit(em.make_update(ENCODER, DECODER, settings, optimizer))(
        state, jax.random.key(2), x
    )

    @jax.jit
    def by_hand(state):
        key_chain, key_dream, key_loss = jax.random.split(jax.random.key(2), 3)
        params = state.params
        outcome = em.e_step(key_chain, ENCODER, DECODER, params, state.carried, x, x, settings)
        z = outcome.sample.z
        dream = dream_gradient(key_dream, DECODER, params["decoder"], z, settings.gamma)
        # As numbers, cut off from the parameters they came from.
        outcome, dream = jax.lax.stop_gradient((outcome, dream))
        sample = outcome.sample

        def loss(params):
            encoder_loss, _ = em.encoder_loss(
                params["encoder"],
                state.params["decoder"],
                key_loss,
                ENCODER,
                x,
                sample,
                dream,
                settings,
            )
            return encoder_loss - DECODER.log_prob(params["decoder"], x, sample.z).mean()

        return outcome, jax.grad(loss)(params)

    outcome, grads = jax.device_get(by_hand(state))
    state, new, metrics = jax.device_get((state, new, metrics))
    expected = jax.tree.map(lambda p, g: p - g, state.params, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), new.params, expected
    )
    kernel = grads["encoder"]["params"]["output"]["kernel"]
    assert np.abs(kernel).max() > 1e-4

    assert new.step == 1
    assert new.carried.log_step == outcome.carried.log_step != state.carried.log_step
    mix = jax.tree.map(lambda old, p: 0.1 * old + 0.9 * p, state.averages, new.params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), new.averages, mix
    )
    np.testing.assert_allclose(metrics["acceptance"], outcome.acceptance, rtol=1e-5)
    assert {
        "encoder_loss",
        "rate",
        "neural_entropy",
        "precision",
        "decoder_loss",
        "step_size",
    } <= metrics.keys()
    assert all(np.isfinite(value) and value.shape == () for value in metrics.values())


def test_the_alternation_raises_the_closed_form_likelihood():
    settings = em.Settings(e_step="langevin", draws=2)
    optimizer = optax.adam(1e-2)
    x = data()
    run = training.scan_updates(
        em.make_update(ENCODER, DECODER, settings, optimizer), lambda key, rows: rows
    )
    best = FactorAnalysis.maximum_likelihood(x, 2)

    @jax.jit
    def gap(params):
        learned = learned_model(params["decoder"])
        return best.log_prob(x).mean() - learned.log_prob(x).mean()

    state, rows = make_state(optimizer, settings), np.random.default_rng(0)
    gaps = [float(gap(state.params))]
    for _ in range(4):
        state, _ = run(state, jax.random.key(2), x, rows.integers(0, 400, (75, 40)))
        gaps.append(float(gap(state.params)))
    assert min(gaps) > -1e-4  # nothing is above maximum likelihood
    assert gaps[1] < 0.5 * gaps[0] and gaps[2] < gaps[1] and max(gaps[3:]) < 0.05


def test_persistent_chains_go_on_where_each_example_was_left():
    settings = em.Settings(e_step="persistent", draws=2, step_size=0.01, langevin_steps=2)
    optimizer = optax.sgd(0.0)
    left = (1.0 + 0.3 * np.random.default_rng(3).normal(size=(6, 2))).astype(np.float32)
    left[1] = 50.0  # where no posterior is: this chain starts anew
    state = make_state(optimizer, settings, left)
    index = np.array([4, 1, 4])  # an epoch ended within the batch: the first of two chains is kept
    x = data()[index]
    new, metrics = jax.device_get(
        jax.jit(em.make_update(ENCODER, DECODER, settings, optimizer))(
            state, jax.random.key(2), (x, index)
        )
    )
    moved = np.linalg.norm(new.carried.z - left, axis=1) > 0
    np.testing.assert_array_equal(moved, [False, True, False, False, True, False])
    assert (
        np.linalg.norm(new.carried.z[4] - left[4]) < 1.0
    )  # two steps of variance .02 in units of the width, 1 at most
    assert np.linalg.norm(new.carried.z[1]) < 10

    @jax.jit
    def by_hand(state):
        key = jax.random.split(jax.random.key(2), 3)[0]
        outcome = em.e_step(
            key, ENCODER, DECODER, state.params, state.carried, x, x, settings, index
        )
        return outcome.sample.z

    z = np.asarray(by_hand(state))
    np.testing.assert_allclose(new.carried.z[4], z[0], rtol=1e-5)
    assert np.abs(z[0] - z[2]).max() > 0
    assert metrics["latent_second_moment"] < 100


OTHER = dict(
    kernel="ula",
    langevin_steps=3,
    step_size=0.2,
    leapfrog_steps=5,
    sampler_steps=3,
    proposal="prior",
    proposals=7,
    proposal_width=2.0,
    smooth_decoder=False,
    smooth_targets=True,
)


E_STEPS = (
    dict(e_step="importance"),
    dict(e_step="langevin", kernel="hmc"),
    dict(e_step="persistent"),
)


@pytest.mark.parametrize("choice", E_STEPS)
def test_an_update_is_the_same_program_whatever_the_fields_that_go_unread(choice):
    """And another one for any of the rest, so that no field of an E-step is without effect."""
    encoder = DiffusionEncoder(
        ENCODER.network
    )  # without the decoder's answers, which take long to trace
    x, index = np.tile(X, (4, 1)), np.arange(4)
    batch = (x, index) if choice["e_step"] == "persistent" else x

    def program(**changes):
        settings, optimizer = em.Settings(**(choice | changes)), optax.sgd(0.0)
        state = jax.eval_shape(
            lambda: make_state(optimizer, settings, np.zeros((4, 2), np.float32))
        )
        update = em.make_update(encoder, DECODER, settings, optimizer)
        first = chains.ChainState.create(settings).log_step
        start = 0.0 if "step_size" in settings.unread() else float(first)
        return str(jax.make_jaxpr(update)(state, jax.random.key(2), batch)), start

    unread = em.Settings(**choice).unread()
    usual = program()
    assert program(**{field: OTHER[field] for field in unread}) == usual
    for field in set(OTHER) - set(unread):
        assert program(**{field: OTHER[field]}) != usual, field
