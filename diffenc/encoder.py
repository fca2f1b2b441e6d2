"""The diffusion encoder q_theta(z|x): a conditional diffusion model in the latent z (arXiv 2605.13399).

The latent diffuses as z_t = alpha z + sigma eps with alpha = cos(phi), sigma = sin(phi); every variance-preserving
process is this one on another clock. The network is preconditioned by a Gaussian N(m(x), w(x)^2) per example:

    S^2 = alpha^2 w^2 + sigma^2,    u = (z_t - alpha m) / S                      whitened latent
    tan(psi) = sigma / (alpha w),   lambda + log w^2                             its angle and log signal-to-noise ratio
    v = (sigma / S^2) [ alpha (1 - w^2) z_t - m - w r_theta(u, psi | x) ]        velocity, dz_t/dphi = v

Three facts make this the right coordinate system (each has a test):

* r = 0 is the diffusion of N(m, w^2) exactly; m = 0, w = 1, r = 0 is the prior N(0, I): entropy matching, e = 0.
* the probability flow reads du/dpsi = -sin(psi) r, so a sampler is exact at any number of steps when q is Gaussian.
* under a logistic density of the whitened log signal-to-noise ratio, the likelihood-weighted denoising loss is the plain
  squared error of r: 1/2 int dlambda alpha^2 |dv|^2 = 1/2 E |dr|^2.

Shapes: x [batch, D], z and u [batch, d], phi and log_snr [batch]; all information is in nats.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import samplers
from diffenc.decoders import log_prior
from diffenc.networks import ConditionalDenoiser
from diffenc.networks.mlp import Context


def alpha_sigma(log_snr: jax.Array) -> tuple[jax.Array, jax.Array]:
    """alpha and sigma of a variance-preserving process: alpha^2 = sigmoid(lambda), sigma^2 = sigmoid(-lambda)."""
    return jnp.sqrt(jax.nn.sigmoid(log_snr)), jnp.sqrt(jax.nn.sigmoid(-log_snr))


@dataclasses.dataclass(frozen=True)
class DiffusionEncoder:
    """q_theta(z|x) as pure functions of params; `context` (from `embed`) holds what depends on x alone."""

    network: ConditionalDenoiser

    @property
    def latent_dim(self) -> int:
        return self.network.latent_dim

    def init(self, key: jax.Array, x: jax.Array):
        z = jnp.zeros((1, self.latent_dim))
        return self.network.init(key, x[:1], z, z, method="initialize")

    def embed(self, params, x: jax.Array, is_null: jax.Array | None = None) -> Context:
        """Everything the denoiser needs of x, computed once; is_null [batch] replaces x by the null token."""
        is_null = jnp.zeros(x.shape[0], bool) if is_null is None else is_null
        return self.network.apply(params, x, is_null, method="embed")

    def embed_null(self, params, batch: int, data_dim: int) -> Context:
        """The context of 'x unknown': the encoder is then a learned prior, the aggregate posterior q(z)."""
        return self.embed(params, jnp.zeros((batch, data_dim)), jnp.ones(batch, bool))

    def width(self, context: Context) -> jax.Array:
        """The scale [batch, d] of q(z|x) in each direction, for chains to run in."""
        return context.width

    def velocity(self, params, context: Context, z_t: jax.Array, log_snr: jax.Array) -> jax.Array:
        """v_theta(z_t, lambda | x) [batch, d], the v of `diffenc.parameterization`; score = -(z_t + (alpha/sigma) v)."""
        alpha, sigma = (a[:, None] for a in alpha_sigma(log_snr))
        mean, width = context.mean, context.width
        variance = (alpha * width) ** 2 + sigma**2
        u = (z_t - alpha * mean) / jnp.sqrt(variance)
        r = self.network.apply(params, context, u, log_snr[:, None] + 2 * jnp.log(width))
        return sigma / variance * (alpha * (1 - width**2) * z_t - mean - width * r)

    def score(self, params, context: Context, z_t: jax.Array, log_snr: jax.Array) -> jax.Array:
        """grad log q_t(z_t|x) = -z_t - (alpha/sigma) v; its second part is the entropy-matching output e."""
        alpha, sigma = alpha_sigma(log_snr)
        return -z_t - (alpha / sigma)[:, None] * self.velocity(params, context, z_t, log_snr)

    def _whitened_flow(self, params, context: Context):
        """du/dpsi for the flow, on the clock psi of the geometric mean width.

        Dimension i runs on its own angle tan(psi_i) = rho_i tan(psi), rho_i = mean width / width_i.
        """
        log_width = jnp.log(context.width)
        mean_log_width = log_width.mean(axis=-1, keepdims=True)
        rho = jnp.exp(mean_log_width - log_width)

        def flow(u, psi):
            cos, sin = jnp.cos(psi)[:, None], jnp.sin(psi)[:, None]
            norm = jnp.sqrt(cos**2 + (rho * sin) ** 2)
            log_snr = 2 * jnp.log(jnp.maximum(cos, 1e-6) / jnp.maximum(rho * sin, 1e-6))
            r = self.network.apply(params, context, u, log_snr)
            return -(rho * sin / norm) * (rho / norm**2) * r

        return flow

    def sample(self, key: jax.Array, params, context: Context, num_steps: int) -> jax.Array:
        """z ~ q_theta(z|x) by the probability flow, Heun with two evaluations a step."""
        u = jax.random.normal(key, context.mean.shape)
        u = samplers.angle_flow(self._whitened_flow(params, context), u, num_steps)
        return context.mean + context.width * u

    def sample_and_log_prob(self, key: jax.Array, params, context: Context, num_steps: int):
        """z and log q(z|x) [batch]: the density of the *discrete* sampler, from the Jacobian of each of its steps.

        It is a density for any number of steps, so bounds built from it hold without a limit of small steps.
        """
        u1 = jax.random.normal(key, context.mean.shape)
        u, log_det = samplers.angle_flow_with_log_det(self._whitened_flow(params, context), u1, num_steps)
        return context.mean + context.width * u, log_prior(u1) - log_det - jnp.log(context.width).sum(-1)

    def log_prob(self, params, context: Context, z: jax.Array, num_steps: int) -> jax.Array:
        """log q(z|x) [batch] of given z by the flow from data to noise (second order in the step)."""
        u = (z - context.mean) / context.width
        u1, log_det = samplers.angle_flow_with_log_det(
            self._whitened_flow(params, context), u, num_steps, start=0.0, stop=np.pi / 2
        )
        return log_prior(u1) + log_det - jnp.log(context.width).sum(-1)
