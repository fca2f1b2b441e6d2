"""Other estimators of mutual information, for the same table; each returns an `Estimate` in nats.

They are given the samples as they are. What an estimator does to their scale is said in its
docstring.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from diffenc.compilation import init
from diffenc.estimate import Estimate
from diffenc.information.comparisons import neighbours as nearest
from diffenc.information.coordinates import gaussian
from diffenc.networks import MLP


def cca(key: jax.Array, x: np.ndarray, y: np.ndarray) -> Estimate:
    """Compute -1/2 sum log(1 - rho_i^2) of the canonical correlations of the samples.

    The bias is not removed.

    Args:
        key: not used.
        x: [N, dim_x].
        y: [N, dim_y].

    Returns:
        The information.
    """
    n = len(x)
    white_x = gaussian.whiten(x)
    white_y = gaussian.whiten(y)
    left, rho, right = np.linalg.svd(white_x.T @ white_y / n, full_matrices=False)
    rho = np.minimum(rho, 1 - 1e-12)
    a = white_x @ left
    b = white_y @ right.T
    mean = -0.5 * np.sum(np.log1p(-np.square(rho)))
    pointwise = mean + np.sum((rho * a * b - 0.5 * rho**2 * (a**2 + b**2)) / (1 - rho**2), axis=1)
    return Estimate(float(mean), Estimate.of(pointwise).stderr)


def ksg(key: jax.Array | None, x: np.ndarray, y: np.ndarray, neighbours: int = 10) -> Estimate:
    """Compute the first estimator of Kraskov et al. (arXiv cond-mat/0305641).

    It is that of `neighbours.ksg` in standardized coordinates.

    Args:
        key: not used.
        x: [N, dim_x].
        y: [N, dim_y].
        neighbours: k.

    Returns:
        The information.
    """
    return nearest.ksg(_standardize(x), _standardize(y), neighbours)


def _standardize(block):
    return (block - block.mean(axis=0)) / block.std(axis=0)


def infonce(key: jax.Array, x: np.ndarray, y: np.ndarray) -> Estimate:
    """Compute the bound of van den Oord et al. (arXiv 1807.03748) on held-out rows.

    A critic of pairs is trained in batches of 128, so that the bound is at most log 128.

    Args:
        key: a key.
        x: [N, dim_x].
        y: [N, dim_y].

    Returns:
        The information.
    """

    def bound(critic, x, y):
        scores = _all_pairs(critic, x, y)
        return jnp.mean(jnp.diagonal(scores) - jax.nn.logsumexp(scores, axis=1)) + jnp.log(
            float(len(x))
        )

    return _train_critic(key, x, y, bound, batch=128)


def mine(key: jax.Array, x: np.ndarray, y: np.ndarray) -> Estimate:
    """Compute the Donsker-Varadhan bound of a critic (arXiv 1801.04062) on held-out rows.

    Independent pairs are all pairs of different rows in a batch of 128.

    Args:
        key: a key.
        x: [N, dim_x].
        y: [N, dim_y].

    Returns:
        The information.
    """

    def bound(critic, x, y):
        scores = _all_pairs(critic, x, y)
        n = len(x)
        apart = jnp.where(jnp.eye(n, dtype=bool), -jnp.inf, scores)
        return (
            jnp.mean(jnp.diagonal(scores)) - jax.nn.logsumexp(apart) + jnp.log(float(n * (n - 1)))
        )

    return _train_critic(key, x, y, bound, batch=128)


def _all_pairs(critic, x, y):
    """Return critic(x_i, y_j) [n, n]."""
    n = len(x)
    pairs = jnp.concatenate([jnp.repeat(x, n, axis=0), jnp.tile(y, (n, 1))], axis=1)
    return critic(pairs).reshape(n, n)


def _train_critic(key, x, y, bound, batch, steps=1500, learning_rate=1e-3) -> Estimate:
    """Train a critic to maximize the bound on four fifths of the rows.

    Of the last fifth, one half chooses the best of ten rounds, and the mean over batches of the
    other half is the estimate.
    """
    x = _standardize(x)
    y = _standardize(y)
    n = len(x) // 5 * 4
    batch = min(batch, (len(x) - n) // 4)
    x = jnp.asarray(x, jnp.float32)
    y = jnp.asarray(y, jnp.float32)
    network = MLP((64, 64), 1)
    optimizer = optax.adam(learning_rate)
    key_init, key_train = jax.random.split(key)
    params = init(network, key_init, np.zeros((1, x.shape[1] + y.shape[1]), np.float32))
    opt_state = optimizer.init(params)

    def value(params, rows):
        return bound(lambda pairs: network.apply(params, pairs)[:, 0], x[rows], y[rows])

    @jax.jit
    def rounds(params, opt_state, key):
        def update(carry, key):
            params, opt_state = carry
            rows = jax.random.randint(key, (batch,), 0, n)
            updates, opt_state = optimizer.update(
                jax.grad(lambda p: -value(p, rows))(params), opt_state
            )
            return (optax.apply_updates(params, updates), opt_state), None

        return jax.lax.scan(update, (params, opt_state), jax.random.split(key, steps // 10))[0]

    blocks = np.arange(n, len(x))[: (len(x) - n) // batch * batch].reshape(-1, batch)
    judge = jax.jit(
        lambda params: jax.lax.map(lambda rows: value(params, rows), jnp.asarray(blocks))
    )
    by_round = []
    for index in range(10):
        params, opt_state = rounds(params, opt_state, jax.random.fold_in(key_train, index))
        by_round.append(np.asarray(judge(params)))
    half = len(blocks) // 2
    best = int(np.argmax([values[:half].mean() for values in by_round]))
    return Estimate.of(by_round[best][half:])


RIVALS = {"cca": cca, "ksg": ksg, "infonce": infonce, "mine": mine}
