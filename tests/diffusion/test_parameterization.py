"""Parameterizations: each kind against its definition, the identities of the v form, and all round
trips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.diffusion import parameterization
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.parameterization import (
    KINDS,
    convert,
    from_pair,
    from_score,
    score_fn,
    to_pair,
    to_score,
)
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

FIXED_WIDTH = [VPLinear(), VPx(), VPCosine(), VPCosine(0.1), StraightLine()]
PROCESSES = [*FIXED_WIDTH, SubVP(), RectifiedFlow(), VE(0.01, 50.0), EDM()]
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
        one = jnp.ones_like(t)
        outputs = {
            "eps": eps,
            "x0": x0,
            "v": process.scale * jnp.cos(phi) * eps - jnp.sin(phi) * x0,
            "entropy": score - process.equilibrium_score(x_t, t),
            "velocity": jax.jvp(lambda t: process.perturb(x0, eps, t), (t,), (one,))[1],
            "score": score,
        }
        there = {kind: to_score(process, kind, out, x_t, t) for kind, out in outputs.items()}
        back = {kind: from_score(process, kind, score, x_t, t) for kind in outputs}
        pairs = {kind: to_pair(process, kind, out, x_t, t) for kind, out in outputs.items()}
        of_pair = {kind: from_pair(process, kind, x0, eps, t) for kind in outputs}
        flow = expand(process.drift(t), x0) * x_t
        flow = flow - 0.5 * expand(process.diffusion(t), x0) ** 2 * score
        return score, outputs, there, back, pairs, of_pair, flow

    x0, eps, t = draw()
    with jax.enable_x64(True):
        score, outputs, there, back, pairs, of_pair, flow = scores(x0, eps, t)
    assert set(outputs) == set(KINDS)
    close = dict(rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(flow, outputs["velocity"], **close)
    for kind, out in outputs.items():
        np.testing.assert_allclose(there[kind], score, err_msg=kind, **close)
        np.testing.assert_allclose(back[kind], out, err_msg=kind, **close)
        np.testing.assert_allclose(of_pair[kind], out, err_msg=kind, **close)
        np.testing.assert_allclose(pairs[kind][0], x0, err_msg=kind, **close)
        np.testing.assert_allclose(pairs[kind][1], eps, err_msg=kind, **close)


@pytest.mark.parametrize("process", [StraightLine(), SubVP(), VE(0.01, 50.0)], ids=str)
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


# Of width one, and of lambda from -10 to 10.
WIDE = [
    VPLinear(0.1, 20.5),
    VPCosine(),
    StraightLine(1.0),
    SubVP(0.1, 20.5),
    RectifiedFlow(),
    VE(0.005, 160.0),
    EDM(0.002, 160.0),
]


@pytest.mark.parametrize("process", WIDE, ids=str)
def test_float32_keeps_five_digits_in_all_conversions_over_twenty_units_of_lambda(process):
    """The root mean square error of outputs and of x_t that are rounded to float32, relative to the
    new output's. At one lambda it is no more than half the last digits of the four numbers that are
    rounded, x_t, the output, alpha and sigma, make of it, where x_t = alpha x0 + sigma eps is
    solved for the smaller part, and the digits of the squared coefficients, exponentials of
    numbers up to 12, each half a digit off; over the range it is below 1e-5."""
    levels = np.linspace(-10.0, 10.0, 21)
    x0, eps = np.random.default_rng(0).standard_normal((2, levels.size, 400))

    @jax.jit
    def outputs(x0, eps, t):
        return process.perturb(x0, eps, t), {
            kind: from_pair(process, kind, x0, eps, t) for kind in KINDS
        }

    @jax.jit
    def conversions(outs, x_t, t):
        pairs = [(kind, new_kind) for kind in KINDS for new_kind in KINDS]
        return {pair: convert(process, *pair, outs[pair[0]], x_t, t) for pair in pairs}

    with jax.enable_x64(True):
        t = np.asarray(jax.jit(process.time)(levels)).astype(np.float32)
        x_t, outs = jax.device_get(outputs(x0, eps, t.astype(np.float64)))
    single = {kind: out.astype(np.float32) for kind, out in outs.items()}
    for pair, new_out in conversions(single, x_t.astype(np.float32), t).items():
        assert new_out.dtype == jnp.float32
        truth = outs[pair[1]]
        error = np.sqrt(np.square(new_out - truth).mean(axis=1) / np.square(truth).mean(axis=1))
        last_digit = np.finfo(np.float32).eps * (12 + 2 * np.exp(0.5 * np.abs(levels)))
        np.testing.assert_array_less(error, last_digit, err_msg=str(pair))
        assert np.sqrt(np.mean(np.square(error))) < 1e-5


@pytest.mark.parametrize("process", [RectifiedFlow(), StraightLine(), VPCosine()], ids=str)
def test_where_no_signal_is_left_the_velocity_knows_the_data_and_the_score_is_known(process):
    x0, eps, _ = draw()
    t = np.ones(len(x0))

    @jax.jit
    def at_the_end(x0, eps):
        x_t = process.perturb(x0, eps, t)
        velocity = from_pair(process, "velocity", x0, eps, t)
        pair = to_pair(process, "velocity", velocity, x_t, t)
        scores = [to_score(process, kind, velocity, x_t, t) for kind in ("velocity", "v")]
        entropies = [
            convert(process, kind, "entropy", out, x_t, t)
            for kind, out in (("eps", eps), ("score", scores[0]))
        ]
        return pair, scores, entropies

    with jax.enable_x64(True):
        (data, noise), scores, entropies = at_the_end(x0, eps)
        sigma = np.asarray(jax.jit(process.sigma)(1.0))
    np.testing.assert_allclose(data, x0, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(noise, eps, rtol=1e-8, atol=1e-8)
    for score in scores:
        np.testing.assert_allclose(score, -eps / sigma, rtol=1e-8, atol=1e-8)
    for entropy in entropies:  # x_t is at equilibrium, from which the score does not differ
        np.testing.assert_allclose(entropy, 0, atol=1e-8)


def test_the_network_of_edm_is_minus_v_and_the_velocity_of_straight_lines_is_noise_less_data():
    x0, eps, t = draw()

    @jax.jit
    def edm(x0, eps, t):
        process = EDM()
        x_t = process.perturb(x0, eps, t)
        sigma = expand(process.sigma(t), x0)
        skip = 1 / (1 + jnp.square(sigma))  # c_skip and c_out of arXiv 2206.00364, sigma_data = 1
        out = sigma / jnp.sqrt(1 + jnp.square(sigma))
        return (x0 - skip * x_t) / out, convert(process, "x0", "v", x0, x_t, t)

    with jax.enable_x64(True):
        network, v = edm(x0, eps, t)
        velocity = jax.jit(lambda *pair: from_pair(RectifiedFlow(), "velocity", *pair))(x0, eps, t)
    np.testing.assert_allclose(network, -v, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(velocity, eps - x0, rtol=1e-12)


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
        InputError, match="unknown kind 'epsilon': use one of eps, x0, v, entropy, velocity, score"
    ):
        getattr(parameterization, name)(process, "epsilon", x, x, t)
    with pytest.raises(InputError, match="make them one shape"):
        getattr(parameterization, name)(process, "eps", x[:, :2], x, t)


def test_unknown_kind_is_refused_before_any_evaluation():
    with pytest.raises(InputError, match="unknown kind"):
        score_fn(VPLinear(), "noise", lambda x, t: x)
    with pytest.raises(InputError, match="unknown kind"):
        convert(VPLinear(), "eps", "noise", np.ones((1, 2)), np.ones((1, 2)), 0.5)
