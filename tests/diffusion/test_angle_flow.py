"""The flow in the angle: order two, exact densities of the discrete map, and where it folds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.angle_flow import (
    angle_flow,
    angle_flow_folds,
    angle_flow_with_hutchinson,
    angle_flow_with_log_det,
)
from diffenc.diffusion.gaussians import Gaussian, GaussianMixture
from diffenc.diffusion.parameterization import from_score
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import InputError
from diffenc.estimate import Estimate

START = 1.5  # angle of the noisy end where the truth starts from the exact diffused density
STOP = 0.1


def make_mixture():
    means = np.array([[0.6, 0.0], [-0.4, 0.5], [0.0, -0.7]])
    return GaussianMixture.isotropic(np.log([0.5, 0.3, 0.2]), means, np.array([0.3, 0.4, 0.5]))


def draw_normal(*shape):
    """The same for every call of one shape; of float32, or of float64 where that is enabled."""
    return jnp.asarray(np.random.default_rng(0).normal(size=shape))


def make_v_fn(density, process):
    """The exact velocity of the flow in the angle."""

    def v_fn(x, phi):
        t = process.time_at_angle(phi)
        return from_score(process, "v", density.score(process, x, t), x, t)

    return v_fn


@jax.jit
def at_angle(density, phi):
    """The density diffused to an angle."""
    return density.diffused(VPCosine(), VPCosine().time_at_angle(phi))


def test_angle_flow_is_of_second_order_and_runs_both_ways():
    with jax.enable_x64(True):
        process, mixture = VPCosine(), make_mixture()
        v_fn = make_v_fn(mixture, process)
        x = np.asarray(at_angle(mixture, START).sample(jax.random.key(0), 20))

        @functools.partial(jax.jit, static_argnums=0)
        def there_and_back(num_steps):
            end = angle_flow(v_fn, x, num_steps, START, STOP)
            return end, angle_flow(v_fn, end, num_steps, STOP, START)

        (coarse, _), (middle, middle_back), (fine, fine_back) = map(there_and_back, (40, 80, 160))
        ratio = np.linalg.norm(coarse - middle) / np.linalg.norm(middle - fine)
        assert 2**1.5 < ratio < 2**2.5
        assert np.linalg.norm(fine_back - x) < np.linalg.norm(middle_back - x) / 2**1.5


@pytest.mark.parametrize("num_steps", [1, 3])
def test_a_velocity_that_ends_at_zero_is_not_asked_there(num_steps):
    angles = []

    def v_fn(x, phi):
        angles.append(phi)
        return jnp.sin(phi)[:, None] * jnp.cos(x)

    x = np.array([[0.3], [-1.0]], np.float32)
    whole = angle_flow(v_fn, x, num_steps)
    rests = angle_flow(v_fn, x, num_steps, rests=True)
    np.testing.assert_allclose(rests, whole, rtol=1e-6)
    assert np.abs(rests - x).max() > 0.3
    asked = np.asarray(angles[-1])  # outside of the scan, with numbers
    np.testing.assert_allclose(asked, np.pi / 2 / num_steps, rtol=1e-6)


def test_log_det_is_that_of_the_discrete_map():
    with jax.enable_x64(True):
        process, mixture = VPCosine(), make_mixture()
        v_fn = make_v_fn(mixture, process)
        x = draw_normal(8, 2)

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
        v_fn, base = make_v_fn(gaussian, process), at_angle(gaussian, START)
        x = base.sample(jax.random.key(0), 16)

        def flow(point):
            return angle_flow(v_fn, point[None], num_steps, START, STOP)[0]

        @jax.jit
        def densities(x):
            end, log_det = angle_flow_with_log_det(v_fn, x, num_steps, START, STOP)
            slope = jax.jacfwd(flow)(base.mean)
            made = Gaussian(flow(base.mean), slope @ base.cov @ slope.T)
            return base.log_prob(x) - log_det, made.log_prob(end)

        np.testing.assert_allclose(*densities(x), rtol=1e-9)


def test_density_converges_to_the_truth_with_second_order():
    with jax.enable_x64(True):
        process, mixture = VPCosine(), make_mixture()
        base, truth = at_angle(mixture, START), at_angle(mixture, STOP)
        x = base.sample(jax.random.key(0), 32)

        @functools.partial(jax.jit, static_argnums=0)
        def error(num_steps):
            end, log_det = angle_flow_with_log_det(
                make_v_fn(mixture, process), x, num_steps, START, STOP
            )
            return jnp.max(jnp.abs(base.log_prob(x) - log_det - truth.log_prob(end)))

        assert 2**1.5 < float(error(80)) / float(error(160)) < 2**2.5


def test_hutchinson_has_the_log_determinant_as_mean_and_is_no_density():
    process, mixture, num_steps = VPCosine(), make_mixture(), 100
    v_fn, points = make_v_fn(mixture, process), draw_normal(8, 2)
    x = np.repeat(points, 500, axis=0)
    end, log_det = jax.jit(lambda x: angle_flow_with_log_det(v_fn, x, num_steps, START, STOP))(
        points
    )
    found_end, found = jax.jit(
        lambda key, x: angle_flow_with_hutchinson(key, v_fn, x, num_steps, START, STOP)
    )(jax.random.key(1), x)
    np.testing.assert_allclose(np.asarray(found_end)[::500], end, rtol=1e-5, atol=1e-6)
    found = np.asarray(found, np.float64).reshape(8, 500)
    spread = found.std(axis=1, ddof=1)
    assert np.median(spread) > 0.2  # the test can tell
    assert np.all(
        np.abs(found.mean(axis=1) - np.asarray(log_det)) < 4 * spread / np.sqrt(500) + 2e-3
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

    @jax.jit
    def weights(x):
        v_fn = make_v_fn(mixture, process)
        end, log_det = angle_flow_with_log_det(v_fn, x, num_steps, START, STOP)
        log_q = Gaussian(jnp.zeros(2), jnp.eye(2)).log_prob(x) - log_det
        narrow = [([0.0, 0.0], 0.4), ([0.3, 0.2], 0.25)]
        narrow = [Gaussian(jnp.array(mean), std**2 * jnp.eye(2)) for mean, std in narrow]
        return [jnp.exp(density.log_prob(end) - log_q) for density in narrow]

    for of_narrow in weights(draw_normal(4000, 2)):
        assert_mean(of_narrow, 1.0)


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda x, v: angle_flow(v, x, 0), "num_steps is 0"),
        (lambda x, v: angle_flow(v, x, 2.5), "num_steps is 2.5"),
        (lambda x, v: angle_flow_with_log_det(v, x[None], 2), "x has shape"),
        (lambda x, v: angle_flow_with_hutchinson(jax.random.key(0), v, x[None], 2), "x has shape"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call(np.ones((3, 2), np.float32), lambda x, t: x)


def test_a_flow_that_folds_the_space_says_where():
    """One step of a steep field turns some intervals round: there, and only there, its derivative
    is negative."""
    x = np.linspace(-2.0, 2.0, 101, dtype=np.float32)[:, None]

    def v_fn(x, phi):
        return 3 * jnp.sin(4 * x)

    @jax.jit
    def folds(x):
        slope = jax.vmap(jax.grad(lambda a: angle_flow(v_fn, a[None, None], 1)[0, 0]))(x[:, 0])
        return slope, angle_flow_folds(v_fn, x, 1), angle_flow_folds(v_fn, x, 64)

    slope, folded, folded_by_small_steps = map(np.asarray, folds(x))
    assert 0 < folded.sum() < 101
    np.testing.assert_array_equal(folded, slope < 0)
    assert not folded_by_small_steps.any()


def test_no_velocity_is_the_identity_at_any_number_of_steps():
    x = draw_normal(7, 2, 3)
    still = jax.jit(lambda x: angle_flow(lambda x, phi: jnp.zeros_like(x), x, 3))
    np.testing.assert_array_equal(still(x), x)
