"""diffusion.entropy against closed forms: Gaussians and mixtures, every process, within computed
standard errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion import entropy, entropy_quadrature, profiles
from diffenc.diffusion.entropy_quadrature import total_entropy
from diffenc.diffusion.gaussians import Gaussian, GaussianMixture, gaussian_w2_squared
from diffenc.diffusion.noise_levels import Logistic, Piecewise, Uniform, log_snr_range
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.errors import InputError
from diffenc.estimate import Estimate, map_examples

clone = jax.random.clone  # the same draws again, on purpose

PROCESSES = {
    "vp": (VPLinear(), 1e-3, 1.0),
    "vpx": (VPx(), 1e-3, 1.0),
    "cosine": (VPCosine(), 1e-2, 0.99),
    "straight_line": (StraightLine(), 1e-3, 0.999),
    "sub_vp": (SubVP(), 1e-2, 1.0),
    "ve": (VE(0.05, 20.0), 0.0, 1.0),
}
# With an equilibrium of fixed width (of a narrow variable, and of one of width one), with one that
# moves, and with a flat one.
EVERY_KIND = ("vpx", "straight_line", "sub_vp", "ve")
GAUSSIAN = Gaussian(jnp.array([1.0, -0.5]), jnp.array([[1.0, 0.6], [0.6, 0.8]]))
OTHER = Gaussian(jnp.array([0.3, 0.2]), jnp.array([[1.5, -0.2], [-0.2, 0.7]]))
MIXTURE = GaussianMixture.isotropic(
    np.log([0.2, 0.5, 0.3]),
    np.array([[1.5, 0.0], [-1.0, 1.0], [0.0, -1.8]]),
    np.array([0.5, 0.7, 0.9]),
)


# The Gaussian as three equal components is of the mixture's shape: one program serves both.
THREE_EQUAL = GaussianMixture(
    *map(jnp.asarray, ([0.0] * 3, [np.asarray(GAUSSIAN.mean)] * 3, [np.asarray(GAUSSIAN.cov)] * 3))
)
SOURCES = {"gaussian": THREE_EQUAL, "mixture": MIXTURE}


def score_of(density, process):
    return lambda x, t: density.score(process, x, t)


def levels_of(process, t_min, t_max):
    low, high = log_snr_range(process, t_min, t_max)
    return Logistic(low, high, location=-2 * float(np.log(process.scale)), scale=2.5)


def agree(values, others):
    """Two independent sets of values have one mean, which they tell."""
    a, b = Estimate.of(values), Estimate.of(others)
    stderr = np.hypot(a.stderr, b.stderr)
    assert stderr < 0.1 * max(1, abs(a.mean)), stderr
    assert abs(a.mean - b.mean) < NUM_SIGMAS * stderr, (a, b)


def lost_divergence(a, b, levels):
    """KL(a_0||b_0) - KL(a_1||b_1) of two Gaussians under one process, each of them over alpha."""

    def divergence(log_snr):
        noise = np.exp(-log_snr) * np.eye(2)
        cov_a, cov_b = np.asarray(a.cov, float) + noise, np.asarray(b.cov, float) + noise
        move, ratio = np.asarray(b.mean - a.mean, float), np.linalg.solve(cov_b, cov_a)
        quadratic = np.trace(ratio) + move @ np.linalg.solve(cov_b, move)
        return 0.5 * (quadratic - 2 - np.linalg.slogdet(ratio)[1])

    return divergence(levels.high) - divergence(levels.low)


def equilibrium_of(process):
    """Of fixed width, so that it diffuses into itself."""
    return Gaussian(np.zeros(2), process.scale**2 * np.eye(2))


@functools.partial(jax.jit, static_argnames=("process", "levels"))
def estimates(key, density, reference, process, levels):
    """For data of the density; the wrong model is OTHER. All on the same draws."""
    key_x, key = jax.random.split(key)
    x = density.sample(key_x, 12_000)
    exact, model = score_of(density, process), score_of(OTHER, process)
    total = entropy.neural_entropy(key, exact, process, x, levels, 8)
    growth = entropy.kelly_growth(clone(key), exact, process, x, levels, 8)
    helped = entropy.kelly_growth(clone(key), exact, process, x, levels, 8, reference)
    gap = entropy.path_kl(clone(key), exact, model, process, x, levels, 8)
    growth_of_model = entropy.kelly_growth(clone(key), model, process, x, levels, 8)
    exactly = entropy_quadrature.gaussian_growth(OTHER, process, x, levels.low, levels.high)
    return total, growth, helped, gap, growth_of_model, exactly


@functools.cache
def estimates_of(name, source):
    process, t_min, t_max = PROCESSES[name]
    reference = OTHER if source == "gaussian" else MIXTURE.moments()
    levels = levels_of(process, t_min, t_max)
    values = estimates(jax.random.key(1), SOURCES[source], reference, process, levels)
    return [np.asarray(value) for value in values]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("vpx", "gaussian"),
        pytest.param("straight_line", "gaussian", marks=pytest.mark.slow),
        pytest.param("sub_vp", "gaussian", marks=pytest.mark.slow),
        ("ve", "gaussian"),
        *((name, "mixture") for name in EVERY_KIND),
    ],
)
def test_total_entropy_by_densities_and_by_lambda(name, source):
    """h(p_1) - h(p_0) and the heat, against the integral of the squared score: for fixed, moving
    and flat p_eq."""
    process, t_min, t_max = PROCESSES[name]
    truth = total_entropy(jax.random.key(2), SOURCES[source], process, 40_000, t_min, t_max)
    total, growth, helped, *_ = estimates_of(name, source)
    for values in (total, growth, helped):
        agree(values, truth)


@pytest.mark.parametrize("name", ["vp", "vpx", "straight_line"])
def test_fixed_equilibrium_is_a_difference_of_divergences(name):
    process, t_min, t_max = PROCESSES[name]
    truth = lost_divergence(GAUSSIAN, equilibrium_of(process), levels_of(process, t_min, t_max))
    values = total_entropy(jax.random.key(3), THREE_EQUAL, process, 40_000, t_min, t_max)
    assert_mean(values, truth)


def test_a_moving_equilibrium_takes_its_share():
    """Sub-VP in one dimension by quadrature in t: S_tot = KL_0 - KL_1 - int E[d/dt log p_eq] dt,
    and not without."""
    process, t_min, t_max = PROCESSES["sub_vp"]
    density = GaussianMixture.isotropic(np.zeros(3), np.full((3, 1), 0.7), np.full(3, 0.3**0.5))
    t = np.geomspace(t_min, t_max, 20_001)
    decay = 0.1 * t + 0.5 * 15.9 * t**2
    alpha2, sigma2, w2 = np.exp(-decay), np.expm1(-decay) ** 2, -np.expm1(-2 * decay)
    moment, variance = alpha2 * (0.49 + 0.3) + sigma2, alpha2 * 0.3 + sigma2
    beta = 0.1 + 15.9 * t
    g2 = beta * w2
    # score + x/w^2 has mean (1/w^2) alpha m and variance (1/w^2 - 1/variance)^2 variance
    direct = np.trapezoid(
        0.5 * g2 * (alpha2 * 0.49 / w2**2 + (1 / w2 - 1 / variance) ** 2 * variance), t
    )
    kl = 0.5 * (moment / w2 - 1 + np.log(w2 / variance))
    moved = np.trapezoid(
        beta * np.exp(-2 * decay) / w2 * (moment / w2 - 1), t
    )  # d log(w)/dt (m/w^2 - 1)
    assert direct == pytest.approx(kl[0] - kl[-1] - moved, rel=1e-5)
    assert abs(moved) > 0.1 * direct
    assert_mean(total_entropy(jax.random.key(3), density, process, 100_000, t_min, t_max), direct)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_path_kl_is_what_the_divergence_loses(name):
    """KL(a_0||b_0) - KL(a_1||b_1) of two Gaussians under one process, whatever its equilibrium
    does."""
    gap = estimates_of(name, "gaussian")[3]
    assert_mean(gap, lost_divergence(GAUSSIAN, OTHER, levels_of(*PROCESSES[name])))


@pytest.mark.parametrize("name", EVERY_KIND)
def test_growth_of_a_wrong_model_is_total_entropy_less_the_gap(name):
    """G = S_tot - L_EM for a model that is not the truth: below S_tot by exactly the gap, here on
    the same draws."""
    total, _, _, gap, growth, exactly = estimates_of(name, "mixture")
    size = max(1.0, Estimate.of(total).mean)
    assert_mean(total - gap - growth, 0.0, scale=size)
    assert Estimate.of(gap).mean > 4 * Estimate.of(gap).stderr
    assert_mean(growth - exactly, 0.0, scale=size)
    assert Estimate.of(exactly).stderr < Estimate.of(growth).stderr


def test_a_reference_takes_variance_away():
    """The noise of growth for fixed examples, by two sets of draws: of a narrow process nearly all
    of it goes."""
    process, levels = VPx(), levels_of(*PROCESSES["vpx"])
    exact = score_of(MIXTURE, process)

    @jax.jit
    def growths(key):
        x, moments = MIXTURE.sample(jax.random.key(6), 4000), MIXTURE.moments()
        plain = entropy.kelly_growth(key, exact, process, x, levels, 8)
        return plain, entropy.kelly_growth(clone(key), exact, process, x, levels, 8, moments)

    first, second = np.asarray(growths(jax.random.key(7))), np.asarray(growths(jax.random.key(8)))
    plain, helped = np.var(first - second, axis=1)
    assert helped < 0.01 * plain


def test_errors_cover_the_truth():
    """Over 200 repetitions the error in units of the reported standard error has second moment
    one."""
    process, levels = VPx(), levels_of(*PROCESSES["vpx"])
    truth = lost_divergence(GAUSSIAN, equilibrium_of(process), levels)

    def repeat(key):
        key_x, key = jax.random.split(key)
        x = GAUSSIAN.sample(key_x, 500)
        return entropy.kelly_growth(key, score_of(GAUSSIAN, process), process, x, levels, 8)

    values = jax.jit(lambda key: jax.lax.map(repeat, jax.random.split(key, 200)))(jax.random.key(7))
    z = np.array([(e.mean - truth) / e.stderr for e in map(Estimate.of, np.asarray(values))])
    assert_mean(z**2, 1.0, largest_stderr=0.15)
    assert_mean(z, 0.0)


def test_a_condition_is_closed_over_and_batched_with_its_examples():
    """x | y ~ N(y, 0.3 I): the score takes each example's own y, in the order of x, through
    map_examples too."""
    process, levels = VPLinear(), levels_of(*PROCESSES["vp"])
    rng = np.random.default_rng(8)
    y = rng.standard_normal((10_000, 2), np.float32)
    x = y + np.float32(np.sqrt(0.3)) * rng.standard_normal(y.shape, np.float32)
    noise = Gaussian(jnp.asarray(np.zeros(2)), jnp.asarray(0.3 * np.eye(2)))

    @jax.jit
    def conditional(key, pair):
        x, y = pair

        def score(x_t, t):
            return noise.score(process, x_t - process.alpha(t)[:, None] * y, t)

        return entropy.neural_entropy(key, score, process, x, levels)

    values = map_examples(conditional, jax.random.key(8), (x, y), 3000)

    def divergence(log_snr):
        alpha2 = 1 / (1 + np.exp(-log_snr))
        v = 0.3 * alpha2 + 1 - alpha2
        return 0.5 * 2 * (v + alpha2 - 1 - np.log(v))  # E|y|^2 = 2

    assert_mean(values, divergence(levels.high) - divergence(levels.low))


def test_the_curve_adds_up_to_the_integral():
    process, x = VPLinear(), MIXTURE.sample(jax.random.key(9), 2000)
    exact = score_of(MIXTURE, process)
    integrand = profiles.gap_integrand(exact, process.equilibrium_score, process)

    @functools.partial(jax.jit, static_argnames="levels")
    def draw(key, levels):
        draws = profiles.profile(key, integrand, process, x, levels, 24)
        return draws, draws.total()

    levels, spreads = Uniform(*log_snr_range(process)), []
    for _ in range(2):  # uniform, then the density fitted to it
        draws, total = draw(jax.random.key(10), levels)
        found = profiles.curve(draws, levels)
        assert np.sum(found.height * np.diff(found.edges)) == pytest.approx(
            Estimate.of(total).mean, rel=1e-4
        )
        assert np.all(found.stderr > 0)
        assert found.edges[[0, -1]] == pytest.approx([levels.low, levels.high], rel=1e-5)
        means = (np.asarray(draws.values) / np.asarray(draws.density)).mean(axis=1)
        spreads.append(means.std() / means.mean())
        levels = Piecewise.fit(found.edges, found.height)
    assert spreads[1] < 0.5 * spreads[0]  # sampling by the pilot's curve evens the weights out


def test_rate_and_curve_are_one_quantity():
    """r(t) dt = i(lambda) |d(lambda)|, for a Gaussian in closed form."""
    process, t = VPLinear(), np.array([0.05, 0.2, 0.6], np.float32)

    @jax.jit
    def draw(key):
        density = Gaussian(jnp.zeros(1), 0.25 * jnp.eye(1))
        key_x, key = jax.random.split(key)
        x = density.sample(key_x, 20_000)
        v = 0.25 * process.alpha(t) ** 2 + process.sigma(t) ** 2
        truth = 0.5 * process.diffusion(t) ** 2 * (1 - 1 / v) ** 2 * v
        return entropy.rate(key, score_of(density, process), process, x, jnp.asarray(t)), truth

    values, truth = map(np.asarray, draw(jax.random.key(10)))
    assert_mean(values.T, truth)


@jax.jit
def gaussian_speed_limit(variance):
    """Of VP from t = 0 to 1: distances of the ends and, by coupling, up to every t; the bound."""
    process = VPLinear()
    t = jnp.asarray(np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 20_000)]), jnp.float32)
    v = variance * process.alpha(t) ** 2 + process.sigma(t) ** 2
    rates = 0.5 * process.diffusion(t) ** 2 * (1 - 1 / v) ** 2 * v
    first = Gaussian(jnp.zeros(1), variance * jnp.eye(1))
    last = first.diffused(process, 1.0)
    w2 = gaussian_w2_squared(first.mean, first.cov, last.mean, last.cov)
    paths = jnp.square(jnp.sqrt(v) - jnp.sqrt(variance))
    return w2, paths, entropy.speed_limit(process, t, rates)


@pytest.mark.parametrize(
    ("variance", "distance", "limit"),
    [(0.01, 0.810, 1.607), (0.25, 0.250, 0.466), (4.0, 0.999, 1.651)],
)
def test_speed_limit_of_gaussians(variance, distance, limit):
    """The three numbers of the theory: VP from t = 0 to 1, one dimension, to their three digits."""
    w2, paths, bound = map(np.asarray, gaussian_speed_limit(variance))
    assert float(w2) == pytest.approx(distance, abs=6e-4)
    assert bound[-1] == pytest.approx(limit, abs=6e-4)
    assert np.all(paths <= bound * (1 + 1e-4) + 1e-7)  # the bound holds at every t


def test_bad_input():
    process, levels = VPLinear(), Uniform(-1.0, 1.0)
    with pytest.raises(InputError, match="num_levels"):
        score = process.equilibrium_score
        entropy.neural_entropy(jax.random.key(0), score, process, np.zeros((4, 2)), levels, 0)
    with pytest.raises(InputError, match="t_min"):
        total_entropy(jax.random.key(0), MIXTURE, StraightLine(), 10)


def test_images_keep_their_shape():
    x = jax.ShapeDtypeStruct((6, 4, 4, 1), jnp.float32)

    def draw(key, x):
        levels = Uniform(-1.0, 1.0)
        return entropy.neural_entropy(key, lambda x, t: -2.0 * x, VPLinear(), x, levels, 3)

    assert jax.eval_shape(draw, jax.random.key(12), x).shape == (6,)


@pytest.mark.parametrize(
    "process", [VPLinear(), SubVP(), StraightLine()], ids=lambda p: type(p).__name__
)
def test_entropy_of_single_coordinates_is_that_of_their_law(process):
    """Two coordinates of three values each, against the entropies of a mixture of very narrow
    Gaussians."""
    values, shares = np.array([-0.4, 0.1, 0.8]), np.array([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]])
    t_max = 0.999 if isinstance(process, StraightLine) else 1.0
    found = entropy_quadrature.coordinate_entropy(
        process, values, shares, *log_snr_range(process, 1e-2, t_max)
    )
    for share, value in zip(shares, found, strict=True):
        log_weights = np.log(np.maximum(share, 1e-30))
        density = GaussianMixture.isotropic(log_weights, values[:, None], np.full(3, 1e-5))
        assert_mean(total_entropy(jax.random.key(0), density, process, 100_000, 1e-2, t_max), value)


def test_entropy_of_a_constant_coordinate_is_closed():
    """A coordinate that is always v has 1/2 sigma^2 E|e|^2 = 1/2 (alpha^4 + sigma^2 alpha^2 v^2)
    under VP; within the bound of the trapezoidal rule, h^2 / 12 |f'(high) - f'(low)|, and the
    rounding of float32 sums."""
    value, (low, high) = 0.7, log_snr_range(VPLinear())
    found = entropy_quadrature.coordinate_entropy(
        VPLinear(), np.array([value, 0.0]), np.array([[1.0, 0.0]]), low, high, 400
    )
    alpha2, sigma2 = (1 / (1 + np.exp(-sign * np.array([low, high]))) for sign in (1, -1))
    # with d alpha^2 / d lambda = alpha^2 sigma^2: the integral of alpha^4 is log(1 + e^lambda) -
    # alpha^2
    whole = 0.5 * (-np.log(sigma2) - alpha2 + value**2 * alpha2)
    slope = alpha2**2 * sigma2 + 0.5 * value**2 * (sigma2 - alpha2) * alpha2 * sigma2
    bound = (high - low) ** 2 / 399**2 / 12 * abs(slope[1] - slope[0])
    rounding = 400 * np.finfo(np.float32).eps * float(found[0])
    assert abs(float(found[0]) - (whole[1] - whole[0])) < 2 * bound + rounding
