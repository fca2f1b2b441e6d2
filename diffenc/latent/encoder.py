"""The diffusion encoder q_theta(z|x): a conditional diffusion model in the latent z (arXiv
2605.13399).

The diffusion starts from a *reference*, a Gaussian N(m(x), W(x) W(x)^T) with W lower triangular,
and runs in its whitened coordinates y = W^-1 (z - m), where it is the variance-preserving process
y_t = alpha y + sigma eps with alpha = cos(phi), sigma = sin(phi); every variance-preserving process
is this one on another clock. The network's output r gives

    v = -sigma r_theta(y_t, lambda | x)             velocity: dy_t/dphi = v is the probability flow
    e = -(alpha/sigma) v = alpha r                  entropy matching: what the network adds to the reference

`reference="prior"` is the plain diffusion encoder: m = 0, W = I, equilibrium N(0, I). A posterior
of width w makes r grow as 1 / sqrt(sigma^2 + alpha^2 w^2) on the way to the data, so that is the
unit of the network's output there (preconditioning as in 2206.00364, with the posterior's scale in
place of the data's). `reference="posterior"` (default) lets heads of the network fit m and W, so
that the network r holds only what is not Gaussian in the posterior:

* r = 0 is N(m, W W^T) exactly, at any number of sampler steps; with m = 0, W = I as well it is the
  prior N(0, I).
* under a logistic density of lambda the likelihood-weighted denoising loss is the plain squared
  error of r: 1/2 int dlambda alpha^2 |dv|^2 = 1/2 E |dr|^2, since sigmoid(l) sigmoid(-l) = alpha^2
  sigma^2.
* the decoder-pressure target of r is y + grad_y log posterior(y), which is zero for a posterior
  equal to the reference.

The encoder may ask the decoder, and no longer depends on what a network can amortize; its density
is known as before:

* `newton_steps` > 0: the mean is the head's after as many Newton steps up the log posterior, in the
  metric W W^T.
* `pressure`: r = network + gate rho(alpha y_t), rho(y) = y + grad_y log posterior(y). The exact r
  is E[rho(y_0) | y_t] and alpha y_t is E[y_0 | y_t] under the reference: the lowest order is free
  (as in diffusion posterior sampling, 2209.14687), exact at t = 0 with gate = 1, and the network
  holds what the fluctuations add. |rho| is squeezed below residual_bound, which matters only far
  from the posterior.

Shapes: x [batch, D], z and y [batch, d], log_snr [batch]; all information is in nats.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion import angle_flow
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.latent import whitening
from diffenc.latent.decoders import log_joint, log_prior
from diffenc.networks import ConditionalDenoiser
from diffenc.networks.mlp import Context

REFERENCES = ("posterior", "prior")


@dataclasses.dataclass(frozen=True)
class DiffusionEncoder:
    """q_theta(z|x) as pure functions of params; `context` (from `infer`) holds what depends on x
    alone.

    `decoder` and `gamma` are those of the posterior that `newton_steps` and `pressure` ask for.
    params = {"encoder", "decoder"} throughout; the latter may be absent where neither is used.
    """

    network: ConditionalDenoiser
    reference: str = "posterior"
    newton_steps: int = 0
    pressure: bool = False
    decoder: Any = None
    gamma: float = 1.0

    @property
    def latent_dim(self) -> int:
        return self.network.latent_dim

    def init(self, key: jax.Array, x: jax.Array):
        """The parameters of the encoder's network."""
        return self.network.init(
            key, x[:1], jnp.zeros((1, self.latent_dim)), jnp.zeros(1), method="initialize"
        )

    def log_posterior(self, params, x: jax.Array, z: jax.Array) -> jax.Array:
        """log q*(z|x) [batch], up to a constant."""
        return log_joint(self.decoder, params["decoder"], x, z, self.gamma)

    def infer(self, params, x: jax.Array) -> Context:
        """The context of x: what the network embeds, its mean refined by Newton steps."""
        context = self.embed(params, x)
        if self.newton_steps == 0:
            return context
        log_density = functools.partial(self.log_posterior, params, context.x)
        mean = whitening.newton(log_density, context.mean, context.factor, self.newton_steps)
        return context.replace(mean=mean)

    def embed(self, params, x: jax.Array, is_null: jax.Array | None = None) -> Context:
        """What the network makes of x, computed once; is_null [batch] replaces x by the null
        token."""
        is_null = jnp.zeros(x.shape[0], bool) if is_null is None else is_null
        return self.network.apply(params["encoder"], x, is_null, method="embed")

    def embed_null(self, params, batch: int, data_dim: int) -> Context:
        """The context of 'x unknown': the encoder is then a learned prior, the aggregate posterior
        q(z)."""
        return self.embed(params, jnp.zeros((batch, data_dim)), jnp.ones(batch, bool))

    def gaussian(self, context: Context) -> tuple[jax.Array, jax.Array]:
        """The Gaussian fit (mean [batch, d], factor [batch, d, d]) of q(z|x): coordinates for
        chains, whatever the reference."""
        return context.mean, context.factor

    def whiten(self, context: Context, z: jax.Array) -> jax.Array:
        """y = W^-1 (z - m)."""
        if self.reference == "prior":
            return z
        return whitening.solve(context.factor, z - context.mean)

    def colour(self, context: Context, y: jax.Array) -> jax.Array:
        """z = m + W y."""
        return y if self.reference == "prior" else whitening.apply(context.mean, context.factor, y)

    def log_volume(self, context: Context) -> jax.Array:
        """log det dz/dy [batch]."""
        if self.reference == "prior":
            return jnp.zeros(context.mean.shape[:1])
        return jnp.log(jnp.diagonal(context.factor, axis1=-2, axis2=-1)).sum(axis=-1)

    def residual(self, params, context: Context, y_t: jax.Array, log_snr: jax.Array) -> jax.Array:
        """r_theta(y_t, lambda | x) [batch, d]."""
        r, gate = self.network.apply(params["encoder"], context, y_t, log_snr)
        if self.reference == "prior":
            alpha2 = jax.nn.sigmoid(log_snr)
            r = r / jnp.sqrt(1 - alpha2 + alpha2 * self._square_width(context))[:, None]
        if not self.pressure:
            return r
        y = alpha_sigma(log_snr)[0][:, None] * y_t

        def log_density(y):
            return self.log_posterior(params, context.x, self.colour(context, y)).sum()

        rho = y + jax.grad(log_density)(y)
        norm = jnp.sum(rho**2, axis=-1) / self.network.residual_bound**2
        return r + (jnp.where(context.known, gate, 0.0) / jnp.sqrt(1.0 + norm))[:, None] * rho

    def _square_width(self, context: Context) -> jax.Array:
        """w^2 [batch], the geometric mean of the fitted variances of z; the denoiser never moves
        them."""
        log_variance = jnp.log(jnp.sum(jax.lax.stop_gradient(context.factor) ** 2, axis=-1))
        return jnp.exp(log_variance.mean(axis=-1))

    def velocity(self, params, context: Context, y_t: jax.Array, log_snr: jax.Array) -> jax.Array:
        """v_theta(y_t, lambda | x) [batch, d], the v of `diffenc.diffusion.parameterization` in the
        reference's coordinates."""
        _, sigma = alpha_sigma(log_snr)
        return -sigma[:, None] * self.residual(params, context, y_t, log_snr)

    def score(self, params, context: Context, y_t: jax.Array, log_snr: jax.Array) -> jax.Array:
        """grad log q_t(y_t|x) = -y_t + e, with the entropy-matching output e = -(alpha/sigma) v =
        alpha r."""
        return -y_t + jnp.sqrt(jax.nn.sigmoid(log_snr))[:, None] * self.residual(
            params, context, y_t, log_snr
        )

    def _flow(self, params, context: Context):
        """dy/dphi = v(y, phi) for the samplers."""

        def v_fn(y, phi):
            cos, sin = jnp.maximum(jnp.cos(phi), 1e-6), jnp.maximum(jnp.sin(phi), 1e-6)
            return self.velocity(params, context, y, 2 * jnp.log(cos / sin))

        return v_fn

    def sample_whitened(
        self, key: jax.Array, params, context: Context, num_steps: int
    ) -> jax.Array:
        """y [batch, d] with m + W y = z ~ q_theta(z|x), by the probability flow: Heun, two
        evaluations a step."""
        y = jax.random.normal(key, context.mean.shape)
        return angle_flow.angle_flow(self._flow(params, context), y, num_steps)

    def sample(self, key: jax.Array, params, context: Context, num_steps: int) -> jax.Array:
        """z ~ q_theta(z|x) [batch, d]."""
        return self.colour(context, self.sample_whitened(key, params, context, num_steps))

    def sample_and_log_prob(self, key: jax.Array, params, context: Context, num_steps: int):
        """z and log q(z|x) [batch]: the density of the *discrete* sampler, from the Jacobian of
        each of its steps.

        It is the density at any number of steps, as long as each is invertible (see `folds`), so
        bounds built from it need no limit.
        """
        y1 = jax.random.normal(key, context.mean.shape)
        y, log_det = angle_flow.angle_flow_with_log_det(self._flow(params, context), y1, num_steps)
        return self.colour(context, y), log_prior(y1) - log_det - self.log_volume(context)

    def folds(self, key: jax.Array, params, context: Context, num_steps: int) -> jax.Array:
        """Whether the sampler folded the space on the way to each draw [batch]: a share above a per
        cent says that num_steps is too small for `sample_and_log_prob` to be a density."""
        y1 = jax.random.normal(key, context.mean.shape)
        return angle_flow.angle_flow_folds(self._flow(params, context), y1, num_steps)

    def log_prob(self, params, context: Context, z: jax.Array, num_steps: int) -> jax.Array:
        """log q(z|x) [batch] of given z by the flow from data to noise (second order in the
        step)."""
        y1, log_det = angle_flow.angle_flow_with_log_det(
            self._flow(params, context),
            self.whiten(context, z),
            num_steps,
            start=0.0,
            stop=np.pi / 2,
        )
        return log_prior(y1) + log_det - self.log_volume(context)

    def log_prob_hutchinson(
        self, key: jax.Array, params, context: Context, z: jax.Array, num_steps: int
    ) -> jax.Array:
        """A random estimate of log q(z|x) [batch], one tangent in place of d. It gives NO BOUND of
        the likelihood (see `angle_flow.angle_flow_with_hutchinson`); for large d, where only its mean
        over many z is asked for."""
        y1, log_det = angle_flow.angle_flow_with_hutchinson(
            key,
            self._flow(params, context),
            self.whiten(context, z),
            num_steps,
            start=0.0,
            stop=np.pi / 2,
        )
        return log_prior(y1) + log_det - self.log_volume(context)
