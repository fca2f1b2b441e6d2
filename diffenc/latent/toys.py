"""Toy models z ~ N(0, I), x = g(z) + noise_std n, with curved or multimodal posteriors p(z|x).

The latent has one or two dimensions, so everything about the posterior is known by quadrature, see
`posterior_grid`. A toy has the interface of the decoders, with no parameters. Moduli are rounded at
the origin, |z| -> sqrt(|z|^2 + 0.1^2), so that every g is analytic: chains have a gradient
everywhere, and the midpoint rule converges exponentially once a cell is smaller than the noise and
the rounding. With the default grid log p(x) is within 1e-5 of its limit (a test doubles the
points). Shapes: x [batch, D], z [batch, d].
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.gaussians import LOG_2PI
from diffenc.errors import InputError

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
_TOYS: dict[str, tuple[int, float, Callable[[jax.Array], jax.Array]]] = {
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

        Raises:
            InputError: for x or z of other dimensions than the toy's.
        """
        if observation.shape[1:] != (self.data_dim,) or z.shape[1:] != (self.latent_dim,):
            raise InputError(
                f"x has shape {observation.shape} and z {z.shape}: the toy {self.name!r} needs "
                f"[batch, {self.data_dim}] and [batch, {self.latent_dim}]"
            )
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
