"""Processes: every function of time against the others, by automatic differentiation, and the
limits at both ends."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.diffusion.linear_process import FixedWidth, expand
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.errors import InputError

PROCESSES = [
    VPLinear(),
    VPLinear(2.0, 2.0),
    VPx(),
    VPCosine(),
    VPCosine(0.1),
    StraightLine(),
    SubVP(),
    VE(0.01, 50.0),
]
FIXED_WIDTH = [process for process in PROCESSES if isinstance(process, FixedWidth)]
INNER = np.linspace(0.02, 0.98, 25)
every_process = pytest.mark.parametrize("process", PROCESSES, ids=str)
every_fixed_width = pytest.mark.parametrize("process", FIXED_WIDTH, ids=str)


def derivative(fn, t):
    return jax.vmap(jax.grad(fn))(t)


@every_process
def test_drift_diffusion_and_log_snr_follow_from_alpha_and_sigma(process):
    with jax.enable_x64(True):
        t = jnp.asarray(INNER)
        alpha, sigma, f, g = (
            process.alpha(t),
            process.sigma(t),
            process.drift(t),
            process.diffusion(t),
        )
        close = dict(rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(f, derivative(lambda t: jnp.log(process.alpha(t)), t), **close)
        np.testing.assert_allclose(
            g**2, derivative(lambda t: process.sigma(t) ** 2, t) - 2 * f * sigma**2, **close
        )
        np.testing.assert_allclose(g**2, -(sigma**2) * derivative(process.log_snr, t), **close)
        np.testing.assert_allclose(process.log_snr(t), jnp.log(alpha**2 / sigma**2), **close)


@every_process
def test_time_inverts_log_snr_and_angle(process):
    with jax.enable_x64(True):
        t = jnp.asarray(INNER)
        np.testing.assert_allclose(process.time(process.log_snr(t)), t, rtol=1e-9)
        np.testing.assert_allclose(process.time_at_angle(process.angle(t)), t, rtol=1e-9)
        np.testing.assert_allclose(
            process.angle(t), jnp.arctan2(process.sigma(t) / process.scale, process.alpha(t))
        )


@every_process
def test_equilibrium_score_is_twice_drift_over_squared_diffusion(process):
    with jax.enable_x64(True):
        t = jnp.asarray(INNER)
        x = jax.random.normal(jax.random.key(0), (t.size, 2, 3))
        expected = expand(2 * process.drift(t) / process.diffusion(t) ** 2, x) * x
        np.testing.assert_allclose(process.equilibrium_score(x, t), expected, rtol=1e-9)


@every_fixed_width
def test_fixed_width_variance_is_preserved(process):
    with jax.enable_x64(True):
        t = jnp.asarray(INNER)
        np.testing.assert_allclose(
            process.alpha(t) ** 2 + (process.sigma(t) / process.scale) ** 2, 1.0, rtol=1e-12
        )
        np.testing.assert_allclose(
            process.radius(t), jnp.hypot(process.alpha(t), process.sigma(t) / process.scale)
        )
        np.testing.assert_allclose(process.equilibrium_std(t), process.scale)


@every_process
def test_single_precision_keeps_its_digits_at_both_ends(process):
    ends = np.array([1e-6, 1e-4, 1e-2, 0.5, 0.99, 0.9999], np.float32)
    single = {
        name: getattr(process, name)(jnp.asarray(ends))
        for name in ("alpha", "sigma", "diffusion", "log_snr")
    }
    with jax.enable_x64(True):
        double = {name: getattr(process, name)(jnp.asarray(ends, jnp.float64)) for name in single}
    for name, values in single.items():
        assert values.dtype == jnp.float32
        # log_snr may cross zero: there the error is absolute
        np.testing.assert_allclose(
            values, double[name], rtol=1e-5, atol=1e-5 if name == "log_snr" else 0, err_msg=name
        )


@every_process
def test_ends_are_finite_where_the_process_is(process):
    ends = jnp.array([0.0, 1.0])
    alpha, sigma = process.alpha(ends), process.sigma(ends)
    chex.assert_tree_all_finite(
        (alpha, sigma, process.angle(ends), process.time_at_angle(jnp.array([0.0, np.pi / 2])))
    )
    assert alpha[0] == 1 and alpha[1] >= 0
    assert sigma[0] == (process.sigma_min if isinstance(process, VE) else 0)
    assert not jnp.isnan(process.log_snr(ends)).any()
    assert not jnp.isnan(process.drift(ends)).any()


@every_process
def test_functions_of_time_keep_its_shape(process):
    names = "alpha sigma drift diffusion log_snr equilibrium_std radius angle".split()
    for name in names:
        assert jnp.shape(getattr(process, name)(0.5)) == ()
        assert jnp.shape(getattr(process, name)(jnp.full((3,), 0.5))) == (3,)
        assert jnp.issubdtype(jnp.result_type(getattr(process, name)(1)), jnp.floating), name
    assert hash(process) == hash(type(process)(**vars(process)))


def test_perturb_combines_signal_and_noise_for_images_and_scalar_time():
    process = VPLinear()
    x0, eps = jax.random.normal(jax.random.key(0), (2, 4, 3, 3))
    t = jnp.array([0.1, 0.4, 0.7, 1.0])
    by_example = jax.vmap(process.perturb)(x0, eps, t)
    np.testing.assert_allclose(process.perturb(x0, eps, t), by_example, rtol=1e-6)
    np.testing.assert_allclose(process.perturb(x0, eps, 0.4)[1], by_example[1], rtol=1e-6)


@pytest.mark.parametrize(
    "make, culprit",
    [
        (lambda: VPLinear(beta_min=0.0), "beta_min"),
        (lambda: VPLinear(beta_min=2.0, beta_max=1.0), "beta_max"),
        (lambda: VPLinear(kappa=-1.0), "kappa"),
        (lambda: VPx(kappa=0.0), "kappa"),
        (lambda: VPCosine(kappa=float("inf")), "kappa"),
        (lambda: StraightLine(sigma0=0.0), "sigma0"),
        (lambda: SubVP(beta_max=float("nan")), "beta_max"),
        (lambda: VE(sigma_min=1.0, sigma_max=0.5), "sigma_min"),
        (lambda: expand(jnp.ones((3,)), jnp.ones((4, 2))), "t has shape"),
        (lambda: expand(jnp.ones((3, 1)), jnp.ones((3, 1))), "t has shape"),
    ],
)
def test_bad_input_names_the_culprit(make, culprit):
    with pytest.raises(InputError, match=culprit):
        make()
