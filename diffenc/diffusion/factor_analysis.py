"""Factor analysis: a latent model whose densities and scores are all known in closed form.

Densities are in nats, summed over dimensions. Products of matrices are exact to float32, and what
is called by itself is compiled to one program, as in `gaussians`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from diffenc.diffusion.gaussians import LOG_2PI, Gaussian, exact, jit_for_n
from diffenc.diffusion.linear_process import Process, expand
from diffenc.errors import InputError


@struct.dataclass
class FactorAnalysis:
    """A latent model whose every arrow is Gaussian.

    x = W z + mean + tau n,  z ~ N(0, I_d),  n ~ N(0, I_D). Its methods raise InputError where
    shapes do not fit.

    Attributes:
        weight: W [D, d].
        mean: [D].
        noise_std: tau, a scalar (probabilistic PCA, Tipping & Bishop 1999) or [D] (factor
            analysis).
    """

    weight: jax.Array
    mean: jax.Array
    noise_std: jax.Array | float

    def _check(self):
        shape = jnp.shape(self.weight)
        mean = jnp.shape(self.mean)
        noise = jnp.shape(self.noise_std)
        if len(shape) != 2 or mean != shape[:1] or noise not in ((), shape[:1]):
            shapes = f"{shape}, {mean}, {noise}"
            raise InputError(
                f"weight, mean, noise_std have shapes {shapes}: "
                "give [D, d], [D] and a scalar or [D]"
            )

    def _noise_stds(self):
        return jnp.broadcast_to(jnp.asarray(self.noise_std, self.mean.dtype), self.mean.shape)

    def _precision(self, gamma):
        """Compute W^T Psi^-1 W / gamma + I, and W^T Psi^-1 / gamma, with Psi = diag(tau^2)."""
        self._check()
        if isinstance(gamma, int | float) and not gamma > 0:
            raise InputError(f"gamma={gamma}: give a positive number, 1 for the posterior itself")
        pull = (self.weight / jnp.square(self._noise_stds())[:, None]).T / gamma
        return jnp.eye(self.weight.shape[1], dtype=self.weight.dtype) + pull @ self.weight, pull

    @jax.jit
    @exact
    def marginal(self) -> Gaussian:
        """Give p(x) = N(mean, W W^T + diag(tau^2))."""
        self._check()
        return Gaussian(
            self.mean, self.weight @ self.weight.T + jnp.diag(jnp.square(self._noise_stds()))
        )

    @jit_for_n
    @exact
    def sample(self, key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
        """Draw n independent pairs.

        Args:
            key: the key of z and of the noise.
            n: number of pairs.

        Returns:
            x [n, D] and z [n, d].
        """
        self._check()
        key_z, key_noise = jax.random.split(key)
        z = jax.random.normal(key_z, (n, self.weight.shape[1]), self.weight.dtype)
        noise = jax.random.normal(key_noise, (n, self.weight.shape[0]), self.weight.dtype)
        return z @ self.weight.T + self.mean[None] + self._noise_stds()[None] * noise, z

    @jax.jit
    def log_prob(self, x: jax.Array) -> jax.Array:
        """Evaluate log p(x) in nats at x [batch, D]: [batch]."""
        return self.marginal().log_prob(x)

    @jax.jit
    @exact
    def log_likelihood(self, x: jax.Array, z: jax.Array) -> jax.Array:
        """Evaluate log p(x|z) in nats at x [batch, D] and z [batch, d]: [batch]."""
        self._check()
        stds = self._noise_stds()[None]
        residual = (x - z @ self.weight.T - self.mean[None]) / stds
        return -jnp.sum(0.5 * jnp.square(residual) + jnp.log(stds) + 0.5 * LOG_2PI, axis=1)

    @exact
    def posterior(self, x: jax.Array, gamma: float = 1.0) -> tuple[jax.Array, jax.Array]:
        """Compute the tempered posterior, proportional to p(z) p(x|z)^(1/gamma).

        cov = (I + W^T Psi^-1 W / gamma)^-1, mean = cov W^T Psi^-1 (x - mean) / gamma (Bishop 2006,
        2.113-2.117, with noise of variance gamma Psi); gamma = 1 is the posterior.

        Args:
            x: data [batch, D].
            gamma: the temperature.

        Returns:
            The mean [batch, d] and the covariance [d, d], which is the same for every x.

        Raises:
            InputError: if gamma <= 0.
        """
        precision, pull = self._precision(gamma)
        cov = jnp.linalg.inv(precision)
        return (x - self.mean[None]) @ (cov @ pull).T, 0.5 * (cov + cov.T)

    def posterior_score(
        self, process: Process, z_t: jax.Array, t: jax.Array, x: jax.Array, gamma: float = 1.0
    ) -> jax.Array:
        """Compute grad log q_t(z_t|x) of the diffused (tempered) posterior.

        Args:
            process: the forward process of z.
            z_t: noised latents [batch, d].
            t: a scalar or [batch].
            x: data [batch, D].
            gamma: the temperature.

        Returns:
            [batch, d].

        Raises:
            InputError: if gamma <= 0.
        """
        mean, cov = self.posterior(x, gamma)
        centred = z_t - expand(process.alpha(t), z_t) * mean
        return Gaussian(jnp.zeros_like(cov[0]), cov).score(process, centred, t)

    @classmethod
    def maximum_likelihood(cls, x: np.ndarray, d: int) -> "FactorAnalysis":
        """Fit the model of highest likelihood with one noise level, in closed form.

        W = U_d (L_d - tau^2 I)^(1/2) from the leading eigenvectors of the sample covariance
        (divisor N), tau^2 the mean of the other eigenvalues (Tipping & Bishop 1999); computed in
        float64.

        Args:
            x: data [N, D].
            d: number of latents.

        Returns:
            The model.

        Raises:
            InputError: unless 1 <= d < D and x has variance outside d dimensions.
        """
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or not 1 <= d < x.shape[1]:
            raise InputError(f"x has shape {x.shape} and d={d}: give x [N, D] and 1 <= d < D")
        mean = x.mean(axis=0)
        variances, axes = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        noise_variance = variances[:-d].mean()
        if not noise_variance > 1e-12 * variances[-1]:
            raise InputError(
                f"x has no variance outside {d} dimensions: "
                f"use a smaller d or more than {len(x)} rows"
            )
        weight = axes[:, -d:] * np.sqrt(variances[-d:] - noise_variance)
        return cls(
            jnp.asarray(weight[:, ::-1]), jnp.asarray(mean), jnp.asarray(np.sqrt(noise_variance))
        )
