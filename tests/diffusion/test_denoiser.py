"""denoiser: the reference is exact, the two forms agree with the score, the loss is the
likelihood-weighted one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion import profiles
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPLinear, VPx
from diffenc.errors import InputError
from diffenc.networks import LevelMLP, UNet
from diffenc.networks.unet import Conv

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
    variances, axes = jnp.linalg.eigh(gaussian.cov)
    return Reference(gaussian.mean @ axes, variances, axes)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: type(one[0]).__name__)
@pytest.mark.parametrize("output", ["v", "residual"])
def test_an_untrained_network_is_the_gaussian_reference(process, output):
    process, t_min, t_max = process
    model, reference = Denoiser(LevelMLP((8,)), process, output), exact_reference(GAUSSIAN)
    x = GAUSSIAN.sample(jax.random.key(0), 64)
    params = model.init(jax.random.key(1), x[:1])
    t = jnp.linspace(t_min + 1e-3, t_max, 64)
    exact = GAUSSIAN.score(process, x, t)
    found = model.score_fn(params, reference)(x, t)
    np.testing.assert_allclose(found, exact, rtol=2e-3, atol=1e-3 * float(jnp.abs(exact).max()))
    np.testing.assert_allclose(
        found, model.score_fn(None, reference, with_network=False)(x, t), rtol=1e-5
    )
    back = reference.gaussian(3)
    np.testing.assert_allclose(back.cov, GAUSSIAN.cov, atol=1e-5)
    np.testing.assert_allclose(back.mean, GAUSSIAN.mean, atol=1e-5)


@pytest.mark.parametrize("output", ["v", "residual"])
def test_the_loss_is_that_of_the_score(output):
    """E loss = 1/2 int d(lambda) sigma^2 E|score_theta + eps/sigma|^2 for any network, by another
    density and route."""
    process, t_min, t_max = PROCESSES[1]
    model, reference = Denoiser(LevelMLP((16,)), process, output), exact_reference(GAUSSIAN)
    key_x, key_init, key_noise, key_loss, key_profile = jax.random.split(jax.random.key(2), 5)
    x = GAUSSIAN.sample(key_x, 20_000)
    params = model.init(key_init, x[:1])
    leaves, tree = jax.tree.flatten(params)
    noise = jax.random.normal(key_noise, (sum(leaf.size for leaf in leaves),))
    parts = jnp.split(noise, np.cumsum([leaf.size for leaf in leaves])[:-1])
    params = jax.tree.unflatten(
        tree,
        [leaf + 0.3 * part.reshape(leaf.shape) for leaf, part in zip(leaves, parts, strict=True)],
    )
    low, high = log_snr_range(process, t_min, t_max)
    levels, score = model.levels(reference, low, high), model.score_fn(params, reference)
    losses = np.asarray(model.loss(key_loss, params, reference, x, levels, draws=2))
    assert losses.shape == (40_000,)

    def integrand(x_t, eps, t):
        error = process.sigma(t)[:, None] * score(x_t, t) + eps
        return 0.5 * jnp.sum(jnp.square(error), axis=1)

    direct = np.asarray(profiles.profile(key_profile, integrand, process, x, levels, 4).total())
    # the two draws of an example share its x: its mean counts; stratified lambda makes the error
    # smaller, if anything
    by_example = losses.reshape(2, -1).mean(axis=0)
    errors = [values.std(ddof=1) / np.sqrt(len(values)) for values in (by_example, direct)]
    assert abs(losses.mean() - direct.mean()) < NUM_SIGMAS * np.hypot(*errors)


def test_the_target_has_unit_size_and_no_linear_part():
    process, t_min, t_max = PROCESSES[1]
    reference, x = exact_reference(GAUSSIAN), GAUSSIAN.sample(jax.random.key(3), 50_000)
    model = Denoiser(LevelMLP((8,)), process, "v")
    key_t, key_eps = jax.random.split(jax.random.key(4))
    t = jax.random.uniform(key_t, (50_000,), minval=0.05, maxval=1.0)
    eps = jax.random.normal(key_eps, x.shape)
    z = reference.along(x)
    z_t = process.perturb(z, eps, t)
    base = model._eps(None, reference, z_t, t, with_network=False)
    signal = process.alpha(t)[:, None] * jnp.sqrt(reference.variance)[None]
    a = signal / jnp.hypot(signal, process.sigma(t)[:, None])
    target = (eps - base) / a
    assert_mean(jnp.square(target), 1.0)
    assert_mean(target * z_t, 0.0)


def test_the_equilibrium_is_a_reference_that_knows_nothing():
    process = VPx()
    model, reference = Denoiser(LevelMLP((8,)), process), Reference.equilibrium(process)
    x = jax.random.normal(jax.random.key(5), (16, 3))
    params = model.init(jax.random.key(6), x[:1])
    t = jnp.linspace(0.01, 1.0, 16)
    np.testing.assert_allclose(
        model.score_fn(params, reference)(x, t), process.equilibrium_score(x, t), rtol=1e-4
    )


def test_references_from_data():
    x = np.asarray(GAUSSIAN.sample(jax.random.key(7), 500))
    found = Reference.moments(x).gaussian(3)
    np.testing.assert_allclose(found.cov, np.cov(x.T), rtol=1e-3, atol=1e-5)
    one = Reference.isotropic(x.reshape(-1, 3, 1, 1))
    assert float(one.variance) == pytest.approx(x.var(), rel=1e-5) and one.axes is None
    with pytest.raises(InputError, match="isotropic"):
        Reference.moments(x[:3])
    with pytest.raises(InputError, match="singular"):
        Reference.moments(np.repeat(x[:, :1], 3, axis=1))
    with pytest.raises(InputError, match="output"):
        Denoiser(LevelMLP((8,)), VPLinear(), "noise")


def wave(leaf):
    """Parameters moved away from their start."""
    return leaf + 0.05 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)


def test_the_unet_keeps_shapes_and_starts_at_zero():
    net = UNet(channels=(8, 16), num_classes=3)
    u, level = jax.random.normal(jax.random.key(8), (2, 8, 8, 1)), jnp.array([-3.0, 2.0])
    params = jax.jit(net.init)(jax.random.key(9), u, level, jnp.array([0, 2]))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    out = jax.jit(net.apply)(params, u, level, jnp.array([0, 2]))
    assert out.shape == u.shape and out.dtype == jnp.float32
    assert not np.any(np.asarray(out))
    moved = jax.tree.map(
        lambda leaf: (
            leaf + 0.05 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)
        ),
        params,
    )
    apply = jax.jit(lambda level, labels: net.apply(moved, u, level, labels))
    with_label = apply(level, jnp.array([0, 2]))
    assert np.all(np.isfinite(with_label)) and np.any(with_label != apply(level, jnp.array([1, 2])))
    assert np.any(with_label != apply(level + 1, jnp.array([0, 2])))
    none = jax.jit(net.apply)(moved, u, level)
    np.testing.assert_allclose(none, apply(level, jnp.array([3, 3])), rtol=0.05, atol=0.02)


@pytest.mark.parametrize(
    ("channels", "sides", "message"),
    [
        ((8, 16, 16), (8, 6), "cannot be halved 2 times"),
        ((8, 12), (8, 8), "multiples of 8"),
        ((), (8, 8), "one or more"),
    ],
)
def test_a_unet_that_cannot_be_is_refused(channels, sides, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(
            UNet(channels).init, jax.random.key(0), jnp.zeros((1, *sides, 1)), jnp.zeros((1,))
        )


def test_a_convolution_is_a_matrix_product():
    h = jax.random.normal(jax.random.key(12), (2, 6, 5, 3))
    one, other = (Conv(4, as_matmul=as_matmul) for as_matmul in (True, False))
    params = jax.tree.map(wave, one.init(jax.random.key(13), h))
    np.testing.assert_allclose(one.apply(params, h), other.apply(params, h), rtol=1e-4, atol=1e-5)


def test_the_bfloat16_unet_is_the_float32_one_rounded():
    u, level = jax.random.normal(jax.random.key(10), (2, 8, 8, 1)), jnp.array([-1.0, 1.0])
    nets = [UNet(channels=(8, 16), dtype=jnp.dtype(dtype)) for dtype in ("float32", "bfloat16")]
    params = jax.jit(nets[0].init)(jax.random.key(11), u, level)
    params = jax.tree.map(
        lambda leaf: (
            leaf + 0.05 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)
        ),
        params,
    )
    one, other = (np.asarray(jax.jit(net.apply)(params, u, level)) for net in nets)
    assert np.abs(one - other).max() < 0.05 * np.abs(one).max()
