"""Gaussians and mixtures of them know their score, entropy and samples at every diffusion time.

They are the truth to test estimators against, with the latent model of `factor_analysis`.

Under x_t = alpha x_0 + sigma eps a Gaussian N(m, C) becomes N(alpha m, alpha^2 C + sigma^2 I), and
a mixture of Gaussians goes with it component by component. All densities are in nats, summed over
dimensions. The objects are pytrees of arrays; shapes are checked where they are used, since
transformations also build such trees around other leaves. Products of matrices are exact to
float32, which accelerators give only when asked for it. What is called by itself is compiled to one
program, instead of one for each operation.
"""

import functools
import math

import jax
import jax.numpy as jnp
from flax import struct

from diffenc.diffusion.linear_process import Process, expand
from diffenc.errors import InputError

LOG_2PI = math.log(2 * math.pi)
exact = jax.default_matmul_precision("highest")  # decorates what multiplies matrices
jit_for_n = functools.partial(jax.jit, static_argnames="n")
jit_for_process = functools.partial(jax.jit, static_argnames="process")


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

    @jit_for_n
    @exact
    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """Draw n independent x, [n, D]."""
        self._check()
        noise = jax.random.normal(key, (n, *self.mean.shape), self.mean.dtype)
        return noise @ jnp.linalg.cholesky(self.cov).T + self.mean[None]

    @jax.jit
    @exact
    def log_prob(self, x: jax.Array) -> jax.Array:
        """Evaluate log N(x; mean, cov) in nats at x [batch, D]: [batch]."""
        self._check()
        factor = jnp.linalg.cholesky(self.cov)
        # Not a solve with all x on the right: on few cores two of these under vmap may wait for
        # each other forever (jaxlib 0.10.2).
        inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(factor)), lower=True)
        white = (x - self.mean[None]) @ inverse.T
        log_det = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return -0.5 * jnp.sum(jnp.square(white), axis=1) - log_det - 0.5 * self.mean.size * LOG_2PI

    @jax.jit
    def second_moment(self) -> jax.Array:
        """Compute E|x|^2."""
        self._check()
        return jnp.trace(self.cov) + jnp.sum(jnp.square(self.mean))

    @jax.jit
    def entropy(self) -> jax.Array:
        """Compute the differential entropy 1/2 log det(2 pi e cov), in nats."""
        self._check()
        return 0.5 * (self.mean.size * (1 + LOG_2PI) + jnp.linalg.slogdet(self.cov)[1])

    @jit_for_process
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
        axes, along, spread = self._along_axes(alpha, sigma, x)
        return -(along / spread) @ axes.T

    def _along_axes(self, alpha, sigma, x):
        """Give the axes of cov [D, D], and x - alpha mean and the variance of x_t along them."""
        variances, axes = jnp.linalg.eigh(self.cov)
        along = (x - alpha * self.mean[None]) @ axes
        return axes, along, jnp.square(alpha) * variances[None] + jnp.square(sigma)


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
    @functools.partial(jax.jit, static_argnums=0)
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

    @jit_for_n
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

    @jax.jit
    def log_prob(self, x: jax.Array) -> jax.Array:
        """Evaluate the log density in nats at x [batch, D]: [batch]."""
        return jax.nn.logsumexp(self._joint_log_prob(x), axis=0)

    @jax.jit
    @exact
    def second_moment(self) -> jax.Array:
        """Compute E|x|^2."""
        return jax.nn.softmax(self.log_weights) @ jax.vmap(Gaussian.second_moment)(
            self.components()
        )

    @jax.jit
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

    @jit_for_process
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
        alpha = expand(process.alpha(t), x)
        sigma = expand(process.sigma(t), x)

        def component_terms(component):
            axes, along, spread = component._along_axes(alpha, sigma, x)
            log_prob = -0.5 * jnp.sum(jnp.square(along) / spread + jnp.log(spread), axis=1)
            return log_prob, -(along / spread) @ axes.T

        log_prob, scores = jax.vmap(component_terms)(self.components())
        responsibility = jax.nn.softmax(
            jax.nn.log_softmax(self.log_weights)[:, None] + log_prob, axis=0
        )
        return jnp.sum(responsibility[:, :, None] * scores, axis=0)


@jax.jit
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
    _check_pair(mean0, cov0, mean1, cov1)
    difference = mean1 - mean0
    quadratic = jnp.trace(jnp.linalg.solve(cov1, cov0)) + difference @ jnp.linalg.solve(
        cov1, difference
    )
    return 0.5 * (
        quadratic - mean0.size + jnp.linalg.slogdet(cov1)[1] - jnp.linalg.slogdet(cov0)[1]
    )


@jax.jit
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
    _check_pair(mean0, cov0, mean1, cov1)
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


def _check_pair(mean0, cov0, mean1, cov1):
    _check_square("cov0", cov0, mean0)
    _check_square("cov1", cov1, mean1)
    if jnp.shape(mean0) != jnp.shape(mean1):
        shapes = f"{jnp.shape(mean0)} but mean1 has {jnp.shape(mean1)}"
        raise InputError(f"mean0 has shape {shapes}: make them one shape")
