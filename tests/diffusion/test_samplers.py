"""Samplers: laws within standard errors of closed forms, invariance of the equilibrium, exact
densities, order two."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.analytic import Gaussian, GaussianMixture
from diffenc.diffusion.parameterization import from_score
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.diffusion.samplers import (
    angle_flow,
    angle_flow_folds,
    angle_flow_with_hutchinson,
    angle_flow_with_log_det,
    probability_flow,
    reverse_sde,
)
from diffenc.errors import InputError
from diffenc.estimate import Estimate

FIXED_WIDTH = [VPLinear(), VPCosine(), VPx(), StraightLine()]
PROCESSES = [*FIXED_WIDTH, SubVP(), VE(0.01, 20.0)]
START = 1.5  # angle of the noisy end where the truth starts from the exact diffused density
STOP = 0.1


def make_mixture():
    means = jnp.array([[0.6, 0.0], [-0.4, 0.5], [0.0, -0.7]])
    return GaussianMixture.isotropic(
        jnp.log(jnp.array([0.5, 0.3, 0.2])), means, jnp.array([0.3, 0.4, 0.5])
    )


def make_v_fn(density, process):
    """The exact velocity of the flow in the angle."""

    def v_fn(x, phi):
        t = process.time_at_angle(phi)
        return from_score(process, "v", density.score(process, x, t), x, t)

    return v_fn


def assert_law(x, mixture):
    """Mean, second moments and characteristic function of the draws against those of the
    mixture."""
    weights, means, covs = (
        np.exp(np.asarray(mixture.log_weights)),
        np.asarray(mixture.means),
        np.asarray(mixture.covs),
    )
    x = np.asarray(x, np.float64)
    assert_mean(x, weights @ means)
    second = covs + means[:, :, None] * means[:, None, :]
    assert_mean(x[:, :, None] * x[:, None, :], np.einsum("k,kij->ij", weights, second))
    for frequency in np.array([[1.0, 0.0], [0.0, 2.0], [2.0, -2.0], [3.0, 1.0]]):
        phase = means @ frequency
        damping = np.exp(-0.5 * np.einsum("i,kij,j->k", frequency, covs, frequency))
        assert_mean(np.cos(x @ frequency), np.sum(weights * damping * np.cos(phase)))
        assert_mean(np.sin(x @ frequency), np.sum(weights * damping * np.sin(phase)))


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_every_eta_of_every_process_has_the_marginals_of_the_truth(process):
    mixture, t_min = make_mixture(), 0.01

    start, truth = mixture.diffused(process, 1.0), mixture.diffused(process, t_min)

    def score_fn(x, t):
        return mixture.score(process, x, t)

    @jax.jit
    def draw(key, x, eta):
        return reverse_sde(key, score_fn, process, x, num_steps=100, eta=eta, t_min=t_min)

    for eta, key in zip([0.0, 0.5, 1.0], jax.random.split(jax.random.key(1), 3), strict=True):
        key_start, key_sde = jax.random.split(key)
        assert_law(draw(key_sde, start.sample(key_start, 4000), eta), truth)


@pytest.mark.parametrize("num_steps", [1, 3, 64])
@pytest.mark.parametrize("process", FIXED_WIDTH, ids=str)
def test_ignorant_reverse_sde_leaves_the_equilibrium_invariant(process, num_steps):
    key_start, key_sde = jax.random.split(jax.random.key(num_steps))
    x = jax.random.normal(key_start, (5000, 2))

    @jax.jit
    def draw(key, x):
        return (
            reverse_sde(key, process.equilibrium_score, process, process.scale * x, num_steps)
            / process.scale
        )

    samples = draw(key_sde, x)
    assert np.max(np.abs(samples - x)) > 0.1  # it does move the points
    assert_mean(samples, 0.0)
    assert_mean(samples[:, :, None] * samples[:, None, :], np.eye(2))
    assert_mean(samples**4, 3.0)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_ignorant_flow_is_the_identity_at_any_number_of_steps(process):
    x = jax.random.normal(jax.random.key(0), (7, 2, 3))
    for num_steps in (1, 5):
        moved = probability_flow(process.equilibrium_score, process, x, num_steps)
        # bitwise, but for a compiler that contracts the two equal products differently: then one
        # rounding a step
        np.testing.assert_allclose(moved, x, rtol=1e-6)
    np.testing.assert_array_equal(angle_flow(lambda x, phi: jnp.zeros_like(x), x, 3), x)


@pytest.mark.parametrize("process", [VPCosine(), StraightLine()], ids=str)
def test_no_evaluation_falls_on_a_singular_end(process):
    gaussian = Gaussian(jnp.array([0.5]), jnp.eye(1))

    def score_fn(x, t):
        at_an_end = (process.alpha(t) <= 0) | (process.sigma(t) <= 0)
        return jnp.where(at_an_end[:, None], jnp.nan, gaussian.score(process, x, t))

    x = process.scale * jnp.linspace(-3, 3, 9)[:, None]
    assert jnp.isfinite(probability_flow(score_fn, process, x, 16)).all()
    assert jnp.isfinite(reverse_sde(jax.random.key(0), score_fn, process, x, 16)).all()


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_probability_flow_is_of_second_order(process):
    with jax.enable_x64(True):
        mean, std, t_min = 0.3, 0.5, 0.02
        gaussian = Gaussian(jnp.array([mean]), jnp.array([[std**2]]))
        white = jnp.linspace(-2.0, 2.0, 5)[:, None]

        def at(
            t,
        ):  # the flow of a Gaussian carries each point at a fixed number of standard deviations
            return (
                process.alpha(t) * mean
                + jnp.hypot(process.alpha(t) * std, process.sigma(t)) * white
            )

        @functools.partial(jax.jit, static_argnums=0)
        def error(num_steps):
            end = probability_flow(
                lambda x, t: gaussian.score(process, x, t), process, at(1.0), num_steps, t_min
            )
            return jnp.max(jnp.abs(end - at(t_min)))

        # Order two divides the error by 4 when the step is halved; order one would give 2, order
        # three 8.
        assert 2**1.5 < error(200) / error(400) < 2**2.5


def test_angle_flow_is_of_second_order_and_runs_both_ways():
    with jax.enable_x64(True):
        process, mixture = VPCosine(), make_mixture()
        v_fn = make_v_fn(mixture, process)
        x = mixture.diffused(process, process.time_at_angle(START)).sample(jax.random.key(0), 20)

        @functools.partial(jax.jit, static_argnums=0)
        def there_and_back(num_steps):
            end = angle_flow(v_fn, x, num_steps, START, STOP)
            return end, angle_flow(v_fn, end, num_steps, STOP, START)

        (coarse, _), (middle, middle_back), (fine, fine_back) = map(there_and_back, (40, 80, 160))
        ratio = np.linalg.norm(coarse - middle) / np.linalg.norm(middle - fine)
        assert 2**1.5 < ratio < 2**2.5
        assert np.linalg.norm(fine_back - x) < np.linalg.norm(middle_back - x) / 2**1.5


def test_log_det_is_that_of_the_discrete_map():
    with jax.enable_x64(True):
        process, mixture = VPCosine(), make_mixture()
        v_fn = make_v_fn(mixture, process)
        x = jax.random.normal(jax.random.key(0), (8, 2))

        def flow(point):
            return angle_flow(v_fn, point[None], 3, START, STOP)[0]

        end, log_det = jax.jit(lambda x: angle_flow_with_log_det(v_fn, x, 3, START, STOP))(x)
        expected_end, jacobian = jax.jit(
            jax.vmap(lambda point: (flow(point), jax.jacfwd(flow)(point)))
        )(x)
        np.testing.assert_allclose(end, expected_end, rtol=1e-12)
        np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-10)


@pytest.mark.parametrize("num_steps", [2, 50])
def test_density_of_an_affine_flow_is_the_gaussian_it_makes(num_steps):
    with jax.enable_x64(True):
        process = VPCosine()
        gaussian = Gaussian(jnp.array([0.5, -0.2]), jnp.array([[0.5, 0.2], [0.2, 0.3]]))
        v_fn, base = (
            make_v_fn(gaussian, process),
            gaussian.diffused(process, process.time_at_angle(START)),
        )
        x = base.sample(jax.random.key(0), 16)
        end, log_det = jax.jit(lambda x: angle_flow_with_log_det(v_fn, x, num_steps, START, STOP))(
            x
        )
        density = base.log_prob(x) - log_det

        def flow(point):
            return angle_flow(v_fn, point[None], num_steps, START, STOP)[0]

        centre, slope = jax.jit(lambda point: (flow(point), jax.jacfwd(flow)(point)))(base.mean)
        made = Gaussian(centre, slope @ base.cov @ slope.T)
        np.testing.assert_allclose(density, made.log_prob(end), rtol=1e-9)


def test_density_converges_to_the_truth_with_second_order():
    with jax.enable_x64(True):
        process, mixture = VPCosine(), make_mixture()
        t_start, t_stop = process.time_at_angle(START), process.time_at_angle(STOP)
        base, truth = mixture.diffused(process, t_start), mixture.diffused(process, t_stop)
        x = base.sample(jax.random.key(0), 32)

        @functools.partial(jax.jit, static_argnums=0)
        def error(num_steps):
            end, log_det = angle_flow_with_log_det(
                make_v_fn(mixture, process), x, num_steps, START, STOP
            )
            return jnp.max(jnp.abs(base.log_prob(x) - log_det - truth.log_prob(end)))

        assert 2**1.5 < error(80) / error(160) < 2**2.5


def test_hutchinson_has_the_log_determinant_as_mean_and_is_no_density():
    process, mixture, num_steps = VPCosine(), make_mixture(), 100
    v_fn, points = make_v_fn(mixture, process), jax.random.normal(jax.random.key(0), (8, 2))
    x = jnp.repeat(points, 500, axis=0)
    end, log_det = jax.jit(lambda x: angle_flow_with_log_det(v_fn, x, num_steps, START, STOP))(
        points
    )
    found_end, found = jax.jit(
        lambda key, x: angle_flow_with_hutchinson(key, v_fn, x, num_steps, START, STOP)
    )(jax.random.key(1), x)
    np.testing.assert_allclose(found_end[::500], end, rtol=1e-5, atol=1e-6)
    found = np.asarray(found, np.float64).reshape(8, 500)
    spread = found.std(axis=1, ddof=1)
    assert np.median(spread) > 0.2  # the test can tell
    assert np.all(
        np.abs(found.mean(axis=1) - log_det) < 4 * spread / np.sqrt(500) + 2e-3
    )  # and the order-two error
    # 1/q_hat = exp(found)/p_start is above 1/q in the mean (Jensen): weights p/q_hat would
    # overstate the likelihood.
    excess = Estimate.of(np.exp(found - np.asarray(log_det)[:, None]).mean(axis=0))
    assert excess.mean > 1 + 4 * excess.stderr


@pytest.mark.parametrize("num_steps", [3, 6])
def test_density_is_normalized_at_few_steps(num_steps):
    """E_q[p/q] = 1 for any density p that q covers, even where q is far from the continuum
    limit."""
    process, mixture = VPCosine(), make_mixture()
    x = jax.random.normal(jax.random.key(0), (4000, 2))
    end, log_det = angle_flow_with_log_det(make_v_fn(mixture, process), x, num_steps, START, STOP)
    log_q = Gaussian(jnp.zeros(2), jnp.eye(2)).log_prob(x) - log_det
    for mean, std in [([0.0, 0.0], 0.4), ([0.3, 0.2], 0.25)]:
        narrow = Gaussian(jnp.array(mean), std**2 * jnp.eye(2))
        assert_mean(jnp.exp(narrow.log_prob(end) - log_q), 1.0)


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda x, v: angle_flow(v, x, 0), "num_steps is 0"),
        (lambda x, v: angle_flow(v, x, 2.5), "num_steps is 2.5"),
        (lambda x, v: angle_flow_with_log_det(v, x[None], 2), "x has shape"),
        (lambda x, v: angle_flow_with_hutchinson(jax.random.key(0), v, x[None], 2), "x has shape"),
        (lambda x, v: probability_flow(v, VPLinear(), x, -1), "num_steps is -1"),
        (lambda x, v: probability_flow(v, VPLinear(), x, 2, t_min=1.0), "t_min=1.0"),
        (lambda x, v: probability_flow(v, VPLinear(), x, 2, t_min=0), "sigma = 0"),
        (lambda x, v: reverse_sde(jax.random.key(0), v, VPLinear(), x, 2, eta=-1.0), "eta=-1.0"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call(jnp.ones((3, 2)), lambda x, t: x)


def test_a_flow_that_folds_the_space_says_where():
    """One step of a steep field turns some intervals round: there, and only there, its derivative
    is negative."""
    x = jnp.linspace(-2.0, 2.0, 101)[:, None]

    def v_fn(x, phi):
        return 3 * jnp.sin(4 * x)

    slope = jax.vmap(jax.grad(lambda a: angle_flow(v_fn, a[None, None], 1)[0, 0]))(x[:, 0])
    folded = angle_flow_folds(v_fn, x, 1)
    assert 0 < folded.sum() < 101
    np.testing.assert_array_equal(folded, slope < 0)
    assert not angle_flow_folds(v_fn, x, 64).any()
