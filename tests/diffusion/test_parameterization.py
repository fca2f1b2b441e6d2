"""Parameterizations: each kind against its definition, the identities of the v form, and all round
trips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.diffusion import parameterization
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.parameterization import KINDS, convert, from_score, score_fn, to_score
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.errors import InputError

FIXED_WIDTH = [VPLinear(), VPx(), VPCosine(), VPCosine(0.1), StraightLine()]
PROCESSES = [*FIXED_WIDTH, SubVP(), VE(0.01, 50.0)]
every_process = pytest.mark.parametrize("process", PROCESSES, ids=str)
every_fixed_width = pytest.mark.parametrize("process", FIXED_WIDTH, ids=str)


def noised(process):
    """x0, eps, x_t and t over the inner times, with image-shaped examples."""
    t = jnp.linspace(0.02, 0.98, 12)
    x0, eps = jax.random.normal(jax.random.key(0), (2, t.size, 2, 3), t.dtype)
    return x0, eps, process.perturb(x0, eps, t), t


@every_process
def test_kinds_of_one_example_have_one_score(process):
    with jax.enable_x64(True):
        x0, eps, x_t, t = noised(process)
        score = -eps / expand(process.sigma(t), eps)
        phi = expand(process.angle(t), eps)
        outputs = {
            "eps": eps,
            "x0": x0,
            "v": process.scale * jnp.cos(phi) * eps - jnp.sin(phi) * x0,
            "entropy": score - process.equilibrium_score(x_t, t),
            "score": score,
        }
        assert set(outputs) == set(KINDS)
        for kind, out in outputs.items():
            np.testing.assert_allclose(
                to_score(process, kind, out, x_t, t), score, rtol=1e-8, atol=1e-8, err_msg=kind
            )
            np.testing.assert_allclose(
                from_score(process, kind, score, x_t, t), out, rtol=1e-8, atol=1e-8, err_msg=kind
            )


@every_process
@pytest.mark.parametrize("kind", KINDS)
def test_round_trips_among_all_kinds(process, kind):
    with jax.enable_x64(True):
        out, _, x_t, t = noised(process)
        for other in KINDS:
            there = convert(process, kind, other, out, x_t, t)
            np.testing.assert_allclose(
                convert(process, other, kind, there, x_t, t),
                out,
                rtol=1e-7,
                atol=1e-7,
                err_msg=other,
            )


@every_process
def test_v_is_the_velocity_of_the_normalized_variable_in_the_angle(process):
    with jax.enable_x64(True):
        x0, eps, x_t, t = noised(process)

        def normalized(phi):
            t = process.time_at_angle(phi)
            return process.perturb(x0, eps, t) / expand(process.radius(t), x0)

        phi = process.angle(t)
        _, velocity = jax.jvp(normalized, (phi,), (jnp.ones_like(phi),))
        np.testing.assert_allclose(
            convert(process, "eps", "v", eps, x_t, t), velocity, rtol=1e-7, atol=1e-7
        )


@every_fixed_width
def test_entropy_is_v_times_minus_alpha_over_kappa_sigma(process):
    with jax.enable_x64(True):
        v, _, x_t, t = noised(process)
        factor = expand(-process.alpha(t) / (process.scale * process.sigma(t)), v)
        np.testing.assert_allclose(
            convert(process, "v", "entropy", v, x_t, t), factor * v, rtol=1e-8, atol=1e-9
        )


def test_width_one_gives_the_usual_v_prediction():
    process = VPCosine()
    x0, eps, x_t, t = noised(process)
    alpha, sigma = expand(process.alpha(t), x_t), expand(process.sigma(t), x_t)
    v = alpha * eps - sigma * x0
    np.testing.assert_allclose(
        convert(process, "v", "x0", v, x_t, t), alpha * x_t - sigma * v, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        convert(process, "v", "eps", v, x_t, t), sigma * x_t + alpha * v, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_score_fn_keeps_the_contract(kind):
    process = VPLinear()
    out, _, x_t, t = noised(process)
    score = score_fn(process, kind, lambda x, t: out)(x_t, t)
    assert score.shape == x_t.shape
    np.testing.assert_array_equal(score, to_score(process, kind, out, x_t, t))


@pytest.mark.parametrize("name", ["to_score", "from_score"])
def test_unknown_kind_and_unequal_shapes_are_refused(name):
    process, x, t = VPLinear(), jnp.ones((2, 3)), jnp.full((2,), 0.5)
    with pytest.raises(
        InputError, match="unknown kind 'epsilon': use one of eps, x0, v, entropy, score"
    ):
        getattr(parameterization, name)(process, "epsilon", x, x, t)
    with pytest.raises(InputError, match="make them one shape"):
        getattr(parameterization, name)(process, "eps", x[:, :2], x, t)


def test_unknown_kind_is_refused_before_any_evaluation():
    with pytest.raises(InputError, match="unknown kind"):
        score_fn(VPLinear(), "noise", lambda x, t: x)
    with pytest.raises(InputError, match="unknown kind"):
        convert(VPLinear(), "eps", "noise", jnp.ones((1, 2)), jnp.ones((1, 2)), 0.5)
