"""Rows that repeat or depend on each other: copies, series, groups; and what is no such thing."""

import jax
import numpy as np
import pandas as pd
import pytest
from checks import NUM_SIGMAS
from scipy.signal import lfilter

import diffenc
from diffenc.errors import InputError
from diffenc.information import clusters
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian
from diffenc.information.results import networks_measurement
from diffenc.information.samples import inputs, repeats, rows, series
from diffenc.information.training import halves

N = 1000
TINY = {
    "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
    "mixture": {"updates": 20, "rounds": 2},
    "flow": {"rounds": 0},
    "judge": {"parts": 3},
}


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def autoregressive(seed, phi, n=N, dim=1):
    """A stationary series of unit noise, after a thousand rows of warm-up."""
    return lfilter([1], [1, -phi], normal(seed, n + 1000, dim), axis=0)[1000:]


def smoothed(seed, window, n=N):
    noise = normal(seed, n + window - 1)
    return np.convolve(noise, np.ones(window) / window, "valid")


# Clusters.


def test_the_error_of_clusters_is_that_of_their_means():
    means = normal(0, 50)
    values = np.repeat(means, 7)
    error = means.std(ddof=1) / 50**0.5
    estimate = clusters.estimate(values, Clusters(np.repeat(np.arange(50), 7)))
    assert estimate == pytest.approx((means.mean(), error))
    alone = clusters.estimate(values, Clusters(np.arange(350)))
    assert alone == pytest.approx(clusters.estimate(values, None))
    assert clusters.estimate(values, Clusters(np.repeat(np.arange(50), 7), scale=2.0)).stderr == (
        pytest.approx(2 * error)
    )


def test_some_rows_of_clusters_follow_the_law_of_the_rows():
    size = np.repeat([1, 5], [400, 400])
    is_large = np.repeat(size, size) == 5
    of_rows = Clusters(np.repeat(np.arange(800), size))
    some = clusters.some_rows(of_rows, np.random.default_rng(0))
    assert len(np.unique(of_rows.index[some])) == len(some) > 400
    share = is_large[some].mean()
    error = (share * (1 - share) / len(some)) ** 0.5
    assert abs(share - 5 / 6) < NUM_SIGMAS * error


def test_halves_hold_whole_clusters_and_are_apart_by_the_gap():
    index = np.arange(N) // 20
    whole = halves.split(jax.random.key(0), N, Clusters(index))
    assert whole.shape == (2, 496) and len(np.unique(whole)) == 2 * 496, "31 * 16"
    assert not set(index[whole[0]]) & set(index[whole[1]])
    odd = clusters.is_odd(whole.shape, Clusters(index[whole]))
    for half in (0, 1):
        of_half = index[whole[half]]
        assert all(len(set(odd[half][of_half == one])) == 1 for one in set(of_half))
        assert abs(odd[half].mean() - 0.5) <= 20 / 496
    apart = halves.split(jax.random.key(0), N, Clusters(index, gap=6))
    distance = np.abs(apart[0][:, None] - apart[1][None])
    assert distance.min() == 7 and apart.shape[1] > N / 3
    one_by_one = clusters.is_odd((2, 4), None)
    assert one_by_one.tolist() == [[False, True, False, True]] * 2


def test_copies_weigh_but_do_not_count():
    """All rows k times: moments and shares are those of the rows, errors and biases too."""
    x, y = normal(1, 2, N // 4, 2)
    repeated = np.repeat(x, 4, axis=0), np.repeat(y, 4, axis=0)
    index = np.repeat(np.arange(N // 4), 4)
    inflation = clusters.measure_inflation(repeated, index)
    assert inflation == pytest.approx(4)
    once = gaussian.gaussian_information(x, y)
    weighed = gaussian.gaussian_information(*repeated, Clusters(index, inflation))
    # The covariances have the divisor n - 1 of their own n.
    assert weighed.mean == pytest.approx(once.mean, abs=1e-12)
    assert weighed.estimate.stderr == pytest.approx(once.estimate.stderr, rel=0.01)


# Copies.

X = normal(2, N, 2)
Y = normal(3, N, 2)
CLASSES = (X[:, 0] > 0.5).astype(int)
BOTH_ZERO = np.random.default_rng(4).random(N) < 0.3


@pytest.mark.parametrize(
    "x, y, count",
    [
        (np.tile(X, (2, 1)), np.tile(Y, (2, 1)), N),
        (np.concatenate([X[:600], X[400:]]), np.concatenate([Y[:600], Y[400:]]), 200),
        (np.concatenate([X, X.astype(np.float32)]), np.tile(Y, (2, 1)), N),
        (np.concatenate([X, X.round(6)]), np.concatenate([Y, Y.round(7)]), N),
        (np.tile(X, (2, 1)), np.tile(CLASSES, 2), N),
        (np.tile(X[:120, 0], 20), np.tile(Y[:120, 0], 20), 19 * 120),
        # No copies.
        (X, Y, 0),
        (np.tile(X, (2, 1)), normal(5, 2 * N, 2), 0),
        (X.round(1), Y.round(1), 0),
        (X[:, 0].round(2), CLASSES, 0),
        (X[:, 0].round(2), CLASSES * 0 + (Y[:, 0] > 0), 0),
        (X[:, 0].astype(np.float16), CLASSES, 0),
        (np.where(BOTH_ZERO, 0, X[:, 0]), np.where(BOTH_ZERO, 0, Y[:, 0]), 0),
        (X[:, 0].round(0), CLASSES, 0),
        (np.exp(5 * X[:, 0]), np.exp(5 * X[:, 0] + 0.01 * Y[:, 0]), 0),
        (X[:, 0], X[:, 0] + 1e-4 * Y[:, 0], 0),
    ],
)
def test_rows_that_were_written_more_than_once(x, y, count):
    copies = repeats.find(x, y)
    assert (0 if copies is None else copies.count) == count
    if copies is None:
        return
    assert not copies.is_chosen and len(copies.first) == len(x) - count
    np.testing.assert_array_equal(np.sort(copies.first), copies.first)
    found = rows.examine([x, y])
    np.testing.assert_array_equal(found.used, copies.first)
    assert f"{count} of {len(x)} rows repeat others" in rows.notes(found.facts)[0]


def test_a_class_that_was_written_more_often_keeps_its_weight():
    times = np.where(CLASSES == 1, 5, 1)
    x = np.repeat(X, times, axis=0)
    labels = np.repeat(CLASSES, times)
    found = rows.examine([x, labels])
    assert found.used is None and len(found.first) == N
    assert found.facts["weighted"] and found.facts["repeated"] == len(x) - N
    # Kish: (sum of weights)^2 / sum of squares, but for the products of rarer classes.
    assert 1 < found.clusters.inflation <= 5
    assert "depends on their values" in rows.notes(found.facts)[0]
    drawn = np.random.default_rng(6).integers(0, N, N)
    assert not repeats.find(X[drawn], CLASSES[drawn]).is_chosen, "of a bootstrap it is chance"


def test_shuffled_copies_are_no_series():
    """Rows with many copies stand early in a shuffled file, by the first of their copies."""
    refused = 0
    for seed in range(20):
        x, noise = normal((seed, 60), 2, N)
        y = x + noise
        shuffled = np.random.default_rng(seed).permutation(np.repeat(np.arange(N), 1 + 3 * (x > 0)))
        try:
            assert rows.examine([x[shuffled], y[shuffled]]).facts["weighted"]
        except InputError:
            refused += 1
    assert refused <= 1, "of 20; 2 or more once in 60 times, at a hundredth each"


def test_a_series_is_seen_behind_copies_and_rivals_see_rows_of_the_same_law():
    x, y = autoregressive(50, 0.9), autoregressive(51, 0.9)
    often = np.where(x[:, 0] > 1.0, 5, 1)
    with pytest.raises(InputError, match="give every row once, in the order of the series"):
        rows.examine([np.repeat(x, often, axis=0), np.repeat(y, often, axis=0)])
    repeated = [np.repeat(x, often, axis=0), np.repeat(y, often, axis=0)]
    assert rows.examine(repeated, order="exchangeable").facts["weighted"]
    # Copies that say nothing are left out, and the series is thinned.
    twice = [np.repeat(block, 2, axis=0) for block in (x, y)]
    found = rows.examine(twice)
    assert found.facts["memory"] and found.facts["repeated"] == N
    thinned = found.distinct(twice[0])
    assert len(thinned) == -(-N // found.clusters.gap)
    # Of weighted copies, rivals have one row of each at most, as frequent as in the file.
    times = np.where(CLASSES == 1, 5, 1)
    found = rows.examine([np.repeat(X, times, axis=0), np.repeat(CLASSES, times)])
    some = found.distinct(np.repeat(CLASSES, times))
    share = np.sum(times[CLASSES == 1]) / np.sum(times)
    error = (share * (1 - share) / len(some)) ** 0.5
    assert abs(some.mean() - share) < NUM_SIGMAS * error and len(some) < N


def test_copies_are_used_once(without_networks):
    once = diffenc.mutual_information(X, Y, settings=TINY)
    twice = [np.concatenate([block[:100], block, block[100:]]) for block in (X, Y)]
    estimate = diffenc.mutual_information(*twice, settings=TINY)
    assert estimate.estimate == once.estimate
    assert abs(estimate.mean) < NUM_SIGMAS * estimate.stderr < 0.05 * NUM_SIGMAS
    assert "1000 of 2000 rows repeat" in estimate.notes[-1]
    used = set(estimate.details.rows)
    assert len(used) == N and not used & set(range(100, 200)), "rows as they were given"
    with pytest.raises(InputError, match="500 rows are 50 different ones written several times"):
        diffenc.mutual_information(np.tile(X[:50], (10, 1)), np.tile(Y[:50], (10, 1)))


@pytest.mark.parametrize("dependence", ["copies", "series", "groups"])
def test_the_information_of_dependent_rows_has_no_bias(dependence):
    """Of blocks that depend on themselves, and not on each other; 4 / 2N of the effective N."""
    estimates = []
    for seed in range(60):
        if dependence == "series":
            index = np.arange(N) // 40
            x = autoregressive((seed, 0), 0.8, dim=2)
            y = autoregressive((seed, 1), 0.8, dim=2)
        else:
            index = np.random.default_rng(seed).integers(0, 200, N)
            x = normal((seed, 2), 200, 2)[index]
            y = normal((seed, 3), 200, 2)[index]
        if dependence == "groups":
            x = x + 0.5 * normal((seed, 4), N, 2)
            y = y + 0.5 * normal((seed, 5), N, 2)
        inflation = clusters.measure_inflation([x, y], index)
        part = gaussian.gaussian_information(x, y, Clusters(index, inflation))
        estimates.append((part.mean, gaussian.gaussian_information(x, y).mean))
    means = np.array(estimates)
    errors = means.std(axis=0, ddof=1) / len(means) ** 0.5
    assert abs(means[:, 0].mean()) < NUM_SIGMAS * errors[0] < means[:, 1].mean()


# Series.


def kind(*blocks):
    try:
        order = series.examine(*(block.reshape(len(block), -1) for block in blocks))
    except InputError as error:
        return "refused" if "groups=" in str(error) else str(error)
    if order.has_drift:
        return "drift"
    return "series" if order.clusters is not None else "independent"


@pytest.mark.parametrize("phi", [0.5, 0.9, -0.9])
def test_tau_of_autoregressions(phi):
    """Bartlett: the products of two have the autocorrelation phi^2k."""
    tau = (1 + phi**2) / (1 - phi**2)
    orders = [
        series.examine(autoregressive(seed, phi, 4000), autoregressive(seed + 20, phi, 4000))
        for seed in range(8)
    ]
    inflation = np.array([order.clusters.inflation for order in orders])
    assert abs(inflation.mean() - tau) < NUM_SIGMAS * inflation.std(ddof=1) / 8**0.5
    assert inflation.std(ddof=1) < 0.3 * tau
    index = orders[0].clusters.index
    assert 20 <= index.max() + 1 <= 50 and np.bincount(index).min() >= min(2 * tau, 80)


def test_tau_of_columns_does_not_depend_on_their_order():
    """Of three columns the pairs have tau of 1.8, 1.8 and 19.5."""
    orders = []
    for seed in range(8):
        fast = autoregressive((seed, 63), 0.3, 4000)
        slow = [autoregressive((seed, place), 0.95, 4000) for place in (64, 65)]
        orders += [
            series.examine(*columns, by_column=True) for columns in ([fast, *slow], [*slow, fast])
        ]
    inflation, memory = np.array([(one.clusters.inflation, one.memory) for one in orders]).T
    np.testing.assert_allclose(inflation[::2], inflation[1::2], rtol=0.01)
    products = np.array([0.3 * 0.95, 0.3 * 0.95, 0.95**2])
    tau = (1 + products) / (1 - products)
    for measured, expected in ((inflation, tau.mean()), (memory, tau.max())):
        spread = measured[::2].std(ddof=1)
        assert abs(measured[::2].mean() - expected) < NUM_SIGMAS * spread / 8**0.5
        assert spread < 0.3 * expected


def test_few_random_walks_pass_and_no_series_is_refused_for_one():
    """Of 600 other pairs of walks of 500 rows 1.0 % pass; by one block alone it was 2.5 %."""
    kinds = {"walks": [], "series": [], "beside": []}
    for seed in range(100):
        walks = np.cumsum(normal((seed, 40), 2, 500), axis=1)
        kinds["walks"].append(kind(*walks))
        kinds["series"].append(kind(*(autoregressive((seed, one), 0.9, 500) for one in (41, 42))))
        kinds["beside"].append(kind(autoregressive((seed, 43), 0.6, 500), walks[0]))
    assert kinds["walks"].count("series") <= 4, "of 100; 5 or more of them once in 270 times"
    assert set(kinds["series"]) == {"series"} == set(kinds["beside"])


PLACE = np.arange(2000)


@pytest.mark.parametrize(
    "blocks, expected",
    [
        ((smoothed(1, 20, 2000), smoothed(2, 20, 2000)), "series"),
        ((autoregressive(3, 0.98, 2000), autoregressive(4, 0.98, 2000)), "series"),
        ((np.cumsum(normal(5, N)), np.cumsum(normal(6, N))), "refused"),
        ((np.cumsum(normal(7, N, 2), axis=0), np.cumsum(normal(8, N, 3), axis=0)), "refused"),
        ((np.sin(PLACE / 100) + normal(9, 2000), np.cos(PLACE / 7)), "independent"),
        ((np.cumsum(normal(10, N)), normal(11, N)), "independent"),
        ((PLACE / 700 + normal(12, 2000), PLACE / 700 + normal(13, 2000)), "drift"),
        ((np.repeat(normal(14, 100), 20) + normal(15, 2000),), "series"),
        ((np.exp(0.7 * autoregressive(16, 0.9)) * normal(17, N, 1),), "series"),
        (
            (np.linspace(-3, 3, N), np.sin(np.linspace(-9, 9, N)) + 0.3 * normal(18, N)),
            "independent",
        ),
        ((PLACE, autoregressive(19, 0.9, 2000)), "series"),
    ],
)
def test_kinds_of_orders(blocks, expected):
    assert kind(*blocks) == expected


def test_rows_that_are_sorted_by_one_of_many_columns_are_examples():
    """Of these columns the first forty are looked at for a series, and any may be that column."""
    place = np.arange(500)
    x = place[:, None] / 250 + normal(62, 500, 45)
    assert kind(np.column_stack([x, place])) == "independent"


def test_rows_that_are_sorted_by_a_label_and_resemble_their_neighbours_are_told():
    """As in the wines of UCI: within a class the rows are in another order that means something."""
    label = np.repeat([0, 1, 2], 60)
    x = autoregressive(60, 0.5, 180, 4) + 2 * label[:, None]
    (note,) = rows.notes(rows.examine([x, label]).facts)
    assert "rows are sorted by a column" in note and "order='exchangeable'" in note
    assert not rows.examine([x, label], order="exchangeable").facts
    assert not rows.examine([normal(61, 180, 4) + 2 * label[:, None], label]).facts


@pytest.mark.parametrize("subjects, times", [(25, 80), (60, 30), (200, 10), (500, 2)])
def test_values_of_subjects_recur(subjects, times):
    """Also where many of them are near each other by chance, because each is in many rows."""
    for seed in range(5):
        traits = np.repeat(normal((seed, 50), subjects), times)
        assert repeats.count_recurring(traits) == pytest.approx(subjects, abs=2)
        assert repeats.count_recurring(np.exp(2 * traits)) == pytest.approx(subjects, abs=4)


@pytest.mark.parametrize("size", [300, 1500])
def test_counts_and_their_logarithms_recur_by_chance(size):
    rng = np.random.default_rng(51)
    for dispersion, mean in ((0.3, 100), (2, 20), (50, 1000)):
        counts = rng.negative_binomial(dispersion, dispersion / (dispersion + mean), size)
        for values in (np.log1p(counts), np.sqrt(counts), counts / 7, np.exp(X[:, 0].round(1))):
            assert repeats.count_recurring(values) is None


def test_turned_mirrored_and_exchanged_copies_are_counted():
    rng = np.random.default_rng(54)
    pictures = rng.normal(size=(300, 4, 4))
    turned = [np.rot90(pictures, times, (1, 2)).reshape(300, 16) for times in range(4)]
    assert repeats.count_turned(rng.permutation(np.concatenate(turned))) == 900
    x = normal(55, 400, 3) * [1, 1e3, 1e-3]
    order = rng.permutation(500)
    mirrored = np.concatenate([x, -x[:100]])[order]
    assert repeats.count_turned(mirrored, np.r_[x[:, 0], x[:100, 0]][order]) == 100
    signs = rng.choice([-1.0, 1.0], size=(500, 2))
    beside_signs = repeats.count_turned(signs, np.r_[x[:, 0] + 9, x[:100, 0] + 9])
    assert beside_signs == pytest.approx(100, abs=2)  # a pair or two are equal by chance
    assert repeats.count_turned(signs) is None
    first, second = normal(56, 2, 300)
    twins = np.r_[first, second], np.r_[second, first]
    (said,) = networks_measurement.dependent(*(inputs.read("x", one) for one in twins))
    assert said.startswith("300 of 600 rows hold the numbers of others") and "groups=" in said


@pytest.mark.parametrize("digits", [0, 1, 2, 9])
def test_rounded_rows_are_turned_copies_of_none(digits):
    for seed in range(5):
        x = normal((57, seed), 800, 2)
        assert repeats.count_turned(x.round(digits), x[:, 0].round(digits)) is None
        assert repeats.count_turned(np.sign(x), x[::-1, :1].round(digits)) is None


def test_a_column_that_recurs_beside_others_is_named():
    traits = np.repeat(normal(52, 60), 10)
    said = networks_measurement.recurring(
        inputs.read("x", np.stack([traits, normal(53, 600)], axis=1))
    )
    assert len(said) == 1 and said[0].startswith("x column 0 has 60 different rows in 600")
    assert not networks_measurement.recurring(inputs.read("x", normal(53, 600, 2)))


LAWS = {
    "gaussian": lambda r, x: 0.8 * x + 0.6 * r.normal(size=len(x)),
    "sharp": lambda r, x: x + 0.05 * r.normal(size=len(x)),
    "wave": lambda r, x: np.sin(3 * x) + 0.3 * r.normal(size=len(x)),
    "student": lambda r, x: np.sinh(2 * x) + r.standard_t(1.5, size=len(x)),
    "scale": lambda r, x: np.exp(x) * r.normal(size=len(x)),
    "counts": lambda r, x: r.poisson(np.exp(x / 2)),
    "labels": lambda r, x: (x + r.normal(size=len(x)) > 0).astype(int),
    "codes": lambda r, x: (7 * np.clip(np.round(x + r.normal(size=len(x))), -2, 2)) % 5,
}


def turns(seed, subjects, days):
    """Two traits of subjects that are measured in turns, which tell nothing of each other."""
    traits = normal(seed, 2, subjects)
    return np.tile(traits, days) + 0.5 * normal(seed + 1, 2, subjects * days)


def raster(seed, side):
    """Two fields that are smooth over seven cells of a grid, which is written row by row."""
    window = np.ones(7) / 7
    fields = normal(seed, 2, side + 6, side + 6)
    for axis in (1, 2):
        fields = np.apply_along_axis(np.convolve, axis, fields, window, "valid")
    return fields.reshape(2, -1)


@pytest.mark.parametrize(
    "blocks, period", [(turns(70, 40, 30), 40), (turns(72, 200, 10), 200), (raster(74, 40), 40)]
)
def test_rows_that_come_in_turns_are_told(blocks, period):
    facts = rows.examine(list(blocks)).facts
    assert facts["period"] == period
    assert f"rows resemble those {period} rows before" in rows.notes(facts)[-1]
    shuffled = np.random.default_rng(76).permutation(blocks.shape[1])
    assert "period" not in rows.examine(list(blocks[:, shuffled])).facts
    white = [blocks[0], normal(77, blocks.shape[1])]
    assert "period" not in rows.examine(white).facts, "one block alone does no harm"


@pytest.mark.parametrize("phi", [0, 0.5, 0.9, 0.98])
def test_series_do_not_come_in_turns(phi):
    """Their correlations scatter more than those of independent rows."""
    periods = [
        series.examine(*(autoregressive((seed, one), phi, 2000) for one in (78, 79))).period
        for seed in range(12)
    ]
    assert not any(periods)


@pytest.mark.parametrize("sort", ["not", "x", "y"])
def test_independent_rows_in_any_order_are_no_series(sort):
    alarms = 0
    for seed, law in enumerate(list(LAWS.values()) * 8):
        rng = np.random.default_rng((seed, 1))
        x = rng.normal(size=(300, 1000)[seed % 2])
        y = law(rng, x).astype(float)
        place = {"not": np.arange(len(x)), "x": np.argsort(x), "y": np.argsort(y)}[sort]
        alarms += kind(x[place], y[place]) != "independent"
    assert alarms <= 2, "of 64; 1 % are expected at most, and 3 or more of them once in 40 times"


def test_two_series_are_independent_as_far_as_their_error_knows():
    x = autoregressive(30, 0.9)
    y = autoregressive(31, 0.9)
    estimate = diffenc.mutual_information(x, y, settings=TINY)
    assert abs(estimate.mean) < NUM_SIGMAS * estimate.stderr and estimate.stderr < 0.1
    assert "rows depend on their neighbours" in estimate.notes[-1]
    assert sum(error**2 for error in estimate.errors.values()) ** 0.5 == (
        pytest.approx(estimate.stderr)
    )
    told = rows.examine([x, y], order="exchangeable")
    assert told.clusters is None and not told.facts
    with pytest.raises(InputError, match="order is 'sorted': give 'exchangeable'"):
        diffenc.mutual_information(x, y, order="sorted")
    walks = np.cumsum(normal(32, 2, N), axis=1)
    with pytest.raises(InputError, match="take differences, .* order='exchangeable'"):
        diffenc.mutual_information(*walks)


def test_examples_of_a_chain_rule_are_numbered_as_they_were_given(without_networks):
    twice = np.concatenate([np.arange(100), np.arange(N)])
    names = np.array(["a", "b", "c"])[np.arange(N) % 3]
    x = pd.DataFrame({"number": X[twice, 0], "name": names[twice]})
    result = diffenc.mutual_information(x, CLASSES[twice], settings=TINY)
    for part in (result.details.together, result.details.alone):
        assert len(part.rows) > 0.9 * N and part.rows.max() == N + 99
        assert not set(part.rows) & set(range(100, 200)), "the copies"


# Groups.


def test_numbers_beside_names_are_numbers():
    place = np.arange(N) % 3
    x = autoregressive(7, 0.9)
    y = autoregressive(8, 0.9)
    beside = np.concatenate([x, np.array(["a", "b", "c"])[place, None].astype(object)], axis=1)
    assert beside.dtype == object
    expected = rows.examine([np.concatenate([x, place[:, None]], axis=1), y]).facts
    assert rows.examine([beside, y]).facts == expected and expected["memory"]


def test_groups_are_kept_beside_a_constant_column_and_beside_weighted_copies():
    subject = np.arange(N) % 100
    towns = np.stack([np.full(N, "here"), np.array(["a", "b", "c"])[CLASSES % 3]], axis=1)
    assert rows.examine([towns, X], groups=subject).facts["grouped"]
    with pytest.raises(InputError, match="80 rows are too few for groups"):
        rows.examine([X[:80], CLASSES[:80]], groups=subject[:80] % 20)
    times = np.where(CLASSES == 1, 5, 1)
    blocks = [np.repeat(block, times, axis=0) for block in (X, CLASSES)]
    found = rows.examine(blocks, groups=np.repeat(subject, times))
    assert found.used is None and found.facts["grouped"]
    assert "copies count as one example of more weight" in rows.notes(found.facts)[0]


def test_groups_of_the_caller():
    subject = np.arange(N) % 100
    x = normal(40, 100)[subject] + 0.5 * normal(42, N)
    y = normal(41, 100)[subject] + 0.5 * normal(43, N)
    found = rows.examine([x, y], groups=subject)
    # Products of effects of variance 1 / 1.25 are equal in a group, the rest is independent.
    share = (1 / 1.25) ** 2
    errors = 3 * 9 * share * (2 / 100) ** 0.5  # of a variance of 100 groups
    assert abs(found.clusters.inflation - (1 + 9 * share)) < errors
    names = np.array([f"s{one}" for one in subject])
    np.testing.assert_array_equal(
        rows.examine([x, y], groups=names[:, None]).clusters.inflation, found.clusters.inflation
    )
    assert "groups are divided whole" in rows.notes(found.facts)[0]
    for groups, words in (
        (subject[:9], "groups has shape|rows differ in number"),
        (np.where(subject == subject[5], np.nan, subject), "is empty in row"),
        (pd.Series(names).astype("string").mask(subject == 3), "is empty in row"),
        (pd.Series(names, dtype=object).where(subject != 3, None), "is empty in row"),
        (subject % 10, "groups has 10 different values"),
        (np.maximum(subject - 60, 0), "the most frequent in 610 of 1000"),
    ):
        with pytest.raises(InputError, match=words):
            diffenc.mutual_information(x, y, groups=groups)
    wide = normal(42, N, 30)[subject]
    with pytest.raises(InputError, match="60 columns are too many for 1000 rows that depend"):
        rows.examine([wide + 0.1 * normal(43, N, 30), wide[::-1] + normal(44, N, 30)], subject)
