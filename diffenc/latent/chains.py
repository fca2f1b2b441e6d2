"""Markov chains towards a posterior, a batch at a time, with the kernels of blackjax.

They run in the coordinates y of a Gaussian, z = mean + factor y. There the target is about a
standard normal, so that one step size serves all dimensions and examples. `settings` is an
`em.Settings`; read here are its kernel, leapfrog_steps and step_size.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from diffenc.latent.bottleneck import Bottleneck
from diffenc.latent.whitening import Frame, apply

KERNELS = {"mala": 0.57, "hmc": 0.8, "ula": None}  # the acceptance that adapts each kernel's step


class ChainState(flax.struct.PyTreeNode):
    """What chains carry from one update to the next.

    Attributes:
        log_step: log of the step size in whitened coordinates [].
        z: for persistent chains, the latent [n, d] of each of the n training examples.
    """

    log_step: jax.Array
    z: jax.Array | None = None

    # No field, so that checkpoints from before there were bottlenecks have the same structure.
    @property
    def bottleneck(self) -> Bottleneck | None:
        """None: see `NarrowChainState`."""
        return None

    @staticmethod
    def create(
        settings, z: jax.Array | None = None, bottleneck: Bottleneck | None = None
    ) -> "ChainState":
        """Start with settings.step_size.

        Args:
            settings: an `em.Settings`.
            z: for persistent chains.
            bottleneck: for a diffusion decoder.
        """
        log_step = jnp.log(jnp.float32(settings.step_size))
        if bottleneck is None:
            return ChainState(log_step, z)
        return NarrowChainState(log_step, z, bottleneck)


class NarrowChainState(ChainState):
    """The state of chains beside a diffusion decoder.

    Attributes:
        bottleneck: see there.
    """

    bottleneck: Bottleneck | None = None


class Chain(NamedTuple):
    """Where the chains of a batch ended.

    Attributes:
        z: latents [batch, d].
        y: the latents in the chains' coordinates [batch, d].
        gradient: grad_y log q*(z|x) there [batch, d].
        acceptance: the mean over the batch and the steps [].
        state: with the adapted step size.
    """

    z: jax.Array
    y: jax.Array
    gradient: jax.Array
    acceptance: jax.Array
    state: ChainState


class Place(NamedTuple):
    """Points of the chains' coordinates, and the target there.

    Attributes:
        y: [batch, d].
        log_density: log q* up to a constant [batch].
        gradient: grad_y log q* [batch, d].
    """

    y: jax.Array
    log_density: jax.Array
    gradient: jax.Array


def look(log_density: Callable, observation, frame: Frame, y: jax.Array) -> Place:
    """Evaluate the target with its gradient at points of the chains' coordinates.

    Args:
        log_density: (observation, z [batch, d]) -> log q* up to a constant [batch].
        observation: of the examples.
        frame: (mean, factor): z = mean + factor y.
        y: the points [batch, d].
    """
    value, pull_back = jax.vjp(lambda y: log_density(observation, apply(*frame, y)), y)
    return Place(y, value, pull_back(jnp.ones_like(value))[0])


def make_kernel(settings) -> tuple[Callable, Callable]:
    """Make the transition of one chain.

    Returns:
        make_state(y, log_density, gradient) -> y_state, and step(key, log_density, y_state, size)
        -> (y_state, acceptance).
    """
    # Importing blackjax computes, and this may be called while jax traces.
    with jax.ensure_compile_time_eval():
        from blackjax.mcmc import diffusions, hmc, mala
    if settings.kernel == "mala":
        mala_kernel = mala.build_kernel()

        def mala_step(key, log_density, y_state, size):
            y_state, info = mala_kernel(key, y_state, log_density, size)
            return y_state, info.acceptance_rate

        return mala.MALAState, mala_step
    if settings.kernel == "hmc":
        hmc_kernel = hmc.build_kernel()

        def hmc_step(key, log_density, y_state, size):
            inverse_mass = jnp.ones_like(y_state.position)
            y_state, info = hmc_kernel(
                key, y_state, log_density, size, inverse_mass, settings.leapfrog_steps
            )
            return y_state, info.acceptance_rate

        return hmc.HMCState, hmc_step

    def step(key, log_density, y_state, size):
        move = diffusions.overdamped_langevin(jax.value_and_grad(log_density))
        return move(key, y_state, size), jnp.ones(())

    return diffusions.DiffusionState, step


def run_chains(
    key: jax.Array,
    log_density: Callable,
    observation,
    start: Place,
    frame: Frame,
    state: ChainState,
    settings,
    num_steps: int,
) -> Chain:
    """Run one chain for each example, in the coordinates y of its frame.

    `mala` and `hmc` adapt one step size to their best acceptance; `ula` (unadjusted) keeps it.

    Args:
        key: a random key.
        log_density: (observation of one row, z [1, d]) -> log density [1], up to a constant.
        observation: of the examples, with `batch` rows.
        start: where the chains start, see `look`.
        frame: (mean, factor): z = mean + factor y.
        state: the step size.
        settings: kernel and leapfrog_steps.
        num_steps: number of steps.

    Returns:
        Where the chains ended.
    """
    mean, factor = frame
    make_state, step = make_kernel(settings)
    target = KERNELS[settings.kernel]

    def of_chain(row, mean_i, factor_i):
        row = jax.tree.map(lambda leaf: leaf[None], row)
        return lambda y: log_density(row, (mean_i + factor_i @ y)[None])[0]

    def step_one(key, row, mean_i, factor_i, y_state, size):
        return step(key, of_chain(row, mean_i, factor_i), y_state, size)

    def body(carry, key):
        y_states, log_step = carry
        keys = jax.random.split(key, len(mean))
        y_states, acceptance = jax.vmap(step_one, (0, 0, 0, 0, 0, None))(
            keys, observation, mean, factor, y_states, jnp.exp(log_step)
        )
        acceptance = acceptance.mean()
        if target is not None:
            log_step = jnp.clip(log_step + 0.1 * (acceptance - target), -12.0, 2.0)
        return (y_states, log_step), acceptance

    y_states = make_state(*start)
    (y_states, log_step), acceptances = jax.lax.scan(
        body, (y_states, state.log_step), jax.random.split(key, num_steps)
    )
    return Chain(
        z=apply(mean, factor, y_states.position),
        y=y_states.position,
        gradient=y_states.logdensity_grad,
        acceptance=acceptances.mean(),
        state=state.replace(log_step=log_step),
    )


def is_lost(at_mean: jax.Array, start: Place) -> jax.Array:
    """Tell which starts are so improbable that no draw of the posterior would be.

    Draws of a Gaussian posterior have log q* below its maximum by chi^2_d / 2, which exceeds 2 d +
    10 with probability 1e-6 or less. A start that falls short of the frame's mean by more is an
    error of the encoder, or a chain left behind. Short chains do not bring it back, and an encoder
    that learns from it runs away.

    Args:
        at_mean: log q* at the frame's mean, up to the same constant [batch].
        start: the starts.

    Returns:
        Booleans [batch].
    """
    shortfall = at_mean - start.log_density
    # Written with `not <` so that NaN counts as lost.
    return ~(shortfall < 2 * start.y.shape[-1] + 10)


def is_far(z: jax.Array) -> jax.Array:
    """Tell which latents are so far out that no draw of the prior would be.

    log p(z) of a draw z ~ N(0, I) is below its maximum by chi^2_d / 2, see `is_lost`. The samples
    of an encoder, for all x together, have about the law of the prior; one that is far out is an
    error of the encoder, and a decoder that is asked there does not lead it back. Unlike `is_lost`
    this asks no decoder.

    Args:
        z: latents [batch, d].

    Returns:
        Booleans [batch].
    """
    shortfall = 0.5 * jnp.sum(z**2, axis=-1)
    return ~(shortfall < 2 * z.shape[-1] + 10)  # written with `not <` so that NaN counts as far
