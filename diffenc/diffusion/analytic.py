"""Densities that know their score, entropy and samples at every diffusion time.

They are the truth to test estimators against.

Under x_t = alpha x_0 + sigma eps a Gaussian N(m, C) becomes N(alpha m, alpha^2 C + sigma^2 I), and
a mixture of Gaussians, or a linear Gaussian latent model, goes with it component by component. All
densities are in nats, summed over dimensions. The objects are pytrees of arrays; shapes are checked
where they are used, since transformations also build such trees around other leaves. Products of
matrices are exact to float32, which accelerators give only when asked for it.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.diffusion.processes import Process, expand
from diffenc.errors import InputError

LOG_2PI = math.log(2 * math.pi)
exact = jax.default_matmul_precision("highest")  # decorates what multiplies matrices


@struct.dataclass
class Gaussian:
    """N(mean, cov).

    Its methods raise InputError where shapes do not fit.

    Attributes:
        mean: [D].
        cov: [D, D], positive definite.
    """

    mean: jax.Array
    cov: jax.Array

    def _check(self):
        _check_square("cov", self.cov, self.mean)

    @exact
    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """Draw n independent x, [n, D]."""
        self._check()
        noise = jax.random.normal(key, (n, *self.mean.shape), self.mean.dtype)
        return noise @ jnp.linalg.cholesky(self.cov).T + self.mean[None]

    @exact
    def log_prob(self, x: jax.Array) -> jax.Array:
        """Evaluate log N(x; mean, cov) in nats at x [batch, D]: [batch]."""
        self._check()
        factor = jnp.linalg.cholesky(self.cov)
        white = jax.scipy.linalg.solve_triangular(factor, (x - self.mean[None]).T, lower=True)
        log_det = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return -0.5 * jnp.sum(jnp.square(white), axis=0) - log_det - 0.5 * self.mean.size * LOG_2PI

    def second_moment(self) -> jax.Array:
        """Compute E|x|^2."""
        self._check()
        return jnp.trace(self.cov) + jnp.sum(jnp.square(self.mean))

    def entropy(self) -> jax.Array:
        """Compute the differential entropy 1/2 log det(2 pi e cov), in nats."""
        self._check()
        return 0.5 * (self.mean.size * (1 + LOG_2PI) + jnp.linalg.slogdet(self.cov)[1])

    def diffused(self, process: Process, t: jax.Array) -> "Gaussian":
        """Give the density of x_t, N(alpha mean, alpha^2 cov + sigma^2 I), at a scalar t."""
        self._check()
        alpha = process.alpha(t)
        sigma = process.sigma(t)
        noise = jnp.square(sigma) * jnp.eye(self.mean.size, dtype=self.cov.dtype)
        return Gaussian(alpha * self.mean, jnp.square(alpha) * self.cov + noise)

    @exact
    def score(self, process: Process, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute grad log p_t(x) = -(alpha^2 cov + sigma^2 I)^-1 (x - alpha mean).

        Args:
            process: the forward process.
            x: points [batch, D].
            t: a scalar or [batch].

        Returns:
            [batch, D].
        """
        self._check()
        alpha = expand(process.alpha(t), x)
        sigma = expand(process.sigma(t), x)
        variances, axes = jnp.linalg.eigh(self.cov)
        along = (x - alpha * self.mean[None]) @ axes
        return -(along / (jnp.square(alpha) * variances[None] + jnp.square(sigma))) @ axes.T


@struct.dataclass
class GaussianMixture:
    """The mixture sum_k w_k N(means_k, covs_k).

    Its methods raise InputError where shapes do not fit.

    Attributes:
        log_weights: [K], normalized here.
        means: [K, D].
        covs: [K, D, D].
    """

    log_weights: jax.Array
    means: jax.Array
    covs: jax.Array

    def _check(self):
        _check_square("covs", self.covs, self.means)
        if jnp.shape(self.log_weights) != jnp.shape(self.means)[:1]:
            shapes = f"{jnp.shape(self.log_weights)} but means has {jnp.shape(self.means)}"
            raise InputError(f"log_weights has shape {shapes}: give one weight for each mean")

    @classmethod
    def isotropic(
        cls, log_weights: jax.Array, means: jax.Array, stds: jax.Array
    ) -> "GaussianMixture":
        """Make the mixture with covariances stds_k^2 I.

        Args:
            log_weights: [K].
            means: [K, D].
            stds: [K].

        Returns:
            The mixture.
        """
        eye = jnp.eye(means.shape[1], dtype=means.dtype)
        return cls(log_weights, means, jnp.square(stds)[:, None, None] * eye[None])

    def components(self) -> Gaussian:
        """Give the components as one `Gaussian` for `jax.vmap`, with a leading axis [K]."""
        self._check()
        return Gaussian(self.means, self.covs)

    @exact
    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """Draw n independent x, [n, D]."""
        self._check()
        key_component, key_noise = jax.random.split(key)
        chosen = jax.random.categorical(key_component, self.log_weights, shape=(n,))
        noise = jax.random.normal(key_noise, (n, self.means.shape[1]), self.means.dtype)
        return self.means[chosen] + jnp.einsum(
            "nij,nj->ni", jnp.linalg.cholesky(self.covs)[chosen], noise
        )

    def log_prob(self, x: jax.Array) -> jax.Array:
        """Evaluate the log density in nats at x [batch, D]: [batch]."""
        return jax.nn.logsumexp(self._joint_log_prob(x), axis=0)

    @exact
    def second_moment(self) -> jax.Array:
        """Compute E|x|^2."""
        return jax.nn.softmax(self.log_weights) @ jax.vmap(Gaussian.second_moment)(
            self.components()
        )

    @exact
    def moments(self) -> Gaussian:
        """Give the Gaussian of the mixture's mean and covariance."""
        weights = jax.nn.softmax(self.log_weights)
        mean = weights @ self.means
        outer = self.covs + self.means[:, :, None] * self.means[:, None, :]
        return Gaussian(
            mean, jnp.einsum("k,kij->ij", weights, outer) - mean[:, None] * mean[None, :]
        )

    def _joint_log_prob(self, x):
        """Evaluate log w_k + log N_k(x), [K, batch]."""
        component_log_prob = jax.vmap(lambda component: component.log_prob(x))(self.components())
        return jax.nn.log_softmax(self.log_weights)[:, None] + component_log_prob

    def diffused(self, process: Process, t: jax.Array) -> "GaussianMixture":
        """Give the density of x_t at a scalar t: each component diffused."""
        moved = jax.vmap(lambda component: component.diffused(process, t))(self.components())
        return GaussianMixture(self.log_weights, moved.mean, moved.cov)

    @exact
    def score(self, process: Process, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute grad log p_t(x): the components' scores averaged by responsibility.

        Args:
            process: the forward process.
            x: points [batch, D].
            t: a scalar or [batch].

        Returns:
            [batch, D].
        """
        self._check()
        alpha = expand(process.alpha(t), x)
        sigma = expand(process.sigma(t), x)

        def component_terms(mean, cov):
            variances, axes = jnp.linalg.eigh(cov)
            along = (x - alpha * mean[None]) @ axes
            spread = jnp.square(alpha) * variances[None] + jnp.square(sigma)
            log_prob = -0.5 * jnp.sum(jnp.square(along) / spread + jnp.log(spread), axis=1)
            return log_prob, -(along / spread) @ axes.T

        log_prob, scores = jax.vmap(component_terms)(self.means, self.covs)
        responsibility = jax.nn.softmax(
            jax.nn.log_softmax(self.log_weights)[:, None] + log_prob, axis=0
        )
        return jnp.sum(responsibility[:, :, None] * scores, axis=0)


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
    noise_std: jax.Array

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

    @exact
    def marginal(self) -> Gaussian:
        """Give p(x) = N(mean, W W^T + diag(tau^2))."""
        self._check()
        return Gaussian(
            self.mean, self.weight @ self.weight.T + jnp.diag(jnp.square(self._noise_stds()))
        )

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

    def log_prob(self, x: jax.Array) -> jax.Array:
        """Evaluate log p(x) in nats at x [batch, D]: [batch]."""
        return self.marginal().log_prob(x)

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


@exact
def gaussian_kl(mean0: jax.Array, cov0: jax.Array, mean1: jax.Array, cov1: jax.Array) -> jax.Array:
    """Compute the relative entropy of two Gaussians in nats.

    KL(N(m0, C0) || N(m1, C1))
        = 1/2 [tr(C1^-1 C0) + (m1-m0)^T C1^-1 (m1-m0) - D + log det C1 - log det C0].
    Use `jax.vmap` for a batch.

    Args:
        mean0: m0 [D].
        cov0: C0 [D, D].
        mean1: m1 [D].
        cov1: C1 [D, D].

    Returns:
        A scalar.

    Raises:
        InputError: if the shapes do not fit.
    """
    _check_square("cov0", cov0, mean0)
    _check_square("cov1", cov1, mean1)
    if mean0.shape != mean1.shape:
        raise InputError(
            f"mean0 has shape {mean0.shape} but mean1 has {mean1.shape}: make them one shape"
        )
    difference = mean1 - mean0
    quadratic = jnp.trace(jnp.linalg.solve(cov1, cov0)) + difference @ jnp.linalg.solve(
        cov1, difference
    )
    return 0.5 * (
        quadratic - mean0.size + jnp.linalg.slogdet(cov1)[1] - jnp.linalg.slogdet(cov0)[1]
    )


def total_entropy(
    key: jax.Array,
    density: Gaussian | GaussianMixture,
    process: Process,
    n: int,
    t_min: float = 1e-3,
    t_max: float = 1.0,
) -> jax.Array:
    """Draw values whose mean is S_tot, the entropy that the diffusion of `density` produces.

        S_tot = 1/2 int g^2 E|grad log p_t/p_eq|^2 dt
              = h(p_tmax) - h(p_tmin) - int (dm/dt) / (2 w^2) dt,   m = E|x_t|^2,

    between t_min and t_max: the growth of entropy plus the heat taken by the bath N(0, w^2 I) =
    p_eq (arXiv 2409.03817). Where p_eq does not move this is KL(p_tmin||p_eq) - KL(p_tmax||p_eq);
    where it does (sub-VP), that less int E[d/dt log p_eq(x_t)] dt; where it is flat (VE), the
    growth of entropy alone. Entropies are means of log p over n exact samples, m is known.

    Args:
        key: the key of samples and noise.
        density: the law of the data.
        process: the forward process.
        n: number of samples; [n, D] must fit in memory.
        t_min: the first time.
        t_max: the last time.

    Returns:
        Independent values [n] in nats, for `Estimate.of`.

    Raises:
        InputError: for impossible times.
    """
    low, high = log_snr_range(process, t_min, t_max)
    key_x, key_first, key_last = jax.random.split(key, 3)
    x = density.sample(key_x, n)
    log_probs = []
    for key_noise, t in ((key_first, t_min), (key_last, t_max)):
        x_t = process.perturb(
            x, jax.random.normal(key_noise, x.shape, x.dtype), jnp.asarray(t, x.dtype)
        )
        log_probs.append(density.diffused(process, jnp.asarray(t, x.dtype)).log_prob(x_t))
    # dm/dt = g^2 (D - m / w^2) and g^2 dt = -sigma^2 d(lambda)
    log_snr = jnp.linspace(low, high, 8001, dtype=x.dtype)
    t = process.time(log_snr)
    sigma2 = jnp.square(process.sigma(t))
    inverse_eq = 1 / jnp.square(process.equilibrium_std(t))
    moment = jnp.square(process.alpha(t)) * density.second_moment() + x.shape[1] * sigma2
    heat = jnp.trapezoid(0.5 * sigma2 * inverse_eq * (moment * inverse_eq - x.shape[1]), log_snr)
    return log_probs[0] - log_probs[1] + heat


@exact
def gaussian_w2_squared(
    mean0: jax.Array, cov0: jax.Array, mean1: jax.Array, cov1: jax.Array
) -> jax.Array:
    """Compute the squared Wasserstein distance of two Gaussians.

    W_2^2 = |m0 - m1|^2 + tr(C0 + C1 - 2 (C0^(1/2) C1 C0^(1/2))^(1/2)) (Bures; Dowson & Landau
    1982).

    Args:
        mean0: m0 [D].
        cov0: C0 [D, D].
        mean1: m1 [D].
        cov1: C1 [D, D].

    Returns:
        A scalar.

    Raises:
        InputError: if the shapes do not fit.
    """
    _check_square("cov0", cov0, mean0)
    _check_square("cov1", cov1, mean1)
    variances, axes = jnp.linalg.eigh(cov0)
    root = (axes * jnp.sqrt(jnp.maximum(variances, 0.0))[None]) @ axes.T
    cross = jnp.linalg.eigvalsh(root @ cov1 @ root)
    overlap = jnp.sum(jnp.sqrt(jnp.maximum(cross, 0.0)))
    return jnp.sum(jnp.square(mean0 - mean1)) + jnp.trace(cov0) + jnp.trace(cov1) - 2 * overlap


def _check_square(name, cov, mean):
    """cov: [..., D, D] for mean: [..., D]."""
    cov_shape = jnp.shape(cov)
    mean_shape = jnp.shape(mean)
    if not mean_shape or cov_shape != (*mean_shape, mean_shape[-1]):
        raise InputError(
            f"{name} has shape {cov_shape} but the mean has {mean_shape}: give [D, D] per mean [D]"
        )
