"""The network of sequences: zero at first, what it sees and where; and that it learns a chain."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffenc.compilation import init
from diffenc.diffusion import likelihood
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.grid_denoiser import GridDenoiser, Marginals, num_outputs
from diffenc.diffusion.noise_levels import Uniform
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.networks import ModulatedSequence

RNG = np.random.default_rng(0)
LENGTH = 9
U = RNG.normal(size=(2, LENGTH, 3)).astype(np.float32)
LEVEL = np.array([-3.0, 2.0], np.float32)


def moved(params):
    """Parameters of which none is zero."""
    return jax.tree.map(lambda a: np.float32(a + 0.3 * RNG.normal(size=a.shape)), params)


def test_it_is_zero_at_first():
    for count, shape in ((None, U.shape), (5, (2, LENGTH, 5))):
        network = ModulatedSequence(width=8, blocks=2, num_outputs=count, dropout=0.5)
        out = jax.jit(network.apply)(init(network, jax.random.key(0), U, LEVEL), U, LEVEL)
        assert out.shape == shape and not np.any(np.asarray(out))


def test_it_sees_both_directions_as_far_as_it_says():
    """Two blocks of radius 1 see 3 places either way, all of them; and the level; and no other
    example. Each parameter matters."""
    network = ModulatedSequence(width=8, blocks=2, radius=1)
    params = moved(init(network, jax.random.key(0), U, LEVEL))

    @jax.jit
    def evaluate():
        of_u, of_level = jax.jacrev(network.apply, (1, 2))(params, U, LEVEL)
        of_params = jax.grad(lambda p: (network.apply(p, U, LEVEL) * U).sum())(params)
        return of_u, of_level, of_params

    of_u, of_level, of_params = jax.device_get(evaluate())
    sees = np.abs(of_u).max(axis=(2, 5))  # [example, place, example, place]
    near = np.abs(np.subtract.outer(np.arange(LENGTH), np.arange(LENGTH))) <= 3
    same = np.eye(2, dtype=bool)[:, None, :, None]
    np.testing.assert_array_equal(sees > 0, near[None, :, None, :] & same)
    assert np.all(np.abs(of_level[[0, 1], ..., [0, 1]]) > 0)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(of_params))


def test_no_place_has_weights_of_its_own():
    """Where the ends are out of sight, a shifted sequence gives a shifted output."""
    network = ModulatedSequence(width=8, blocks=2, radius=1)
    params = moved(init(network, jax.random.key(0), U, LEVEL))
    apply = jax.jit(network.apply)
    out = apply(params, U, LEVEL)[:, 3:-4]
    shifted = apply(params, np.roll(U, 1, axis=1), LEVEL)[:, 4:-3]
    np.testing.assert_allclose(out, shifted, rtol=1e-4, atol=1e-4)


def test_dropout_needs_a_key():
    network = ModulatedSequence(width=8, blocks=2, num_outputs=5, dropout=0.5)
    params = moved(init(network, jax.random.key(0), U, LEVEL))

    @jax.jit
    def apply(params, rngs):
        return network.apply(params, U, LEVEL, rngs=rngs)

    plain = apply(params, None)
    draws = [apply(params, {"dropout": jax.random.key(i)}) for i in range(2)]
    np.testing.assert_array_equal(plain, apply(params, None))
    assert np.any(draws[0] != draws[1]) and np.any(draws[0] != plain)


STAY = 0.9
WINDOW = 8
ALPHABET = Alphabet(3, "one_hot")
DENOISER = GridDenoiser(
    ModulatedSequence(width=24, blocks=2, radius=2, num_outputs=num_outputs("logits", ALPHABET)),
    ALPHABET,
)
LEVELS = Uniform(-6.0, 4.0)


def chain(count):
    """Windows of a chain of three characters that stays with probability .9, [count, WINDOW, 1]."""
    moves = RNG.integers(1, 3, (count, WINDOW)) * (RNG.random((count, WINDOW)) > STAY)
    moves[:, 0] = RNG.integers(0, 3, count)
    return (np.cumsum(moves, axis=1) % 3)[..., None].astype(np.int32)


@functools.partial(jax.jit, static_argnums=3)
def train(params, x, marginals, num_updates):
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, num_updates))

    def loss(params, key, rows):
        def denoise(x_t, log_snr):
            return DENOISER.denoise(params, marginals, x_t, log_snr)

        error, _, density = likelihood.draw_errors(key, denoise, ALPHABET.encode(rows), LEVELS)
        return jnp.mean(error / density)

    def update(carry, step):
        params, state = carry
        key_rows, key = jax.random.split(jax.random.fold_in(jax.random.key(1), step))
        rows = x[jax.random.randint(key_rows, (128,), 0, len(x))]
        grads = jax.grad(loss)(params, key, rows)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), None

    carry, _ = jax.lax.scan(update, (params, optimizer.init(params)), jnp.arange(num_updates))
    return carry[0]


@pytest.mark.slow
def test_it_learns_a_markov_chain():
    """The valid bound of held-out windows comes from above to within a tenth of what a chain saves
    against independent characters, whose law the model has before training."""
    x = chain(2000)
    test = chain(200)
    marginals = Marginals.of(x, ALPHABET)
    params = DENOISER.init(key_of(0, "init"), x[:1])
    params = train(params, x, marginals, 300)
    terms = jax.jit(
        lambda key: likelihood.discrete_terms(key, DENOISER, params, marginals, test, LEVELS, 128)
    )(key_of(0, "terms"))
    stays = np.diff(test[..., 0], axis=1) == 0
    truth = np.log(3) - np.where(stays, np.log(STAY), np.log((1 - STAY) / 2)).sum(axis=1)
    gap = Estimate.of(np.asarray(terms.total) - truth)
    saved = WINDOW * np.log(3) - truth.mean()
    assert -4 * gap.stderr < gap.mean < 0.1 * saved and gap.stderr < 0.02 * saved, (gap, saved)
