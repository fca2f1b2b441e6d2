"""Mutual information, conditional information, total correlation and entropy of samples, in nats,
with standard errors.

    I(X;Y) = I_Gauss + D[X|Y] - D[X]

The Gaussian part needs no network, nor does a regression of mean and length on more than y itself
(regression.py), and blocks may be mapped to where it is largest, for I(X;Y) is the same under
invertible maps of X and of Y: unmixed into independent components, then bent (flows.py), each only
where that tells more. What is left are two neural entropies relative to the Gaussian of the same
moments (divergence.py): D[X|Y] = E KL(p(r|y) || N(0, I)) of the white residual r of x given y, and
D[X] of white x itself, 0 without a network where X has one coordinate, since its scores are normal.
Theory: 2409.03817, 2509.23937.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import flows, gaussian, regression
from diffenc.information.checks import check, check_labels, check_no_function
from diffenc.information.divergence import Divergence, check_halves, divergence, make_halves, split
from diffenc.information.flows import Pair
from diffenc.information.growth import Settings
from diffenc.keys import generator

DEFAULTS = Settings()
Show = Callable[[str, int, float], None]


def silent(stage: str, updates: int, value: float) -> None:
    """Nobody watches."""


class Information(NamedTuple):
    """An information in its several forms, with its parts; all in nats.

    estimate: the best one, its error holding sampling and systematic parts in quadrature; gaussian:
    of the Gaussian of the same moments; regression: of a regression on more (`regression.polar`),
    in the coordinates of `flows`, shape of which (nats) by the length of the residual, 0 where it
    does not pay. entropy_difference: with the networks' neural entropies in place of D;
    growth_difference: with their growth on held-out data; score_difference: 1/2 int sigma^2
    E|s(x|y) - s(x)|^2, both scores at the same noisy x, None where x itself was not found Gaussian
    or the shape pays (its score is not known in these coordinates then), and of conditional
    information and total correlation. pointwise [n]: shares of the examples `rows` [n] of the
    estimate, from networks that have not seen them: log p(x, y) / (p(x) p(y)) of an example on
    average only, for the few draws of noise leave the single one noisy, and all are moved alike so
    that their mean is the estimate's. conditional, marginal: the divergences, None where no network
    was needed; regression_density: that of the mean's regression over lambda, in the divergences'
    strata. diffused: which of the blocks given is X. unbounded: in the strata of lambda from 3.5 on
    what networks found, flows among them, still grows by more than 0.2 a unit and coordinate, half
    a unit being what coordinates fixed by the other block would give: it is infinite, or the
    relation sharper than the samples show.
    """

    estimate: Estimate
    gaussian: Estimate
    regression: Estimate
    shape: float
    entropy_difference: Estimate
    growth_difference: Estimate
    score_difference: Estimate | None
    pointwise: np.ndarray
    rows: np.ndarray
    conditional: Divergence
    marginal: Divergence | None
    regression_density: np.ndarray | None
    unbounded: bool
    diffused: str = "x"


def mutual_information(
    key: jax.Array, x: np.ndarray, y: np.ndarray, settings: Settings = DEFAULTS, show: Show = silent
) -> Information:
    """I(X;Y) of samples x [N, dim_x], y [N, dim_y]; [N] is one coordinate. The smaller block is
    diffused, of equal ones the one of which regression tells more. Where D[X] is found and D[X|Y]
    is not, they change places if the error is smaller then.

    Increasing maps of single coordinates change nothing but which linear mixtures are unmixed.
    show(stage, updates, value) is told of the training. Raises InputError for samples that `check`
    refuses.
    """
    x, y = check(x, y)
    check_no_function(x, y)
    key_ties, key_split, key_flow, key_fit, key_turned = jax.random.split(key, 5)
    rng = generator(key_ties)
    rows = split(key_split, len(x))
    scores = [gaussian.block_scores(rng, block)[rows] for block in (x, y)]
    check_halves(dict(zip(("x", "y"), scores, strict=True)))
    unmixed = [gaussian.independent_scores(rng, block) for block in (x, y)]
    unmixed = [
        scored if found is None else found[rows]
        for scored, found in zip(scores, unmixed, strict=True)
    ]
    pair = plain = flows.directed(Pair(*scores))
    for other in (Pair(unmixed[0], scores[1]), Pair(scores[0], unmixed[1]), Pair(*unmixed)):
        pair = flows.better(pair, flows.directed(other), settings.flow_errors)
    pair = flows.learned(
        key_flow, pair, settings.for_examples(rows.shape[1]), functools.partial(show, "maps")
    )
    result = _information(key_fit, pair, rows, settings, show, regression.polar)
    if _one_sided(result.marginal, result.conditional):
        tell = functools.partial(_turned, show)
        other = _information(key_turned, pair.turned(), rows, settings, tell, regression.polar)
        if other.estimate.stderr < result.estimate.stderr:
            result, pair, plain = other, pair.turned(), plain.turned()
    if pair.own:  # flows put into the regression what denoisers would find at fine noise
        found = result.regression_density - _density(
            plain, result.conditional.edges, regression.polar
        )
        still_grows = _still_grows(
            result.conditional, result.marginal, _least(pair), np.maximum(found, 0.0)
        )
        result = result._replace(unbounded=still_grows)
    linear_part = _estimate(flows.information(plain, regression.linear))
    return result._replace(gaussian=linear_part, diffused="y" if pair.swapped else "x")


def _turned(show: Show, stage: str, updates: int, value: float) -> None:
    show(f"the other way round, {stage}", updates, value)


def _least(pair: Pair) -> int:
    """The most coordinates that can be fixed by the other block."""
    return min(pair.x.shape[-1], pair.y.shape[-1])


def label_information(
    key: jax.Array,
    x: np.ndarray,
    labels: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
) -> Information:
    """I(X;L) of samples x [N, dim] and integer labels [N]: the condition is the label's indicator,
    and the formula is exact as it stands, with the regression of mean and length on the indicators.

    Raises InputError for labels that are not integers, or of which one has fewer than ten examples.
    """
    x, index = check_labels(x, labels)
    indicators = np.eye(index.max() + 1)[index][:, 1:]
    key_ties, key_split, key_fit = jax.random.split(key, 3)
    scores = gaussian.block_scores(generator(key_ties), x)
    rows = split(key_split, len(x))
    pair = Pair(scores[rows], indicators[rows])
    check_halves({"x": pair.x, "label": pair.y})
    result = _information(key_fit, pair, rows, settings, show, regression.of_labels)
    linear_part = _estimate(flows.information(pair, regression.linear))
    return result._replace(
        gaussian=linear_part, unbounded=False
    )  # no more than the entropy of the labels


def conditional_information(
    key: jax.Array,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
) -> Information:
    """I(X;Y|Z) = I(X;(Y,Z)) - I(X;Z), where D[X] drops out: both conditionals with the same halves
    and the same noise, each with a regression of its own.

    x [N, dim_x], y [N, dim_y], z [N, dim_z]. Raises InputError for samples that `check` refuses.
    """
    key_ties, key_split, key_fit = jax.random.split(key, 3)
    rng = generator(key_ties)
    x, y, z = (gaussian.block_scores(rng, block) for block in check(x, y, z))
    rows = split(key_split, len(x))
    pairs = {
        "y, z": Pair(x[rows], np.concatenate([y, z], axis=1)[rows]),
        "z": Pair(x[rows], z[rows]),
    }
    of = {"y, z": regression.polar_blocks(y.shape[1]), "z": regression.polar}
    check_halves({"x": x[rows]} | {name: pair.y for name, pair in pairs.items()})
    told, parts, corrections, shape = [], [], [], 0.0
    for sign, (name, pair) in zip((1, -1), pairs.items(), strict=True):
        part, features, added = _shaped(pair, of[name], settings.flow_errors)
        halves = make_halves(pair.x, pair.y, flows.regressors(pair, features))
        parts.append(_fit(jax.random.clone(key_fit), halves, settings, show, f"x given {name}"))
        told.append(part)
        corrections.append(_correction(pair, features))
        shape += sign * added
    result = _assemble(_less(*told), rows, x.shape[1], *parts, doubt=np.linalg.norm(corrections))
    linear_part = _less(*(flows.information(pair, regression.linear) for pair in pairs.values()))
    return result._replace(shape=shape, gaussian=_estimate(linear_part))


def total_correlation(
    key: jax.Array, x: np.ndarray, settings: Settings = DEFAULTS, show: Show = silent
):
    """TC(X) = KL(p(x) || prod_i p(x_i)) of samples x [N, dim]: that of the Gaussian of the scores
    plus D[X].

    The scores' marginals are normal, so a sum of D[X_i] has nothing to add. Returns an
    `Information`, whose `conditional` is D[X]. Raises InputError for samples that `check` refuses.
    """
    (x,) = check(x)
    if x.shape[1] < 2:
        raise InputError("x has one column: total correlation is between two or more")
    key_ties, key_split, key_fit = jax.random.split(key, 3)
    x = gaussian.by_rank(x, generator(key_ties))
    mean, pointwise = 0.0, np.zeros(len(x))
    for column in range(1, x.shape[1]):  # the chain rule, so that the bias of each step is known
        step = gaussian.gaussian_information(x[:, column : column + 1], x[:, :column])
        mean, pointwise = mean + step.mean, pointwise + step.pointwise
    rows = split(key_split, len(x))
    linear_part = gaussian.GaussianPart(mean, pointwise[rows.ravel()])
    check_halves({"x": x[rows]})
    found = _fit(key_fit, make_halves(x[rows], None), settings, show, "x")
    return _assemble(linear_part, rows, x.shape[1], found, None)


def entropy(
    key: jax.Array, x: np.ndarray, settings: Settings = DEFAULTS, show: Show = silent
) -> Estimate:
    """Differential entropy h(X) = h(Gaussian of the same moments) - D[X] of samples x [N, dim] of
    finite variance.

    No coordinate is mapped, for that would change it. Raises InputError for samples that `check`
    refuses.
    """
    (x,) = check(x)
    linear_part = gaussian.gaussian_entropy(x)
    key_split, key_fit = jax.random.split(key)
    rows = split(key_split, len(x))
    check_halves({"x": x[rows]})
    found = _fit(key_fit, make_halves(x[rows], None), settings, show, "x")
    sampling = Estimate.of(linear_part.pointwise[rows.ravel()] - found.pointwise).stderr
    return Estimate(linear_part.mean - found.mean, float(np.hypot(sampling, found.systematic)))


def _estimate(part: gaussian.GaussianPart) -> Estimate:
    return Estimate(part.mean, Estimate.of(part.pointwise).stderr)


def _less(part: gaussian.GaussianPart, other: gaussian.GaussianPart) -> gaussian.GaussianPart:
    return gaussian.GaussianPart(part.mean - other.mean, part.pointwise - other.pointwise)


def _information(key, pair: Pair, rows, settings, show, features) -> Information:
    """Of halves of scores; features(y): what x is regressed on."""
    key_conditional, key_marginal = jax.random.split(key)
    dim = pair.x.shape[-1]
    told, features, shape = _shaped(pair, features, settings.flow_errors)
    judged = make_halves(pair.x, pair.y, flows.regressors(pair, features))
    marginal, own, own_marginal = None, None, None
    if pair.own:  # what networks learn from
        own = make_halves(*pair.own, flows.regressors(Pair(*pair.own, own=pair.own), features))
        own_marginal = make_halves(pair.own[0], None)
    conditional = _fit(key_conditional, judged, settings, show, "x given y", own)
    if dim > 1:  # one coordinate has been made normal
        marginal = _fit(key_marginal, make_halves(pair.x, None), settings, show, "x", own_marginal)
    correction = _correction(pair, features)
    doubt = np.linalg.norm((pair.optimism / 2, pair.drift, correction))
    result = _assemble(told, rows, _least(pair), conditional, marginal, not shape, doubt)
    return result._replace(
        shape=shape, regression_density=_density(pair, conditional.edges, features)
    )


def _shaped(pair: Pair, features, errors: float):
    """What regression tells, the features it takes, and what their shape adds: 0, and without,
    where that is no more than so many standard errors, or half of the examples are too few."""
    plain = regression.without_shape(features)
    without, n = flows.information(pair, plain), pair.x.shape[1]
    if n < regression.FEW_EXAMPLES * regression.numbers(
        flows.regressors(pair, features).shape.shape[-1]
    ):
        return without, plain, 0.0
    told = {
        one: flows.information(pair, one) for one in (features, regression.without_mean(features))
    }
    features = max(told, key=lambda one: told[one].mean)
    gain = Estimate.of(told[features].pointwise - without.pointwise)
    return (
        (told[features], features, gain.mean)
        if gain.mean > errors * gain.stderr
        else (without, plain, 0.0)
    )


def _correction(pair: Pair, features) -> float:
    """What `regression.information` has taken off for the shape, which is right to first order."""
    count = regression.numbers(flows.regressors(pair, features).shape.shape[-1])
    return count / (2 * pair.x.shape[1] * (1 if pair.own else 2))


def _density(pair: Pair, edges, features) -> np.ndarray:
    """That of the regression of the mean over lambda, its means between the edges, scaled to the
    information without its bias."""
    halves = zip(pair.x, flows.regressors(pair, features).mean, strict=True)
    found = np.mean([regression.density(x, of_y, edges) for x, of_y in halves], axis=0)
    told = flows.information(pair, regression.without_shape(features)).mean
    return found * (max(0.0, told) / max(np.sum(found * np.diff(edges)), 1e-12))


def _fit(key, halves, settings, show, stage, learned_from=None) -> Divergence:
    settings = settings.for_examples(halves.r.shape[1])
    return divergence(
        key, halves, settings, lambda updates, value: show(stage, updates, value), learned_from
    )


def _assemble(
    linear_part,
    rows,
    dim,
    conditional: Divergence,
    marginal: Divergence | None,
    with_scores: bool = False,
    doubt: float = 0.0,
) -> Information:
    """Sum the parts example by example: the spread of the pointwise information is that of the
    estimate; doubt: the systematic error of what regression tells. What was found in x by itself
    and not in x given y is doubted whole."""
    rows = rows.ravel()
    knows_scores = with_scores and (marginal is None or not marginal.updates)
    less = (
        (0.0,) * 4
        if marginal is None
        else (marginal.mean, marginal.pointwise, marginal.kelly_growth, marginal.s_nn)
    )
    share, spread = linear_part.pointwise, Estimate.of(linear_part.pointwise).stderr
    doubts = doubt, conditional.systematic, 0.0 if marginal is None else marginal.systematic
    if _one_sided(marginal, conditional):
        doubts += (marginal.mean,)
    systematic = np.linalg.norm(doubts)

    def total(mean, values):
        return Estimate(
            float(linear_part.mean + mean),
            float(np.hypot(Estimate.of(share + values).stderr, systematic)),
        )

    pointwise = conditional.pointwise - less[1]
    growth, entropy = conditional.kelly_growth - less[2], conditional.s_nn - less[3]
    return Information(
        estimate=total(conditional.mean - less[0], pointwise),
        gaussian=Estimate(linear_part.mean, spread),
        regression=Estimate(linear_part.mean, float(np.hypot(spread, doubt))),
        shape=0.0,
        entropy_difference=total(entropy.mean(), entropy),
        growth_difference=total(growth.mean(), growth),
        score_difference=total(conditional.score_gap.mean(), conditional.score_gap)
        if knows_scores
        else None,
        pointwise=share + pointwise,
        rows=rows,
        conditional=conditional,
        marginal=marginal,
        regression_density=None,
        unbounded=_still_grows(conditional, marginal, dim),
    )


def _one_sided(marginal: Divergence | None, conditional: Divergence) -> bool:
    """Whether something was found in x by itself and not in x given y, which has about as much
    where y tells little."""
    return marginal is not None and marginal.updates > 0 and not conditional.updates


def _still_grows(conditional, marginal, dim, more=0.0) -> bool:
    """Whether at the finest noise the information grows by more than 0.2 a unit of lambda and
    coordinate; more: density beyond that of the divergences."""
    density = more + conditional.density - (0.0 if marginal is None else marginal.density)
    widths, fine = (
        np.diff(conditional.edges),
        conditional.edges[:-1] >= min(3.5, conditional.edges[-2]),
    )
    return bool(np.sum((density * widths)[fine]) / np.sum(widths[fine]) > 0.2 * dim)
