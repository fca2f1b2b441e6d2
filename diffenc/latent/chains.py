"""Markov chains towards a posterior, a batch at a time, in the coordinates of a Gaussian (kernels
of blackjax).

z = mean + factor y: in y the target is about a standard normal, so that one step size serves all
dimensions and examples. `settings` is an `em.Settings`; read here are its kernel, leapfrog_steps
and step_size.
"""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from diffenc.latent.proposals import Proposals
from diffenc.latent.whitening import apply

KERNELS = {"mala": 0.57, "hmc": 0.8, "ula": None}  # acceptance each kernel's step is adapted to


class ChainState(flax.struct.PyTreeNode):
    """Carried by the train state: log of the chain's step, in whitened coordinates; for persistent
    chains the latent z [n, d] of each of the n training examples."""

    log_step: jax.Array
    z: jax.Array | None = None

    @classmethod
    def create(cls, settings, z: jax.Array | None = None) -> "ChainState":
        return cls(jnp.log(jnp.float32(settings.step_size)), z)


class Chain(NamedTuple):
    """End of a batch of chains: z [batch, d]; in the chain's coordinates z = mean + factor y, mean,
    y and grad_y log q*(z|x) [batch, d]; mean acceptance; carried state; all the proposals, where it
    is one of several."""

    z: jax.Array
    mean: jax.Array
    y: jax.Array
    gradient: jax.Array
    acceptance: jax.Array
    state: ChainState
    proposals: Proposals | None = None


def make_kernel(settings):
    """(init, step) of one chain.

    init(log_density, y) -> y_state; step(key, log_density, y_state, size) -> (y_state, acceptance).
    """
    with (
        jax.ensure_compile_time_eval()
    ):  # importing blackjax computes, and this may be called while jax traces
        from blackjax.mcmc import diffusions, hmc, mala
    if settings.kernel == "mala":
        mala_step = mala.build_kernel()

        def step(key, log_density, y_state, size):
            y_state, info = mala_step(key, y_state, log_density, size)
            return y_state, info.acceptance_rate

        return lambda log_density, y: mala.init(y, log_density), step
    if settings.kernel == "hmc":
        hmc_step = hmc.build_kernel()

        def step(key, log_density, y_state, size):
            inverse_mass = jnp.ones_like(y_state.position)
            y_state, info = hmc_step(
                key, y_state, log_density, size, inverse_mass, settings.leapfrog_steps
            )
            return y_state, info.acceptance_rate

        return lambda log_density, y: hmc.init(y, log_density), step

    def step(key, log_density, y_state, size):
        move = diffusions.overdamped_langevin(jax.value_and_grad(log_density))
        return move(key, y_state, size), jnp.ones(())

    def init(log_density, y):
        return diffusions.DiffusionState(y, *jax.value_and_grad(log_density)(y))

    return init, step


def run_chains(
    key: jax.Array, log_density, x, y, gaussian, state: ChainState, settings, num_steps
) -> Chain:
    """num_steps Markov-chain steps from y [batch, d], one chain each, towards exp(log_density(x_i,
    z)).

    log_density maps (x [1, D], z [1, d]) to [1]. gaussian = (mean, factor): z = mean + factor y, so
    in y the target is about a standard normal; `mala` and `hmc` adapt one step size to their best
    acceptance, `ula` (unadjusted) keeps it.
    """
    mean, factor = gaussian
    init, step = make_kernel(settings)
    target = KERNELS[settings.kernel]

    def of_chain(x_i, mean_i, factor_i):
        return lambda y: log_density(x_i[None], (mean_i + factor_i @ y)[None])[0]

    def step_one(key, x_i, mean_i, factor_i, y_state, size):
        return step(key, of_chain(x_i, mean_i, factor_i), y_state, size)

    def body(carry, key):
        y_states, log_step = carry
        keys = jax.random.split(key, x.shape[0])
        y_states, acceptance = jax.vmap(step_one, (0, 0, 0, 0, 0, None))(
            keys, x, mean, factor, y_states, jnp.exp(log_step)
        )
        acceptance = acceptance.mean()
        if target is not None:
            log_step = jnp.clip(log_step + 0.1 * (acceptance - target), -12.0, 2.0)
        return (y_states, log_step), acceptance

    y_states = jax.vmap(lambda x_i, mean_i, factor_i, y: init(of_chain(x_i, mean_i, factor_i), y))(
        x, mean, factor, y
    )
    (y_states, log_step), acceptances = jax.lax.scan(
        body, (y_states, state.log_step), jax.random.split(key, num_steps)
    )
    return Chain(
        z=apply(mean, factor, y_states.position),
        mean=mean,
        y=y_states.position,
        gradient=y_states.logdensity_grad,
        acceptance=acceptances.mean(),
        state=state.replace(log_step=log_step),
    )


def is_lost(log_density, x, mean, factor, y: jax.Array) -> jax.Array:
    """Whether a start y is so improbable beside the Gaussian's mean that no posterior draw would
    be: [batch].

    log q* falls short of its maximum by chi^2_d / 2 at draws of a Gaussian posterior; beyond 2 d +
    10 (of probability 1e-6 there, or less) a start is an error of the encoder, or a chain left
    behind. Short chains do not bring it back, and an encoder that learns from it runs away.
    """
    shortfall = log_density(x, mean) - log_density(x, apply(mean, factor, y))
    return ~(shortfall < 2 * y.shape[-1] + 10)  # so that what is not a number is lost too
