"""The diffusion encoder q_theta(z|x): a conditional diffusion model in the latent z.

The plain encoder is that of arXiv 2605.13399. The diffusion starts from a *reference*, a Gaussian
N(m(x), W(x) W(x)^T) with W lower triangular, and runs in its whitened coordinates y = W^-1 (z - m),
where it is the variance-preserving process y_t = alpha y + sigma eps with alpha = cos(phi), sigma =
sin(phi); every variance-preserving process is this one on another clock. `PROCESS` is it on the
clock phi = pi t / 2. The network's output r gives

    v = -sigma r_theta(y_t, lambda | x)     velocity: dy_t/dphi = v is the probability flow
    e = -(alpha/sigma) v = alpha r          entropy matching: what the network adds to the reference
    s = -y_t + e                            score (`DiffusionEncoder.score_fn`)

`reference="prior"` is the plain diffusion encoder: m = 0, W = I, equilibrium N(0, I). A posterior
of width w makes r grow as 1 / sqrt(sigma^2 + alpha^2 w^2) on the way to the data, so that is the
unit of the network's output there (preconditioning as in arXiv 2206.00364, with the posterior's
scale in place of the data's). `reference="posterior"` (default) lets heads of the network fit m and
W, so that the network r holds only what is not Gaussian in the posterior:

* r = 0 is N(m, W W^T) exactly, at any number of sampler steps; with m = 0, W = I as well it is the
  prior N(0, I).
* under a logistic density of lambda the likelihood-weighted denoising loss is the plain squared
  error of r: 1/2 int dlambda alpha^2 |dv|^2 = 1/2 E |dr|^2, since sigmoid(l) sigmoid(-l) = alpha^2
  sigma^2.
* the decoder-pressure target of r is y + grad_y log posterior(y), which is zero for a posterior
  equal to the reference.

Three options let the encoder call the decoder at inference time, so that its accuracy is not
limited by amortization. Its density remains exact:

* `newton_steps` > 0: the mean is the head's after as many Newton steps up the log posterior, in the
  metric W W^T.
* `pressure`: r = network + gate rho(alpha y_t), rho(y) = y + grad_y log posterior(y). The exact r
  is E[rho(y_0) | y_t] and alpha y_t is E[y_0 | y_t] under the reference: the lowest order needs no
  training (as in diffusion posterior sampling, arXiv 2209.14687), it is exact at t = 0 with gate =
  1, and the network holds what the fluctuations add. |rho| is squeezed below residual_bound, which
  matters only far from the posterior.
* `landmarks` = M > 0 (reference="prior"): the decoder weighs M fixed latents (`landmarks`), and r
  is the network's output added to that of their coarse posterior, so that the network, which also
  sees the weights beside x, holds only what is finer than the landmarks. For two or three
  dimensions.

Shapes: x [batch, ...], z and y [batch, d], log_snr [batch]; all information is in nats.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import init
from diffenc.diffusion.parameterization import alpha_sigma, to_score
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import InputError
from diffenc.latent import encoder_flow, landmarks, whitening
from diffenc.latent.decoders import check_exact, log_joint
from diffenc.networks import ConditionalDenoiser
from diffenc.networks.mlp import Context

REFERENCES = ("posterior", "prior")
PROCESS = VPCosine()  # the clock on which `score_fn` is given: phi = pi t / 2


@dataclasses.dataclass(frozen=True)
class DiffusionEncoder:
    """q_theta(z|x) as pure functions of params; `context` (from `infer`) holds what depends on x.

    params = {"encoder", "decoder"} throughout; "decoder" may be absent where none of
    `newton_steps`, `pressure` and `landmarks` is used. Raises InputError for an unknown reference.

    Attributes:
        network: embeds x and gives the residual r.
        reference: "posterior" (a fitted Gaussian) or "prior" (N(0, I)).
        newton_steps: number of Newton steps that refine the mean of the reference.
        pressure: whether r contains the gradient of the log posterior.
        decoder: the decoder of the posterior that these options ask for.
        gamma: temperature of that posterior, see `decoders.log_joint`.
        landmarks: number M of fixed latents whose posterior weights the network sees; 0 for none.
    """

    network: ConditionalDenoiser
    reference: str = "posterior"
    newton_steps: int = 0
    pressure: bool = False
    decoder: Any = None
    gamma: float = 1.0
    landmarks: int = 0

    def __post_init__(self):
        if self.reference not in REFERENCES:
            raise InputError(
                f"encoder reference {self.reference!r} is unknown: use one of "
                f"{', '.join(REFERENCES)}"
            )
        if self.landmarks and self.reference != "prior":
            raise InputError(
                "an encoder with landmarks diffuses from N(0, I): use reference 'prior'"
            )
        if self.newton_steps or self.pressure or self.landmarks:
            asker = "an encoder with newton_steps, pressure or landmarks"
            if self.decoder is None:
                raise InputError(f"{asker} asks its decoder: give decoder, or none of the three")
            check_exact(self.decoder, asker)

    @property
    def latent_dim(self) -> int:
        """The dimension d of the latent."""
        return self.network.latent_dim

    def init(self, key: jax.Array, x: jax.Array):
        """Make the parameters of the encoder's network, for examples like x [batch, ...]."""
        u = np.zeros((1, self.latent_dim), np.float32)
        log_snr = np.zeros(1, np.float32)
        answers = np.zeros((1, self.landmarks), np.float32) if self.landmarks else None
        return init(self.network, key, x[:1], u, log_snr, answers, method="initialize")

    def log_posterior(self, params, x: jax.Array, z: jax.Array) -> jax.Array:
        """Evaluate log q*(z|x) up to a constant.

        Args:
            params: those of the encoder and the decoder.
            x: data [batch, ...].
            z: latents [batch, d].

        Returns:
            [batch], in nats.
        """
        return log_joint(self.decoder, params["decoder"], x, z, self.gamma)

    def infer(self, params, x: jax.Array) -> Context:
        """Make the context of x [batch, ...]: what the network embeds, its mean refined."""
        context = self.embed(params, x)
        if self.newton_steps == 0:
            return context
        log_density = functools.partial(self.log_posterior, params, context.x)
        mean, value, slope = whitening.newton(
            log_density, context.mean, context.factor, self.newton_steps
        )
        return context.replace(mean=mean, log_density=value, slope=slope)

    def embed(self, params, x: jax.Array, is_null: jax.Array | None = None) -> Context:
        """Compute what the network needs of x, once for all noise levels.

        Args:
            params: those of the encoder.
            x: data [batch, ...].
            is_null: [batch], where the null token replaces x; None for nowhere.

        Returns:
            The context, before any Newton step.
        """
        is_null = jnp.zeros(x.shape[0], bool) if is_null is None else is_null
        if not self.landmarks:
            return self.network.apply(params["encoder"], x, is_null, method="embed")
        log_weight = landmarks.log_weights(
            self.decoder, params["decoder"], x, self.latent_dim, self.landmarks, self.gamma
        )
        answers = jnp.sqrt(self.landmarks * jnp.exp(log_weight))
        context = self.network.apply(params["encoder"], x, is_null, answers, method="embed")
        return context.replace(log_weight=log_weight)

    def embed_null(self, params, batch: int, example_shape: tuple[int, ...]) -> Context:
        """Make the context of 'x unknown', under which the encoder is the aggregate posterior q(z).

        Args:
            params: those of the encoder.
            batch: number of rows.
            example_shape: the shape of one x.

        Returns:
            The context of `batch` rows; the encoder with it is a learned prior.
        """
        return self.embed(params, jnp.zeros((batch, *example_shape)), jnp.ones(batch, bool))

    def gaussian(self, context: Context) -> whitening.Frame:
        """Give the Gaussian fit of q(z|x), which has coordinates for chains under both references.

        Returns:
            (mean [batch, d], factor [batch, d, d]).
        """
        return whitening.Frame(context.mean, context.factor)

    def whiten(self, context: Context, z: jax.Array) -> jax.Array:
        """Compute y = W^-1 (z - m) [batch, d]."""
        if self.reference == "prior":
            return z
        return whitening.solve(context.factor, z - context.mean)

    def colour(self, context: Context, y: jax.Array) -> jax.Array:
        """Compute z = m + W y [batch, d]."""
        return y if self.reference == "prior" else whitening.apply(context.mean, context.factor, y)

    def log_volume(self, context: Context) -> jax.Array:
        """Compute log det dz/dy [batch]."""
        if self.reference == "prior":
            return jnp.zeros(context.mean.shape[:1])
        return jnp.log(jnp.diagonal(context.factor, axis1=-2, axis2=-1)).sum(axis=-1)

    def residual(
        self, params, context: Context, y_t: jax.Array, log_snr: jax.Array, is_noise: bool = False
    ) -> jax.Array:
        """Evaluate r_theta(y_t, lambda | x).

        Args:
            params: those of the encoder, and of the decoder if `pressure`.
            context: the context of x.
            y_t: noised latents in the reference's coordinates, [batch, d].
            log_snr: lambda [batch].
            is_noise: whether alpha is 0 at lambda. The decoder's gradient is then asked for at y =
                0, where Newton steps may have asked already.

        Returns:
            [batch, d].
        """
        r, gate = self.network.apply(params["encoder"], context, y_t, log_snr)
        if self.reference == "prior":
            alpha2 = jax.nn.sigmoid(log_snr)
            r = r / jnp.sqrt(1 - alpha2 + alpha2 * self._square_width(context))[:, None]
        if self.landmarks:
            assert context.log_weight is not None, "a context of an encoder with landmarks has one"
            coarse = landmarks.coarse_residual(context.log_weight, y_t, log_snr)
            r += jnp.where(context.known[:, None], coarse, 0.0)
        if not self.pressure:
            return r
        y = alpha_sigma(log_snr)[0][:, None] * y_t

        def log_density(y):
            return self.log_posterior(params, context.x, self.colour(context, y)).sum()

        if is_noise and self.reference == "posterior" and context.slope is not None:
            rho = context.slope
        else:
            rho = y + jax.grad(log_density)(y)
        norm = jnp.sum(rho**2, axis=-1) / self.network.residual_bound**2
        return r + (jnp.where(context.known, gate, 0.0) / jnp.sqrt(1.0 + norm))[:, None] * rho

    def _square_width(self, context: Context) -> jax.Array:
        """w^2 [batch], the geometric mean of the fitted variances of z.

        The denoising loss does not train them.
        """
        log_variance = jnp.log(jnp.sum(jax.lax.stop_gradient(context.factor) ** 2, axis=-1))
        return jnp.exp(log_variance.mean(axis=-1))

    def velocity(
        self, params, context: Context, y_t: jax.Array, log_snr: jax.Array, is_noise: bool = False
    ) -> jax.Array:
        """Evaluate v_theta(y_t, lambda | x) = -sigma r, the v of `parameterization`.

        Args:
            params: as in `residual`.
            context: the context of x.
            y_t: noised latents in the reference's coordinates, [batch, d].
            log_snr: lambda [batch].
            is_noise: as in `residual`.

        Returns:
            [batch, d].
        """
        _, sigma = alpha_sigma(log_snr)
        return -sigma[:, None] * self.residual(params, context, y_t, log_snr, is_noise)

    def score_fn(self, params, context: Context) -> Callable:
        """Make the score of the encoder's diffusion, for samplers, entropy, guidance and path_kl.

        score(y_t, t) = grad log q_t(y_t|x) = -y_t + alpha r, in the reference's coordinates y, on
        the clock of `PROCESS` (phi = pi t / 2). It is finite at both ends, t = 0 and t = 1.
        Data of this diffusion are y = `whiten(context, z)`.

        Args:
            params: as in `residual`.
            context: the context of x, whose rows are those of y_t.

        Returns:
            score(y_t [batch, d], t [batch]) -> [batch, d].
        """

        def score(y_t, t):
            log_snr = PROCESS.log_snr(t)
            alpha, _ = alpha_sigma(log_snr)
            entropy_output = alpha[:, None] * self.residual(params, context, y_t, log_snr)
            return to_score(PROCESS, "entropy", entropy_output, y_t, t)

        return score

    def sample(self, key: jax.Array, params, context: Context, num_steps: int) -> jax.Array:
        """Sample z ~ q_theta(z|x) by the probability flow.

        Args:
            key: the key of the noise at the start.
            params: as in `residual`.
            context: the context of x.
            num_steps: number K of Heun steps; the evaluations are 2 K - 1.

        Returns:
            z [batch, d].
        """
        y = encoder_flow.sample_whitened(key, self, params, context, num_steps)
        return self.colour(context, y)

    def sample_and_log_prob(
        self, key: jax.Array, params, context: Context, num_steps: int
    ) -> tuple[jax.Array, jax.Array]:
        """Sample z [batch, d] with log q(z|x) [batch], see `encoder_flow.sample_and_log_prob`.

        The z are those of `sample` with the same key.
        """
        return encoder_flow.sample_and_log_prob(key, self, params, context, num_steps)

    def folds(self, key: jax.Array, params, context: Context, num_steps: int) -> jax.Array:
        """Tell whether the sampler folded the space [batch], see `encoder_flow.folds`."""
        return encoder_flow.folds(key, self, params, context, num_steps)

    def log_prob(self, params, context: Context, z: jax.Array, num_steps: int) -> jax.Array:
        """Evaluate log q(z|x) [batch] of any z [batch, d], see `encoder_flow.log_prob`."""
        return encoder_flow.log_prob(self, params, context, z, num_steps)
