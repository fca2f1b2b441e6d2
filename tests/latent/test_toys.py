"""Toys with known posteriors: exact on the grid, of the shape they are named after, and measured
against Gaussians."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from scipy import integrate, stats

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian, gaussian_kl
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.latent import posterior_grid, toys
from diffenc.latent.baselines import GaussianEncoder
from diffenc.latent.decoders import log_joint, log_prior
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.posterior_grid import Grid
from diffenc.networks import MLP, ConditionalDenoiser

NAMES = ("absolute", "ring", "pinwheel", "two_components")
log_marginal = jax.jit(posterior_grid.log_marginal, static_argnums=(0, 1))
posterior = jax.jit(posterior_grid.posterior, static_argnums=(0, 1))
best_gaussian_kl = jax.jit(posterior_grid.best_gaussian_kl, static_argnums=1)
posterior_moments = jax.jit(posterior_grid.posterior_moments, static_argnums=1)
posterior_kl = jax.jit(posterior_grid.posterior_kl, static_argnums=2)
sample_posterior = jax.jit(posterior_grid.sample_posterior, static_argnums=(2, 3))
encoder_log_prob = jax.jit(posterior_grid.encoder_log_prob, static_argnums=(0, 2, 4, 5))
likelihood = jax.jit(
    lambda toy, x, z: jax.vmap(lambda row: toy.log_prob({}, row[None], z))(x), static_argnums=0
)
joint_score = jax.jit(
    lambda toy, x, z: jax.vmap(
        lambda row: jax.grad(lambda z: log_joint(toy, {}, row[None], z).sum())(z)
    )(x),
    static_argnums=0,
)
gaussian_divergence = jax.jit(jax.vmap(gaussian_kl))
gaussian_log_prob = jax.jit(
    jax.vmap(lambda mean, cov, z: Gaussian(mean, cov).log_prob(z), in_axes=(0, 0, None))
)


@functools.partial(jax.jit, static_argnums=(0, 1))
def draw_x(toy, n):
    key_z, key_x = jax.random.split(jax.random.key(0))
    return toy.sample(key_x, {}, jax.random.normal(key_z, (n, toy.latent_dim)))


@functools.cache
def case(name, n=16):
    """The toy, its default grid, data x and the log posterior of each."""
    toy = toys.make(name)
    grid, x = Grid(toy.latent_dim), draw_x(toy, n)
    return toy, grid, np.asarray(x), np.asarray(posterior(toy, grid, x))


@pytest.fixture
def linear(monkeypatch):
    """A toy with linear g, and the same model in closed form."""
    weight = jnp.array([[1.0, -0.5], [0.3, 0.8], [0.0, 1.2]])
    monkeypatch.setitem(toys._TOYS, "linear", (2, 0.5, lambda z: z @ weight.T))
    return toys.make("linear"), FactorAnalysis(weight, jnp.zeros(3), jnp.array(0.5))


@pytest.mark.parametrize("name", NAMES)
def test_neither_a_finer_and_wider_grid_nor_double_precision_changes_the_marginal(name):
    toy, grid, x, _ = case(name)
    with jax.enable_x64(True):
        doubles = np.concatenate([x, np.zeros_like(x[:1])]).astype(
            np.float64
        )  # g is sharpest at the origin
        log_p = np.asarray(log_marginal(toy, grid, doubles))
        finer_and_wider = Grid(
            toy.latent_dim, 1.5 * grid.half_width, 3 * grid.num_points
        )  # cells half as wide
        np.testing.assert_allclose(log_p, log_marginal(toy, finer_and_wider, doubles), atol=1e-5)
    np.testing.assert_allclose(log_marginal(toy, grid, x), log_p[:-1], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_marginal_integrates_to_one(name):
    toy, grid, _, _ = case(name)
    mean = np.asarray(toy.mean({}, grid.points()))
    step = 0.9 * toy.noise_std  # the rectangle rule's error is 2 exp(-2 pi^2 / 0.9^2), below 1e-10
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
    z = jax.random.normal(jax.random.key(1), (20000, toy.latent_dim))
    assert_mean(np.exp(likelihood(toy, x, z)).T, np.exp(log_marginal(toy, grid, x)))


@pytest.mark.parametrize(
    "name, radius", [("absolute", stats.halfnorm()), ("ring", stats.rayleigh())]
)
def test_the_marginal_is_an_integral_over_the_radius(name, radius):
    toy, grid, x, _ = case(name)
    for row, log_p in zip(
        np.asarray(x[:4, 0], np.float64), log_marginal(toy, grid, x)[:4], strict=True
    ):

        def density(r, row=row):
            return radius.pdf(r) * stats.norm(np.hypot(r, toys.ROUNDING), toy.noise_std).pdf(row)

        exact, _ = integrate.quad(density, 0, 8, points=[abs(row)], epsabs=1e-12, limit=200)
        np.testing.assert_allclose(log_p, np.log(exact), atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_posterior_obeys_bayes_rule_and_has_mass_one(name):
    toy, grid, x, log_p = case(name)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1) * grid.volume, 1.0, rtol=1e-5)
    z = np.random.default_rng(0).choice(grid.points(), 50, replace=False)
    index = np.round((z + grid.half_width) / grid.width - 0.5).astype(int)
    at = np.ravel_multi_index(index.T, (grid.num_points,) * grid.latent_dim)
    joint = likelihood(toy, x, z) + np.asarray(log_prior(z))[None]
    np.testing.assert_allclose(
        log_p[:, at] + np.asarray(log_marginal(toy, grid, x))[:, None], joint, rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_the_joint_is_the_slope_of_the_posterior(name):
    with jax.enable_x64(True):
        toy = toys.make(name)
        grid, x = Grid(toy.latent_dim, 1.0, 400 // toy.latent_dim), draw_x(toy, 2)
        axes = range(1, 1 + grid.latent_dim)
        shape = (grid.num_points,) * grid.latent_dim
        log_p = np.asarray(posterior(toy, grid, x)).reshape(-1, *shape)
        near = [
            np.stack([np.roll(log_p, -i, axis) for axis in axes], axis=-1)
            for i in (-3, -2, -1, 1, 2, 3)
        ]
        weights = np.array([-1, 9, -45, 45, -9, 1]) / (
            60 * grid.width
        )  # central difference of order six
        slope = sum(w * n for w, n in zip(weights, near, strict=True))
        inside = (slice(3, -3, 5),) * grid.latent_dim
        z = np.asarray(grid.points()).reshape(*shape, -1)[inside].reshape(-1, grid.latent_dim)
        score = joint_score(toy, x, z)
        error = np.abs(slope[(slice(None), *inside)].reshape(score.shape) - score)
        assert error.max() < 1e-4 * np.abs(score).max()
        assert np.isfinite(joint_score(toy, x, jnp.zeros_like(z))).all()


def test_a_linear_toy_is_factor_analysis(linear):
    toy, model = linear
    x, grid = (
        np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32),
        Grid(2, num_points=100),
    )
    log_p = posterior(toy, grid, x)
    mean, cov = jax.jit(model.posterior)(x)
    np.testing.assert_allclose(
        log_marginal(toy, grid, x), jax.jit(model.log_prob)(x), rtol=1e-5, atol=1e-4
    )
    exact = gaussian_log_prob(mean, np.tile(cov[None], (6, 1, 1)), grid.points())
    np.testing.assert_allclose(log_p, exact, rtol=1e-4, atol=1e-4)
    found_mean, found_cov = posterior_moments(log_p, grid)
    np.testing.assert_allclose(found_mean, mean, atol=1e-5)
    np.testing.assert_allclose(found_cov, np.broadcast_to(cov, found_cov.shape), atol=1e-5)
    np.testing.assert_allclose(best_gaussian_kl(log_p, grid), 0.0, atol=1e-5)


def test_a_gaussian_encoder_has_its_closed_form_divergence(linear):
    toy, model = linear
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    encoder, grid = GaussianEncoder(MLP((), num_outputs=4)), Grid(2, num_points=100)
    kernel = 0.2 * jax.random.normal(jax.random.key(1), (3, 4))
    params = {
        "encoder": {
            "params": {"Dense_0": {"kernel": kernel, "bias": jnp.array([0.1, -0.2, -0.7, -0.4])}}
        }
    }
    log_q, mass = encoder_log_prob(encoder, params, grid, x, 0, 777)  # 777 does not divide 10000
    mean, log_width = encoder.infer(params, x)
    widths = jax.vmap(jnp.diag)(jnp.exp(2 * log_width))
    np.testing.assert_allclose(
        log_q, gaussian_log_prob(mean, widths, grid.points()), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(mass, 1.0, rtol=1e-5)
    posterior_mean, cov = jax.jit(model.posterior)(x)
    kl = gaussian_divergence(posterior_mean, np.tile(cov[None], (6, 1, 1)), mean, widths)
    found = posterior_kl(posterior(toy, grid, x), log_q, grid.volume)
    np.testing.assert_allclose(found, kl, rtol=1e-4)


@pytest.mark.parametrize(
    "num_points", [40, 100]
)  # cells as wide as a third of the posterior, and finer ones
def test_the_divergence_from_draws_is_that_of_quadrature(linear, num_points):
    toy, model = linear
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    mean, cov = jax.jit(model.posterior)(x)
    mean, cov = mean + 0.3, 1.5 * cov
    exact = gaussian_divergence(
        mean - 0.3, jnp.tile(cov / 1.5, (6, 1, 1)), mean, jnp.tile(cov, (6, 1, 1))
    )
    draws = functools.partial(posterior_grid.posterior_kl_by_draws, num_draws=200)

    @jax.jit
    def found(key):
        gaussian = jax.vmap(lambda mean, z: Gaussian(mean, cov).log_prob(z[None])[0])
        return draws(key, toy, Grid(2, num_points=num_points), x, lambda z: gaussian(mean, z))

    assert_mean(np.stack([found(jax.random.key(i)) for i in range(40)]), exact)


def test_a_density_that_the_cells_miss_shows_in_its_mass():
    encoder, grid = GaussianEncoder(MLP((), num_outputs=2)), Grid(1, num_points=20)
    layer = {
        "kernel": jnp.zeros((1, 2)),
        "bias": jnp.array([0.25, -4.0]),
    }  # at the centre of a cell, width 0.018
    x = jnp.zeros((1, 1))
    _, mass = encoder_log_prob(
        encoder, {"encoder": {"params": {"Dense_0": layer}}}, grid, x, 0, 1024
    )
    np.testing.assert_allclose(mass, grid.width * np.exp(4.0) / np.sqrt(2 * np.pi), rtol=1e-5)


def test_a_diffusion_encoder_has_mass_one_and_a_divergence_that_is_not_negative():
    toy, grid, x, log_p = case("absolute")
    encoder = DiffusionEncoder(
        ConditionalDenoiser(latent_dim=1, embed_features=(8,), features=(8,))
    )
    params = {"encoder": jax.jit(encoder.init)(jax.random.key(0), x)}
    log_q, mass = encoder_log_prob(encoder, params, grid, x, 6, 64)
    prior = log_prior(grid.points())[None]
    np.testing.assert_allclose(log_q, np.tile(prior, (len(x), 1)), atol=1e-4)  # r = 0: the prior
    np.testing.assert_allclose(mass, 1.0, atol=1e-4)
    mean_likelihood = (np.exp(log_p) * likelihood(toy, x, grid.points())).sum(axis=1) * grid.volume
    gap = mean_likelihood - log_marginal(
        toy, grid, x
    )  # KL(p(z|x) || p(z)) = E log p(x|z) - log p(x)
    np.testing.assert_allclose(posterior_kl(log_p, log_q, grid.volume), gap, rtol=1e-4, atol=1e-4)
    kernel = params["encoder"]["params"]["output"]["kernel"]
    params["encoder"]["params"]["output"]["kernel"] = jax.random.normal(
        jax.random.key(1), kernel.shape
    )
    log_q, mass = encoder_log_prob(encoder, params, grid, x, 6, 64)
    assert np.abs(log_q - prior).max() > 0.1
    np.testing.assert_allclose(mass, 1.0, atol=1e-4)
    assert (posterior_kl(log_p, log_q, grid.volume) > 0).all()


def test_no_gaussian_is_nearer_than_the_best():
    toy = toys.make("pinwheel")
    with jax.enable_x64(True):
        grid = Grid(
            toy.latent_dim, num_points=60
        )  # the moments are the grid's own: the equation holds on any grid
        log_p = posterior(toy, grid, draw_x(toy, 4))
        mean, cov = posterior_moments(log_p, grid)
        shear = 0.3 * jnp.ones_like(cov) * cov[:, :1, :1]
        for other in [(mean, cov), (mean + 0.1, cov), (mean, 1.3 * cov), (mean - 0.1, cov + shear)]:
            log_q = gaussian_log_prob(*other, grid.points())
            excess = posterior_kl(log_p, log_q, grid.volume) - best_gaussian_kl(log_p, grid)
            np.testing.assert_allclose(
                excess, gaussian_divergence(mean, cov, *other), rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize(
    "name, least", [("absolute", 0.5), ("ring", 0.5), ("pinwheel", 0.5), ("two_components", 0.25)]
)
def test_the_best_gaussian_is_far_from_the_posterior(name, least):
    toy, grid, _, _ = case(name)
    batches = np.asarray(draw_x(toy, 128)).reshape(8, 16, -1)
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
    x = jnp.array([[2.0, 0.3], [2.0, -0.3]])
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
        grid, x = Grid(2), jnp.array([[0.1], [0.8], [2.0]])
        log_p = posterior(toy, grid, x)
        mean, cov = posterior_moments(log_p, grid)
        np.testing.assert_allclose(mean, 0.0, atol=1e-10)
        np.testing.assert_allclose(cov, cov[:, :1, :1] * np.eye(2)[None], atol=1e-10)
        z, weight = np.asarray(grid.points()) @ [1, 1j], grid.volume * np.exp(log_p)
        for k in (4, 8):  # the grid has the other symmetries itself
            moment, size = weight @ z**k, weight @ np.abs(z) ** k
            np.testing.assert_array_less(np.abs(moment), 1e-6 * size)


@pytest.mark.parametrize("name", ["absolute", "pinwheel"])
def test_samples_have_the_moments_of_the_posterior(name):
    toy, grid, _, log_p = case(name)
    z = np.asarray(sample_posterior(jax.random.key(1), log_p[:3], grid, 4000))
    assert z.shape == (3, 4000, toy.latent_dim) and np.abs(z).max() <= grid.half_width
    mean, cov = posterior_moments(log_p[:3], grid)
    for one, m, c in zip(z, np.asarray(mean), np.asarray(cov), strict=True):
        assert_moments(one, m, c + grid.width**2 / 12 * np.eye(toy.latent_dim))


def test_samples_fill_their_cell():
    grid = Grid(2, num_points=10)
    cells = np.array([3, 58])
    log_p = np.full((2, 100), -np.inf, np.float32)
    log_p[[0, 1], cells] = -np.log(grid.volume)
    z = np.asarray(sample_posterior(jax.random.key(1), log_p, grid, 4000))
    for one, centre in zip(z, np.asarray(grid.points())[cells], strict=True):
        assert_moments(one, centre, grid.width**2 / 12 * np.eye(2))
        assert np.abs(one - centre[None]).max() <= grid.width / 2 + 1e-6


def test_the_means_are_those_of_the_docstring():
    with jax.enable_x64(True):
        z = np.random.default_rng(0).normal(size=(50, 2))
        radius, latent = np.hypot(*z.T), z @ [1, 1j]
        smooth = np.hypot(radius, 0.4)
        arms = (latent / smooth * np.exp(-1j * smooth)) ** 4
        two = np.stack(
            [2 * np.hypot(z[:, 0], toys.ROUNDING), z[:, 1] + np.tanh(4 * z[:, 0])], axis=1
        )
        np.testing.assert_allclose(
            toys.make("absolute").mean({}, z[:, :1]), np.hypot(z[:, :1], toys.ROUNDING)
        )
        np.testing.assert_allclose(
            toys.make("ring").mean({}, z)[:, 0], np.hypot(radius, toys.ROUNDING)
        )
        np.testing.assert_allclose(
            toys.make("pinwheel").mean({}, z) @ np.array([1, 1j]), arms, atol=1e-12
        )
        np.testing.assert_allclose(toys.make("two_components").mean({}, z), two)


@pytest.mark.parametrize("name", NAMES)
def test_a_toy_is_a_decoder(name):
    toy, traces = toys.make(name), []
    assert toy.init(jax.random.key(0), toy.latent_dim) == {}
    z = np.full((4000, toy.latent_dim), 0.6, np.float32)
    mean, x = np.asarray(toy.mean({}, z)), np.asarray(toy.sample(jax.random.key(1), {}, z))
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
        posterior_grid.log_marginal(ring, Grid(1), jnp.zeros((2, 1)))
    with pytest.raises(InputError, match="needs"):
        posterior_grid.posterior(ring, Grid(2), jnp.zeros((2, 2)))
