"""Which coordinates of z a diffusion decoder sees on which side of its split, what moves them, and
the way back from x to noise."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checks import assert_mean
from exact_decoder import EXACT, MIX, NOISE

from diffenc import training
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError
from diffenc.latent import bottleneck, chains, decoders, em, whitening
from diffenc.latent.bottleneck import Bottleneck
from diffenc.latent.diffusion_decoder import DiffusionDecoder
from diffenc.latent.e_steps import PosteriorSample
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser, LevelMLP
from diffenc.run import parallel

NETWORK = LevelMLP((16,))
PLAIN = DiffusionDecoder(NETWORK, (2, 2), Uniform(-8.0, 0.0), Uniform(0.0, 8.0), draws=2)
TWO = dataclasses.replace(PLAIN, perceptual_dim=1)
SEEING = dataclasses.replace(PLAIN, sees_above=True)
PULLING = dataclasses.replace(SEEING, pulls_above=True)
BLIND = dataclasses.replace(PLAIN, is_blind=True)
DECODERS = {
    "plain": PLAIN,
    "two": TWO,
    "seeing": SEEING,
    "pulling": PULLING,
    "two, seeing": dataclasses.replace(TWO, sees_above=True),
    "two, pulling": dataclasses.replace(PULLING, perceptual_dim=1),
    "blind": BLIND,
    "two, blind": dataclasses.replace(TWO, is_blind=True),
}
# By decoder and side: the coordinates of z whose value matters, and those that a gradient moves.
SEEN = {
    "plain": {"below": "111", "above": "000"},
    "two": {"below": "110", "above": "001"},
    "seeing": {"below": "111", "above": "111"},
    "pulling": {"below": "111", "above": "111"},
    "two, seeing": {"below": "110", "above": "111"},
    "two, pulling": {"below": "110", "above": "111"},
    "blind": {"below": "000", "above": "000"},
    "two, blind": {"below": "000", "above": "000"},
}
MOVED = SEEN | {
    "seeing": {"below": "111", "above": "000"},
    "two, seeing": {"below": "110", "above": "001"},
}


def random_params(decoder):
    """Parameters that are no longer zero."""
    leaves, tree = jax.tree.flatten(jax.jit(lambda: decoder.init(jax.random.key(0), 3))())
    rng = np.random.default_rng(0)
    return tree.unflatten([rng.normal(size=a.shape).astype(np.float32) for a in leaves])


@pytest.fixture(scope="module")
def looked_at():
    """Parameters, an observation of five examples, and latents."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 2, 2)).astype(np.float32)
    observation = jax.jit(PLAIN.observe)(jax.random.key(1), x)
    return random_params(PLAIN), observation, rng.normal(size=(5, 3)).astype(np.float32)


def flags(word: str) -> np.ndarray:
    return np.array([letter == "1" for letter in word])


def shifted(z):
    """Latents with one coordinate after the other moved."""
    return [np.float32(z + np.eye(3)[i]) for i in range(3)]


@pytest.mark.parametrize("name", DECODERS)
def test_each_side_sees_and_moves_its_own_coordinates(name, looked_at):
    params, observation, z = looked_at
    decoder = DECODERS[name]

    @jax.jit
    def evaluate(z):
        terms = decoder.terms(params, observation, z)
        sides = {"below": terms.below, "above": terms.above}
        slopes = jax.jacrev(lambda z: jax.tree.map(jnp.sum, decoder.terms(params, observation, z)))(
            z
        )
        gradient = jax.grad(lambda z: decoder.log_prob(params, observation, z).sum())(z)
        return sides, {"below": slopes.below, "above": slopes.above}, gradient

    values, slopes, gradient = jax.device_get(evaluate(z))
    others = [evaluate(other)[0] for other in shifted(z)]
    for side in ("below", "above"):
        is_seen = np.stack([other[side] != values[side] for other in others], axis=1)
        np.testing.assert_array_equal(is_seen, np.tile(flags(SEEN[name][side]), (5, 1)))
        np.testing.assert_array_equal(slopes[side] != 0, np.tile(flags(MOVED[name][side]), (5, 1)))
    expected = -slopes["below"] - slopes["above"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", DECODERS)
def test_what_moves_no_latent_can_be_left_out(name, looked_at):
    params, observation, z = looked_at
    decoder = DECODERS[name]
    about = decoder.about_latent(observation)
    assert (about.above is None) == (name in ("plain", "seeing", "blind"))

    @jax.jit
    def slopes(z):
        def of(observation):
            return jax.grad(lambda z: decoder.log_prob(params, observation, z).sum())(z)

        return of(observation), of(about)

    np.testing.assert_allclose(*slopes(z), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_left_about_z_has_constants_where_a_coordinate_is_seen_and_not_moved(name):
    """Where the gradient is not that of the values, so that weights would move what it does not."""
    decoder = DECODERS[name]
    sides = ["below"]
    if decoder.perceptual_dim or decoder.pulls_above:
        sides.append("above")
    still = [flags(SEEN[name][side]) & ~flags(MOVED[name][side]) for side in sides]
    assert decoder.has_constants == np.any(still)


@pytest.mark.parametrize(("name", "num_devices"), [("seeing", 2), ("two, pulling", 1)])
def test_without_chains_the_gradient_of_the_m_step_is_the_pressure(name, num_devices):
    """An update of the encoder is that with the slope of log q* at its samples, of what is left
    about z, at the gamma that is carried; null examples have none. One decoder is trained on two
    devices."""
    decoder = DECODERS[name]
    encoder = DiffusionEncoder(ConditionalDenoiser(3, (8,), (8,)))
    settings = em.Settings(
        e_step="encoder", target="pressure", rate=1.0, draws=1, null_probability=0.3
    )
    x = np.random.default_rng(1).normal(size=(8, 2, 2)).astype(np.float32)
    params = {
        "encoder": jax.jit(lambda: encoder.init(jax.random.key(0), x))(),
        "decoder": random_params(decoder),
    }
    narrow = Bottleneck.create(settings, 3).replace(log_gamma=jnp.float32(0.7))
    carried = chains.ChainState.create(settings, None, narrow)
    optimizer = optax.sgd(1.0)
    state = training.TrainState.create(params, optimizer, carried)

    @jax.jit
    def update(state, x):
        return em.make_update(encoder, decoder, settings, optimizer)(state, jax.random.key(2), x)

    @jax.jit
    def by_hand(x):
        keys = jax.random.split(jax.random.key(2), 5)
        about = decoder.about_latent(decoder.observe(keys[3], x))
        sample = em.e_step(keys[0], encoder, decoder, params, carried, x, about, settings).sample
        gamma = jnp.exp(0.7)

        def log_density(z):
            return decoders.log_joint(decoder, params["decoder"], about, z, gamma).sum()

        slope = whitening.pull(sample.frame.factor, jax.grad(log_density)(sample.z))
        dream = decoder.curvature_draw(keys[1], params["decoder"], about, sample.z)
        return jax.grad(em.encoder_loss, has_aux=True)(
            params["encoder"],
            params["decoder"],
            keys[2],
            encoder,
            x,
            sample._replace(gradient=slope),
            dream / jnp.sqrt(gamma),
            settings,
        )[0]

    mesh = parallel.data_mesh(num_devices)
    new, _ = update(parallel.replicate(mesh, state), parallel.shard_batch(mesh, x))
    expected = jax.device_get(by_hand(x))
    moved = jax.tree.map(lambda a, b: a - b, params["encoder"], new.params["encoder"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), moved, expected
    )


@pytest.mark.parametrize("name", ["plain", "two"])
def test_errors_over_levels_add_up_to_the_terms(name, looked_at):
    """Of the whole observation, on both sides, and of what is left of it about z."""
    params, observation, z = looked_at
    decoder = DECODERS[name]

    @jax.jit
    def evaluate():
        pairs = []
        for one in (observation, decoder.about_latent(observation)):
            noise, errors = decoder.errors(params, one, z)
            terms = decoder.terms(params, one, z)
            pairs.append((jnp.mean(errors / noise.density, axis=1), terms.below + terms.above))
        return pairs

    for total, expected in evaluate():
        np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_the_curvature_is_that_of_both_sides(looked_at):
    """Averaged over xi, s s^T is the sum over all noise of w_j J_j^T J_j."""
    params, observation, z = looked_at

    def stacked(z):
        """sqrt(w_j) v_phi at every noise of the first example."""
        sides = []
        for noise, seen in ((observation.below, [1, 1, 0, 1]), (observation.above, [0, 0, 1, 1])):
            alpha, sigma = alpha_sigma(noise.log_snr[0])
            eps = noise.eps[0]
            x_t = expand(alpha, eps) * observation.x[:1] + expand(sigma, eps) * eps
            condition = jnp.append(z, 1.0) * np.array(seen, np.float32)
            v = NETWORK.apply(params, x_t, noise.log_snr[0], jnp.tile(condition[None], (2, 1)))
            sides.append((expand(alpha / jnp.sqrt(noise.density[0] * 2), v) * v).reshape(-1))
        return jnp.concatenate(sides)

    jacobian = np.asarray(jax.jit(jax.jacobian(stacked))(z[0]), np.float64)

    @jax.jit
    @jax.vmap
    def draw(key):
        return TWO.curvature_draw(key, params, observation, z)[0]

    s = np.asarray(draw(jax.random.split(jax.random.key(0), 2000)), np.float64)
    truth = jacobian.T @ jacobian
    np.testing.assert_array_equal(truth[2, :2], 0)
    assert_mean(s[:, :, None] * s[:, None, :], truth, scale=np.abs(truth).max())


@pytest.mark.parametrize("name", ["seeing", "two"])
def test_one_evaluation_gives_what_the_m_step_and_the_curvature_give_apart(name, looked_at):
    params, observation, z = looked_at
    decoder = DECODERS[name]
    factor = np.tile(np.eye(3, dtype=np.float32), (5, 1, 1))
    sample = PosteriorSample(z, whitening.Frame(0 * z, factor), z)

    @jax.jit
    def together():
        key = jax.random.key(0)
        settings = em.Settings(e_step="encoder")
        loss, grads, one, s = em.m_step(key, decoder, params, observation, sample, 0.04, settings)
        return loss, grads, one.gradient, s

    @jax.jit
    def apart():
        def loss(params, z):
            return -decoder.log_prob(params, observation, z).mean()

        about = decoder.about_latent(observation)
        s = decoder.curvature_draw(jax.random.key(0), params, about, z)
        value, (grads, slope) = jax.value_and_grad(loss, argnums=(0, 1))(params, z)
        gradient = -len(z) / 0.04 * slope - z - bottleneck.aggregate_slope(z, 0.04)
        return value, grads, gradient, s / 0.2

    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    jax.tree.map(close, together(), apart())


def test_a_blind_decoder_is_the_same_whatever_the_latent(looked_at):
    params, _, z = looked_at

    @jax.jit
    def evaluate(z):
        t = jnp.linspace(0.1, 0.9, 5)
        score = BLIND.score_fn(params, z)(jnp.ones((5, 2, 2)), t)
        draws = BLIND.sample(jax.random.key(0), params, z)
        return score, draws, BLIND.mean(params, z)

    jax.tree.map(np.testing.assert_array_equal, evaluate(z), evaluate(z + 1))


@pytest.mark.parametrize("name", ["seeing", "two, seeing"])
def test_scores_above_the_split_see_what_terms_do(name, looked_at):
    """lambda is 0, the split, at t = 1/2."""
    params, _, z = looked_at

    @jax.jit
    def scores(z, t):
        return DECODERS[name].score_fn(params, z)(jnp.ones((5, 2, 2)), jnp.full(5, t))

    for side, t in (("below", 0.6), ("above", 0.4)):
        is_seen = [np.any(scores(other, t) != scores(z, t)) for other in shifted(z)]
        np.testing.assert_array_equal(is_seen, flags(SEEN[name][side]))


def test_noise_that_x_is_inverted_to_is_known_and_leads_back():
    """The flow of N(MIX z, NOISE^2 I) keeps the number of standard deviations; decoding ends with
    E[x|x_high]. Inversion is of second order. There and back the leading errors cancel, which
    leaves the third."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        z = rng.normal(size=(5, 2))
        x = rng.normal(size=(5, 3))
        alpha, sigma = jax.device_get(alpha_sigma(EXACT.high))
        mean = z @ MIX.astype(np.float64).T
        variance = alpha**2 * NOISE**2 + sigma**2
        noise = (x - alpha * mean) / np.sqrt(variance)
        denoised = mean + alpha * NOISE**2 / variance * (x - alpha * mean)

        @jax.jit
        def errors():
            def error(num_steps):
                decoder = dataclasses.replace(EXACT, sampler_steps=num_steps)
                x_1 = decoder.invert({}, z, x)
                there = jnp.max(jnp.abs(x_1 - noise))
                back = jnp.max(jnp.abs(decoder.decode({}, z, x_1) - denoised))
                return there, back

            return error(100), error(200)

        coarse, fine = jax.device_get(errors())
        assert 2**1.5 < coarse[0] / fine[0] < 2**2.5
        assert 2**2.5 < coarse[1] / fine[1] < 2**3.5


def test_x_is_inverted_flat_or_in_shape(looked_at):
    params, observation, z = looked_at

    @jax.jit
    def both():
        x = observation.x
        return [TWO.invert(params, z, one) for one in (x, x.reshape(5, -1))]

    image, flat = both()
    assert image.shape == (5, 2, 2)
    np.testing.assert_array_equal(image, flat)


def test_a_second_latent_without_levels_above_is_refused():
    with pytest.raises(InputError, match="latents that are seen above the split need one: give"):
        DiffusionDecoder(NETWORK, (4,), Uniform(-8.0, 8.0), perceptual_dim=1)
