"""Toys with known posteriors: exact on the grid, and of the shape they are named after."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from scipy import integrate, stats
from toy_cases import (
    NAMES,
    best_gaussian_kl,
    case,
    likelihood,
    log_marginal,
    log_normal,
    many_x,
    marginal,
    points,
    posterior,
    posterior_moments,
)

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.latent import posterior_grid, toys
from diffenc.latent.decoders import log_joint
from diffenc.latent.posterior_grid import Grid


@pytest.mark.parametrize("name", NAMES)
def test_neither_a_finer_and_wider_grid_nor_double_precision_changes_the_marginal(name):
    toy, grid, x, _ = case(name)
    finer_and_wider = Grid(
        toy.latent_dim, 1.5 * grid.half_width, 3 * grid.num_points
    )  # cells half as wide

    @jax.jit
    def on_both_grids(x):
        return [posterior_grid.log_marginal(toy, grid, x) for grid in (grid, finer_and_wider)]

    with jax.enable_x64(True):
        doubles = np.concatenate([x, np.zeros_like(x[:1])]).astype(
            np.float64
        )  # g is sharpest at the origin
        log_p, limit = jax.device_get(on_both_grids(doubles))
    np.testing.assert_allclose(log_p, limit, atol=1e-5)
    np.testing.assert_allclose(marginal(name), log_p[:-1], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_marginal_integrates_to_one(name):
    toy, grid, _, _ = case(name)
    mean = np.asarray(jax.jit(lambda: toy.mean({}, grid.points()))())
    step = 1.1 * toy.noise_std  # the rectangle rule's error is 2 exp(-2 pi^2 / 1.1^2), below 1e-6
    bounds = zip(mean.min(axis=0), mean.max(axis=0), strict=True)
    axes = [
        np.arange(low - 6 * toy.noise_std, high + 6 * toy.noise_std, step) for low, high in bounds
    ]
    x = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, toy.data_dim)
    batch = 32
    rows = np.minimum(np.arange(-(-len(x) // batch) * batch), len(x) - 1).reshape(-1, batch)
    log_p = np.concatenate([log_marginal(toy, grid, x[row].astype(np.float32)) for row in rows])[
        : len(x)
    ]
    outside = 2 * toy.latent_dim * stats.norm.sf(grid.half_width)
    np.testing.assert_allclose(np.exp(log_p).sum() * step**toy.data_dim, 1.0, atol=outside + 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_marginal_is_the_mean_likelihood_under_the_prior(name):
    toy, grid, x, _ = case(name)
    z = np.random.default_rng(1).normal(size=(20000, toy.latent_dim)).astype(np.float32)
    assert_mean(np.exp(likelihood(toy, x, z)).T, np.exp(marginal(name)))


@pytest.mark.parametrize(
    "name, radius", [("absolute", stats.halfnorm()), ("ring", stats.rayleigh())]
)
def test_the_marginal_is_an_integral_over_the_radius(name, radius):
    toy, grid, x, _ = case(name)
    for row, log_p in zip(np.asarray(x[:4, 0], np.float64), marginal(name)[:4], strict=True):

        def density(r, row=row):
            return radius.pdf(r) * stats.norm(np.hypot(r, toys.ROUNDING), toy.noise_std).pdf(row)

        exact, _ = integrate.quad(density, 0, 8, points=[abs(row)], epsabs=1e-12, limit=200)
        np.testing.assert_allclose(log_p, np.log(exact), atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_posterior_obeys_bayes_rule_and_has_mass_one(name):
    toy, grid, x, log_p = case(name)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1) * grid.volume, 1.0, rtol=1e-5)
    z = np.random.default_rng(0).choice(points(grid), 50, replace=False)
    index = np.round((z + grid.half_width) / grid.width - 0.5).astype(int)
    at = np.ravel_multi_index(index.T, (grid.num_points,) * grid.latent_dim)
    joint = np.asarray(likelihood(toy, x, z)) + log_normal(z)[None]
    np.testing.assert_allclose(log_p[:, at] + marginal(name)[:, None], joint, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_the_joint_is_the_slope_of_the_posterior(name):
    toy = toys.make(name)
    grid = Grid(toy.latent_dim, 1.0, 400 // toy.latent_dim)
    axes = range(1, 1 + grid.latent_dim)
    shape = (grid.num_points,) * grid.latent_dim
    inside = (slice(3, -3, 5),) * grid.latent_dim

    @jax.jit
    def evaluate(x):
        """The posterior on the grid, and the gradient of the joint inside it and at the origin."""
        z = grid.points().reshape(*shape, -1)[inside].reshape(-1, grid.latent_dim)
        z = jnp.concatenate([jnp.zeros((1, grid.latent_dim)), z])

        def score(row):
            return jax.grad(lambda z: log_joint(toy, {}, row[None], z).sum())(z)

        return posterior_grid.posterior(toy, grid, x), jax.vmap(score)(x)

    x = many_x(name)[:2].astype(np.float64)
    with jax.enable_x64(True):
        log_p, scores = jax.device_get(evaluate(x))
    log_p = log_p.reshape(-1, *shape)
    near = [
        np.stack([np.roll(log_p, -i, axis) for axis in axes], axis=-1)
        for i in (-3, -2, -1, 1, 2, 3)
    ]
    weights = np.array([-1, 9, -45, 45, -9, 1]) / (
        60 * grid.width
    )  # central difference of order six
    slope = sum(w * n for w, n in zip(weights, near, strict=True))
    score = scores[:, 1:]
    error = np.abs(slope[(slice(None), *inside)].reshape(score.shape) - score)
    assert error.max() < 1e-4 * np.abs(score).max()
    assert np.isfinite(scores[:, 0]).all()


@pytest.mark.parametrize(
    "name, least", [("absolute", 0.5), ("ring", 0.5), ("pinwheel", 0.5), ("two_components", 0.25)]
)
def test_the_best_gaussian_is_far_from_the_posterior(name, least):
    toy, grid, _, _ = case(name)
    batches = many_x(name).reshape(8, 16, -1)
    kl = [best_gaussian_kl(posterior(toy, grid, x), grid) for x in batches]
    kl = Estimate.of(np.concatenate(kl))
    assert kl.mean - 4 * kl.stderr > least


def test_the_posteriors_have_the_symmetries_and_modes_of_their_names():
    _, grid, _, log_p = case("absolute")
    np.testing.assert_allclose(log_p, log_p[:, ::-1], rtol=1e-5, atol=1e-4)
    grid = Grid(2)
    square = (-1, grid.num_points, grid.num_points)
    pinwheel = np.asarray(case("pinwheel")[3]).reshape(square)
    np.testing.assert_allclose(np.rot90(pinwheel, axes=(1, 2)), pinwheel, rtol=1e-4, atol=1e-3)
    x = np.array([[2.0, 0.3], [2.0, -0.3]], np.float32)
    peaks = []
    for log_p in np.asarray(posterior(toys.make("two_components"), grid, x)).reshape(square):
        around = [
            np.roll(log_p, (i, j), (0, 1))
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if (i, j) != (0, 0)
        ]
        peaks.append(np.sort(log_p[(log_p > np.max(around, axis=0)) & (log_p > log_p.max() - 4)]))
    assert [len(peak) for peak in peaks] == [2, 2]
    np.testing.assert_allclose(
        peaks[0], peaks[1], rtol=1e-4
    )  # x_2 -> -x_2 exchanges the components
    np.testing.assert_allclose(
        np.ptp(peaks, axis=1), 2 * 0.3 / (1 + 0.5**2), atol=0.01
    )  # N(x_2; +-1, 1 + noise^2)


def test_the_ring_looks_the_same_from_every_side():
    toy = toys.make("ring")
    with jax.enable_x64(True):
        grid, x = Grid(2), np.array([[0.1], [0.8], [2.0]])
        log_p = posterior(toy, grid, x)
        mean, cov = jax.device_get(posterior_moments(log_p, grid))
        np.testing.assert_allclose(mean, 0.0, atol=1e-10)
        np.testing.assert_allclose(cov, cov[:, :1, :1] * np.eye(2)[None], atol=1e-10)
        z = np.asarray(grid.points()) @ [1, 1j]
        weight = grid.volume * np.exp(np.asarray(log_p))
        for k in (4, 8):  # the grid has the other symmetries itself
            moment, size = weight @ z**k, weight @ np.abs(z) ** k
            np.testing.assert_array_less(np.abs(moment), 1e-6 * size)


def test_the_means_are_those_of_the_docstring():
    with jax.enable_x64(True):
        z = np.random.default_rng(0).normal(size=(50, 2))
        radius, latent = np.hypot(*z.T), z @ [1, 1j]
        smooth = np.hypot(radius, 0.4)
        arms = (latent / smooth * np.exp(-1j * smooth)) ** 4
        two = np.stack(
            [2 * np.hypot(z[:, 0], toys.ROUNDING), z[:, 1] + np.tanh(4 * z[:, 0])], axis=1
        )

        @jax.jit
        def means(z):
            return [toys.make(name).mean({}, z[:, : toys.make(name).latent_dim]) for name in NAMES]

        absolute, ring, pinwheel, two_components = jax.device_get(means(z))
        np.testing.assert_allclose(absolute, np.hypot(z[:, :1], toys.ROUNDING))
        np.testing.assert_allclose(ring[:, 0], np.hypot(radius, toys.ROUNDING))
        np.testing.assert_allclose(pinwheel @ np.array([1, 1j]), arms, atol=1e-12)
        np.testing.assert_allclose(two_components, two)


@pytest.mark.parametrize("name", NAMES)
def test_a_toy_is_a_decoder(name):
    toy, traces = toys.make(name), []
    assert toy.init(jax.random.key(0), toy.latent_dim) == {}
    z = np.full((4000, toy.latent_dim), 0.6, np.float32)
    draw = jax.jit(lambda key: (toy.mean({}, z), toy.sample(key, {}, z)))
    mean, x = jax.device_get(draw(jax.random.key(1)))
    assert mean.shape == x.shape == (4000, toy.data_dim) and x.dtype == z.dtype
    assert_moments(x, mean[0], toy.noise_std**2 * np.eye(toy.data_dim))
    exact = stats.norm(mean, toy.noise_std).logpdf(x).sum(axis=1)

    @functools.partial(jax.jit, static_argnums=0)
    def evaluate(toy, x, z):
        traces.append(toy)
        return toy.log_prob({}, x, z)

    np.testing.assert_allclose(evaluate(toys.make(name), x, z), exact, rtol=1e-4, atol=1e-4)
    evaluate(toys.make(name), x, z)
    assert len(traces) == 1


def test_a_wrong_name_or_dimension_is_named():
    with pytest.raises(InputError, match="absolute, ring, pinwheel, two_components"):
        toys.make("spiral")
    ring = toys.make("ring")
    with pytest.raises(InputError, match="latent_dim=3"):
        ring.init(jax.random.key(0), 3)
    with pytest.raises(InputError, match="needs"):
        log_marginal(ring, Grid(1), np.zeros((2, 1), np.float32))
    with pytest.raises(InputError, match="needs"):
        posterior(ring, Grid(2), np.zeros((2, 2), np.float32))
