"""Frechet distance of generated images from held-out ones, in the features of a classifier.

    d^2 = |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^(1/2) C_b C_a^(1/2))^(1/2))

is the squared distance of two Gaussians with the means m and the covariances C of the features of
two sets of images (Dowson & Landau 1982; for images Heusel et al., arXiv 1706.08500).

The features are those of a small classifier that is trained here, on the training images of the
same data set, not those of the downloaded network that published distances use. Numbers are
therefore comparable only among models that one and the same classifier has judged, and their unit
is arbitrary: compare them with the `floor`, the distance between two halves of real images.

Finite samples make the distance too large, even between two samples of one law, by an amount
proportional to 1/n_a + 1/n_b; for f features of covariance I by f (f + 5) / 4 times that sum.
Compare models by equally many images.
"""

import functools
from collections.abc import Callable

import flax.struct
import jax
import numpy as np
import optax

from diffenc.errors import InputError, check_whole
from diffenc.estimate import Estimate, bootstrap, map_examples
from diffenc.keys import key_of, rng_of, split_key
from diffenc.networks import MLP
from diffenc.training import TrainState, make_optimizer, scan_updates

BODY = MLP((128,), 64)  # [batch, ...] -> [batch, f]; with the head's activation, layers of 128, 64
BATCH_SIZE = 128
LEARNING_RATE = 1e-3
WARMUP = 100
AVERAGE_DECAY = 0.99
AT_ONCE = 1000  # images in a batch of features


class Classifier(flax.struct.PyTreeNode):
    """A classifier of images, the last layer of which reads the features.

    Attributes:
        params: of both networks, "body" and "head".
        values: the labels [k] that the outputs stand for.
        body: images [batch, ...] -> [batch, f]; the features are its activated outputs.
        head: features [batch, f] -> [batch, k].
    """

    params: dict
    values: np.ndarray
    body: Callable = flax.struct.field(pytree_node=False)
    head: Callable = flax.struct.field(pytree_node=False)


def train_classifier(
    seed: int, x: np.ndarray, labels: np.ndarray, num_updates: int = 2000, body=BODY
) -> Classifier:
    """Train a classifier by Adam on batches of 128 images, drawn with replacement.

    Args:
        seed: of the first parameters and of the batches.
        x: images [n, ...], scaled to [-1, 1].
        labels: theirs, integers [n].
        num_updates: after which the learning rate is zero.
        body: a network, images [batch, ...] -> [batch, f].

    Returns:
        The classifier, with averaged parameters.

    Raises:
        InputError: for labels that do not fit the images, or are all the same.
    """
    check_whole("num_updates", num_updates, 2)
    if np.shape(labels) != np.shape(x)[:1]:
        raise InputError(
            f"labels have shape {np.shape(labels)}: give one for each of {len(x)} images"
        )
    values, index = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise InputError(f"all labels are {values[0]}: a classifier needs two or more")
    head = MLP((), len(values))
    optimizer = make_optimizer(LEARNING_RATE, num_updates, WARMUP)
    key_init, key_updates = split_key(key_of(seed, "classifier"))
    params = _initialize(key_init, np.asarray(x[:1], np.float32), body=body, head=head)
    state = TrainState.create(params, optimizer)
    rows = rng_of(seed, "classifier batches").integers(len(x), size=(num_updates, BATCH_SIZE))
    examples = (np.asarray(x, np.float32), index.astype(np.int32))
    run = _make_run(body, head, optimizer)
    state, _ = run(state, key_updates, examples, rows.astype(np.int32))
    return Classifier(state.averages, values, body, head)


@functools.partial(jax.jit, static_argnames=("body", "head"))
def _initialize(key, x, *, body, head):
    key_body, key_head = jax.random.split(key)
    of_body, params = body.init_with_output(key_body, x)
    return {"body": params, "head": head.init(key_head, of_body)}


@functools.cache  # classifiers of other seeds and data sets of one size share the program
def _make_run(body, head, optimizer: optax.GradientTransformation) -> Callable:
    def update(state, key, batch):
        def loss_fn(params):
            x, index = batch
            logits = head.apply(params["head"], _features(params, x, body=body))
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, index)
            return losses.mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads, optimizer, AVERAGE_DECAY), {"loss": loss}

    return scan_updates(update, lambda key, rows: rows)


@functools.partial(jax.jit, static_argnames="body")
def _features(params, x, *, body):
    return jax.nn.silu(body.apply(params["body"], x))


@functools.partial(jax.jit, static_argnames=("body", "head"))
def _choose(params, x, *, body, head):
    return head.apply(params["head"], _features(params, x, body=body)).argmax(axis=-1)


def features(classifier: Classifier, x: np.ndarray) -> np.ndarray:
    """Compute the features [n, f] of images x [n, ...], scaled as those that it was trained on."""
    fn = functools.partial(_features, classifier.params, body=classifier.body)
    return map_examples(lambda _, x: fn(x), None, np.asarray(x, np.float32), AT_ONCE)


def predict(classifier: Classifier, x: np.ndarray) -> np.ndarray:
    """Return the most probable label [n] of each of the images x [n, ...]."""
    static = {"body": classifier.body, "head": classifier.head}
    fn = functools.partial(_choose, classifier.params, **static)
    index = map_examples(lambda _, x: fn(x), None, np.asarray(x, np.float32), AT_ONCE)
    return classifier.values[index]


def frechet(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Compute the squared Frechet distance d^2 of two sets of features, in float64.

    With symmetric eigendecompositions C = R R^T the trace of the last root is the sum of the
    singular values of R_a^T R_b, which is accurate for singular covariances too.

    Args:
        features_a: [n_a, f].
        features_b: [n_b, f].

    Returns:
        d^2, in squared units of a feature.

    Raises:
        InputError: for features that are not finite, that differ in number, or of one image only.
    """
    mean_a, root_a = _moments("features_a", features_a)
    mean_b, root_b = _moments("features_b", features_b)
    if len(mean_a) != len(mean_b):
        raise InputError(
            f"features_a has {len(mean_a)} features and features_b {len(mean_b)}: "
            "take both from one classifier"
        )
    overlap = np.linalg.norm(root_a.T @ root_b, "nuc")
    spread = np.sum(root_a**2) + np.sum(root_b**2)
    return float(np.sum((mean_a - mean_b) ** 2) + spread - 2.0 * overlap)


def _moments(name: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean [f] of features [n, f], and a root R [f, f] of their covariance R R^T."""
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise InputError(f"{name} has shape {rows.shape}: give [n, f] of two images or more")
    if not np.isfinite(rows).all():
        raise InputError(
            f"{name} is not finite everywhere: look at the images, their model diverged"
        )
    variances, axes = np.linalg.eigh(np.cov(rows.T).reshape(rows.shape[1], -1))
    return rows.mean(axis=0), axes * np.sqrt(np.maximum(variances, 0.0))


def estimate_frechet(
    seed: int, features_a: np.ndarray, features_b: np.ndarray, num_resamples: int = 100
) -> Estimate:
    """Compute d^2 with its error by the bootstrap over both sets of images.

    The error holds the images only, not the bias of finite samples (see the top of this file), nor
    the choice of the classifier. Where the two laws are equal, the error is too large by sqrt(3):
    d^2 is quadratic in the difference then, and resampling adds to the difference of the samples.

    Args:
        seed: of the bootstrap.
        features_a: [n_a, f].
        features_b: [n_b, f].
        num_resamples: of the bootstrap; the error itself is known to 1 / sqrt(2 num_resamples).

    Returns:
        The distance.
    """
    check_whole("num_resamples", num_resamples, 2)
    value = frechet(features_a, features_b)
    rng = rng_of(seed, "frechet bootstrap")
    error = bootstrap(
        lambda pair: frechet(*pair),
        lambda: (_resampled(rng, features_a), _resampled(rng, features_b)),
        num_resamples,
    )
    return Estimate(value, float(error))


def _resampled(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    return rows[rng.integers(len(rows), size=len(rows))]


def floor(seed: int, features_real: np.ndarray, num_resamples: int = 100) -> Estimate:
    """Compute d^2 between two random halves of the features of real images.

    It is what finite samples leave of a distance that is zero. Halves are half as large as the
    set: the floor is about twice that of a distance between the whole set and as many generated
    images.

    Args:
        seed: of the halves and of the bootstrap.
        features_real: [n, f] of held-out images.
        num_resamples: of the bootstrap.

    Returns:
        The distance.
    """
    order = rng_of(seed, "frechet halves").permutation(len(features_real))
    half = len(order) // 2
    first = features_real[order[:half]]
    second = features_real[order[half:]]
    return estimate_frechet(seed, first, second, num_resamples)
