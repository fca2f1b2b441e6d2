"""Kraft's test, of lengths that are known, and of every bound on discrete data: those of the model,
trained and untrained, pass; the quantity without a reconstruction term does not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from two_pixels import LAW, SIZE, STATES, draw_terms, mean_length

from diffenc import training
from diffenc.diffusion import kraft, likelihood, warmth
from diffenc.diffusion.adaptive_levels import AdaptiveLevels
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.grid_denoiser import GridDenoiser, Marginals, num_outputs
from diffenc.errors import InputError
from diffenc.networks import ModulatedMLP

LOW = -8.0
OF_THREE = kraft.states(5, 3)


def test_states_are_all_different():
    assert STATES.shape == (289, 2) and OF_THREE.shape == (125, 3)
    assert len(np.unique(STATES, axis=0)) == 289 and STATES.max() == 16
    assert len(np.unique(OF_THREE, axis=0)) == 125 and OF_THREE.max() == 4


def test_the_sum_is_unbiased_and_knows_its_error():
    rng = np.random.default_rng(0)
    lengths = -np.log(LAW).reshape(-1) + 0.5 * rng.normal(size=(500, 8, 289))
    sums = np.array([kraft.kraft_sum(draws) for draws in lengths])
    assert_mean(sums[:, 0], 1.0, largest_stderr=0.001)
    assert_mean(np.square((sums[:, 0] - 1) / sums[:, 1]), 1.0)
    for shape in ((1, 289), (289,)):
        with pytest.raises(InputError, match="the shape of lengths is .*two draws or more"):
            kraft.kraft_sum(np.zeros(shape))


# Name: alphabet, head, all states, the noise at the start in bins.
MODELS = {
    "grid-logits": (Alphabet(SIZE), "logits", STATES, 0.5),
    "grid-logistics": (Alphabet(SIZE), "logistics", STATES, 0.5),
    "grid-v": (Alphabet(SIZE), "v", STATES, 0.5),
    "one_hot-logits": (Alphabet(5, "one_hot"), "logits", OF_THREE, 0.5),
    "bits-logits": (Alphabet(5, "bits"), "logits", OF_THREE, 0.5),
}


def law_of(states) -> np.ndarray:
    """The law of two pixels, and one of three values of which neighbours are often equal."""
    if states is STATES:
        return LAW.reshape(-1)
    num_equal = np.sum(states[:, 1:] == states[:, :-1], axis=1)
    weights = np.exp(2.0 * num_equal) * (1 + states[:, 0])
    return weights / weights.sum()


@functools.partial(jax.jit, static_argnums=0)
def train(denoiser, params, marginals, levels, key, examples):
    """The parameters before and after an update with each batch of examples [updates, batch, c],
    on a leading axis of two, and the levels that were learned meanwhile."""
    optimizer = training.make_optimizer(1e-2, len(examples), 20)

    def update(carried, batch):
        state, levels = carried
        key_dropout, key_errors = jax.random.split(jax.random.fold_in(key, state.step))
        x = denoiser.alphabet.encode(batch)

        def loss(params):
            def denoise(x_t, log_snr):
                rngs = {"dropout": key_dropout}
                return denoiser.denoise(params, marginals, x_t, log_snr, rngs)

            errors, log_snr, density = likelihood.draw_errors(key_errors, denoise, x, levels)
            return jnp.mean(errors / density), (log_snr, density, errors)

        (_, draws), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        state = state.apply_gradients(grads, optimizer, 0.98)
        return (state, levels.learn(*draws)), None

    state = training.TrainState.create(params, optimizer)
    (state, levels), _ = jax.lax.scan(update, (state, levels), examples)
    return jax.tree.map(lambda *a: jnp.stack(a), params, state.averages), levels


@functools.partial(jax.jit, static_argnums=(0, 6))
def draw_lengths(denoiser, both_params, marginals, key, states, levels, draws):
    """Draws of the code lengths of all states, before and after training [2, draws, states]."""

    def of_one(params):
        keys = jax.random.split(jax.random.clone(key), 3)
        return draw_terms(keys, denoiser, params, marginals, states, levels, draws).total

    return jax.lax.map(of_one, both_params)


SLOW = ("grid-logits", "grid-logistics", "bits-logits")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in MODELS],
)
def test_the_bounds_of_the_model_are_code_lengths(name):
    """Before training and after, for each head and alphabet: the sum is at most 1, so no law is
    coded in less than its entropy. With logits the bound is at first the code length of
    independent values, of every state."""
    alphabet, head, states, bins = MODELS[name]
    law = law_of(states)
    size = num_outputs(head, alphabet, states.shape[1])
    network = ModulatedMLP(16, 1, num_outputs=size, dropout=0.1)
    denoiser = GridDenoiser(network, alphabet, head)
    examples = states[np.random.default_rng(0).choice(len(states), (300, 64), p=law)]
    marginals = Marginals.of(examples.reshape(-1, states.shape[1]), alphabet)
    levels = AdaptiveLevels.create(LOW, warmth.log_snr_of_bins(bins, alphabet.spacing), bins=8)
    params = denoiser.init(jax.random.key(0), states[:1])
    both_params, levels = train(denoiser, params, marginals, levels, jax.random.key(1), examples)
    draws = 128 if alphabet.kind == "one_hot" else 64  # each enough for an error below 0.03
    key = jax.random.key(2)
    lengths = draw_lengths(denoiser, both_params, marginals, key, states, levels, draws)
    before, after = np.asarray(lengths, np.float64)
    for draws in (before, after):
        total, stderr = kraft.kraft_sum(draws)
        assert stderr < 0.03 and total < 1 + NUM_SIGMAS * stderr
    gain, stderr = mean_length(before - after, law)
    assert gain > NUM_SIGMAS * stderr
    entropy = -(law @ np.log(law))
    mean, stderr = mean_length(after, law)
    assert stderr < 0.03 and mean > entropy - NUM_SIGMAS * stderr
    if head == "logits":
        log_frequency = np.asarray(marginals.log_frequency, np.float64)
        independent = -log_frequency[np.arange(states.shape[1]), states].sum(axis=1)
        assert_mean((before - independent).mean(axis=0), 0.0)
        total, stderr = kraft.kraft_sum(before)
        assert abs(total - 1) < NUM_SIGMAS * stderr
