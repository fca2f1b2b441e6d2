"""What is measured of a system on held-out data, one value per example, in bounded memory.

Programs are module-level functions whose static arguments are the encoder and the decoder: each is
compiled once for all seeds and parameters.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from diffenc.estimate import map_examples
from diffenc.latent import bounds, chains, decoders, em, posterior_grid, whitening
from diffenc.latent.systems import System

Bound = TypeVar("Bound", bounds.Terms, bounds.Elbo)


class Reconstructions(NamedTuple):
    """Latents of each example and what they lose; the difference is the amortization gap.

    Attributes:
        own: z ~ q(z|x) [n, d], the encoder's own.
        corrected: z [n, d] after steps of MALA towards the posterior from there.
        own_loss: -log p(x|z) [n] of the first, in nats.
        corrected_loss: that of the second.
    """

    own: np.ndarray
    corrected: np.ndarray
    own_loss: np.ndarray
    corrected_loss: np.ndarray


class OnGrid(NamedTuple):
    """An encoder against the exact posterior of its own decoder.

    Attributes:
        kl: KL(p(z|x) || q(z|x)) [n], estimated from exact draws, in nats.
        nll: -log p(x) [n] by quadrature, in nats.
    """

    kl: np.ndarray
    nll: np.ndarray


class Draws(NamedTuple):
    """Latents with their density.

    Attributes:
        z: [n, d].
        log_prob: log q(z) [n], in nats.
    """

    z: jax.Array
    log_prob: jax.Array


@functools.partial(
    jax.jit, static_argnames=("bound", "encoder", "decoder", "num_samples", "sampler_steps")
)
def _bound(key, params, x, *, bound, encoder, decoder, num_samples, sampler_steps):
    return bound(key, encoder, decoder, params, x, num_samples, sampler_steps)


def map_bound(
    key, bound: Callable[..., Bound], system: System, params, x, num_samples: int, batch_size: int
) -> Bound:
    """Evaluate a bound of the likelihood of every example.

    Args:
        key: a random key.
        bound: `bounds.terms` or `bounds.elbo`.
        system: the model; for `bounds.terms` its encoder has a density.
        params: its parameters.
        x: data [n, ...].
        num_samples: draws of z for each example, K of the importance bound.
        batch_size: examples at a time.

    Returns:
        The terms of the bound [n].
    """

    def of_batch(key, x):
        return batch_bound(key, bound, system, params, x, num_samples)

    return map_examples(of_batch, key, x, batch_size)


def batch_bound(
    key, bound: Callable[..., Bound], system: System, params, x, num_samples: int
) -> Bound:
    """Evaluate a bound of the likelihood of a batch, see `map_bound`.

    Args:
        key: a random key.
        bound: `bounds.terms` or `bounds.elbo`.
        system: the model.
        params: its parameters.
        x: data [batch, ...].
        num_samples: draws of z for each example.
    """
    return _bound(
        key,
        params,
        x,
        bound=bound,
        encoder=system.encoder,
        decoder=system.decoder,
        num_samples=num_samples,
        sampler_steps=system.sampler_steps,
    )


@functools.partial(jax.jit, static_argnames=("encoder", "sampler_steps"))
def _own(key, params, x, *, encoder, sampler_steps):
    return encoder.sample(key, params, encoder.infer(params, x), sampler_steps)


def own_samples(key, system: System, params, x) -> jax.Array:
    """Draw z ~ q(z|x) [batch, d].

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: data [batch, ...].
    """
    return _own(key, params, x, encoder=system.encoder, sampler_steps=system.sampler_steps)


@functools.partial(
    jax.jit, static_argnames=("encoder", "decoder", "sampler_steps", "num_steps", "gamma")
)
def _corrected(key, params, x, *, encoder, decoder, sampler_steps, num_steps, gamma):
    key_sample, key_chain = jax.random.split(key)
    context = encoder.infer(params, x)
    mean, factor = encoder.gaussian(context)
    y = whitening.solve(factor, encoder.sample(key_sample, params, context, sampler_steps) - mean)
    settings = em.Settings(kernel="mala", gamma=gamma)

    observation = decoder.observe(None, x)

    def log_density(observation, z):
        return decoders.log_joint(decoder, params["decoder"], observation, z, gamma)

    state = chains.ChainState.create(settings)
    frame = whitening.Frame(mean, factor)
    start = chains.look(log_density, observation, frame, y)
    return chains.run_chains(
        key_chain, log_density, observation, start, frame, state, settings, num_steps
    ).z


def corrected_samples(key, system: System, params, x, num_steps: int) -> jax.Array:
    """Move samples of the encoder towards the posterior by MALA.

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: data [batch, ...].
        num_steps: of the chain.

    Returns:
        z [batch, d].

    Raises:
        InputError: for a decoder that is not exact.
    """
    decoders.check_exact(system.decoder, "MALA towards the posterior")
    return _corrected(
        key,
        params,
        x,
        encoder=system.encoder,
        decoder=system.decoder,
        sampler_steps=system.sampler_steps,
        num_steps=num_steps,
        gamma=system.gamma,
    )


@functools.partial(jax.jit, static_argnames="decoder")
def _loss(params, x, z, *, decoder):
    return -decoder.log_prob(params["decoder"], decoder.observe(None, x), z)


def reconstructions(
    key, system: System, params, x, num_steps: int, batch_size: int
) -> Reconstructions:
    """Draw two latents of every example, the encoder's own and one corrected by a Markov chain.

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: data [n, ...].
        num_steps: of the chain.
        batch_size: examples at a time.

    Raises:
        InputError: for a decoder that is not exact.
    """
    decoders.check_exact(system.decoder, "the amortization gap")
    key_own, key_chain = jax.random.split(key)

    def draw_own(key, x):
        return own_samples(key, system, params, x)

    def correct(key, x):
        return corrected_samples(key, system, params, x, num_steps)

    own = map_examples(draw_own, key_own, x, batch_size)
    corrected = map_examples(correct, key_chain, x, batch_size)
    own_loss = np.asarray(_loss(params, x, own, decoder=system.decoder))
    corrected_loss = np.asarray(_loss(params, x, corrected, decoder=system.decoder))
    return Reconstructions(own, corrected, own_loss, corrected_loss)


@functools.partial(jax.jit, static_argnames="decoder")
def _decode(params, z, *, decoder):
    return decoder.mean(params["decoder"], z)


def decode(system: System, params, z) -> np.ndarray:
    """Evaluate E[x|z] [n, D] of latents z [n, d].

    Args:
        system: the model.
        params: its parameters.
        z: latents.
    """
    return np.asarray(decode_batch(system, params, z))


def decode_batch(system: System, params, z) -> jax.Array:
    """Evaluate E[x|z] [batch, D], as `decode`, where it may be part of a larger program."""
    return _decode(params, z, decoder=system.decoder)


@functools.partial(
    jax.jit, static_argnames=("encoder", "num_samples", "example_shape", "sampler_steps")
)
def _learned_prior(key, params, *, encoder, num_samples, example_shape, sampler_steps):
    context = encoder.embed_null(params, num_samples, example_shape)
    return encoder.sample_and_log_prob(key, params, context, sampler_steps)


def learned_prior(
    key, system: System, params, num_samples: int, example_shape: tuple[int, ...]
) -> Draws:
    """Draw from the learned prior, which is the null branch of a diffusion encoder.

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        num_samples: n.
        example_shape: of the data.
    """
    z, log_prob = _learned_prior(
        key,
        params,
        encoder=system.encoder,
        num_samples=num_samples,
        example_shape=example_shape,
        sampler_steps=system.sampler_steps,
    )
    return Draws(z, log_prob)


@functools.partial(
    jax.jit, static_argnames=("encoder", "decoder", "grid", "num_steps", "num_draws")
)
def _on_grid(key, params, x, *, encoder, decoder, grid, num_steps, num_draws):
    context = encoder.infer(params, x)

    def log_prob(z):
        return encoder.log_prob(params, context, z, num_steps)

    nll = -posterior_grid.log_marginal(decoder, grid, x, params["decoder"])
    kl = posterior_grid.posterior_kl_by_draws(
        key, decoder, grid, x, log_prob, num_draws, params["decoder"]
    )
    return OnGrid(kl, nll)


def on_grid(
    key, system: System, params, x, grid: posterior_grid.Grid, num_steps: int, num_draws: int
) -> OnGrid:
    """Compare an encoder with the exact posterior of its own decoder, on the cells of a grid.

    Args:
        key: a random key, of the draws.
        system: the model.
        params: its parameters.
        x: data [n, ...].
        grid: cells that hold all posteriors; of one or two dimensions.
        num_steps: steps of the flow by which an encoder gives the density of a latent.
        num_draws: exact draws of z for each x.
    """
    fn = functools.partial(
        _on_grid,
        encoder=system.encoder,
        decoder=system.decoder,
        grid=grid,
        num_steps=num_steps,
        num_draws=num_draws,
    )
    return map_examples(lambda key, x: fn(key, params, x), key, x, 50)


@functools.partial(jax.jit, static_argnames=("decoder", "grid"))
def log_posterior(params, x, *, decoder, grid: posterior_grid.Grid) -> jax.Array:
    """Evaluate log p(z|x) [batch, n] at every point of a grid, see `posterior_grid.posterior`.

    Args:
        params: those of the decoder.
        x: data [batch, ...].
        decoder: a toy or a decoder.
        grid: the cells.
    """
    return posterior_grid.posterior(decoder, grid, x, params)


@functools.partial(jax.jit, static_argnames=("decoder", "grid"))
def log_marginal(params, x, *, decoder, grid: posterior_grid.Grid) -> jax.Array:
    """Evaluate log p(x) [batch] by quadrature, see `posterior_grid.log_marginal`.

    Args:
        params: those of the decoder.
        x: data [batch, ...].
        decoder: a toy or a decoder.
        grid: the cells.
    """
    return posterior_grid.log_marginal(decoder, grid, x, params)
