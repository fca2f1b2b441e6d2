"""Growth on unseen data: products whose expectation is known, nothing found in Gaussians, and what
stops a training."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from scipy.special import expit

from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import regression
from diffenc.information.regressions.regression import Features
from diffenc.information.settings import DenoiserSettings, JudgeSettings, MixtureSettings, Settings
from diffenc.information.training import fitting, growth
from diffenc.information.training.divergence import divergence
from diffenc.information.training.growth import Products
from diffenc.information.training.halves import (
    Halves,
    check_halves,
    make_halves,
    split,
    standard_size,
)
from diffenc.information.training.rounds import LARGEST_STAKE, Fit, fit, rescale, score

TINY = Settings(
    denoiser=DenoiserSettings(width=16, batch_size=32, draws=2, updates=20, rounds=6, patience=3),
    mixture=MixtureSettings(updates=10, batch_size=32, rounds=6, patience=3),
    judge=JudgeSettings(parts=3, rows=100),
    least_gain=np.inf,
)

N = 1500  # one size for all, so that each program is compiled once


def halves_of(r, dim_y=2):
    """r [2, n, dim] with a condition that says nothing."""
    _, n, dim = r.shape
    y = np.random.default_rng(9).normal(size=(2, n, dim_y))
    parts = (r, y, np.zeros_like(r), np.stack([np.eye(dim)] * 2))
    return Halves(*(jnp.asarray(part, jnp.float32) for part in parts))


def state_with(mean, log_std, dim):
    """Two networks that predict N(mean, exp(log_std)^2) for every condition, through the biases of
    their heads."""
    state = fitting.initialize(jax.random.key(0), TINY, dim, 2)
    inner = jax.tree.map(np.array, state.averages)
    inner["params"]["mean_head"]["bias"] += mean  # all components alike
    inner["params"]["std_head"]["bias"] += log_std
    return inner


draw_log_snr = jax.jit(growth.draw_log_snr, static_argnums=(1, 2))


def test_draws_of_lambda_carry_their_weight():
    log_snr, weight = map(np.asarray, draw_log_snr(jax.random.key(1), 4000, 8))
    edges = growth.edges(8)
    assert edges[[0, -1]] == pytest.approx(growth.LOG_SNR)
    inside = (log_snr >= edges[None, :-1] - 1e-4) & (log_snr <= edges[None, 1:] + 1e-4)
    assert bool(inside.all())
    # int alpha^2 sigma^2 d(lambda) over the range, the growth of a shift
    values = (weight * expit(-log_snr)).mean(axis=1)
    assert_mean(values, expit(growth.LOG_SNR[1]) - expit(growth.LOG_SNR[0]))


def test_the_untrained_network_is_exactly_zero():
    state = fitting.initialize(jax.random.key(0), TINY, 2, 2)
    halves = halves_of(np.random.default_rng(0).normal(size=(2, N, 2)))
    for product in growth.judge(state.averages, jax.random.key(1), halves, TINY, 3):
        assert product.shape == (2, N, 6) and not np.asarray(product).any()


@pytest.mark.parametrize("mean, std", [(0.7, 1.0), (0.0, 0.5), (0.4, 1.6), (-0.3, 0.1)])
def test_the_right_gaussian_grows_by_its_divergence(mean, std):
    dim = 2
    r = mean + std * np.random.default_rng(1).normal(size=(2, N, dim))
    exponent = np.log(std)
    bias = exponent / np.sqrt(1 - (exponent / 4) ** 2)  # undoes the bound on the head
    params = state_with(mean, bias, dim)
    products = growth.judge(params, jax.random.key(2), halves_of(r), TINY, 3)
    truth = dim * 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std))
    for product in products[:3]:  # the range of lambda leaves out less than 0.1%
        values = np.asarray(product, np.float64).sum(axis=-1).ravel()
        tolerance = NUM_SIGMAS * values.std() / values.size**0.5
        assert abs(values.mean() - truth) < tolerance + 1e-3 * truth
        assert tolerance < 0.2 * truth


def test_mixtures_find_a_gaussian_that_depends_on_y():
    rng = np.random.default_rng(3)
    halves = halves_of(np.zeros((2, N, 2)))
    r = np.square(np.asarray(halves.y)) - 1 + 0.3 * rng.normal(size=(2, N, 2))
    halves = halves._replace(r=jnp.asarray(r / r.std(), jnp.float32))
    state = fitting.initialize(jax.random.key(4), TINY, 2, 2)
    state = fitting.advance_mixture(
        state,
        jax.random.key(5),
        halves,
        N,
        dataclasses.replace(TINY, mixture=dataclasses.replace(TINY.mixture, updates=1200)),
    )
    held = np.asarray(growth.judge(state.averages, jax.random.key(6), halves, TINY, 3).held).sum(
        axis=-1
    )
    truth = np.log(1 + 2 / 0.09)  # two coordinates, each -1/2 log of its variance given y
    assert 0.5 * truth < held.mean() < truth  # most of it, by a small network in 1,200 updates


def test_rescaling_takes_the_best_stake():
    rng = np.random.default_rng(5)
    held, cross = 0.4 + rng.normal(size=(2, 10_000)), np.full((2, 10_000), 0.5)
    value, stake = rescale(held, cross)
    p = held.mean()
    assert stake == pytest.approx(p / 0.5)
    assert value == pytest.approx(p**2 / 0.5 - held.var(ddof=1) / held.size / 0.5)
    assert rescale(-held, cross) == (0.0, 0.0)


@pytest.mark.parametrize("x", [0.5, 0.0, -0.5])
def test_at_the_largest_stake_nothing_is_taken_off(x):
    held = 1.2 + np.random.default_rng(15).normal(size=(2, 200))
    value, stake = rescale(held, np.full((2, 200), x))
    assert stake == LARGEST_STAKE and value == pytest.approx(LARGEST_STAKE * held.mean(), rel=1e-12)


def test_half_of_the_data_is_fitted_without_a_test():
    """With nothing to find the one fit stops where it finds nothing, the other trains as many
    rounds as it is told."""
    rng = np.random.default_rng(8)
    halves = make_halves(*rng.normal(size=(2, 2, N, 2)))
    told = []
    for rounds in (None, (1, 0), (2, 1)):
        told.append([])
        fitted = fit(
            jax.random.key(9),
            halves,
            N,
            TINY,
            lambda updates, value: told[-1].append(updates),
            rounds,
        )
        assert fitted.is_significant == (rounds is not None)
    assert [len(updates) for updates in told] == [
        1 + TINY.mixture.patience + TINY.null.rounds,
        1,
        3,
    ]


def test_columns_that_half_of_the_rows_cannot_tell_are_named():
    rng = np.random.default_rng(16)
    x, y, rows = rng.normal(size=(200, 2)), rng.normal(size=(200, 3)), split(jax.random.key(7), 200)
    for bad in (
        np.where(np.arange(200) == 5, 3.0, -1.0),
        np.where(np.arange(200) == 5, 3.0, y[:, 0]),
    ):
        with pytest.raises(
            InputError,
            match="y column 1 differs from a constant or the columns before it in so few",
        ):
            check_halves({"x": x[rows], "y": np.stack([y[:, 0], bad, y[:, 2]], axis=1)[rows]})
    with pytest.raises(InputError, match="label column 0"):
        check_halves({"label": np.where(np.arange(200)[:, None] == 5, 3.0, -1.0)[rows]})


def test_halves_are_disjoint_and_white_each_by_itself():
    rows = split(jax.random.key(7), 201)
    assert rows.shape == (2, 100) and len(np.unique(rows)) == 200
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(201, 2)), rng.normal(size=(201, 3))
    halves = jax.tree.map(np.asarray, make_halves(x[rows], y[rows]))
    for half in range(2):
        joint = np.concatenate([halves.r[half], halves.y[half]], axis=1).astype(np.float64)
        np.testing.assert_allclose(joint.T @ joint / 100, np.eye(5), atol=1e-5)


def test_nothing_is_found_in_a_gaussian():
    rng = np.random.default_rng(8)
    halves = make_halves(*rng.normal(size=(2, 2, N, 2)))
    result = divergence(jax.random.key(9), halves, TINY)
    assert (
        result.mean == 0
        and result.updates == 0
        and not result.pointwise.any()
        and 0 < result.systematic < 0.1
    )


def test_a_training_stops_where_it_gains_nothing():
    rng = np.random.default_rng(10)
    y = rng.normal(size=(2, N, 2))
    halves = make_halves(y**2 + rng.normal(size=(2, N, 2)), y)
    told = []
    fitted = fit(jax.random.key(12), halves, N, TINY, lambda updates, value: told.append(updates))
    rounds = 1 + TINY.denoiser.patience  # of mixtures, and of denoising
    assert told == list(np.cumsum([10] * rounds + [20] * rounds))
    assert fitted.is_significant and set(fitted.snapshots) == set(fitted.choices)


@pytest.mark.parametrize(
    "script, chosen, rounds, updates, drift",
    [  # D of the rounds of mixtures, then of denoising; a gain of 0.1 gives a stage two more rounds
        ([0.2, 0.5, 0.5, 0.5, 0.7, 0.9, 0.9, 0.8], 5, (2, 2), 60, 0.2),
        ([0.2, 0.5, 0.55, 0.5, 0.4, 0.4, 0.3], 2, (3, 0), 30, 0.05),
        ([0.2, 0.5, np.nan, 0.5, 0.7, np.nan, 0.9, 0.9], 4, (2, 2), 60, 0.2),  # two diverge
    ],
)
def test_the_rounds_of_a_fit_are_those_that_led_to_the_chosen_networks(
    monkeypatch, script, chosen, rounds, updates, drift
):
    settings = dataclasses.replace(
        TINY,
        denoiser=dataclasses.replace(TINY.denoiser, patience=2, rounds=4),
        mixture=dataclasses.replace(TINY.mixture, patience=2, rounds=4),
        least_gain=0.1,
    )
    noise = np.random.default_rng(18).normal(size=(2, N, 1)) * 1e-3
    noise[..., 0] -= noise.mean()
    values = iter(script)

    def judge(*arguments):
        value = next(values)
        return Products(*(np.full((2, N, 1), value) + part * noise for part in (1, 0, 0, 0)))

    monkeypatch.setattr(growth, "judge", judge)
    halves = halves_of(np.random.default_rng(19).normal(size=(2, N, 2)))
    fitted = fit(jax.random.key(20), halves, N, settings, lambda updates, value: None)
    assert (
        fitted.choices == (chosen, chosen) and fitted.rounds == rounds and fitted.updates == updates
    )
    assert fitted.drift == pytest.approx(drift, abs=1e-6)


def test_training_goes_on_from_the_best_round_where_one_diverges(monkeypatch):
    advance = fitting.advance_mixture
    states = []

    def poisoned(state, *arguments):
        state = advance(state, *arguments)
        states.append(jax.device_get(state))
        if len(states) == 2:
            state = jax.tree.map(lambda a: a * jnp.nan if a.dtype == jnp.float32 else a, state)
        return state

    monkeypatch.setattr(fitting, "advance_mixture", poisoned)
    rng = np.random.default_rng(10)
    halves = make_halves(*rng.normal(size=(2, 2, N, 2)))
    key = jax.random.key(12)
    fitted = fit(key, halves, N, TINY, lambda updates, value: None, rounds=(3, 0))
    assert fitted.rounds[0] <= 2 and len(states) == 3
    for snapshot in fitted.snapshots.values():
        assert all(np.isfinite(a).all() for a in jax.tree.leaves(snapshot))
    assert states[2].step == TINY.mixture.updates  # a new optimizer


def test_a_training_that_always_diverges_says_so():
    settings = dataclasses.replace(
        TINY, denoiser=dataclasses.replace(TINY.denoiser, learning_rate=1e30)
    )
    halves = make_halves(*np.random.default_rng(10).normal(size=(2, 2, N, 2)))
    with pytest.raises(InputError, match="smaller denoiser.learning_rate"):
        fit(jax.random.key(12), halves, N, settings, lambda updates, value: None)


@pytest.mark.parametrize(
    ("value", "earlier", "mean"), [(0.30, 0.25, 0.325), (0.30, 0.40, 0.30), (0.0, 0.1, 0.0)]
)
def test_extrapolation_goes_up_or_nowhere(monkeypatch, value, earlier, mean):
    found = Fit({}, (0, 0), (1, 0), 150, True, 0.0, 0.0)
    monkeypatch.setattr(
        "diffenc.information.training.divergence.fit", lambda *arguments, **keywords: found
    )
    products = Products(*(np.full((2, N, 4), value / 4 + 1e-3) for _ in range(4)))
    judged = iter([(products, value, np.ones((1, N, 1))), (products, earlier, np.ones((1, N, 1)))])
    monkeypatch.setattr(
        "diffenc.information.training.divergence.judge", lambda *arguments: next(judged)
    )
    result = divergence(
        jax.random.key(0), halves_of(np.random.default_rng(19).normal(size=(2, N, 2))), TINY
    )
    assert result.mean == pytest.approx(mean) and result.pointwise.mean() == pytest.approx(mean)
    assert result.systematic == pytest.approx(
        TINY.judge.step_error * abs(value - earlier), abs=1e-9
    )


def test_what_both_networks_miss_is_added_with_its_error(monkeypatch):
    """In units of the sampling error of D; the two halves are alike, and so are n and n / 2."""
    found = Fit({}, (0, 0), (1, 0), 150, True, 0.0, 0.0)
    monkeypatch.setattr(
        "diffenc.information.training.divergence.fit", lambda *arguments, **keywords: found
    )
    of_example = np.tile(np.random.default_rng(20).normal(0.3, 0.8, size=N), (2, 1))
    products = Products(*(np.repeat(of_example[:, :, None] / 4, 4, axis=2) for _ in range(4)))
    monkeypatch.setattr(
        "diffenc.information.training.divergence.judge",
        lambda *arguments: (products, 0.3, np.ones((1, N, 1))),
    )
    result = divergence(
        jax.random.key(0), halves_of(np.random.default_rng(19).normal(size=(2, N, 2))), TINY
    )
    sampling = of_example.std() / (2 * N) ** 0.5
    assert result.mean == pytest.approx(0.3 + TINY.judge.shortfall * sampling, rel=1e-3)
    assert result.pointwise.mean() == pytest.approx(result.mean)
    assert result.systematic == pytest.approx(TINY.judge.shortfall_error * sampling, rel=1e-3)


def test_mixtures_find_more_than_one_mode():
    """r = +-0.9 + s eps, white, of which one Gaussian knows nothing and which y does not tell
    apart: two components find it, and their growth is that of their likelihood."""
    rng = np.random.default_rng(16)
    sign = rng.choice([-0.9, 0.9], size=(2, N, 1))
    halves = halves_of(sign + 0.19**0.5 * rng.normal(size=(2, N, 1)))._replace(
        y=np.zeros((2, N, 1), np.float32)
    )
    state = fitting.initialize(jax.random.key(17), TINY, 1, 1, jax.random.key(21))
    for round_index in range(40):
        state = fitting.advance_mixture(state, jax.random.key(200 + round_index), halves, N, TINY)
    products = growth.judge(state.averages, jax.random.key(6), halves, TINY, 3)
    grown = (2 * products.held - products.own).sum(axis=-1).ravel()
    network = growth.make_network(1, TINY)

    def wealth_of(params, y, r):
        mixture = network.apply(params, y, method="mixture")
        return mixture.log_prob(r) + 0.5 * jnp.square(r[:, 0])

    unseen = jax.tree.map(lambda a: np.asarray(a)[::-1], state.averages)  # the other half's network
    wealth = jax.jit(jax.vmap(wealth_of))(unseen, halves.y, halves.r)
    difference = grown - np.asarray(wealth, np.float64).ravel()
    assert abs(difference.mean()) < NUM_SIGMAS * difference.std() / difference.size**0.5
    assert grown.mean() > NUM_SIGMAS * grown.std() / grown.size**0.5


@pytest.mark.optimized
@pytest.mark.slow
def test_a_mixture_is_found_with_its_error():
    """0.5 N(-a, s^2) + 0.5 N(a, s^2), white: D by quadrature. The networks are mixtures, so nothing
    is added for what both miss."""
    from scipy.integrate import quad
    from scipy.stats import norm

    a, s = 0.9, (1 - 0.81) ** 0.5
    density = lambda r: 0.5 * (norm.pdf(r, a, s) + norm.pdf(r, -a, s))  # noqa: E731
    truth = quad(lambda r: density(r) * np.log(density(r) / norm.pdf(r)), -4, 4)[0]
    rng = np.random.default_rng(11)
    r = rng.choice([-a, a], size=(2, 4000, 1)) + s * rng.normal(size=(2, 4000, 1))
    halves = make_halves(r, None)
    settings = Settings(judge=JudgeSettings(shortfall=0.0, shortfall_error=0.0))
    result = divergence(jax.random.key(14), halves, settings)
    stderr = np.hypot(result.pointwise.std() / 8000**0.5, result.systematic)
    assert abs(result.mean - truth) < NUM_SIGMAS * stderr and stderr < 0.05 * truth
    widths = np.diff(result.edges)
    assert np.sum(result.density * widths) == pytest.approx(result.value, rel=0.02)


def test_what_the_noisy_x_says_about_itself():
    """Gaussians: the residual has nothing to predict, so I(X;Y) = 1/2 int alpha^2 E|g|^2, and E<v,
    g> = 0."""
    cov = np.array(
        [[1.0, 0.0, 0.7, 0.1], [0.0, 1.0, -0.2, 0.5], [0.7, -0.2, 1.0, 0.0], [0.1, 0.5, 0.0, 1.0]]
    )
    factor = np.linalg.cholesky(np.eye(2) - cov[:2, 2:] @ cov[2:, :2])

    @jax.jit
    def products(key, y, r):
        key_log_snr, key_eps = jax.random.split(key)
        linear = y @ cov[2:, :2]
        log_snr, weight = growth.draw_log_snr(key_log_snr, len(linear), 4)
        eps = jax.random.normal(key_eps, (*log_snr.shape, 2))
        r_noised, v = growth.add_noise(r, eps, log_snr)
        g = growth.predict_without_y(linear, jnp.asarray(factor), r_noised, log_snr)
        by_product = (0.5 * jnp.sum(g**2, axis=-1), jnp.sum(v * g, axis=-1))
        return [jnp.mean(weight * product, axis=1) for product in by_product]

    y, r = np.random.default_rng(20).normal(size=(2, 20_000, 2)).astype(np.float32)
    square, product = products(jax.random.key(20), y, r)
    assert_mean(square, -0.5 * np.linalg.slogdet(cov)[1])
    assert_mean(product, 0.0)


def test_the_gap_of_scores_is_that_of_the_two_predictions():
    """X + 2 <v - o, g> of networks that are wrong, against 1/2 int alpha^2 (|o - g|^2 - |g|^2) on
    draws of its own."""
    mean, std, dim, n = 0.5, 0.8, 2, 6000
    cov = np.array([[0.5, 0.1], [0.1, 0.7]])
    factor = np.linalg.cholesky(np.eye(dim) - cov @ cov.T)
    y, r = np.random.default_rng(30).normal(size=(2, 2, n, dim))
    r = mean + std * r
    r = (r - r.mean(axis=1, keepdims=True)) / r.std(axis=1, keepdims=True)
    r = np.stack([residual_of(one, given) for one, given in zip(r, y, strict=True)])
    parts = (r, y, y @ cov.T, np.stack([factor] * 2))
    halves = Halves(*(jnp.asarray(part, jnp.float32) for part in parts))
    bias = np.log(std) / np.sqrt(1 - (np.log(std) / 4) ** 2)
    products = growth.judge(
        state_with(mean, bias, dim), jax.random.key(32), halves, TINY, 3, tilted=True
    )
    gap = np.asarray(products.cross + 2 * products.tilt).sum(axis=-1).ravel()

    @jax.jit
    def gap_of_scores(key, r, linear, factor):
        key_log_snr, key_eps = jax.random.split(key)
        log_snr, weight = growth.draw_log_snr(key_log_snr, n, 8)
        eps = jax.random.normal(key_eps, (*log_snr.shape, dim))
        r_noised, _ = growth.add_noise(r, eps, log_snr)
        alpha, sigma = alpha_sigma(log_snr[..., None])
        tau2 = jnp.square(alpha) * std**2 + jnp.square(sigma)
        o = -sigma * (mean + alpha * (std**2 - 1) / tau2 * (r_noised - alpha * mean))
        g = growth.predict_without_y(linear, factor, r_noised, log_snr)
        return jnp.mean(weight * jnp.sum(jnp.square(o - g) - jnp.square(g), axis=-1), axis=1) / 2

    half = (np.asarray(part)[0] for part in (halves.r, halves.linear, halves.factor))
    direct = np.asarray(gap_of_scores(jax.random.key(33), *half))
    errors = np.hypot(gap.std() / gap.size**0.5, direct.std() / direct.size**0.5)
    assert abs(gap.mean() - direct.mean()) < NUM_SIGMAS * errors
    assert (
        abs(np.mean(products.tilt.sum(axis=-1))) > NUM_SIGMAS * errors
    )  # seen, with its factor of two


def residual_of(r, y):
    """r [n, dim] white and uncorrelated with white y, as a regression leaves it."""
    return regression.fit(gaussian.whiten(r), regression.linear(y)).r


def test_a_regression_on_features_leaves_what_they_do_not_tell():
    rng = np.random.default_rng(22)
    x, y = rng.normal(size=(2, 400, 2))
    features, rows = regression.without_shape(regression.polar)(y), split(jax.random.key(23), 400)
    features = Features(*(of_y[rows] for of_y in features))
    halves = jax.tree.map(np.asarray, make_halves((x + y)[rows], y[rows], features))
    for half in range(2):
        np.testing.assert_allclose(halves.r[half].T @ features.mean[half] / 200, 0.0, atol=1e-5)
        white = halves.linear[half] + halves.r[half] @ halves.factor[half].T
        np.testing.assert_allclose(white.T @ white / 200, np.eye(2), atol=1e-5)
        np.testing.assert_allclose(halves.y[half].T @ halves.y[half] / 200, np.eye(2), atol=1e-5)


def test_the_forms_of_a_divergence_are_made_of_the_products(monkeypatch):
    """P = 0.5, X = 0.4, O = 0.7 and a tilt of 0.1, at the stake 1.1: D = 2 c P - c^2 X, growth 2P -
    O, X + 2 tilt."""
    found = Fit({}, (0, 0), (1, 0), 150, True, 0.0, 0.0)
    products = Products(*(np.full((2, N, 4), total / 4) for total in (0.5, 0.4, 0.7, 0.1)))
    monkeypatch.setattr(
        "diffenc.information.training.divergence.fit", lambda *arguments, **keywords: found
    )
    monkeypatch.setattr(
        "diffenc.information.training.divergence.judge",
        lambda *arguments: (products, 0.6, np.full((1, N, 1), 1.1)),
    )
    result = divergence(
        jax.random.key(0), halves_of(np.random.default_rng(19).normal(size=(2, N, 2))), TINY
    )
    assert result.mean == pytest.approx(0.6) and result.pointwise == pytest.approx(
        np.full(2 * N, 0.6)
    )
    assert result.kelly_growth == pytest.approx(np.full(2 * N, 2 * 0.5 - 0.7))
    assert result.s_nn == pytest.approx(np.full(2 * N, 0.7))
    assert result.score_gap == pytest.approx(np.full(2 * N, 0.4 + 2 * 0.1))
    assert np.sum(result.density * np.diff(result.edges)) == pytest.approx(
        2 * 1.1 * 0.5 - 1.1**2 * 0.4
    )
    assert result.density_stderr == pytest.approx(np.zeros(4), abs=1e-12)  # all examples are alike


def test_noise_lowers_the_score_of_a_round():
    held = cross = np.full((2, N), 0.3)
    price = TINY.judge.noise_price
    assert score(Products(held, cross, cross, held), price) == pytest.approx(0.3)
    noisy = score(Products(held, cross, cross + 2.0, held), price)
    assert noisy == pytest.approx(0.3 - 2.0 * price)


@pytest.mark.parametrize(
    "n, size", [(1, 50), (50, 50), (51, 100), (101, 150), (151, 200), (201, 300), (1500, 1600)]
)
def test_rows_are_padded_to_one_of_a_few_sizes(n, size):
    assert standard_size(n, 50) == size
    padded = halves_of(np.ones((2, n, 2))).pad(50)
    assert padded.r.shape == padded.linear.shape == (2, size, 2)
    assert padded.factor.shape == (2, 2, 2)
    np.testing.assert_array_equal(np.asarray(padded.r).sum(axis=(1, 2)), 2 * n)


def test_other_numbers_of_rows_have_the_programs_and_the_digits_of_these():
    """Rows that are not counted change nothing, and compile nothing."""
    r = np.random.default_rng(30).normal(size=(2, N, 2))
    programs = (fitting._advance, fitting._advance_mixture, growth._judge_many)
    results = []
    counts = []
    for n in (1450, N):
        halves = halves_of(r)
        halves = Halves(halves.r[:, :n], halves.y[:, :n], halves.linear[:, :n], halves.factor)
        state = fitting.initialize(jax.random.key(0), TINY, 2, 2)
        state = fitting.advance_mixture(state, jax.random.key(1), halves, 1450, TINY)
        state = fitting.advance(state, jax.random.key(2), halves, 1450, TINY)
        held = growth.judge(state.averages, jax.random.key(3), halves, TINY, 3).held
        results.append(np.asarray(held)[:, :1450])
        counts.append([program.program()._cache_size() for program in programs])
    assert counts[0] == counts[1]
    np.testing.assert_array_equal(*results)
