"""Information of samples: closed forms in, closed forms out; symmetric, invariant, additive."""

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS

import diffenc
from diffenc.errors import InputError
from diffenc.information.benchmark import pairs, tasks
from diffenc.information.codes.labels import pool
from diffenc.information.coordinates import gaussian
from diffenc.information.estimation import assembly, pair_information, twin_weight
from diffenc.information.quantities import measures
from diffenc.information.quantities.conditional import conditional_information
from diffenc.information.regressions import halved_pair, regression
from diffenc.information.settings import Settings
from diffenc.information.training import flows
from diffenc.information.training.divergence import Divergence

TINY = Settings.from_dict(
    {
        "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
        "mixture": {"updates": 20, "rounds": 2},
        "flow": {"rounds": 0},
        "judge": {"parts": 3},
    }
)
N = 1000  # one size, and x and y of two columns each, so that programs are shared


def assert_estimate(estimate, truth, most):
    """The truth within computed standard errors, which are themselves below `most`."""
    assert abs(estimate.mean - truth) < NUM_SIGMAS * estimate.stderr
    assert 0 < estimate.stderr < most


def nothing_found(n):
    """The divergence of n examples in which nothing is found."""
    zeros = np.zeros(n)
    return Divergence(
        0.0, 0.01, *[zeros] * 4, *[np.zeros(2)] * 2, np.array([-7.0, 0.0, 10.0]), 0.0, 0.0, 0
    )


def test_gaussian_data_need_no_network():
    task = pairs.dense(2, 2, 0.5)
    x, y = task.sample(jax.random.key(0), N)
    result = measures.mutual_information(jax.random.key(1), x, y, TINY)
    assert_estimate(result.estimate, task.information, 0.1 * task.information)
    assert result.conditional.updates == 0 and result.shape == 0
    assert (
        abs(result.estimate.mean - result.gaussian.mean) < result.estimate.stderr
    )  # a regression on more
    assert result.score_difference == result.entropy_difference == result.growth_difference
    assert result.pointwise.shape == result.rows.shape == (N,)
    assert result.pointwise.mean() == pytest.approx(result.estimate.mean)
    exact = np.linalg.inv(task.cov)
    exact[:2, :2] -= np.linalg.inv(task.cov_x)
    exact[2:, 2:] -= np.linalg.inv(task.cov_y)
    z = np.concatenate([x, y], axis=1)[result.rows]
    ratio = task.information - 0.5 * np.einsum("ni,ij,nj->n", z, exact, z)
    # the 2 x 5 coefficients of a regression on five features give an example's share an error of
    # variance 10 / N
    assert (
        np.corrcoef(result.pointwise, ratio)[0, 1] > 1 - 10 / N / np.var(ratio)
        and not result.unbounded
    )


def test_what_lengths_tell_is_found_without_a_network():
    task = pairs.StudentPair(2, 2, 2)
    x, y = task.sample(jax.random.key(14), N)
    result = measures.mutual_information(jax.random.key(15), x, y, TINY)
    assert_estimate(result.regression, task.information, 0.15 * task.information)
    assert_estimate(result.estimate, task.information, 0.15 * task.information)
    assert result.shape > 0.7 * task.information and result.shape > result.regression.mean - 0.03
    assert result.score_difference is None
    correction = regression.count_coefficients(5) / (
        2 * N
    )  # y has two coordinates beside the powers of its length
    spread = np.std(result.pointwise, ddof=1) / N**0.5
    assert result.regression.stderr == pytest.approx(np.hypot(spread, correction), rel=0.05)


def test_the_correction_is_that_of_either_half_in_coordinates_of_its_own():
    rng = np.random.default_rng(21)
    pair = halved_pair.Pair(rng.normal(size=(2, 500, 2)), rng.normal(size=(2, 500, 2)))
    corrections = [
        pair_information.correction(one, regression.polar)
        for one in (pair, pair._replace(own=(pair.x, pair.y)))
    ]
    np.testing.assert_allclose(
        corrections,
        [regression.count_coefficients(5) / 2000, regression.count_coefficients(3) / 1000],
    )
    assert pair_information.correction(pair, halved_pair.MEAN) == 0


def test_of_many_labels_no_lengths_are_modelled(monkeypatch):
    """80 coefficients, fewer than five examples for each in a half. What lengths tell of two labels
    is in test_estimates."""
    rng = np.random.default_rng(22)
    labels = np.arange(200) // 10
    x = np.where(labels % 2, 6.0, 1.0)[:, None] * rng.normal(size=(200, 2))
    monkeypatch.setattr(pair_information, "divergence", lambda *arguments: nothing_found(200))
    assert measures.label_information(jax.random.key(23), x, labels, TINY).shape == 0


def test_mixed_sources_are_unmixed():
    """x and y are linear maps of cubes of normals, which are related one to one: a Gaussian copula,
    unmixed."""
    task = tasks.map_both(pairs.sparse(2, 2, 0.8), lambda z: z**3)
    x, y = task.sample(jax.random.key(16), N)
    mix = np.array([[1.0, 0.7], [-0.6, 1.0]])
    result = measures.mutual_information(jax.random.key(17), x @ mix, y @ mix.T, TINY)
    assert_estimate(result.regression, task.information, 0.1 * task.information)
    assert result.regression.mean > result.gaussian.mean + 0.1


def test_learned_coordinates_are_used_and_doubted(monkeypatch):
    """Linear maps in place of learned ones, another for either half: of a Gaussian all is in the
    mean regression, half of the optimism is added, and both it and the drift are in the error."""
    task = pairs.dense(2, 2, 0.5)
    x, y = task.sample(jax.random.key(0), N)
    turns = np.stack([np.diag([1.0, 3.0]), [[0.5, 1.0], [-1.0, 0.5]]])
    seen = []

    def learn(key, pair, settings, show):
        seen.append(pair._replace(x=pair.x @ turns, own=(pair.x @ turns[::-1], pair.y)))
        return seen[-1]._replace(optimism=0.2, drift=0.03)

    monkeypatch.setattr(flows, "learn", learn)
    monkeypatch.setattr(measures, "resolve", lambda result, *_: result)  # not by neighbours
    monkeypatch.setattr(twin_weight, "weigh", lambda result, *_: result)
    result = measures.mutual_information(jax.random.key(1), x, y, TINY)
    mean = halved_pair.information(seen[0], halved_pair.MEAN)
    spread = mean.pointwise.std(ddof=1) / N**0.5
    assert result.conditional.updates == 0 and result.regression.mean == pytest.approx(
        mean.mean + 0.1
    )
    assert result.regression.stderr == pytest.approx(np.sqrt(spread**2 + 0.1**2 + 0.03**2))
    assert result.estimate.mean == pytest.approx(result.regression.mean - result.marginal.mean)
    assert result.pointwise.mean() == pytest.approx(result.estimate.mean) and not result.unbounded
    assert result.gaussian.mean == pytest.approx(
        halved_pair.information(
            seen[0]._replace(own=None, x=seen[0].x @ np.linalg.inv(turns)), regression.linear
        ).mean
    )


@pytest.mark.parametrize("doubt", [0.01, 0.5])
def test_the_other_block_is_diffused_where_only_its_own_divergence_is_found(monkeypatch, doubt):
    """D[X] = 0.3 and nothing else is found, whatever is asked first; then nothing, with this
    doubt."""
    task = pairs.dense(2, 2, 0.5)
    x, y = task.sample(jax.random.key(18), N)
    calls = iter([(0.0, 0.01, 0), (0.3, 0.01, 40), (0.0, doubt, 0), (0.0, doubt, 0)])
    asked, keys = [], set()

    def divergence(key, halves, *_):
        asked.append(np.asarray(halves.r))
        keys.update(
            tuple(np.asarray(jax.random.key_data(one)).tolist())
            for one in (key, *jax.random.split(key, 3))
        )
        mean, systematic, updates = next(calls)
        zeros = np.zeros(N)
        return Divergence(
            mean,
            systematic,
            zeros + mean,
            *[zeros] * 3,
            *[np.zeros(2)] * 2,
            np.arange(3.0),
            mean,
            mean,
            updates,
        )

    monkeypatch.setattr(pair_information, "divergence", divergence)
    monkeypatch.setattr(measures, "resolve", lambda result, *blocks: result)
    monkeypatch.setattr(twin_weight, "weigh", lambda result, *_: result)
    result = measures.mutual_information(jax.random.key(19), x, y, TINY)
    assert (
        len(asked) == 4 and len(keys) == 4 * 4 and abs(asked[1] - asked[3]).max() > 0.1
    )  # another block
    if doubt < 0.3:
        assert (
            result.estimate.mean == result.regression.mean and result.marginal.systematic == doubt
        )
        assert_estimate(result.estimate, task.information, 0.15 * task.information)
    else:
        assert (
            result.estimate.mean == pytest.approx(result.regression.mean - 0.3)
            and result.estimate.stderr > 0.3
        )


@pytest.mark.parametrize(
    "dim_x, dim_y",
    [
        (2, 2),
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(1, 2, marks=pytest.mark.slow),
    ],
)
def test_order_and_increasing_maps_of_coordinates_do_not_matter(dim_x, dim_y):
    x, y = pairs.StudentPair(dim_x, dim_y, 2).sample(jax.random.key(2), N)
    first = measures.mutual_information(jax.random.key(3), x, y, TINY)
    second = measures.mutual_information(jax.random.key(3), np.arctan(y), x**3, TINY)
    assert first.estimate == second.estimate


@pytest.mark.parametrize("values", [2, 4])
def test_a_few_values_that_tell_nothing_make_no_information(values):
    rng = np.random.default_rng(12)
    x, y = rng.binomial(values - 1, 0.3, size=(N, 2)) * 1.0, rng.normal(size=(N, 2))
    for pair in ((x, y), (x, rng.binomial(values - 1, 0.3, size=(N, 2)) * 1.0)):
        assert_estimate(
            measures.mutual_information(jax.random.key(13), *pair, TINY).estimate, 0.0, 0.05
        )


def test_conditional_information_that_lengths_tell():
    """A Student law and a z apart from it: given z, all of the law's information is left."""
    rng, task = np.random.default_rng(24), pairs.StudentPair(2, 1, 2)
    x, y = task.sample(jax.random.key(25), N)
    z = rng.normal(size=(N, 1))
    result = conditional_information(jax.random.key(26), x, y, z, TINY)
    assert_estimate(result.estimate, task.information, 0.3 * task.information)
    assert result.shape > 0.6 * task.information and abs(result.gaussian.mean) < 0.02


@pytest.mark.optimized
@pytest.mark.slow
def test_labels_of_a_mixture():
    """Two Gaussians two standard deviations apart, and their label: I by quadrature, symmetric
    forms agree."""
    from scipy.integrate import quad
    from scipy.stats import norm

    p = lambda x: 0.5 * norm.pdf(x, 1) + 0.5 * norm.pdf(x, -1)  # noqa: E731
    truth = quad(lambda x: -p(x) * np.log(p(x)), -9, 9)[0] - 0.5 * np.log(2 * np.pi * np.e)
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, size=6000)
    x = 2.0 * labels[:, None] + rng.normal(size=(6000, 1))
    assert_estimate(
        measures.label_information(jax.random.key(6), x, labels).estimate, truth, 0.1 * truth
    )


@pytest.mark.optimized
@pytest.mark.slow
def test_counts_that_a_column_decides_are_told_to_their_entropy():
    """floor(1.5 x): as much as the entropy of these counts, in which networks blur ten edges."""
    x = np.random.default_rng(27).normal(size=(2000, 1))
    counts = pool(np.unique(np.floor(1.5 * x[:, 0]), return_inverse=True)[1])
    estimate = measures.label_information(jax.random.key(27), x, counts.pooled).estimate
    truth = counts.entropy - counts.loss
    assert abs(estimate.mean - truth) < 2 * estimate.stderr < 0.05


def test_growth_at_the_finest_noise_is_told_from_that_of_x_itself(monkeypatch):
    """By the density beyond lambda = 3.5, of x given y less that of x, for each coordinate; of
    labels never."""
    edges, zeros = np.array([-7.0, 0.0, 3.5, 6.0, 10.0]), np.zeros(N)

    def part(*density):
        return Divergence(
            0.0, 0.1, *[zeros] * 4, np.array(density), np.zeros(4), edges, 0.0, 0.0, 0
        )

    for conditional, marginal, dim, expected in (
        (part(0, 0, 0.5, 0.5), None, 1, True),
        (part(0.5, 0.5, 0, 0), None, 1, False),
        (part(0, 0, 0.0, 0.3), None, 1, False),  # its mean beyond 3.5 is below 0.2
        (part(0, 0, 0.5, 0.5), part(0, 0, 0.4, 0.4), 1, False),
        (part(0, 0, 0.5, 0.5), None, 3, False),
    ):
        assert assembly.still_grows(conditional, marginal, dim) == expected
    for more, expected in ((0.3, True), (0.1, False)):
        density = np.array([9.0, 9.0, more, more])
        assert assembly.still_grows(part(0, 0, 0, 0), None, 1, density) == expected
    monkeypatch.setattr(pair_information, "divergence", lambda *arguments: part(0, 0, 0.5, 0.5))
    x = np.random.default_rng(17).normal(size=N)
    assert measures.mutual_information(jax.random.key(0), x, x[::-1].copy(), TINY).unbounded
    assert not measures.label_information(jax.random.key(0), x, np.arange(N) % 2, TINY).unbounded


def test_the_parts_are_added_up_with_their_signs():
    """I = I_reg + D[X|Y] - D[X], and so for every form: 2 + 3 - 1, 2 + 5 - 4, 2 + 7 - 8, example by
    example."""

    def part(mean, growth, s_nn, gap, updates, systematic):
        rng = np.random.default_rng(updates)
        values = [rng.normal(size=N) for _ in range(4)]
        shares = [v - v.mean() + m for v, m in zip(values, (mean, growth, s_nn, gap), strict=True)]
        return Divergence(
            mean,
            systematic,
            *shares,
            np.zeros(2),
            np.zeros(2),
            np.array([-7.0, 0.0, 10.0]),
            mean,
            mean,
            updates,
        )

    told = np.random.default_rng(0).normal(size=N)
    told = gaussian.GaussianPart(2.0, told - told.mean() + 2)
    conditional, marginal = part(3, 5, 7, 6, 10, 0.3), part(1, 4, 8, 0, 20, 0.4)
    rows = np.arange(N).reshape(2, -1)
    result = assembly.assemble(told, rows, 2, conditional, marginal, True, doubt=1.2)
    for form, mean in (
        ("estimate", 4),
        ("growth_difference", 3),
        ("entropy_difference", 1),
        ("regression", 2),
    ):
        assert getattr(result, form).mean == pytest.approx(mean)
    assert result.score_difference is None  # something was found in x by itself
    np.testing.assert_allclose(
        result.pointwise, told.pointwise + conditional.pointwise - marginal.pointwise
    )
    spread = np.std(result.pointwise, ddof=1) / N**0.5
    assert result.estimate.stderr == pytest.approx(np.sqrt(spread**2 + 0.3**2 + 0.4**2 + 1.2**2))
    for form in ("entropy_difference", "growth_difference"):  # they are 1 and 3
        assert getattr(result, form).stderr > 1.0
    alone = assembly.assemble(told, rows, 1, conditional, None, True)
    assert alone.estimate.mean == pytest.approx(5) and alone.score_difference.mean == pytest.approx(
        8
    )
    one_sided = assembly.assemble(told, rows, 2, conditional._replace(updates=0), marginal)
    assert one_sided.estimate.stderr > 1.0  # D[X] as a whole


def test_equal_orders_but_for_a_tie_are_refused_in_one_line():
    """Of these rows and seeds chance breaks the tie in the order of the other column."""
    rng = np.random.default_rng(0)
    x = np.arange(101.0)
    x[51] = x[50]
    y = np.arange(101.0) + 0.1 * rng.random(101)
    order = rng.permutation(101)
    x = x[order]
    y = y[order]
    z = rng.normal(size=101)
    for estimate in (
        lambda: diffenc.mutual_information(x, y),
        lambda: diffenc.conditional_information(x, y, z),
        lambda: diffenc.total_correlation(np.stack([x, y, z], axis=1)),
    ):
        with pytest.raises(InputError, match="in the same order but for ties"):
            estimate()
