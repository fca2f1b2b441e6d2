"""Noise levels that training learns: a density of its own draws in any state, and the best one once
the function is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.adaptive_levels import FLOOR, AdaptiveLevels
from diffenc.diffusion.noise_levels import Alpha2, stratified_uniform
from diffenc.errors import InputError

LOW, HIGH, BINS = -6.0, 9.0, 12
UNIFORM = (np.arange(40_000) + 0.5) / 40_000
CENTRES = LOW + (HIGH - LOW) * (np.arange(BINS) + 0.5) / BINS
# A function of the level and of chance, with these first and second moments in each bin.
MEAN = np.exp(-0.5 * np.square((CENTRES - 1) / 3))
SQUARE = np.square(MEAN) * (1 + np.linspace(0.0, 3.0, BINS))


def make(rule, **moments):
    return AdaptiveLevels.create(LOW, HIGH, rule, BINS).replace(**moments)


def any_state(rule, seed):
    rng = np.random.default_rng(seed)
    first, second, seen = rng.uniform(size=(3, BINS)).astype(np.float32)
    return make(rule, first=first, second=second, seen=200 * seen)


@jax.jit
def draw(levels):
    log_snr, density = levels.draw(UNIFORM)
    return log_snr, density, levels.masses


STATES = {
    "new": make("variance"),
    "variance": any_state("variance", 0),
    "entropy": any_state("entropy", 1),
    "nothing-lost": make("entropy", seen=jnp.ones(BINS)),
}


@pytest.mark.parametrize("name", STATES)
def test_in_any_state_the_density_is_that_of_the_draws(name):
    """The uniform numbers are strata, so sums over them are integrals up to 1 / 40,000."""
    log_snr, density, masses = map(np.asarray, draw(STATES[name]))
    assert np.all(np.diff(log_snr) >= 0) and log_snr[0] >= LOW and log_snr[-1] <= HIGH
    np.testing.assert_allclose(masses.sum(), 1.0, rtol=1e-6)
    assert masses.min() > 0.999 * FLOOR / BINS
    counts, edges = np.histogram(log_snr, BINS, (LOW, HIGH))
    np.testing.assert_allclose(counts / len(UNIFORM), masses, atol=1e-4)
    width = edges[1] - edges[0]
    np.testing.assert_allclose(np.interp(CENTRES, log_snr, density), masses / width, rtol=1e-5)
    bump = np.exp(-0.5 * np.square(log_snr - 1.0)) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(np.mean(1 / density), HIGH - LOW, rtol=1e-3)
    np.testing.assert_allclose(np.mean(bump / density), 1.0, rtol=1e-3)
    if name in ("new", "nothing-lost"):
        np.testing.assert_allclose(masses, 1 / BINS, rtol=1e-6)


def bin_of(log_snr):
    index = ((log_snr - LOW) / (HIGH - LOW) * BINS).astype(jnp.int32)
    return jnp.clip(index, 0, BINS - 1)


@functools.partial(jax.jit, static_argnames="num_updates")
def learn(key, levels, scale, num_updates=3500):
    """Learn from values with the moments above, times a scale."""

    def update(levels, key):
        key_level, key_value = jax.random.split(key)
        log_snr, density = levels.draw(stratified_uniform(key_level, (64,)))
        index = bin_of(log_snr)
        mean = jnp.asarray(MEAN, jnp.float32)[index]
        spread = jnp.sqrt(jnp.asarray(SQUARE - MEAN**2, jnp.float32))[index]
        sign = jax.random.rademacher(key_value, (64,), jnp.float32)
        levels = levels.learn(log_snr, density, scale * (mean + spread * sign))
        return levels, levels.masses

    return jax.lax.scan(update, levels, jax.random.split(key, num_updates))


def second_moment(masses):
    """E[(f / q)^2] of draws from these bins."""
    return np.sum(np.square((HIGH - LOW) / BINS) * SQUARE / masses)


def test_it_learns_the_density_of_least_variance():
    """Means over blocks of 250 updates, which remember 100 each, are next to independent."""
    _, masses = learn(jax.random.key(0), make("variance"), 1.0)
    blocks = np.asarray(masses[1000:], np.float64).reshape(-1, 250, BINS).mean(axis=1)
    best = (1 - FLOOR) * np.sqrt(SQUARE) / np.sqrt(SQUARE).sum() + FLOOR / BINS
    assert_mean(blocks, best, largest_stderr=0.02, scale=best)
    second_moments = [second_moment(masses) for masses in blocks]
    least = np.square(np.sqrt(SQUARE).sum() * (HIGH - LOW) / BINS)
    assert min(second_moments) > least and max(second_moments) < least / (1 - FLOOR)
    assert max(second_moments) < 0.7 * second_moment(np.full(BINS, 1 / BINS))


def test_the_unit_of_the_values_does_not_matter():
    one, thousand = (learn(jax.random.key(1), make("variance"), s, 40)[1] for s in (1.0, 1e3))
    np.testing.assert_allclose(one, thousand, rtol=1e-4)


def test_information_is_lost_linearly_in_time():
    """With the rule "entropy", but for the uniform share."""
    levels, _ = learn(jax.random.key(2), make("entropy"), 1.0)
    log_snr, _, _ = map(np.asarray, draw(levels))
    edges = LOW + (HIGH - LOW) * np.arange(BINS + 1) / BINS
    lost = np.interp(log_snr, edges, np.concatenate([[0.0], np.cumsum(MEAN)]) / MEAN.sum())
    assert np.abs(lost - UNIFORM).max() < FLOOR
    learned = np.cumsum(np.asarray(levels.mean)) / np.sum(levels.mean)
    at_edges = np.interp(edges[1:], log_snr, UNIFORM)
    share = FLOOR * (np.arange(BINS) + 1) / BINS
    np.testing.assert_allclose((at_edges - share) / (1 - FLOOR), learned, atol=1e-4)


@jax.jit
def learn_by_another_density(keys, levels):
    """The levels after 60 updates whose levels Alpha2 drew, for each key."""
    drawn = Alpha2(LOW, HIGH)

    def update(levels, key):
        log_snr, density = drawn.draw(stratified_uniform(key, (64,)))
        return levels.learn(log_snr, density, jnp.asarray(MEAN, jnp.float32)[bin_of(log_snr)]), None

    def of_key(key):
        return jax.lax.scan(update, levels, jax.random.split(key, 60))[0]

    return jax.lax.map(of_key, keys)


def test_all_bins_remember_equally_by_whatever_density_levels_were_drawn():
    """A bin has taken in 60 updates on average, in a bin of one draw in 45 updates as in one of six
    draws in each."""
    learned = learn_by_another_density(jax.random.split(jax.random.key(3), 400), make("variance"))
    assert_mean(np.asarray(learned.seen, np.float64), np.full(BINS, 60.0), largest_stderr=0.06)
    values = np.where(learned.seen > 0, MEAN, 0.0)
    np.testing.assert_allclose(learned.first, values, rtol=1e-4)


@jax.jit
def learn_what_falls(levels):
    """Values of first moment 30 / n in update n, one in every bin."""
    log_snr = jnp.asarray(CENTRES, jnp.float32)
    density = jnp.full(BINS, 1 / (HIGH - LOW))

    def update(levels, step):
        values = jnp.full(BINS, 30.0) / step
        return levels.learn(log_snr, density, values), levels.first[0]

    return jax.lax.scan(update, levels, jnp.arange(1.0, 1001.0))[1]


def test_the_memory_starts_short_and_has_an_end():
    """Update t of n weighs (t / n)^4 - ((t - 1) / n)^4, and from update 400 on, where that would
    remember more than 100 updates, like exp(-(n - t) / 100). Both sums are exact up to rounding."""
    means = np.asarray(learn_what_falls(make("variance")), np.float64)

    def powers(n):
        t = np.arange(1, n + 1)
        return np.sum((t**4.0 - (t - 1) ** 4.0) / n**4 * 30 / t)

    for n in (1, 40, 200, 400):
        np.testing.assert_allclose(means[n], powers(n), rtol=1e-4)
    t = np.arange(401, 1000)
    late = -np.expm1(-1 / 100) * np.sum(np.exp(-(999 - t) / 100) * 30 / t)
    expected = np.exp(-(999 - 400) / 100) * powers(400) + late
    np.testing.assert_allclose(means[999], expected, rtol=1e-4)


def test_a_bin_that_saw_no_draw_keeps_its_means():
    levels = any_state("variance", 3)
    log_snr = np.full(5, CENTRES[4], np.float32)
    after = jax.jit(AdaptiveLevels.learn)(levels, log_snr, np.ones(5), np.ones(5))
    for before, moved in zip(*map(jax.tree.leaves, (levels, after)), strict=True):
        assert np.asarray(before)[4] != np.asarray(moved)[4]
        np.testing.assert_array_equal(np.delete(before, 4), np.delete(moved, 4))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1.0, 1.0), "log_snr from 1.0 to 1.0"),
        ((0.0, float("inf")), "log_snr from 0.0 to inf"),
        ((0.0, 1.0, "variances"), "rule is 'variances': .*nearest: variance"),
        ((0.0, 1.0, "variance", 0), "bins is 0: give 1 or more"),
    ],
)
def test_bad_input_names_the_culprit(arguments, message):
    with pytest.raises(InputError, match=message):
        AdaptiveLevels.create(*arguments)
