"""A decoder p(x|z) that is a diffusion model of x, with z as its condition.

x diffuses by the variance-preserving process of width one, x_lambda = alpha x + sigma eps, and the
network's output v(x_lambda, lambda, z) stands for the score as in `parameterization`. Its denoising
loss bounds the likelihood, -log p(x|z) <= L(x; z), see `diffusion_bound`.

*z is seen at high noise only*, at lambda < split: the network is told nothing of z above it, and
the detail of x that any decoder of this kind can explain without z does not drown what z is for.
Where it is seen at every level and gamma = 1, z is left unused (see the notebook).

*What z says is used at every level all the same* (`sees_above`): above the split the decoder sees z
too, but as a constant, through which no gradient reaches the encoder. What z holds beyond x at the
split, nats that its rate has paid, is wasted otherwise.

*Two latents* (arXiv 2509.23937): the last `perceptual_dim` coordinates of z are seen above the
split and nowhere else, the others below it and nowhere else (but see `sees_above`, by which the
others are seen above it as constants). The others are to hold what x looks like at high noise,
which is what it shows; the last ones its detail.

*Levels can be weighted* (`weighting_bias`): w(lambda) = sigmoid(bias - lambda) in both integrals
bounds the likelihood of noised x in place of x's own. Its gradient and its curvature in z are those
of one function, as the unweighted ones are, so that all that asks a decoder goes on unchanged. A
split does the same to the encoder by a step: below it -L bounds log p(x_split|z). What is reported
is the unweighted bound, that of the decoder `bound`.

`observe` draws levels and noise once, and holds them: an observation is x with m pairs (lambda,
eps) below the split and m above it. `log_prob` of that observation is a deterministic function of
z, so all that compares several z of one x (weights, line searches, Metropolis ratios) does so by
common noise, and its differences have little variance. Averaged over observations, it is -L.

Shapes: x [batch, ...], z [batch, d]; all information is in nats.
"""

import dataclasses
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import init
from diffenc.diffusion import noise_levels, samplers
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.noise_levels import Levels
from diffenc.diffusion.parameterization import from_score, to_score
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import InputError
from diffenc.latent import diffusion_bound
from diffenc.latent.diffusion_bound import Terms
from diffenc.latent.observations import Noise, Observation, draw_noise, rows_of

PROCESS = VPCosine()
MEAN_DRAWS = 16  # noises, whose draws are averaged for E[x|z]


@dataclasses.dataclass(frozen=True)
class DiffusionDecoder:
    """p(x|z) by a diffusion of x.

    Raises InputError unless the two densities of levels meet at the split.

    Attributes:
        network: network.apply(params, x_lambda [n, ...], lambda [n], condition [n, d + 1]) -> v
            [n, ...]. The condition is (z, 1), zero for the coordinates that are not seen there;
            its last is 1 where any is.
        shape: of one example x.
        below: the density of lambda on [low, split].
        above: the density of lambda on [split, high]; None to see z at every level of `below`.
        draws: m, noise levels for each example and side of the split.
        sampler_steps: steps of the probability flow that draws x.
        perceptual_dim: how many of the coordinates of z, the last ones, are seen above the split,
            where the others are seen below it.
        sees_above: whether z is seen above the split as well.
        pulls_above: whether it has a gradient there, too.
        is_blind: whether no coordinate is seen anywhere: the same decoder without a latent.
        weighting_bias: of the weights of the levels, see `noise_levels.sigmoid_weight`; None where
            all weigh 1.
    """

    network: Any
    shape: tuple[int, ...]
    below: Levels
    above: Levels | None = None
    draws: int = 4
    sampler_steps: int = 50
    perceptual_dim: int = 0
    sees_above: bool = False
    pulls_above: bool = False
    is_blind: bool = False
    weighting_bias: float | None = None
    is_exact = False

    def __post_init__(self):
        if self.perceptual_dim and self.above is None:
            raise InputError("latents that are seen above the split need one: give levels above")
        if self.above is not None and self.above.low != self.below.high:
            raise InputError(
                f"z is seen up to lambda={self.below.high}, and levels above begin at "
                f"{self.above.low}: give both the same split"
            )

    @property
    def has_constants(self) -> bool:
        """Whether coordinates of z that no gradient moves are seen by what `about_latent` leaves.

        The gradient of `log_prob` is then not that of its values. Samplers by the gradient alone
        follow it; whatever weighs latents by values would let those coordinates move.
        """
        return bool(self.perceptual_dim and self.sees_above and not self.pulls_above)

    @property
    def bound(self) -> "DiffusionDecoder":
        """The same decoder with weights of 1: its `log_prob` is a draw of a bound of log p(x|z)."""
        return dataclasses.replace(self, weighting_bias=None)

    @property
    def high(self) -> float:
        """The largest lambda, where x is read off."""
        return (self.above or self.below).high

    def init(self, key: jax.Array, latent_dim: int):
        """Make the parameters of the network."""
        x = np.zeros((1, *self.shape), np.float32)
        condition = np.zeros((1, latent_dim + 1), np.float32)
        return init(self.network, key, x, np.zeros(1, np.float32), condition)

    def observe(self, key: jax.Array, x: jax.Array) -> Observation:
        """Draw the noise by which x [batch, ...], flat or in shape, is looked at.

        It is stratified over the batch.
        """
        x = x.reshape(len(x), *self.shape)
        key_below, key_above = jax.random.split(key)
        above = None
        if self.above is not None:
            above = self._weigh(draw_noise(key_above, x, self.above, self.draws))
        return Observation(x, self._weigh(draw_noise(key_below, x, self.below, self.draws)), above)

    def _weigh(self, noise: Noise) -> Noise:
        """Divide the density, by which errors are divided, by the weight of each level."""
        if self.weighting_bias is None:
            return noise
        weight = noise_levels.sigmoid_weight(noise.log_snr, self.weighting_bias)
        return noise.replace(density=noise.density / weight)

    def about_latent(self, observation: Observation) -> Observation:
        """Drop what has no gradient in z: `log_prob` then misses the term above the split."""
        depends = self.perceptual_dim or self.pulls_above
        return observation if depends else observation.replace(above=None)

    def log_prob(self, params, observation: Observation, z: jax.Array) -> jax.Array:
        """Evaluate the draw -L(x; z) of a lower bound of log p(x|z).

        Args:
            params: of the network.
            observation: of x.
            z: latents [batch, d].

        Returns:
            [batch], in nats.
        """
        return -jax.tree.reduce(operator.add, self.terms(params, observation, z))

    def terms(self, params, observation: Observation, z: jax.Array) -> Terms:
        """Evaluate the parts of a draw of L(x; z), see `log_prob`."""
        velocities = self._velocities(params, observation, z)
        return diffusion_bound.terms(observation, velocities, self.below.low, self.high)

    def errors(self, params, observation: Observation, z: jax.Array) -> tuple[Noise, jax.Array]:
        """Evaluate 1/2 alpha^2 |v - v_phi|^2 at each noise of the observation.

        Args:
            params: of the network.
            observation: of x.
            z: latents [batch, d].

        Returns:
            The noise, k = m levels of one side of the split or 2 m of both, whose density is that
            of all; and the errors [batch, k] in nats per unit of lambda.
        """
        sides = [noise for noise, _ in observation.sides()]
        velocities = self._velocities(params, observation, z)
        errors = [
            diffusion_bound.errors(observation.x, noise, v)
            for noise, v in zip(sides, velocities, strict=True)
        ]
        noise = jax.tree.map(lambda *a: jnp.concatenate(a, axis=1), *sides)
        density = noise.density / len(sides)
        return noise.replace(density=density), jnp.concatenate(errors, axis=1)

    def _condition(self, z: jax.Array, is_below: bool) -> jax.Array:
        """Give (z, 1) [n, d + 1], with zeros for what is not seen on this side of the split."""
        dim = z.shape[-1]
        first_perceptual = dim - self.perceptual_dim
        is_semantic = np.arange(dim) < first_perceptual
        seen = is_semantic if is_below else ~is_semantic
        if self.sees_above and not is_below:
            seen = np.ones(dim, bool)
            if not self.pulls_above:
                constant = jax.lax.stop_gradient(z)
                # By itself where all of z is one, so that no backward pass asks for zeros.
                z = jnp.where(is_semantic[None], constant, z) if self.perceptual_dim else constant
        seen = np.append(seen, seen.any()) & (not self.is_blind)
        wide = jnp.concatenate([z, jnp.ones_like(z[:, :1])], axis=-1)
        return wide * seen.astype(np.float32)[None]

    def _velocities(self, params, observation: Observation, z: jax.Array) -> list[jax.Array]:
        """Evaluate v_phi at the noise of each side, one row for each noise."""
        velocities = []
        for noise, is_below in observation.sides():
            rows = rows_of(observation.x, noise)
            condition = jnp.repeat(self._condition(z, is_below), noise.density.shape[1], axis=0)
            velocities.append(self.network.apply(params, rows.x_t, rows.log_snr, condition))
        return velocities

    def curvature_draw(
        self, key: jax.Array, params, observation: Observation, z: jax.Array
    ) -> jax.Array:
        """Draw s [batch, d] with E[s s^T] = the Gauss-Newton Hessian of L in z.

        s = sum_j sqrt(alpha_j^2 / (m density_j)) J_j^T xi_j, with J_j = dv_phi/dz at noise j of
        the observation and xi_j ~ N(0, I): L is half a sum of squares, so its Hessian is sum_j
        alpha_j^2 / (m density_j) J_j^T J_j but for the curvature of v itself. One product with the
        transposed Jacobian; no x is sampled.

        Args:
            key: of xi.
            params: of the network.
            observation: of x.
            z: latents [batch, d].
        """
        observation = self.about_latent(observation)
        return jax.grad(lambda z: self.log_prob_and_probe(key, params, observation, z)[1])(z)

    def log_prob_and_probe(
        self, key: jax.Array, params, observation: Observation, z: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Evaluate `log_prob`, and a number whose gradient in z is a `curvature_draw`.

        Both are functions of the same v_phi. So one `jax.vjp` of the pair evaluates the network
        once for the gradients of both.

        Args:
            key: of xi.
            params: of the network.
            observation: of x.
            z: latents [batch, d].

        Returns:
            log_prob [batch] in nats, and sum_j sqrt(alpha_j^2 / (m density_j)) <xi_j, v_phi,j>,
            summed over the batch [].
        """
        velocities = self._velocities(params, observation, z)
        terms = diffusion_bound.terms(observation, velocities, self.below.low, self.high)
        log_prob = -jax.tree.reduce(operator.add, terms)
        probe = jnp.zeros(())
        # Above the split there is nothing to probe where no gradient of z comes from there.
        moving = self.about_latent(observation).sides()
        for (noise, _), v in zip(moving, velocities, strict=False):
            rows = rows_of(observation.x, noise)
            weight = rows.alpha / jnp.sqrt(noise.density.reshape(-1) * noise.density.shape[1])
            key, key_xi = jax.random.split(key)
            xi = expand(weight, rows.x) * jax.random.normal(key_xi, rows.x.shape)
            probe += jnp.sum(xi * v)
        return log_prob, probe

    def score_fn(self, params, z: jax.Array):
        """Make the score of x_t given z, for samplers, on the clock of `PROCESS`.

        Args:
            params: of the network.
            z: latents, whose rows are those of x_t.

        Returns:
            score(x_t [batch, ...], t [batch]) -> [batch, ...].
        """

        def score(x_t, t):
            log_snr = PROCESS.log_snr(t)
            condition = self._condition(z, True)
            if self.above is not None:
                is_below = (log_snr < self.above.low)[:, None]
                condition = jnp.where(is_below, condition, self._condition(z, False))
            v = self.network.apply(params, x_t, log_snr, condition)
            return to_score(PROCESS, "v", v, x_t, t)

        return score

    def mean(self, params, z: jax.Array) -> jax.Array:
        """Estimate E[x|z] [batch, D]: the mean of draws from MEAN_DRAWS noises, the same for all z.

        They come in pairs x_1 and -x_1, of which the errors cancel where x is linear in its noise.
        Their own scatter adds (1 + r) / MEAN_DRAWS of the variance of x given z to a squared error,
        where r in [-1, 1] is the correlation of the two of a pair.
        """
        half = jax.random.normal(jax.random.key(0), (MEAN_DRAWS // 2, *self.shape))

        def draw(x_1):
            x_1 = jnp.broadcast_to(x_1[None], (len(z), *self.shape))
            return self.decode(params, z, x_1) + self.decode(params, z, -x_1)

        return jax.lax.map(draw, half).mean(axis=0) / 2

    def sample(self, key: jax.Array, params, z: jax.Array) -> jax.Array:
        """Draw x ~ p(x|z) [batch, D] by the probability flow from noise."""
        return self.decode(params, z, jax.random.normal(key, (len(z), *self.shape)))

    def decode(self, params, z: jax.Array, x_1: jax.Array) -> jax.Array:
        """Follow the probability flow from noise to data, a deterministic function of both.

        Args:
            params: of the network.
            z: latents [batch, d].
            x_1: standard normal [batch, ...].

        Returns:
            E[x|x_high] [batch, D], flat as the samples of all decoders.
        """
        score = self.score_fn(params, z)
        x = samplers.probability_flow(score, PROCESS, x_1, self.sampler_steps, self._first_time)
        t = jnp.full(len(x), self._first_time)
        return from_score(PROCESS, "x0", score(x, t), x, t).reshape(len(x), -1)

    def invert(self, params, z: jax.Array, x: jax.Array) -> jax.Array:
        """Follow the probability flow from data to the noise x_1 that `decode` leads back from.

        What a reconstruction from it has more than one from random noise is not in z.

        Args:
            params: of the network.
            z: latents [batch, d].
            x: data [batch, ...], flat or in shape.

        Returns:
            x_1 [batch, ...].
        """
        x = x.reshape(len(x), *self.shape)
        score = self.score_fn(params, z)
        return samplers.inverse_flow(score, PROCESS, x, self.sampler_steps, self._first_time)

    @property
    def _first_time(self) -> float:
        """PROCESS.time of the largest lambda; not traced."""
        return float(np.arctan(np.exp(-0.5 * self.high)) * 2 / np.pi)
