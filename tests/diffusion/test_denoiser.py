"""denoiser: the reference is exact, the two forms agree with the score, the loss is the
likelihood-weighted one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion import denoiser, profiles
from diffenc.diffusion.denoiser import OUTPUTS, Denoiser, Reference
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPLinear, VPx
from diffenc.errors import InputError
from diffenc.networks import LevelMLP

PROCESSES = [
    (VPLinear(), 1e-3, 1.0),
    (VPx(), 1e-3, 1.0),
    (StraightLine(), 1e-3, 0.999),
    (SubVP(), 1e-2, 1.0),
    (VE(), 0.0, 1.0),
]
GAUSSIAN = Gaussian(
    jnp.array([1.0, -0.5, 0.2]), jnp.array([[1.0, 0.6, 0.1], [0.6, 0.8, 0.0], [0.1, 0.0, 0.3]])
)


def exact_reference(gaussian) -> Reference:
    variances, axes = np.linalg.eigh(gaussian.cov)
    return Reference(*map(jnp.asarray, (np.asarray(gaussian.mean) @ axes, variances, axes)))


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: type(one[0]).__name__)
def test_an_untrained_network_is_the_gaussian_reference(process):
    process, t_min, t_max = process
    reference = exact_reference(GAUSSIAN)
    t = np.linspace(t_min + 1e-3, t_max, 64, dtype=np.float32)

    @jax.jit
    def scores(key, t):
        x = GAUSSIAN.sample(key, 64)
        untrained, alone = {}, {}
        for output in OUTPUTS:
            model = Denoiser(LevelMLP((8,)), process, output)
            params = model.init(jax.random.key(1), x[:1])
            untrained[output] = model.score_fn(params, reference)(x, t)
            alone[output] = model.score_fn(None, reference, with_network=False)(x, t)
        return GAUSSIAN.score(process, x, t), untrained, alone

    exact, untrained, alone = jax.tree.map(np.asarray, scores(jax.random.key(0), t))
    for output in OUTPUTS:
        found = untrained[output]
        np.testing.assert_allclose(found, exact, rtol=2e-3, atol=1e-3 * np.abs(exact).max())
        np.testing.assert_allclose(found, alone[output], rtol=1e-5)


def test_a_reference_is_its_gaussian():
    back = jax.jit(lambda reference: reference.gaussian(3))(exact_reference(GAUSSIAN))
    np.testing.assert_allclose(back.cov, GAUSSIAN.cov, atol=1e-5)
    np.testing.assert_allclose(back.mean, GAUSSIAN.mean, atol=1e-5)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_loss_is_that_of_the_score(output):
    """E loss = 1/2 int d(lambda) sigma^2 E|score_theta + eps/sigma|^2 for any network, by another
    density and route."""
    process, t_min, t_max = PROCESSES[1]
    model, reference = Denoiser(LevelMLP((16,)), process, output), exact_reference(GAUSSIAN)
    levels = model.levels(reference, *log_snr_range(process, t_min, t_max))
    params = jax.eval_shape(model.init, jax.random.key(2), np.zeros((1, 3)))
    rng = np.random.default_rng(2)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.5, leaf.shape).astype(leaf.dtype), params)

    @jax.jit
    def draw(key, params):
        key_x, key_loss, key_profile = jax.random.split(key, 3)
        x = GAUSSIAN.sample(key_x, 20_000)
        score = model.score_fn(params, reference)

        def integrand(x_t, eps, t):
            error = process.sigma(t)[:, None] * score(x_t, t) + eps
            return 0.5 * jnp.sum(jnp.square(error), axis=1)

        losses = model.loss(key_loss, params, reference, x, levels, draws=2)
        return losses, profiles.profile(key_profile, integrand, process, x, levels, 4).total()

    losses, direct = map(np.asarray, draw(jax.random.key(3), params))
    assert losses.shape == (40_000,)
    # the two draws of an example share its x: its mean counts; stratified lambda makes the error
    # smaller, if anything
    by_example = losses.reshape(2, -1).mean(axis=0)
    errors = [values.std(ddof=1) / np.sqrt(len(values)) for values in (by_example, direct)]
    assert np.hypot(*errors) < 0.05 * direct.mean()
    assert abs(losses.mean() - direct.mean()) < NUM_SIGMAS * np.hypot(*errors)


def test_the_target_has_unit_size_and_no_linear_part():
    process, reference = PROCESSES[1][0], exact_reference(GAUSSIAN)
    model = Denoiser(LevelMLP((8,)), process, "v")

    @jax.jit
    def draw(key):
        key_x, key_t, key_eps = jax.random.split(key, 3)
        z = reference.along(GAUSSIAN.sample(key_x, 50_000))
        t = jax.random.uniform(key_t, (50_000,), minval=0.05, maxval=1.0)
        eps = jax.random.normal(key_eps, z.shape)
        z_t = process.perturb(z, eps, t)
        base = model._eps(None, reference, z_t, t, with_network=False)
        signal = process.alpha(t)[:, None] * jnp.sqrt(reference.variance)[None]
        a = signal / jnp.hypot(signal, process.sigma(t)[:, None])
        return (eps - base) / a, z_t

    target, z_t = map(np.asarray, draw(jax.random.key(3)))
    assert_mean(np.square(target), 1.0)
    assert_mean(target * z_t, 0.0)


def test_the_equilibrium_is_a_reference_that_knows_nothing():
    process = VPx()
    x = np.random.default_rng(5).standard_normal((16, 3), np.float32)
    t = np.linspace(0.01, 1.0, 16, dtype=np.float32)

    @jax.jit
    def scores(x, t):
        model, reference = Denoiser(LevelMLP((8,)), process), Reference.equilibrium(process)
        params = model.init(jax.random.key(6), x[:1])
        return model.score_fn(params, reference)(x, t), process.equilibrium_score(x, t)

    np.testing.assert_allclose(*scores(x, t), rtol=1e-4)


def test_references_from_data():
    x = np.asarray(GAUSSIAN.sample(jax.random.key(7), 500))
    found = jax.jit(lambda reference: reference.gaussian(3))(Reference.moments(x))
    np.testing.assert_allclose(found.cov, np.cov(x.T), rtol=1e-3, atol=1e-5)
    one = Reference.isotropic(x.reshape(-1, 3, 1, 1))
    assert float(one.variance) == pytest.approx(x.var(), rel=1e-5) and one.axes is None
    with pytest.raises(InputError, match="isotropic"):
        Reference.moments(x[:3])
    with pytest.raises(InputError, match="singular"):
        Reference.moments(np.repeat(x[:, :1], 3, axis=1))
    with pytest.raises(InputError, match="output"):
        Denoiser(LevelMLP((8,)), VPLinear(), "noise")


@pytest.mark.parametrize("part", [7, 100])
def test_moments_of_all_numbers_do_not_depend_on_parts(monkeypatch, part):
    monkeypatch.setattr(denoiser, "PART", part)
    x = np.random.default_rng(0).normal(2.0, 0.1, size=(11, 3, 2)).astype(np.float32)
    one = Reference.isotropic(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(one.mean, exact.mean(), rtol=1e-6)
    np.testing.assert_allclose(one.variance, exact.var(), rtol=1e-6)
