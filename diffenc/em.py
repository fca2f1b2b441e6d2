"""The alternating, EM-inspired update of a diffusion encoder and its decoder (arXiv 2605.13399).

    F(q, phi) = E_q[log p_phi(x|z)] - gamma KL(q(z|x) || N(0, I)),   best q: q*(z|x) ~ p(z) p_phi(x|z)^(1/gamma)

    E-step   z ~ q_theta(z|x) (warm start), then Markov-chain steps towards q*; theta by denoising on the pairs (x, z)
    M-step   phi by the gradient of log p_phi(x|z) on the same pairs

No gradient flows through the sampler. Everything is a pure function; nothing here knows of devices or files.
"""

import dataclasses
from typing import NamedTuple

import blackjax
import flax.struct
import jax
import jax.numpy as jnp
import optax
from blackjax.mcmc.diffusions import DiffusionState, overdamped_langevin

from diffenc import losses
from diffenc.decoders import log_joint
from diffenc.encoder import DiffusionEncoder, alpha_sigma
from diffenc.training import TrainState

KERNELS = {"mala": 0.57, "hmc": 0.8, "ula": None}  # acceptance each kernel's step is adapted to
TARGETS = ("denoising", "pressure", "mixture")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Choices of the alternating update; the docstring of each config says why."""

    kernel: str = "mala"
    langevin_steps: int = 4
    step_size: float = 0.1
    leapfrog_steps: int = 3
    sampler_steps: int = 4
    target: str = "mixture"
    gamma: float = 1.0
    draws: int = 8
    null_probability: float = 0.1
    average_decay: float = 0.999


class ChainState(flax.struct.PyTreeNode):
    """Carried by the train state: log of the chain's step, in units of the posterior's width."""

    log_step: jax.Array

    @classmethod
    def create(cls, settings: Settings) -> "ChainState":
        return cls(jnp.log(jnp.asarray(settings.step_size)))


class Chain(NamedTuple):
    """End of a batch of chains: z and grad log q*(z|x), each [batch, d]; mean acceptance; carried state."""

    z: jax.Array
    grad_log_posterior: jax.Array
    acceptance: jax.Array
    state: ChainState


def make_kernel(settings: Settings):
    """(init, step) of one chain: init(log_density, y) -> y_state; step(key, log_density, y_state, size) -> y_state, acceptance."""
    if settings.kernel == "mala":
        mala = blackjax.mala.build_kernel()

        def step(key, log_density, y_state, size):
            y_state, info = mala(key, y_state, log_density, size)
            return y_state, info.acceptance_rate

        return lambda log_density, y: blackjax.mala.init(y, log_density), step
    if settings.kernel == "hmc":
        hmc = blackjax.hmc.build_kernel()

        def step(key, log_density, y_state, size):
            inverse_mass = jnp.ones_like(y_state.position)
            y_state, info = hmc(key, y_state, log_density, size, inverse_mass, settings.leapfrog_steps)
            return y_state, info.acceptance_rate

        return lambda log_density, y: blackjax.hmc.init(y, log_density), step
    if settings.kernel == "ula":

        def step(key, log_density, y_state, size):
            return overdamped_langevin(jax.value_and_grad(log_density))(key, y_state, size), jnp.ones(())

        def init(log_density, y):
            return DiffusionState(y, *jax.value_and_grad(log_density)(y))

        return init, step
    raise ValueError(f"em.kernel is {settings.kernel!r}; choose one of {sorted(KERNELS)}")


def run_chains(
    key: jax.Array, log_density, x, z: jax.Array, width: jax.Array, state: ChainState, settings: Settings, num_steps: int
) -> Chain:
    """num_steps Markov-chain steps from z [batch, d], one chain per example of x, each towards exp(log_density(x_i, z)).

    log_density maps (x [1, D], z [1, d]) to [1]. The chains run in z / width, where the target has about unit scale in
    every direction; `mala` and `hmc` adapt one step size to their best acceptance, `ula` (unadjusted) keeps it.
    """
    init, step = make_kernel(settings)
    target = KERNELS[settings.kernel]

    def of_chain(x_i, width_i):
        return lambda y: log_density(x_i[None], (y * width_i)[None])[0]

    def step_one(key, x_i, width_i, y_state, size):
        return step(key, of_chain(x_i, width_i), y_state, size)

    def body(carry, key):
        y_states, log_step = carry
        keys = jax.random.split(key, z.shape[0])
        y_states, acceptance = jax.vmap(step_one, (0, 0, 0, 0, None))(keys, x, width, y_states, jnp.exp(log_step))
        acceptance = acceptance.mean()
        if target is not None:
            log_step = jnp.clip(log_step + 0.1 * (acceptance - target), -12.0, 2.0)
        return (y_states, log_step), acceptance

    y_states = jax.vmap(lambda x_i, width_i, y: init(of_chain(x_i, width_i), y))(x, width, z / width)
    (y_states, log_step), acceptances = jax.lax.scan(body, (y_states, state.log_step), jax.random.split(key, num_steps))
    return Chain(
        z=y_states.position * width,
        grad_log_posterior=y_states.logdensity_grad / width,
        acceptance=acceptances.mean(),
        state=state.replace(log_step=log_step),
    )


def e_step(key, encoder: DiffusionEncoder, decoder, params, state: ChainState, x, settings: Settings, num_steps=None):
    """Posterior samples for x [batch, D]: drawn from the encoder, then corrected; returns a `Chain`."""
    key_sample, key_chain = jax.random.split(key)
    context = encoder.embed(params["encoder"], x)
    z = encoder.sample(key_sample, params["encoder"], context, settings.sampler_steps)

    def log_density(x, z):
        return log_joint(decoder, params["decoder"], x, z, settings.gamma)

    num_steps = settings.langevin_steps if num_steps is None else num_steps
    return run_chains(key_chain, log_density, x, z, context.width, state, settings, num_steps)


def information(key: jax.Array, decoder, params, z: jax.Array, gamma: float) -> jax.Array:
    """A draw [batch, d] of the precision of q* at z: 1 + (d/dz log p(x'|z))^2 / gamma, x' ~ p(x'|z) a dream.

    Its mean is the diagonal of the prior's precision plus the decoder's Fisher information. Unlike the second moment of
    grad log q* at the chain's end (Stein's identity, true of finished chains only) it does not grow with the distance
    still to go, so a lagging encoder is not told that its posterior is narrow.
    """
    dream = jax.lax.stop_gradient(decoder.sample(key, params, z))
    return 1.0 + jax.grad(lambda z: decoder.log_prob(params, dream, z).sum())(z) ** 2 / gamma


def encoder_loss(encoder_params, key, encoder: DiffusionEncoder, x, chain: Chain, precision, settings: Settings):
    """Likelihood-weighted denoising of the E-step's pairs (x, z), and the fit of the width: (loss, metrics).

    Each pair is used at `draws` stratified noise levels; a share `null_probability` of them trains the null branch, by
    plain denoising. The width minimizes 1/2 E[w^2 precision - log w^2]: 1/w^2 = E[precision | x].
    """
    key_null, key_level, key_eps = jax.random.split(key, 3)
    is_null = jax.random.bernoulli(key_null, settings.null_probability, chain.z.shape[:1])
    context = encoder.embed(encoder_params, x, is_null)
    width_loss = 0.5 * jnp.sum(context.width**2 * precision - 2 * jnp.log(context.width), axis=-1)
    context = context.replace(width=jax.lax.stop_gradient(context.width))

    pairs = (context, chain.z, chain.grad_log_posterior, is_null)
    context, z, grad, null = jax.tree.map(lambda a: jnp.repeat(a, settings.draws, axis=0), pairs)
    uniform = losses.stratified_uniform(key_level, null.shape)
    log_snr, density = losses.truncated_logistic(uniform, -2 * jnp.log(context.width).mean(axis=-1))
    alpha, sigma = alpha_sigma(log_snr)
    alpha_, sigma_ = alpha[:, None], sigma[:, None]
    eps = jax.random.normal(key_eps, z.shape)

    c = {
        "denoising": jnp.zeros_like(z),
        "pressure": jnp.ones_like(z),
        "mixture": losses.mixture_weight(context.width, alpha_, sigma_),
    }[settings.target]
    c = jnp.where(null[:, None], 0.0, c)
    v_pressure = losses.pressure_target(z, grad, sigma_)
    target = c * v_pressure + (1 - c) * losses.denoising_target(z, eps, alpha_, sigma_)
    v = encoder.velocity(encoder_params, context, alpha_ * z + sigma_ * eps, log_snr)
    error = losses.weighted_error(v, target, alpha, density)
    entropy = losses.neural_entropy_draw(v, alpha, density)

    def mean_where(seen, a):
        return jnp.where(seen, a, 0.0).sum() / jnp.maximum(seen.sum(), 1)

    metrics = {
        "encoder_loss": mean_where(~null, error),
        "neural_entropy": mean_where(~null, entropy),
        "precision": mean_where(~is_null, precision.mean(axis=-1)),
    }
    return error.mean() + jnp.where(is_null, 0.0, width_loss).mean(), metrics


def make_update(encoder: DiffusionEncoder, decoder, settings: Settings, optimizer: optax.GradientTransformation):
    """One alternating update `(state, key, x) -> (state, metrics)`; params = {"encoder", "decoder"}."""

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        key_chain, key_precision, key_loss = jax.random.split(key, 3)
        params = state.params
        chain = e_step(key_chain, encoder, decoder, params, state.chain, x, settings)
        precision = information(key_precision, decoder, params["decoder"], chain.z, settings.gamma)

        encoder_grads, metrics = jax.grad(encoder_loss, has_aux=True)(
            params["encoder"], key_loss, encoder, x, chain, precision, settings
        )
        decoder_loss, decoder_grads = jax.value_and_grad(lambda p: -decoder.log_prob(p, x, chain.z).mean())(
            params["decoder"]
        )
        grads = {"encoder": encoder_grads, "decoder": decoder_grads}
        state = state.replace(chain=chain.state).apply_gradients(grads, optimizer, settings.average_decay)
        metrics |= {
            "decoder_loss": decoder_loss,
            "acceptance": chain.acceptance,
            "step_size": jnp.exp(chain.state.log_step),
            "gradient_second_moment": jnp.mean(chain.grad_log_posterior**2),
            "latent_second_moment": jnp.mean(chain.z**2),
        }
        return state, metrics

    return update
