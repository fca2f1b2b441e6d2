"""What an encoder's Newton step and its chains know of each other: nothing is computed twice, and
nothing changes by that."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from linear_model import DECODER, ENCODER, MODEL, decoder_params

from diffenc.latent import chains, decoders, em
from diffenc.latent.e_steps import e_step, slopes
from diffenc.latent.encoder_flow import sample_whitened
from diffenc.run import costs

ASKING = dataclasses.replace(ENCODER, newton_steps=1, pressure=True, decoder=DECODER)


class Another(type(DECODER)):
    """The same decoder under another name: what is known of DECODER is not known of it."""


OTHER = Another(DECODER.network, DECODER.log_volume)


@functools.cache
def examples():
    return np.asarray(jax.jit(lambda: MODEL.sample(jax.random.key(1), 40)[0])())


@functools.cache
def params():
    encoder = jax.jit(ASKING.init)(jax.random.key(0), examples())
    return {"encoder": jax.device_get(encoder), "decoder": decoder_params(MODEL)}


def infer(params, x, knows: bool):
    context = ASKING.infer(params, x)
    return context if knows else context.replace(log_density=None, slope=None)


def test_a_context_knows_the_posterior_at_its_mean():
    @jax.jit
    def evaluate(params, x):
        context = ASKING.infer(params, x)
        log_density = functools.partial(ASKING.log_posterior, params)
        frame = ASKING.gaussian(context)
        return context, chains.look(log_density, x, frame, jnp.zeros_like(context.mean))

    context, place = jax.device_get(evaluate(params(), examples()))
    assert np.ptp(context.log_density) > 1 and np.abs(context.slope).max() > 0.01
    np.testing.assert_allclose(context.log_density, place.log_density, rtol=1e-5)
    np.testing.assert_allclose(context.slope, place.gradient, rtol=1e-4, atol=1e-4)


def test_samples_of_one_step_use_what_the_context_knows():
    """At phi = pi/2 alpha is zero, and at phi = 0 the velocity: the decoder need not be asked."""

    def draw(params, x, knows, num_steps):
        context = infer(params, x, knows)
        return sample_whitened(jax.random.key(2), ASKING, params, context, num_steps)

    draws = jax.jit(draw, static_argnums=(2, 3))
    arguments = (params(), examples())
    for num_steps in (1, 2):
        known = draws(*arguments, True, num_steps)
        np.testing.assert_allclose(known, draws(*arguments, False, num_steps), rtol=1e-4, atol=1e-4)
    start = jax.random.normal(jax.random.key(2), known.shape)
    assert np.abs(draws(*arguments, True, 1) - start).max() > 0.1  # and they moved
    traces = [jax.make_jaxpr(draw, static_argnums=(2, 3))(*arguments, knows, 1) for knows in (1, 0)]
    assert costs.count_flops(traces[0].jaxpr) < costs.count_flops(traces[1].jaxpr)


def test_chains_from_what_the_context_knows_are_those_that_look_again():
    settings = em.Settings(e_step="langevin", langevin_steps=3)
    state = chains.ChainState.create(settings)

    @functools.partial(jax.jit, static_argnums=2)
    def run(params, x, decoder):
        return e_step(jax.random.key(3), ASKING, decoder, params, state, x, x, settings)

    known, again = (jax.device_get(run(params(), examples(), one)) for one in (DECODER, OTHER))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4),
        (known.sample, known.acceptance, known.carried.log_step),
        (again.sample, again.acceptance, again.carried.log_step),
    )


def test_lost_chains_start_at_the_mean():
    """Starts 9 widths away, 40 nats below, with no step to follow."""
    settings = em.Settings(e_step="persistent", langevin_steps=0)
    x = examples()
    far = np.arange(len(x)) % 2 == 0

    @jax.jit
    def run(params, x):
        mean, factor = ASKING.gaussian(ASKING.infer(params, x))
        shift = jnp.where(far[:, None], 9.0, 0.1) * jnp.ones_like(mean)
        z = mean + jnp.einsum("bij,bj->bi", factor, shift)
        state = chains.ChainState.create(settings, z)
        index = jnp.arange(len(x))
        outcome = e_step(jax.random.key(3), ASKING, DECODER, params, state, x, x, settings, index)
        return outcome.sample, mean

    sample, mean = jax.device_get(run(params(), x))
    np.testing.assert_allclose(sample.y[far], 0.0, atol=1e-6)
    np.testing.assert_allclose(sample.y[~far], 0.1, rtol=1e-4)
    np.testing.assert_allclose(sample.z[far], mean[far], atol=1e-6)


def test_compiled_slopes_of_hundreds_of_proposals_are_those_of_each_pair():
    """With all tangents at once (vmap) XLA has compiled other numbers, of either decoder."""
    z = jax.random.normal(jax.random.key(1), (512, 2))
    x = jax.random.normal(jax.random.key(2), (128, 64)) > 0
    for kind in decoders.KINDS:
        decoder = decoders.make(kind, 64, (128,))
        params = jax.jit(decoder.init, static_argnums=1)(jax.random.key(0), 2)

        @jax.jit
        def of_pairs(params, z, x, decoder=decoder):
            def log_prob_pairs(z):
                return decoders.log_prob_pairs(decoder, params, x.astype(jnp.float32), z)

            return slopes(log_prob_pairs, z)

        @jax.jit
        def of_one(params, z, x, decoder=decoder):
            def log_joint(z):
                return decoders.log_joint(decoder, params, jnp.tile(x, (len(z), 1)), z).sum()

            return jax.grad(log_joint)(z)

        every = np.asarray(of_pairs(params, z, x))
        for index in (0, 77):
            one = np.asarray(of_one(params, z, x[index].astype(jnp.float32)))
            assert one.std() > 1
            np.testing.assert_allclose(every[:, index], one, rtol=1e-4, atol=1e-4)
