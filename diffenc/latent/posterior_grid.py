"""The exact posterior p(z|x) of a latent of one or two dimensions, by quadrature on a grid.

Known are log p(x), the density p(z|x), and its divergence from any density, be it the best Gaussian
or an encoder's, for every exact decoder and for `toys`.

Shapes: x [batch, ...], z [batch, d], the n points of a grid [n, d], densities on it [batch, n],
which need as much memory. All information is in nats, and products are in full float32 precision.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.gaussians import Gaussian
from diffenc.latent.decoders import check_exact, log_joint, log_prior, log_prob_pairs


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

    @functools.partial(jax.jit, static_argnums=0)
    def points(self) -> jax.Array:
        """Compute the centres of the n = num_points^d cells [n, d]; the last axis runs fastest."""
        axis = self.width * (jnp.arange(self.num_points) - 0.5 * (self.num_points - 1))
        coordinates = jnp.meshgrid(*[axis] * self.latent_dim, indexing="ij")
        return jnp.stack(coordinates, axis=-1).reshape(-1, self.latent_dim)


def _grid_log_joint(decoder, params, grid, x):
    """Evaluate log p(x, z) at every point [batch, n]."""
    check_exact(decoder, "a posterior on a grid")
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


@functools.partial(jax.jit, static_argnums=1)
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
