"""Processes: every function of time against the others, by automatic differentiation, and the
limits at both ends."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.diffusion.linear_process import FixedWidth, expand
from diffenc.diffusion.processes import (
    EDM,
    VE,
    RectifiedFlow,
    StraightLine,
    SubVP,
    VPCosine,
    VPLinear,
    VPx,
)
from diffenc.errors import InputError

PROCESSES = [
    VPLinear(),
    VPLinear(2.0, 2.0),
    VPx(),
    VPCosine(),
    VPCosine(0.1),
    StraightLine(),
    SubVP(),
    RectifiedFlow(),
    VE(0.01, 50.0),
    EDM(),
]
FIXED_WIDTH = [process for process in PROCESSES if isinstance(process, FixedWidth)]
INNER = np.linspace(0.02, 0.98, 25)
every_process = pytest.mark.parametrize("process", PROCESSES, ids=str)
every_fixed_width = pytest.mark.parametrize("process", FIXED_WIDTH, ids=str)


OF_TIME = "alpha sigma drift diffusion log_snr equilibrium_std radius angle".split()


@functools.partial(jax.jit, static_argnums=0)
def functions(process, t):
    """Every function of time by its name, and what comes back from its log_snr and its angle."""
    values = {name: getattr(process, name)(t) for name in OF_TIME}
    back = {"log_snr": process.time(values["log_snr"])}
    return values, back | {"angle": process.time_at_angle(values["angle"])}


@functools.partial(jax.jit, static_argnums=0)
def derivatives(process, t):
    """Those of log alpha, sigma^2 and log_snr, by automatic differentiation."""

    def derivative(fn):
        return jax.vmap(jax.grad(fn))(t)

    return (
        derivative(lambda t: jnp.log(process.alpha(t))),
        derivative(lambda t: process.sigma(t) ** 2),
        derivative(process.log_snr),
    )


def at(process, t):
    """The functions of time in double precision."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, functions(process, np.asarray(t, np.float64)))


@every_process
def test_drift_diffusion_and_log_snr_follow_from_alpha_and_sigma(process):
    values, _ = at(process, INNER)
    alpha, sigma, f, g = (values[name] for name in ("alpha", "sigma", "drift", "diffusion"))
    with jax.enable_x64(True):
        of_log_alpha, of_sigma2, of_log_snr = map(np.asarray, derivatives(process, INNER))
    close = dict(rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(f, of_log_alpha, **close)
    np.testing.assert_allclose(g**2, of_sigma2 - 2 * f * sigma**2, **close)
    np.testing.assert_allclose(g**2, -(sigma**2) * of_log_snr, **close)
    np.testing.assert_allclose(values["log_snr"], np.log(alpha**2 / sigma**2), **close)


@every_process
def test_time_inverts_log_snr_and_angle(process):
    values, back = at(process, INNER)
    np.testing.assert_allclose(back["log_snr"], INNER, rtol=1e-9)
    np.testing.assert_allclose(back["angle"], INNER, rtol=1e-9)
    angle = np.arctan2(values["sigma"] / process.scale, values["alpha"])
    np.testing.assert_allclose(values["angle"], angle)


@every_process
def test_equilibrium_score_is_twice_drift_over_squared_diffusion(process):
    values, _ = at(process, INNER)
    x = np.random.default_rng(0).normal(size=(INNER.size, 2, 3))
    expected = (2 * values["drift"] / values["diffusion"] ** 2)[:, None, None] * x
    with jax.enable_x64(True):
        score = jax.jit(process.equilibrium_score)(x, INNER)
    np.testing.assert_allclose(score, expected, rtol=1e-9)


@every_fixed_width
def test_fixed_width_variance_is_preserved(process):
    values, _ = at(process, INNER)
    alpha, sigma = values["alpha"], values["sigma"] / process.scale
    np.testing.assert_allclose(alpha**2 + sigma**2, 1.0, rtol=1e-12)
    np.testing.assert_allclose(values["radius"], np.hypot(alpha, sigma))
    np.testing.assert_allclose(values["equilibrium_std"], process.scale)


@every_process
def test_single_precision_keeps_its_digits_at_both_ends(process):
    ends = np.array([1e-6, 1e-4, 1e-2, 0.5, 0.99, 0.9999], np.float32)
    single, double = functions(process, ends)[0], at(process, ends)[0]
    for name in ("alpha", "sigma", "diffusion", "log_snr"):
        assert single[name].dtype == jnp.float32
        # log_snr may cross zero: there the error is absolute
        atol = 1e-5 if name == "log_snr" else 0
        np.testing.assert_allclose(single[name], double[name], rtol=1e-5, atol=atol, err_msg=name)


@every_process
def test_ends_are_finite_where_the_process_is(process):
    values, _ = jax.tree.map(np.asarray, functions(process, np.array([0.0, 1.0], np.float32)))
    alpha, sigma = values["alpha"], values["sigma"]
    times = jax.jit(process.time_at_angle)(np.array([0.0, np.pi / 2], np.float32))
    chex.assert_tree_all_finite((alpha, sigma, values["angle"], times))
    assert alpha[0] == 1 and alpha[1] >= 0
    first = process.sigma_min if isinstance(process, VE) else 0
    np.testing.assert_allclose(sigma[0], first, rtol=1e-6)
    assert not np.isnan(values["log_snr"]).any()
    assert not np.isnan(values["drift"]).any()


@every_process
def test_functions_of_time_keep_its_shape(process):
    for name in OF_TIME:

        def at_time(t, name=name):  # t as it is, a number of Python's too
            return jax.eval_shape(lambda: getattr(process, name)(t))

        assert at_time(0.5).shape == ()
        assert at_time(np.full((3,), 0.5)).shape == (3,)
        assert jnp.issubdtype(at_time(1).dtype, jnp.floating), name
    assert hash(process) == hash(type(process)(**vars(process)))


def test_perturb_combines_signal_and_noise_for_images_and_scalar_time():
    process = VPLinear()
    x0, eps = np.random.default_rng(0).standard_normal((2, 4, 3, 3), np.float32)
    t = np.array([0.1, 0.4, 0.7, 1.0], np.float32)

    @jax.jit
    def noised(x0, eps, t):
        by_example = jax.vmap(process.perturb)(x0, eps, t)
        return process.perturb(x0, eps, t), process.perturb(x0, eps, 0.4), by_example

    together, at_one_time, by_example = map(np.asarray, noised(x0, eps, t))
    np.testing.assert_allclose(together, by_example, rtol=1e-6)
    np.testing.assert_allclose(at_one_time[1], by_example[1], rtol=1e-6)


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
        (lambda: EDM(rho=0.5), "rho is 0.5: give 1 or more"),
        (lambda: EDM(sigma_min=90.0), "sigma_min"),
        (lambda: expand(np.ones((3,)), np.ones((4, 2))), "t has shape"),
        (lambda: expand(np.ones((3, 1)), np.ones((3, 1))), "t has shape"),
    ],
)
def test_bad_input_names_the_culprit(make, culprit):
    with pytest.raises(InputError, match=culprit):
        make()
