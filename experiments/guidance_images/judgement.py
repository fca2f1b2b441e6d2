"""What guided samples of images say of their label, and how far from images they are."""

from collections.abc import Callable

import numpy as np

from diffenc.estimate import Estimate, bootstrap
from diffenc.keys import rng_of
from diffenc.run.tables import Result


def judge(seed: int, images, scale: float, chains: dict, num_examples: int) -> list[Result]:
    """Report nats, what the samples say of their label, and their distance from held-out images.

    Nats are those injected by the chains' own steps and in continuous time. `label_information` is
    what a classifier of real images says of the label (H(Y) + E log q(y|x) <= I, a bound for
    whatever q). W_2^2 is between the Gaussians of samples and of held-out images; finite samples
    keep it from zero, so that of as many training images stands beside it, as `training`.
    `diversity` is the variance within a label over that of held-out images.

    Args:
        seed: of the run.
        images: the data set.
        scale: its intensity that counts as one.
        chains: of every weight.
        num_examples: held-out images that samples are compared with.
    """
    train = flat(images.train, scale)
    held_out = (flat(images.test[:num_examples], scale), images.test_labels[:num_examples])
    classify = classifier(train, images.train_labels, rng_of(seed, "classifier"))
    results = [Result("held_out.label_information", *label_information(classify, *held_out))]
    rng = rng_of(seed, "judge")
    num_samples = len(next(iter(chains.values())).labels)
    order = rng.permutation(len(train))[:num_samples]
    some = (train[order], images.train_labels[order])
    results += distances("training", rng, some, held_out)
    for weight, (guided, labels, continuous) in chains.items():
        samples = (guided.x.reshape(len(labels), -1), labels)
        name = f"w={weight:g}"
        results += [
            Result(f"{name}.injected", *Estimate.of(guided.nats.sum(axis=0))),
            Result(f"{name}.injected_in_continuous_time", *Estimate.of(continuous)),
            Result(f"{name}.label_information", *label_information(classify, *samples)),
            *distances(name, rng, samples, held_out),
        ]
    return results


def flat(images: np.ndarray, scale: float) -> np.ndarray:
    """Give images [n, ...] as vectors [n, D] in units of scale, float32: there may be many."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(scale)


def distances(name: str, rng, pair, others, num_resamples: int = 40) -> list[Result]:
    """Measure W_2^2 and the ratio of variances within a label, with errors by the bootstrap.

    Args:
        name: of the results.
        rng: of the bootstrap.
        pair: samples [n, D] and their labels [n].
        others: those that they are compared with.
        num_resamples: of the bootstrap, which keeps how many images a label has.
    """

    def statistic(pairs):
        (x, labels), (other_x, other_labels) = pairs
        return between(x, other_x), within(x, labels) / within(other_x, other_labels)

    values = statistic((pair, others))
    errors = bootstrap(
        statistic,
        lambda: (resampled_within_labels(rng, *pair), resampled_within_labels(rng, *others)),
        num_resamples,
    )
    return [
        Result(f"{name}.w2_squared", float(values[0]), float(errors[0]), "pixel^2"),
        Result(f"{name}.diversity", float(values[1]), float(errors[1]), "of held-out variance"),
    ]


def resampled_within_labels(rng, x, labels):
    """Draw images anew within each label, so that all labels stay: (x, labels)."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
    return x[rows], labels[rows]


def classifier(x, labels, rng) -> Callable:
    """Fit log q(y|x) [n, classes]: logistic regression on random features of a Gaussian kernel.

    Args:
        x: images [n, D].
        labels: theirs [n].
        rng: of the features.
    """
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    width = np.mean(np.var(x, axis=0)) * x.shape[1]
    num_features = min(400, len(x))
    random_state = int(rng.integers(2**32))
    features = Nystroem(gamma=0.5 / width, n_components=num_features, random_state=random_state)
    regression = LogisticRegression(C=30.0, max_iter=2000)
    return make_pipeline(features, regression).fit(x, labels).predict_log_proba


def label_information(classify: Callable, x, labels) -> Estimate:
    """Estimate H(Y) + E log q(y|x), in nats.

    Args:
        classify: log q(y|x) [n, classes] of x.
        x: images [n, D].
        labels: theirs [n].
    """
    shares = np.bincount(labels) / len(labels)
    surprise = -np.log(shares)[labels]
    return Estimate.of(surprise + classify(x)[np.arange(len(labels)), labels])


def within(x, labels) -> float:
    """Compute the variance within a label, summed over pixels, mean over labels."""
    variances = [np.var(x[labels == label], axis=0, ddof=1).sum() for label in np.unique(labels)]
    return float(np.mean(variances))


def between(x, others) -> float:
    """Compute W_2^2 between the Gaussians of the two sets' moments.

    With C = R^T R, R [n, D] the centred rows over (n - 1)^(1/2), the trace of (C_0^(1/2) C_1
    C_0^(1/2))^(1/2) is the sum of the singular values of R_0 R_1^T: no matrix [D, D] is needed
    where samples are few. Where they are many, the triangular factor [D, D] stands for R.
    """
    means = [rows.mean(axis=0, dtype=np.float64) for rows in (x, others)]
    roots = [
        (rows - mean[None]) / np.sqrt(len(rows) - 1)
        for rows, mean in zip((x, others), means, strict=True)
    ]
    traces = [np.sum(np.square(root)) for root in roots]
    if min(map(len, roots)) > len(means[0]):
        roots = [np.asarray(np.linalg.qr(root, mode="r")) for root in roots]
    overlap = np.sum(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False))
    return float(np.sum(np.square(means[0] - means[1])) + sum(traces) - 2 * overlap)
