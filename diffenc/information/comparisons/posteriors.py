"""The information of labels by posteriors q(l|x) that predict them.

    I(X;L) >= E log q(l|x) / p(l)

holds for any q on rows that did not fit it. Where a rule decides labels, such as a threshold of a
column or of a length, no normal laws of the classes have posteriors that change as fast as it. A
logistic regression on the scores, their squares and their products does. Its logits are multiplied
by a factor (Platt 1999; Guo et al. 2017), and a share of the labels is taken for drawn by chance,
both as they predict other rows best. Where the rule has many steps trees know more, see
`forest_posteriors`.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp, softmax

from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.comparisons import forest_posteriors, label_neighbours
from diffenc.information.comparisons.neighbours import CHANCE

# Rows for each feature and class.
EXAMPLES = 5
# Rows at most that fit one regression, and steps of its optimizer at most.
MOST_ROWS = 5_000
STEPS = 100
# Least and largest factor of logits.
RANGE = (0.1, 100.0)
# Shares of labels by chance, of which the best one is taken.
SHARES = (0.0, 0.01, 0.03, 0.1, 0.2, 0.4)
# So many folds of `class_mixture` are one here: half as many regressions to fit.
TOGETHER = 2
# Standard errors by which the posteriors have to gain.
ERRORS = 3.0


class Posterior(NamedTuple):
    """What posteriors tell of labels, in nats.

    Attributes:
        held: log q(l|x) / p(l) of rows that did not fit it [N].
        middle: the middle of these and of those of rows that did [N]. Beyond MOST_ROWS rows not all
            of them did, so that it is a little too low. Of a forest the same as `held`.
        by: what has these posteriors, in words.
    """

    held: np.ndarray
    middle: np.ndarray
    by: str


def estimate(
    scores: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    by_laws: np.ndarray,
    clusters: Clusters | None = None,
) -> Posterior | None:
    """Estimate what a logistic regression tells of labels, or a forest if that tells more.

    Args:
        scores: [N, dim].
        labels: integers [N] from 0.
        fold: [N] of every row.
        by_laws: log p_m(x|l) / p_m(x) of held-out rows [N], which it has to exceed.
        clusters: of the rows; None for none.

    Returns:
        The posteriors; None if they do not gain ERRORS standard errors, or rows are few.
    """
    counts = np.bincount(labels)
    features = _features(scores, len(counts))
    if features is None:
        return None
    fold = fold // TOGETHER
    held = np.empty((len(labels), len(counts)))
    fitted = np.zeros_like(held)
    blocks = []
    least_chance = 1.0
    numbers = np.unique(fold)
    for number in numbers:
        rows = fold == number
        weights = _fit(features[~rows][:MOST_ROWS], labels[~rows][:MOST_ROWS], len(counts))
        held[rows] = features[rows] @ weights
        fitted[~rows] += features[~rows] @ weights / (len(numbers) - 1)
        chances = label_neighbours.chances(scores[~rows], labels[~rows])
        columns = scores[:, np.argsort(chances)[: forest_posteriors.COLUMNS]]
        blocks.append((columns, features @ forest_posteriors.directions(weights)))
        least_chance = min(least_chance, chances.min() * scores.shape[1])
    values = np.empty((2, len(labels)))
    prior = np.log(counts / counts.sum())
    for number in numbers:
        rows = fold == number
        factor, share = _calibrate(held[~rows], labels[~rows], prior[labels[~rows]])
        for place, logits in enumerate((held, fitted)):
            of_rows = factor * logits[rows]
            values[place, rows] = _log_ratio(of_rows, labels[rows], prior[labels[rows]], share)
    found = Posterior(values[0], values.mean(axis=0), "a logistic regression of the classes")
    told = clustering.estimate(found.held, clusters)
    # Trees take the most time where there is nothing.
    if least_chance < CHANCE or told.mean > ERRORS * told.stderr:
        known = max(by_laws, found.held, key=np.mean)
        by_forest = forest_posteriors.estimate(blocks, labels, fold, known)
        if by_forest is not None and by_forest.mean() > known.mean():
            found = Posterior(by_forest, by_forest, "a forest of decision trees")
    gain = clustering.estimate(found.held - by_laws, clusters)
    if gain.mean <= ERRORS * gain.stderr:
        return None
    return found


def _features(scores, num_classes) -> np.ndarray | None:
    """Return one, the scores, their squares and as many of their products as rows allow."""
    n, dim = scores.shape
    most = n / (EXAMPLES * num_classes)
    parts = [np.ones((n, 1)), scores]
    squares = (scores**2 - 1) / 2**0.5
    if 2 * dim <= most:
        parts.append(squares)
    if dim * (dim + 3) / 2 <= most:
        parts += [scores[:, [first]] * scores[:, first + 1 :] for first in range(dim - 1)]
    elif dim > most:
        return None
    return np.concatenate(parts, axis=1)


def _fit(features, labels, num_classes) -> np.ndarray:
    """Fit the weights [features, classes] of a logistic regression, each of unit prior variance."""
    n, width = features.shape
    indicators = np.eye(num_classes)[labels]

    def loss(flat):
        weights = flat.reshape(width, num_classes)
        logits = features @ weights
        value = np.sum(logsumexp(logits, axis=1) - logits[np.arange(n), labels])
        slope = features.T @ (softmax(logits, axis=1) - indicators)
        return (value + 0.5 * np.sum(weights**2)) / n, ((slope + weights) / n).ravel()

    optimum = minimize(
        loss,
        np.zeros(width * num_classes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": STEPS},
    )
    return optimum.x.reshape(width, num_classes)


def _calibrate(logits, labels, prior) -> tuple[float, float]:
    """Return the factor of logits and the share by chance that predict labels best."""
    best = (1.0, 0.0)
    least = np.inf
    for share in SHARES:
        optimum = minimize_scalar(
            lambda log_factor, share=share: (
                -np.mean(_log_ratio(np.exp(log_factor) * logits, labels, prior, share))
            ),
            bounds=np.log(RANGE),
            method="bounded",
            options={"xatol": 0.01},
        )
        if optimum.fun < least:
            least = optimum.fun
            best = (float(np.exp(optimum.x)), share)
    return best


def _log_ratio(logits, labels, prior, share) -> np.ndarray:
    """Return log q(l|x) / p(l) of rows, with log p(l) of their labels."""
    of_label = logits[np.arange(len(logits)), labels] - logsumexp(logits, axis=1) - prior
    if share == 0.0:
        return of_label
    return np.logaddexp(np.log1p(-share) + of_label, np.log(share))
