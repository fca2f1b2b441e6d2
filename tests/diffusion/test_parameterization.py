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


def draw():
    """Outputs x0 and eps with image-shaped examples, and inner times."""
    t = np.linspace(0.02, 0.98, 12)
    x0, eps = np.random.default_rng(0).normal(size=(2, t.size, 2, 3))
    return x0, eps, t


@every_process
def test_kinds_of_one_example_have_one_score(process):
    @jax.jit
    def scores(x0, eps, t):
        x_t = process.perturb(x0, eps, t)
        score = -eps / expand(process.sigma(t), eps)
        phi = expand(process.angle(t), eps)
        outputs = {
            "eps": eps,
            "x0": x0,
            "v": process.scale * jnp.cos(phi) * eps - jnp.sin(phi) * x0,
            "entropy": score - process.equilibrium_score(x_t, t),
            "score": score,
        }
        there = {kind: to_score(process, kind, out, x_t, t) for kind, out in outputs.items()}
        back = {kind: from_score(process, kind, score, x_t, t) for kind in outputs}
        return score, outputs, there, back

    with jax.enable_x64(True):
        score, outputs, there, back = scores(*draw())
    assert set(outputs) == set(KINDS)
    close = dict(rtol=1e-8, atol=1e-8)
    for kind, out in outputs.items():
        np.testing.assert_allclose(there[kind], score, err_msg=kind, **close)
        np.testing.assert_allclose(back[kind], out, err_msg=kind, **close)


@every_process
def test_round_trips_among_all_kinds(process):
    @jax.jit
    def round_trips(out, eps, t):
        x_t = process.perturb(out, eps, t)

        def round_trip(kind, other):
            there = convert(process, kind, other, out, x_t, t)
            return convert(process, other, kind, there, x_t, t)

        return {(kind, other): round_trip(kind, other) for kind in KINDS for other in KINDS}

    with jax.enable_x64(True):
        out, eps, t = draw()
        for kinds, back in round_trips(out, eps, t).items():
            np.testing.assert_allclose(back, out, rtol=1e-7, atol=1e-7, err_msg=str(kinds))


@every_process
def test_v_is_the_velocity_of_the_normalized_variable_in_the_angle(process):
    @jax.jit
    def velocities(x0, eps, t):
        def normalized(phi):
            t = process.time_at_angle(phi)
            return process.perturb(x0, eps, t) / expand(process.radius(t), x0)

        phi = process.angle(t)
        _, velocity = jax.jvp(normalized, (phi,), (jnp.ones_like(phi),))
        return convert(process, "eps", "v", eps, process.perturb(x0, eps, t), t), velocity

    with jax.enable_x64(True):
        np.testing.assert_allclose(*velocities(*draw()), rtol=1e-7, atol=1e-7)


@every_fixed_width
def test_entropy_is_v_times_minus_alpha_over_kappa_sigma(process):
    @jax.jit
    def entropies(v, eps, t):
        factor = expand(-process.alpha(t) / (process.scale * process.sigma(t)), v)
        x_t = process.perturb(v, eps, t)
        return convert(process, "v", "entropy", v, x_t, t), factor * v

    with jax.enable_x64(True):
        np.testing.assert_allclose(*entropies(*draw()), rtol=1e-8, atol=1e-9)


def test_width_one_gives_the_usual_v_prediction():
    process = VPCosine()

    @jax.jit
    def predictions(x0, eps, t):
        x_t = process.perturb(x0, eps, t)
        alpha, sigma = expand(process.alpha(t), x_t), expand(process.sigma(t), x_t)
        v = alpha * eps - sigma * x0
        found = [convert(process, "v", kind, v, x_t, t) for kind in ("x0", "eps")]
        return found, [alpha * x_t - sigma * v, sigma * x_t + alpha * v]

    for found, expected in zip(*predictions(*draw()), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_score_fn_keeps_the_contract():
    process = VPLinear()

    @jax.jit
    def scores(out, x_t, t):
        by_fn = {kind: score_fn(process, kind, lambda x, t: out)(x_t, t) for kind in KINDS}
        return by_fn, {kind: to_score(process, kind, out, x_t, t) for kind in KINDS}

    by_fn, expected = scores(*draw())
    for kind in KINDS:
        assert by_fn[kind].shape == expected[kind].shape == (12, 2, 3)
        np.testing.assert_array_equal(by_fn[kind], expected[kind])


@pytest.mark.parametrize("name", ["to_score", "from_score"])
def test_unknown_kind_and_unequal_shapes_are_refused(name):
    process, x, t = VPLinear(), np.ones((2, 3)), np.full((2,), 0.5)
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
        convert(VPLinear(), "eps", "noise", np.ones((1, 2)), np.ones((1, 2)), 0.5)
