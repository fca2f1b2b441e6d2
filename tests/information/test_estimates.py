"""`import diffenc`: closed forms, whatever samples are given as; results that print themselves; one
line for what has no estimate."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from checks import NUM_SIGMAS, count_compilations
from scipy.integrate import quad
from scipy.stats import binom, chi2, norm

import diffenc
from diffenc.errors import InputError
from diffenc.information.benchmark import pairs
from diffenc.information.quantities import measures
from diffenc.information.results import networks_measurement, remarks
from diffenc.information.samples import inputs, rows
from diffenc.information.samples.kinds import Kinds
from diffenc.information.settings import Settings
from diffenc.keys import key_of

SECTIONS = {
    "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
    "mixture": {"updates": 20, "rounds": 2},
    "flow": {"rounds": 0},
    "judge": {"parts": 3},
}
TINY = Settings.from_dict(SECTIONS)
N = 1000  # and two columns in most blocks, as in test_measures, so that programs are shared
TASK = pairs.dense(2, 2, 0.5)
X, Y = TASK.sample(jax.random.key(0), N)


def assert_estimate(estimate, truth, most):
    """The truth within computed standard errors, which are themselves below `most`."""
    assert abs(estimate.mean - truth) < NUM_SIGMAS * estimate.stderr
    assert 0 < estimate.stderr < most


def assert_errors_add_up(estimate):
    squares = [error**2 for error in estimate.errors.values()]
    assert sum(squares) ** 0.5 == pytest.approx(estimate.stderr)


def test_names_are_imported_when_they_are_asked_for():
    assert diffenc.InputError is InputError
    with pytest.raises(AttributeError, match="has no attribute 'mutual'") as raised:
        diffenc.mutual  # noqa: B018
    assert raised.value.obj is diffenc, "by which Python says which name is near"


@pytest.fixture(scope="module")
def estimate():
    """That of the Gaussian pair, from arrays."""
    return diffenc.mutual_information(X, Y, settings=TINY)


def test_a_gaussian_pair_however_it_is_given(estimate):
    assert_estimate(estimate, TASK.information, 0.1 * TASK.information)
    table = pd.DataFrame(X, columns=["a", "b"], index=range(5, N + 5))
    seen = []

    def repeat():
        return diffenc.mutual_information(
            table, Y.tolist(), settings=SECTIONS, progress=lambda *round_: seen.append(round_)
        )

    again = []
    assert count_compilations(lambda: again.append(repeat())) == 0
    assert again[0].estimate == estimate.estimate
    assert seen and all(isinstance(stage, str) and updates > 0 for stage, updates, _ in seen)
    single = jnp.asarray(Y)  # rounded to float32
    again = diffenc.mutual_information(
        y=single, x=table, given=None, seed=np.int64(0), settings=TINY
    )
    assert again.mean == pytest.approx(estimate.mean, abs=1e-5)
    library = measures.mutual_information(key_of(0, "estimate", "data"), X, Y, TINY)
    assert estimate.estimate == library.estimate


def test_a_result_prints_itself_and_holds_its_parts(estimate):
    places = len(f"{estimate}".split(" +- ")[0].split(".")[1])
    assert str(estimate) == repr(estimate)
    assert str(estimate) == f"{estimate.mean:.{places}f} +- {estimate.stderr:.{places}f} nats"
    assert float(estimate) == estimate.mean == estimate.estimate.mean
    assert estimate.bits.mean == pytest.approx(estimate.mean / np.log(2))
    assert estimate.bits.stderr == pytest.approx(estimate.stderr / np.log(2))
    assert_errors_add_up(estimate)
    parts = estimate.parts
    made_of = parts["regression"].mean + parts["conditional"].mean - parts["marginal"].mean
    assert estimate.mean == pytest.approx(made_of)
    assert {"gaussian", "entropy_difference", "growth_difference"} < set(parts)
    lines = estimate.report().splitlines()
    notes = [*estimate.notes, *estimate.notes_of_parts]
    assert len(lines) == 1 + len(parts) + len(estimate.errors) + len(notes)
    assert lines[0].startswith("I(X;Y)") and notes[-1] in lines[-1]
    assert any(note.startswith(remarks.NOTHING_DETECTED) for note in estimate.notes)
    unbounded = estimate.details._replace(unbounded=True)
    block = inputs.read("x", X)
    pair = Kinds("numbers", block, block)
    none = rows.Rows(None, None, None, {})
    endless = networks_measurement.of_information("I(X;Y)", unbounded, none, pair, 4)
    assert "infinite" in str(endless) and remarks.UNBOUNDED in endless.notes


def test_what_is_x_in_the_parts_is_said_beside_the_parts_alone(estimate):
    block = inputs.read("x", X)
    pair = Kinds("numbers", block, block)
    none = rows.Rows(None, None, None, {})
    for diffused in "xy":
        details = estimate.details._replace(diffused=diffused)
        said = networks_measurement.of_information("I(X;Y)", details, none, pair, 4)
        assert remarks.EXCHANGED not in said.notes
        assert (remarks.EXCHANGED in said.report()) == (diffused == "y")


def test_independent_samples_scatter_about_nothing():
    independent = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, N, 2))
        independent.append(diffenc.mutual_information(x, y, settings=TINY))
    # Without what y has in common with x by chance, only the bias that is subtracted is left.
    line = np.hstack([x, np.ones((N, 1))])
    y = y - line @ np.linalg.lstsq(line, y)[0]
    independent.append(diffenc.mutual_information(x, y, settings=TINY))
    for estimate in independent:
        assert_estimate(estimate, 0.0, 0.03)
    assert independent[0].mean < 0 and independent[-1].parts["gaussian"].mean < 0


def scale_information(dim: int, ratio: float = 6.0) -> float:
    """I(X;L) of X ~ N(0, I) or N(0, ratio^2 I) of so many coordinates, by quadrature over |X|^2.

    At the same |X| both densities are functions of it alone."""
    densities = [
        lambda s: chi2.pdf(s, dim),
        lambda s: chi2.pdf(s / ratio**2, dim) / ratio**2,
    ]

    def integrand(s):
        values = [density(s) for density in densities]
        mean = sum(values) / 2
        return sum(value * np.log(value / mean) for value in values if value > 0) / 2

    edges = [0, 5, 20, 60, 200, 3000]
    return sum(quad(integrand, *ends)[0] for ends in zip(edges, edges[1:], strict=False))


def draw_scales(dim):
    """X [N, dim] of one of two scales, and which."""
    rng = np.random.default_rng(22)
    labels = rng.integers(0, 2, size=N)
    return np.where(labels, 6.0, 1.0)[:, None] * rng.normal(size=(N, dim)), labels


def test_labels_in_all_their_forms(monkeypatch):
    x, labels = draw_scales(2)
    truth = scale_information(2)
    estimate = diffenc.mutual_information(x, labels, settings=TINY)
    assert_estimate(estimate, truth, 0.1 * truth)
    assert estimate.details.shape > 0.8 * truth  # lengths tell it
    linear_part = estimate.details.gaussian.mean
    assert abs(linear_part) < NUM_SIGMAS * 2**0.5 / N  # the Gaussian of the moments sees nothing
    assert estimate.parts["label_entropy"].mean == pytest.approx(np.log(2), abs=1e-2)
    assert_errors_add_up(estimate)
    seen = []

    def record(key, x, labels, *_):
        seen.append(labels.tolist())
        return estimate.details

    monkeypatch.setattr(measures, "label_information", record)
    names = np.array(["narrow", "wide"])[labels]
    categories = pd.Series(names, dtype="category")
    for y in (labels * 1.0, names, list(names), pd.Series(names), categories, labels == 1):
        diffenc.mutual_information(x, y)
    diffenc.mutual_information(labels, x)
    one_hot = np.eye(2)[1 - labels]
    diffenc.mutual_information(one_hot, x)
    assert len(seen) == 8 and all(one == labels.tolist() for one in seen)


def test_codes_on_both_sides_are_a_table():
    rng = np.random.default_rng(3)
    bit = rng.integers(0, 2, N).astype(bool)
    same = rng.random(N) < 0.8
    estimate = diffenc.mutual_information(np.where(bit, "yes", "no"), bit == same)
    truth = np.log(2) + 0.8 * np.log(0.8) + 0.2 * np.log(0.2)
    assert_estimate(estimate, truth, 0.1)
    assert_errors_add_up(estimate)
    assert set(estimate.parts) == {"plug_in", "label_entropy"} and not estimate.notes
    assert estimate.report().count("\n") == 4


def test_codes_beside_numbers():
    """x = y + c + noise: what y and the code tell of it by the density of x, two bumps of variance
    1.25."""
    rng = np.random.default_rng(5)
    sex = rng.choice(["f", "m"], size=N)
    y = rng.normal(size=N)
    x = np.stack([y + 1.5 * (sex == "m") + 0.5 * rng.normal(size=N), rng.normal(size=N)], axis=1)
    table = pd.DataFrame({"weight": y, "sex": sex})
    estimate = diffenc.mutual_information(x, table, settings=TINY)

    def density(a):
        return sum(norm.pdf(a, mean, 1.25**0.5) for mean in (0.0, 1.5)) / 2

    of_x = quad(lambda a: -density(a) * np.log(density(a)), -8.0, 12.0)[0]
    truth = of_x - 0.5 * np.log(2 * np.pi * np.e * 0.25)
    assert_estimate(estimate, truth, 0.1 * truth)
    assert_errors_add_up(estimate)
    assert diffenc.mutual_information(table, x, settings=TINY).estimate == estimate.estimate


@pytest.mark.slow
def test_labels_by_codes_and_numbers_together():
    """Given the label, trees and numbers are independent: what both tell is known by quadrature."""
    rng = np.random.default_rng(6)
    shares = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])  # of trees, by label
    label = rng.integers(0, 2, N)
    tree = np.array([rng.choice(3, p=shares[one]) for one in label])
    x = 1.5 * label + rng.normal(size=N)
    table = pd.DataFrame({"height": x, "tree": np.array(["oak", "ash", "elm"])[tree]})
    estimate = diffenc.mutual_information(table, label, settings=TINY)

    def integrand(a, code):
        of_both = 0.5 * shares[:, code] * norm.pdf(a, [0.0, 1.5])
        return np.sum(of_both * np.log(of_both / of_both.sum() / 0.5))

    truth = sum(quad(integrand, -8.0, 10.0, args=(code,))[0] for code in range(3))
    assert_estimate(estimate, truth, 0.2 * truth)
    assert_errors_add_up(estimate)
    assert estimate.parts["label_entropy"].mean == pytest.approx(np.log(2), abs=1e-2)
    assert diffenc.mutual_information(label, table, settings=TINY).estimate == estimate.estimate


def test_labels_beyond_what_a_condition_tells():
    """x and z have the scale in common: z tells of it, and x adds what two coordinates tell more
    than one."""
    both, labels = draw_scales(2)
    truth = scale_information(2) - scale_information(1)
    estimate = diffenc.conditional_information(both[:, 0], labels, both[:, 1], settings=TINY)
    assert_estimate(estimate, truth, 0.4 * truth)
    assert_errors_add_up(estimate)
    parts = estimate.parts
    assert estimate.mean == parts["I(X,Z;Y)"].mean - parts["I(Z;Y)"].mean
    assert parts["I(X,Z;Y)"].stderr < 0.05 and "I(X;Y|Z)" in estimate.report()


def test_what_pooling_may_lose_of_labels_and_of_a_condition_is_in_the_error(without_networks):
    """Of either eleven rows are pooled, of six and five: each loses the entropy of these."""
    rng = np.random.default_rng(11)
    label = np.concatenate([rng.integers(0, 2, N - 11), [2] * 6, [3] * 5])
    tree = rng.permutation(["ash"] * 500 + ["oak"] * (N - 511) + ["elm"] * 6 + ["fir"] * 5)
    x, height = rng.normal(size=(2, N))
    z = pd.DataFrame({"height": height, "tree": tree})
    estimate = diffenc.conditional_information(x, label, z, labels=True)
    shares = np.array([6, 5]) / 11
    lost = -11 / N * np.sum(shares * np.log(shares))
    assert estimate.errors["pooled labels"] == pytest.approx(2**0.5 * lost / 2)
    assert estimate.parts["pooled_labels"].stderr == estimate.errors["pooled labels"]
    assert estimate.notes.count(remarks.POOLED) == 1
    assert_errors_add_up(estimate)


def test_conditional_information_of_a_gaussian_triple():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, 1))
    x = np.hstack([z + rng.normal(size=(N, 1)), rng.normal(size=(N, 1))])
    y = z + rng.normal(size=(N, 1))
    estimate = diffenc.mutual_information(x, y, given=z, settings=TINY)
    assert_estimate(estimate, 0.0, 0.05)
    assert_errors_add_up(estimate)
    assert diffenc.conditional_information(x, y, z, settings=TINY).estimate == estimate.estimate
    total = x[:, :1] + y + z
    cov = np.array([[2.0, 1, 4], [1, 2, 4], [4, 4, 11]])  # of x, y and the total
    rest = cov[:2, :2] - np.outer(cov[:2, 2], cov[:2, 2]) / cov[2, 2]
    truth = -0.5 * np.log(1 - rest[0, 1] ** 2 / rest[0, 0] / rest[1, 1])
    estimate = diffenc.conditional_information(x, y, given=total, settings=TINY)
    assert_estimate(estimate, truth, 0.2 * truth)


@pytest.mark.parametrize("is_whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_numbers_given_names(is_whole):
    """Within each of five groups x and y fall, and the groups lie on a line that rises."""
    rng = np.random.default_rng(7)
    group = rng.integers(0, 5, N)
    noise = rng.normal(size=(2, N))
    x = noise[0] + 1.5 * group
    y = -0.6 * noise[0] + 0.8 * noise[1] + 1.5 * group
    truth = -0.5 * np.log(1 - 0.6**2)
    names = np.array(["elm", "ash", "oak", "fir", "yew"])[group]
    estimate = diffenc.conditional_information(x, y, names, settings=TINY)
    assert_estimate(estimate, truth, 0.2 * truth)
    assert_errors_add_up(estimate)
    if not is_whole:
        return
    same = diffenc.conditional_information(x, y, group, settings=TINY)
    assert same.mean == pytest.approx(estimate.mean, abs=2 * estimate.stderr)
    z = rng.normal(size=N)
    beside = pd.DataFrame({"tree": names, "height": z})
    estimate = diffenc.conditional_information(x + z, y - z, beside, settings=TINY)
    assert_estimate(estimate, truth, 0.25 * truth)


def test_bits_beyond_a_number():
    """x follows seven bits and z: of ties that are broken at random half of it was told."""
    rng = np.random.default_rng(10)
    bits = (rng.random((N, 7)) < 0.4).astype(float)
    z = rng.normal(size=N)
    x = bits.sum(axis=1) + z + 0.7 * rng.normal(size=N)
    estimate = diffenc.conditional_information(x, bits, z, settings=TINY)
    sums = np.arange(8)
    at = np.linspace(-5, 12, 4001)
    density = norm.pdf(at[:, None], sums, 0.7) @ binom.pmf(sums, 7, 0.4)
    truth = -np.trapezoid(density * np.log(density + 1e-300), at) - norm.entropy(0, 0.7)
    assert_estimate(estimate, truth, 0.2 * truth)


def test_labels_given_names():
    rng = np.random.default_rng(8)
    group = rng.integers(0, 3, N)
    label = (rng.random(N) < 0.5).astype(int)
    x = 1.5 * label + 4.0 * group + rng.normal(size=N)
    estimate = diffenc.conditional_information(
        x, label, np.array(["elm", "ash", "oak"])[group], settings=TINY
    )
    z = np.linspace(-8, 10, 4001)
    density = norm.pdf(z[:, None], [0.0, 1.5])
    posterior = density / density.sum(axis=1, keepdims=True)
    truth = np.trapezoid(0.5 * np.sum(density * np.log(2 * posterior + 1e-300), axis=1), z)
    assert_estimate(estimate, truth, 0.2 * truth)
    assert_errors_add_up(estimate)
    assert estimate.mean == estimate.parts["I(X;Y,Z)"].mean - estimate.parts["I(X;Z)"].mean


def test_codes_given_codes_are_tables():
    rng = np.random.default_rng(9)
    x, z = rng.integers(0, 2, (2, N))
    y = x ^ z ^ (rng.random(N) < 0.1)
    truth = np.log(2) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)
    names = np.array(["no", "yes"])
    for given in (z, names[z], z + 0.5):
        estimate = diffenc.conditional_information(names[x], y, given)
        assert_estimate(estimate, truth, 0.1 * truth)
        assert_errors_add_up(estimate)
    assert estimate.parts["label_entropy"].mean == pytest.approx(np.log(2), abs=1e-2)
    assert_estimate(diffenc.conditional_information(names[x], names[z], y), truth, 0.1 * truth)
    with pytest.raises(InputError, match="given numbers is of numbers and of one block of codes"):
        trees = np.array(["elm", "ash", "oak"])[rng.integers(0, 3, (2, N))]
        diffenc.conditional_information(*trees, rng.normal(size=N))


def test_total_correlation_and_entropy_of_gaussians():
    cov = np.array([[4.0, 1.0], [1.0, 2.0]])
    x = pd.DataFrame(np.random.default_rng(6).multivariate_normal([1.0, -1.0], cov, size=N))
    estimate = diffenc.total_correlation(x, settings=TINY)
    assert_estimate(estimate, -0.5 * np.log(1 - 1 / 8), 0.05)
    assert_errors_add_up(estimate)
    estimate = diffenc.entropy(x, settings=TINY)
    assert_estimate(estimate, 0.5 * np.linalg.slogdet(2 * np.pi * np.e * cov)[1], 0.05)
    assert_errors_add_up(estimate)
    assert estimate.mean == estimate.parts["gaussian"].mean - estimate.parts["divergence"].mean


def test_progress_is_printed_to_stderr(capsys):
    show = inputs.read_progress(True)
    show("x given y", 125, 0.5)
    show("x given y", 250, 0.6)  # too soon after the first
    printed = capsys.readouterr()
    assert printed.err == "x given y: 125 updates, 0.500 nats\n" and not printed.out


TABLE = pd.DataFrame({"height": X[:, 0], "age": X[:, 1], "city": ["Rome", "Oslo"] * (N // 2)})
GAP = pd.Series(np.where(np.arange(N) == 7, np.nan, Y[:, 0]), name="weight", index=TABLE.index + 3)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            dict(x=X, y=Y, given=["Rome"] * N),
            "given column 0 is constant: leave it out, it tells nothing",
        ),
        (
            dict(x=TABLE["height"], y=TABLE["city"], labels=False),
            "y column 'city' holds text, such as 'Rome', and is said to be amounts",
        ),
        (dict(x=X, y=GAP), "y column 'weight' is not finite in row 7: drop or repair"),
        (
            dict(x=TABLE[["height"]].set_index(GAP.index), y=GAP),
            "y column 'weight' is not finite in row 10",
        ),
        (dict(x=X, y=np.ma.masked_greater(Y, 2.0)), "y column 0 is not finite in row"),
        (dict(x=TABLE["height"], y=GAP), "y has another index than x: align them"),
        (dict(x=X, y=Y[:500]), "rows differ in number .x has 1000, y has 500."),
        (dict(x=X.T, y=Y), "x has shape .2, 1000., 2 rows of 1000 columns: transposed"),
        (
            dict(x=np.ones((200, 120)), y=np.ones(120)),
            "x has shape .200, 120., but the others 120 rows: transposed",
        ),
        (dict(x=X, y=Y[None, :, 0]), "y has shape .1, 1000., 1 row of .*transposed.*give y.T"),
        (dict(x=X.T, y=Y.T), "x has shape .2, 1000., 2 rows of 1000 col.*transposed.*give x.T"),
        (dict(x=X, y=Y, given=X[:9]), "x has 1000, y has 1000, given has 9"),
        (dict(x=X, y=Y, given=np.ones(N)), "^given column 0 is constant"),
        (dict(x=X, y=Y, given=np.ones(N), codes="given"), "^given column 0 is constant"),
        (
            dict(x=X, y=Y, given=pd.DataFrame({"sum": Y.sum(axis=1)})),
            "given column 'sum' is a func",
        ),
        (dict(x=X[:50], y=Y[:50]), "50 rows are too few"),
        (dict(x=X[:1], y=Y[:1]), "^1 row is too few"),
        (dict(x=TABLE[["height"]], y=TABLE["height"]), "y column 'height' is a function of x"),
        (dict(x=X, y=Y * 1j), "y has type complex128"),
        (dict(x=X, y=Y.astype(object)), "save numbers, not objects: y.astype.float."),
        (dict(x=X, y=[1.5, None] * (N // 2)), "y is an array of objects, with None in row 1: give"),
        (dict(x=X, y=None), "y is of type NoneType: give numbers"),
        (dict(x=X, y=["a"] * N), "all labels are 'a'"),
        (dict(x=X, y=["1.5", "2"] * (N // 2)), "y holds numbers as text.*labels=True"),
        (dict(x=X, y=[[1.0], [2.0, 3.0]]), "y is no array .ValueError: .*: give numbers"),
        (dict(x=X, y=3.0), "y has type float64 and shape ..: give numbers"),
        (dict(x=X, y=pd.DataFrame()), "y has shape .0, 0.: give rows and columns"),
        (dict(x=X.reshape(N, 2, 1), y=Y), "x has type float64 and shape .1000, 2, 1.: give"),
        (dict(x=X, y=Y, labels=True), "the codes of y have 1000 combinations in 1000 rows"),
        (dict(x=X, y=Y[:, 0], labels=True), "label .* of y column 0 has 1 of the 10 examples"),
        (
            dict(x=X, y=Y, codes="age"),
            "name 'age', which is no column: give one of x, x.0., x.1",
        ),
        (dict(x=X, y=Y, codes=3), "codes is 3: give names"),
        (dict(x=X, y=Y, labels=True, amounts="y"), "y is said to be codes and amounts"),
        (dict(x=X, y=Y, labels=Y), "labels is a ndarray: give None, True or False"),
        (dict(x=X, y=Y, labels="no"), "labels is 'no': give None, True or False"),
        (
            dict(x=X, y=["few"] * 5 + ["many"] * (N - 5), labels=True),
            "label 'few' of y column 0 has 5",
        ),
        (dict(x=X, y=Y, seed=-1), "seed is -1: give a whole number of 0 or more"),
        (dict(x=X, y=Y, seed=0.0), "seed is 0.0: give a whole number"),
        (dict(x=X, y=Y, progress=3), "progress is 3: give True, or a function"),
        (dict(x=X, y=Y, settings={"flows": {}}), "flows does not exist: give one of denoiser"),
        (dict(x=X, y=Y, settings=3), "settings is 3: give Settings, or a mapping"),
    ],
)
def test_what_has_no_estimate_is_named_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words) as raised:
        diffenc.mutual_information(**arguments)
    assert "\n" not in str(raised.value)


def test_single_blocks_are_checked_too():
    with pytest.raises(InputError, match="x has one column"):
        diffenc.total_correlation(X[:, 0])
    with pytest.raises(InputError, match="x column 'b' repeats x column 'a'"):
        diffenc.entropy(pd.DataFrame({"a": X[:, 0], "b": 2 * X[:, 0]}))


def test_columns_of_a_table_may_be_of_any_numbers():
    table = pd.DataFrame(
        {
            "small": np.arange(N, dtype=np.int8),
            "missing": pd.array([None, *range(1, N)], dtype="Int64"),
            "truth": np.arange(N) % 2 == 0,
        }
    )
    block = inputs.read("x", table)
    assert block.columns == ["x column 'small'", "x column 'missing'", "x column 'truth'"]
    assert np.isnan(block.values[0, 1]) and block.values[1:, 1].tolist() == list(range(1, N))
    assert inputs.read("x", table["truth"]).values.dtype == bool
    twice = pd.DataFrame(X, columns=["a", "a"])
    np.testing.assert_array_equal(inputs.read("x", twice).values, X)


def test_discrete_samples_have_no_density():
    counts = np.random.default_rng(0).poisson(3.0, N)
    assert remarks.TIED in diffenc.entropy(counts, settings=TINY).notes
    assert remarks.TIED not in diffenc.entropy(X, settings=TINY).notes


@pytest.mark.parametrize(
    "ask, words",
    [
        (lambda x, z: diffenc.conditional_information(x, x**2, z), "y column 0 .* of x, or nearly"),
        (lambda x, z: diffenc.conditional_information(x, x * z, z), "of x and given, or nearly"),
        (lambda x, z: diffenc.entropy(np.stack([x**2, x], axis=1)), "x column 0 .* other columns"),
        (
            lambda x, z: diffenc.total_correlation(np.stack([x, z, x * z], axis=1)),
            "x column 0 .* of the other columns",
        ),
    ],
)
def test_what_is_infinite_is_refused_by_every_quantity(ask, words):
    x, z = X.T
    with pytest.raises(InputError, match=words):
        ask(x, z)
