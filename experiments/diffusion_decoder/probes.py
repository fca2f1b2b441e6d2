"""How good a representation latents are: what simple probes of held-out latents say of the labels.

Every probe standardizes the coordinates of the latents, so that none depends on the units in which
a method happens to write them. A coordinate that hardly varies counts as much as the others then:
where a method has coordinates that it does not use, probe those that it uses.
"""

from collections.abc import Mapping

import numpy as np

import diffenc
from diffenc.errors import InputError, check_whole
from diffenc.estimate import Estimate
from diffenc.information.settings import Settings
from diffenc.keys import rng_of

FOLDS = 5  # of every logistic regression; each label has as many held-out examples at least
REGULARIZATION = 1.0  # C of every logistic regression, so that no method is given a better one


def knn_accuracy(
    train_z: np.ndarray,
    train_labels: np.ndarray,
    z: np.ndarray,
    labels: np.ndarray,
    neighbours: int = 5,
) -> np.ndarray:
    """Tell which held-out examples the majority of their nearest training examples labels right.

    Both sets are standardized with the mean and the deviation of the training latents. Of labels
    with equally many votes the smallest is chosen. `Estimate.of` the values is the accuracy for
    these training examples; the difference of two methods' values has the error of the difference.

    Args:
        train_z: latents of training examples [n, d].
        train_labels: theirs, integers [n].
        z: latents of held-out examples [m, d].
        labels: theirs, integers [m].
        neighbours: how many training examples vote.

    Returns:
        1 or 0 for every held-out example [m].

    Raises:
        InputError: for arrays that do not fit, and for more neighbours than training examples.
    """
    from sklearn.neighbors import KNeighborsClassifier

    _check("train_z", train_z, train_labels)
    _check("z", z, labels)
    check_whole("neighbours", neighbours, 1)
    if neighbours > len(train_z):
        raise InputError(
            f"neighbours is {neighbours}: give {len(train_z)} training latents or fewer"
        )
    if np.shape(z)[1] != np.shape(train_z)[1]:
        raise InputError(
            f"z has {np.shape(z)[1]} coordinates and train_z {np.shape(train_z)[1]}: "
            "give latents of one encoder"
        )
    probe = _standardized(KNeighborsClassifier(neighbours)).fit(train_z, train_labels)
    return np.asarray(probe.predict(z) == labels, np.float64)


def logistic_accuracy(
    z: np.ndarray, labels: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> np.ndarray:
    """Tell which held-out examples a logistic regression on the others labels right.

    The examples are divided into folds with equal shares of every label. The regression and the
    standardization are fitted on all folds but one, and judged on that one. The folds depend on
    the seed and the labels only, so that all methods are compared on the same ones. The values
    have the error of examples, not that of the fits, which the examples of a fold share.

    Args:
        z: latents of held-out examples [m, d].
        labels: theirs, integers [m].
        folds: how many.
        seed: of the division.

    Returns:
        1 or 0 for every example [m].

    Raises:
        InputError: for arrays that do not fit, and for a label with fewer examples than folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    _check("z", z, labels)
    check_whole("folds", folds, 2)
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        raise InputError(f"all labels are {values[0]}: give two or more different ones")
    if np.min(counts) < folds:
        raise InputError(
            f"label {values[np.argmin(counts)]} has {np.min(counts)} examples for {folds} folds: "
            "give fewer folds, or more examples"
        )
    random_state = int(rng_of(seed, "folds").integers(2**32))
    division = StratifiedKFold(folds, shuffle=True, random_state=random_state)
    probe = _standardized(LogisticRegression(C=REGULARIZATION, max_iter=2000))
    predicted = cross_val_predict(probe, np.asarray(z, np.float64), labels, cv=division)
    return np.asarray(predicted == labels, np.float64)


def label_information(
    seed: int, z: np.ndarray, labels: np.ndarray, settings: Settings | Mapping | None = None
) -> Estimate:
    """Estimate I(Z; label) in nats, by `diffenc.mutual_information`.

    A coordinate that is constant over the examples is left out, since it tells nothing and the
    estimator refuses it. If all are, the information is exactly zero. Eight coordinates of 2,000
    examples take about a minute on one core. From few examples the error is large: of ten labels
    that these coordinates nearly tell it is 0.3 nats for 2,000, and 0.7 for 300.

    Args:
        seed: of the estimate.
        z: latents of held-out examples [m, d].
        labels: theirs, integers [m].
        settings: of the estimator; None is its default, which is right for a reported number.

    Returns:
        The information. It may be negative within its error, see `diffenc.mutual_information`.

    Raises:
        InputError: for samples that have no estimate: fewer than 100 examples, fewer than ten of a
            label, or coordinates that are functions of each other.
    """
    _check("z", z, labels)
    varying = np.ptp(z, axis=0) > 0
    if not varying.any():
        return Estimate(0.0, 0.0)
    measurement = diffenc.mutual_information(
        np.asarray(z)[:, varying],
        labels,
        labels=True,
        seed=seed,
        settings=settings,
        name="label information of latents",
    )
    return Estimate(*measurement.estimate)


def _standardized(probe):
    """Make a probe of coordinates of zero mean and unit deviation where it is fitted."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), probe)


def _check(name: str, z, labels) -> None:
    """Raise InputError unless z is finite latents [n, d] with a label [n] for each."""
    if np.ndim(z) != 2 or np.shape(labels) != np.shape(z)[:1]:
        raise InputError(
            f"{name} has shape {np.shape(z)} and its labels {np.shape(labels)}: "
            "give latents [n, d] and labels [n]"
        )
    if not np.isfinite(z).all():
        raise InputError(f"{name} is not finite everywhere: train its encoder at a lower rate")
