"""Toy models z ~ N(0, I), x = g(z) + noise_std n, with curved or multimodal posteriors p(z|x).

The latent has one or two dimensions, so everything about the posterior is known by quadrature on a
grid: log p(x), the density p(z|x), and its divergence from any density, be it the best Gaussian or
an encoder's. A toy has the interface of the decoders, with no parameters. Moduli are rounded at the
origin, |z| -> sqrt(|z|^2 + 0.1^2), so that every g is analytic: chains have a gradient everywhere,
and the midpoint rule converges exponentially once a cell is smaller than the noise and the
rounding. With the default grid log p(x) is within 1e-5 of its limit (a test doubles the points).

Shapes: x [batch, D], z [batch, d], the n points of a grid [n, d], densities on it [batch, n], which
need as much memory. All information is in nats, and products are in full float32 precision.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.analytic import LOG_2PI, Gaussian
from diffenc.errors import InputError
from diffenc.latent.decoders import check_exact, log_joint, log_prior, log_prob_pairs

ROUNDING = 0.1


def _modulus(z, rounding=ROUNDING):
    """sqrt(|z|^2 + rounding^2) [batch, 1]."""
    return jnp.sqrt(jnp.sum(z**2, axis=-1, keepdims=True) + rounding**2)


def _pinwheel(z, twist=1.0, rounding=0.4):
    """(cos, sin) of 4 (angle - twist radius), shrunk to zero at the origin: four turning arms."""
    radius = _modulus(z, rounding)
    cos, sin = jnp.split(z / radius, 2, axis=-1)
    for _ in range(2):  # each turn doubles the angle
        cos, sin = cos**2 - sin**2, 2 * cos * sin
    turn_cos, turn_sin = jnp.cos(4 * twist * radius), jnp.sin(4 * twist * radius)
    return jnp.concatenate(
        [cos * turn_cos + sin * turn_sin, sin * turn_cos - cos * turn_sin], axis=-1
    )


def _two_components(z):
    """(2 |z_1|, z_2 + tanh(4 z_1)): two components at +-1, equal but for that shift."""
    first, second = jnp.split(z, 2, axis=-1)
    return jnp.concatenate([2 * _modulus(first), second + jnp.tanh(4 * first)], axis=-1)


# name: (latent dimension, noise standard deviation, g)
_TOYS = {
    "absolute": (1, 0.1, _modulus),
    "ring": (2, 0.1, _modulus),
    "pinwheel": (2, 0.4, _pinwheel),
    "two_components": (2, 0.5, _two_components),
}


@dataclasses.dataclass(frozen=True)
class Toy:
    """p(x|z) = N(x; g(z), noise_std^2 I) with a fixed g, an exact decoder without parameters.

    absolute         g = |z|, d = 1. The posterior has two equal modes.
    ring             g = |z|, d = 2. The posterior is a ring.
    pinwheel         g = (cos, sin) of four times the angle less the radius, d = 2. The posterior
                     has four twisted arms.
    two_components   g = (2 |z_1|, z_2 + tanh(4 z_1)), d = 2. Whether z_1 > 0 shifts the law of x_2,
                     and the noise leaves it in doubt: two unequal modes.

    Attributes:
        name: of g.
        latent_dim: d.
        noise_std: standard deviation of the noise.
    """

    name: str
    latent_dim: int
    noise_std: float
    is_exact = True

    @property
    def data_dim(self) -> int:
        """The number D of data dimensions."""
        return jax.eval_shape(
            _TOYS[self.name][2], jax.ShapeDtypeStruct((1, self.latent_dim), jnp.float32)
        ).shape[1]

    def init(self, key: jax.Array, latent_dim: int) -> dict:
        """Make no parameters; raise an InputError if latent_dim is not the toy's."""
        if latent_dim != self.latent_dim:
            raise InputError(
                f"latent_dim={latent_dim}: the toy {self.name!r} has {self.latent_dim}"
            )
        return {}

    def mean(self, params, z: jax.Array) -> jax.Array:
        """Compute g(z) [batch, D]."""
        return _TOYS[self.name][2](z)

    def observe(self, key: jax.Array | None, x: jax.Array) -> jax.Array:
        """Return x: the likelihood is exact, and nothing is drawn."""
        return x

    def log_prob(self, params, observation: jax.Array, z: jax.Array) -> jax.Array:
        """Evaluate log p(x|z).

        Args:
            params: {}.
            observation: x [batch, D].
            z: latents [batch, d].

        Returns:
            [batch], in nats.
        """
        error = (observation - self.mean(params, z)) / self.noise_std
        log_scale = math.log(self.noise_std) + 0.5 * LOG_2PI
        return -0.5 * jnp.sum(error**2, axis=-1) - observation.shape[-1] * log_scale

    def sample(self, key: jax.Array, params, z: jax.Array) -> jax.Array:
        """Draw x ~ p(x|z) [batch, D]."""
        mean = self.mean(params, z)
        return mean + self.noise_std * jax.random.normal(key, mean.shape, mean.dtype)


def make(name: str) -> Toy:
    """Make the toy of that name; raise an InputError if there is none."""
    if name not in _TOYS:
        raise InputError(f"there is no toy {name!r}: choose one of {', '.join(_TOYS)}")
    latent_dim, noise_std, _ = _TOYS[name]
    return Toy(name, latent_dim, noise_std)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Equal cells that fill the box [-half_width, half_width]^d.

    Attributes:
        latent_dim: d.
        half_width: of the box.
        num_points: number of cells along each axis.
    """

    latent_dim: int
    half_width: float = 5.0
    num_points: int = 200

    @property
    def width(self) -> float:
        """The side of a cell."""
        return 2 * self.half_width / self.num_points

    @property
    def volume(self) -> float:
        """The volume of a cell."""
        return self.width**self.latent_dim

    def points(self) -> jax.Array:
        """Compute the centres of the n = num_points^d cells [n, d]; the last axis runs fastest."""
        axis = self.width * (jnp.arange(self.num_points) - 0.5 * (self.num_points - 1))
        coordinates = jnp.meshgrid(*[axis] * self.latent_dim, indexing="ij")
        return jnp.stack(coordinates, axis=-1).reshape(-1, self.latent_dim)


def _grid_log_joint(decoder, params, grid, x):
    """Evaluate log p(x, z) at every point [batch, n]."""
    check_exact(decoder, "a posterior on a grid")
    if isinstance(decoder, Toy):
        shape = (decoder.data_dim,)
        if grid.latent_dim != decoder.latent_dim or x.shape[1:] != shape:
            raise InputError(
                f"x has shape {x.shape} and the grid dimension {grid.latent_dim}: "
                f"the toy {decoder.name!r} needs "
                f"[batch, {decoder.data_dim}] and {decoder.latent_dim}"
            )
    z = grid.points()
    with jax.default_matmul_precision("highest"):
        log_p = log_prob_pairs(decoder, params, decoder.observe(None, x), z)
    return (log_p + log_prior(z)[:, None]).T


def log_marginal(decoder, grid: Grid, x: jax.Array, params=None) -> jax.Array:
    """Compute log p(x) = log int p(z) p(x|z) dz by the midpoint rule.

    Args:
        decoder: a toy, or any exact decoder.
        grid: cells that hold the posterior of each x.
        x: data [batch, ...].
        params: of the decoder; a toy has none.

    Returns:
        [batch], in nats.

    Raises:
        InputError: for a toy and a grid or x of other dimensions, or an inexact decoder.
    """
    log_joint_of_cells = _grid_log_joint(decoder, params or {}, grid, x)
    return jax.nn.logsumexp(log_joint_of_cells, axis=1) + math.log(grid.volume)


def posterior(decoder, grid: Grid, x: jax.Array, params=None) -> jax.Array:
    """Compute log p(z|x) at every point of a grid, of total mass one.

    Args:
        decoder: a toy, or any exact decoder.
        grid: cells that hold the posterior of each x.
        x: data [batch, ...].
        params: of the decoder; a toy has none.

    Returns:
        [batch, n].

    Raises:
        InputError: for a toy and a grid or x of other dimensions, or an inexact decoder.
    """
    log_joint_of_cells = _grid_log_joint(decoder, params or {}, grid, x)
    return jax.nn.log_softmax(log_joint_of_cells, axis=1) - math.log(grid.volume)


def posterior_kl(log_posterior: jax.Array, log_q: jax.Array, volume: float) -> jax.Array:
    """Compute KL(p || q) = sum p (log p - log q) volume, where p is the exact posterior.

    In this direction a mode that q misses costs. (For factor analysis
    `experiments.diffusion_encoder` reports KL(q || p), the gap of a bound.)

    Args:
        log_posterior: log p at the points of a grid [batch, n].
        log_q: log q there [batch, n].
        volume: of a cell.

    Returns:
        [batch], in nats.
    """
    p = jnp.exp(log_posterior)
    return volume * jnp.sum(jnp.where(p > 0, p * (log_posterior - log_q), 0.0), axis=1)


def posterior_kl_by_draws(
    key: jax.Array,
    decoder,
    grid: Grid,
    x: jax.Array,
    log_prob_fn: Callable,
    num_draws: int,
    params=None,
) -> jax.Array:
    """Estimate KL(p(z|x) || q) without bias, from exact posterior draws.

    It serves a q whose density is too costly to evaluate in every cell. Draws are those of
    `sample_posterior`, weighted by p(z|x) over the density of their cell, so that the size of the
    cells does no harm. Where q is close to p, log p - log q is small and so is the variance.

    Args:
        key: a random key.
        decoder: a toy, or any exact decoder.
        grid: cells that hold the posterior of each x.
        x: data [batch, ...].
        log_prob_fn: z [batch, d] -> log q(z|x) [batch], one z for each x.
        num_draws: draws of z for each x.
        params: of the decoder; a toy has none.

    Returns:
        [batch], in nats.
    """
    log_cells = posterior(decoder, grid, x, params)
    log_p_x = log_marginal(decoder, grid, x, params)
    z = sample_posterior(key, log_cells, grid, num_draws)
    cell = jnp.clip(
        jnp.floor((z + grid.half_width) / grid.width).astype(int), 0, grid.num_points - 1
    )
    index = cell @ (grid.num_points ** jnp.arange(grid.latent_dim - 1, -1, -1))
    log_cell = jnp.take_along_axis(log_cells, index, axis=1)

    def of_draw(inputs):
        z, log_cell = inputs
        log_p = log_joint(decoder, params or {}, decoder.observe(None, x), z) - log_p_x
        return jnp.exp(log_p - log_cell) * (log_p - log_prob_fn(z))

    with jax.default_matmul_precision("highest"):
        return jax.lax.map(of_draw, (jnp.moveaxis(z, 1, 0), log_cell.T)).mean(axis=0)


def encoder_log_prob(
    encoder, params, grid: Grid, x: jax.Array, num_steps: int, chunk: int = 1024
) -> tuple[jax.Array, jax.Array]:
    """Evaluate log q(z|x) of an encoder at every point of a grid.

    Args:
        encoder: with `infer` and `log_prob` as in `diffenc.latent.encoder`.
        params: {"encoder", "decoder"}.
        grid: the cells.
        x: data [batch, ...].
        num_steps: steps of the encoder's flow.
        chunk: the encoder sees batch * chunk latents at a time.

    Returns:
        log q(z|x) [batch, n], and the mass of q on the grid [batch]. A mass of one says that the
        density is normalized, inside the box, and resolved by the cells. Too few steps of a flow
        that folds the space show here.
    """
    z = grid.points()
    n = len(z)
    chunk = min(chunk, n)
    # The last chunk is filled up with the last point.
    rows = jnp.minimum(jnp.arange(-(-n // chunk) * chunk), n - 1)

    def chunk_log_prob(z):
        return encoder.log_prob(params, context, jnp.tile(z, (len(x), 1)), num_steps).reshape(
            len(x), chunk
        )

    with jax.default_matmul_precision("highest"):
        context = encoder.infer(params, x)
        context = jax.tree.map(lambda leaf: jnp.repeat(leaf, chunk, axis=0), context)
        parts = jax.lax.map(chunk_log_prob, z[rows].reshape(-1, chunk, grid.latent_dim))
    log_q = jnp.moveaxis(parts, 0, 1).reshape(len(x), -1)[:, :n]
    return log_q, grid.volume * jnp.sum(jnp.exp(log_q), axis=1)


def posterior_moments(log_posterior: jax.Array, grid: Grid) -> tuple[jax.Array, jax.Array]:
    """Compute the moments of a density on a grid.

    Args:
        log_posterior: the log density [batch, n].
        grid: the cells.

    Returns:
        Mean [batch, d] and covariance [batch, d, d].
    """
    z = grid.points()
    weight = grid.volume * jnp.exp(log_posterior)
    with jax.default_matmul_precision("highest"):
        mean = weight @ z
        centred = z[None] - mean[:, None]
        return mean, jnp.einsum("bn,bni,bnj->bij", weight, centred, centred)


def best_gaussian_kl(log_posterior: jax.Array, grid: Grid) -> jax.Array:
    """Compute KL(p || N(m, C)) [batch] with the mean and covariance of p.

    This is the least divergence over all Gaussians. It is the entropy of that Gaussian less that of
    p, since E_p log N(z; m, C) depends on the moments of p only.
    """
    entropy = jax.vmap(lambda mean, cov: Gaussian(mean, cov).entropy())(
        *posterior_moments(log_posterior, grid)
    )
    return entropy + posterior_kl(log_posterior, jnp.zeros_like(log_posterior), grid.volume)


def sample_posterior(
    key: jax.Array, log_posterior: jax.Array, grid: Grid, num_samples: int
) -> jax.Array:
    """Draw a cell by its mass, then z uniformly in the cell, so that variances gain width^2 / 12.

    Args:
        key: a random key.
        log_posterior: the log density [batch, n].
        grid: the cells.
        num_samples: draws of each row.

    Returns:
        z [batch, num_samples, d].
    """
    key_cell, key_jitter = jax.random.split(key)
    z = grid.points()

    def draw(key, log_p):
        return z[jax.random.choice(key, len(z), (num_samples,), p=jnp.exp(log_p))]

    cells = jax.vmap(draw)(jax.random.split(key_cell, len(log_posterior)), log_posterior)
    return cells + grid.width * jax.random.uniform(key_jitter, cells.shape, z.dtype, -0.5, 0.5)
