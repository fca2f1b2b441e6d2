"""Flows: the identity at first, exact where the velocity is linear, and honest between halves. That
they are of use where a map hides a relation is held by the spiral of five_of_the_forty."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS
from scipy.linalg import expm

from diffenc.compilation import init
from diffenc.information.benchmark import pairs
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.settings import FlowSettings, Settings
from diffenc.information.training import flows

TINY = Settings(flow=FlowSettings(width=8, steps=2, batch_size=32, updates=5, rounds=4))


def halves_of(task, seed, n):
    x, y = task.sample(jax.random.key(seed), 2 * n)
    rng = np.random.default_rng(seed)
    return Pair(*(gaussian.block_scores(rng, block).reshape(2, n, -1) for block in (x, y)))


def test_an_untrained_flow_is_the_identity():
    network = flows.make_network(3, TINY.flow)
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    params = init(network, jax.random.key(1), x)

    @jax.jit
    def flow(x):
        return flows.flow(lambda x: network.apply(params, x), x, jnp.ones_like(x), 4)

    image, log_det, roughness = flow(x)
    assert np.array_equal(image, x) and not log_det.any() and not roughness.any()
    read, move = np.split(np.asarray(jax.jit(network.coordinate_norms)(params)), 2)
    assert np.all(read > 0.1) and np.all(move < 1e-3)


def test_a_linear_velocity_has_a_closed_form():
    """dx/ds = A x: the image is exp(A) x up to the square of the step, log|det| is tr A."""
    matrix = np.array([[0.3, -0.8, 0.1], [0.5, -0.4, 0.2], [-0.3, 0.1, 0.6]], np.float32)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 3)).astype(np.float32)
    probe = rng.choice(np.float32([-1, 1]), size=x.shape)

    @functools.partial(jax.jit, static_argnums=1)
    def flow(matrix, steps):
        return flows.flow(lambda x: x @ matrix.T, x, probe, steps)

    errors = []
    for steps in (4, 8):
        image, log_det, roughness = map(np.asarray, flow(matrix, steps))
        errors.append(np.abs(image - x @ expm(matrix).T).max())
        assert abs(log_det.mean() - np.trace(matrix)) < NUM_SIGMAS * log_det.std() / len(x) ** 0.5
        assert not roughness.any()  # the map bends little within a step
    assert 3 < errors[0] / errors[1] < 5
    _, _, roughness = flow(3 * np.eye(3, dtype=np.float32), 4)
    np.testing.assert_allclose(roughness, 4 * (3.0 / 4 - 0.5) ** 2, rtol=1e-4)


def test_information_of_halves():
    """Of both together where they share coordinates, else the mean; linear maps of a half change
    nothing then; half of the optimism is added."""
    pair = halves_of(pairs.dense(2, 3, 0.5), 1, 400)
    together = gaussian.gaussian_information(pair.x.reshape(800, -1), pair.y.reshape(800, -1))
    assert halved_pair.information(pair, regression.linear).mean == pytest.approx(together.mean)
    turn = np.stack([np.eye(2), [[0.3, 2.0], [-1.0, 0.5]]])
    mapped = Pair(pair.x @ turn, pair.y, own=(pair.x, pair.y))
    single = [gaussian.gaussian_information(x, y) for x, y in zip(pair.x, pair.y, strict=True)]
    found = halved_pair.information(mapped._replace(optimism=0.2), regression.linear)
    assert found.mean == pytest.approx(np.mean([part.mean for part in single]) + 0.1)
    assert found.pointwise.shape == (800,) and found.pointwise.mean() == pytest.approx(found.mean)
    assert halved_pair.information(mapped.exchange(), regression.linear).mean == pytest.approx(
        found.mean - 0.1
    )
    assert halved_pair.regressors(mapped, halved_pair.MEAN).mean.shape == (2, 400, 7)


def test_a_half_is_mapped_by_the_flows_of_the_other():
    """Other flows of the first half change its image by itself, and of the second half's samples:
    linear maps apart, which regression takes out, not the first half's in the coordinates of the
    second."""
    rng = np.random.default_rng(2)
    blocks = tuple(rng.normal(size=(2, 50, dim)).astype(np.float32) for dim in (2, 1))

    def params(*seeds):
        return [jax.tree.map(lambda *a: np.stack(a), *moving_params(TINY.flow, *seeds)), {}]

    crossed = flows._images(params(3, 5), blocks, TINY.flow)
    other = flows._images(params(4, 5), blocks, TINY.flow)
    own = Pair(*crossed.own)
    other_own = Pair(*other.own)
    np.testing.assert_array_equal(crossed.x[0], other.x[0])
    assert np.abs(crossed.x[1] - other.x[1]).max() > 0.05
    np.testing.assert_array_equal(own.x[1], other_own.x[1])
    assert np.abs(own.x[0] - other_own.x[0]).max() > 0.05
    np.testing.assert_allclose(crossed.y, blocks[1] - blocks[1].mean(), atol=1e-6)


def test_pairs_without_need_stay_as_they_are():
    scalars = halves_of(pairs.bivariate(0.75), 3, 100)
    assert flows.learn(jax.random.key(4), scalars, TINY).own is None
    linear_part, told = halves_of(pairs.dense(2, 2, 0.5), 4, 500), []
    learned = flows.learn(
        jax.random.key(5), linear_part, TINY, lambda updates, value: told.append(updates)
    )
    assert learned.own is None and told[:3] == [5, 10, 15]


def test_flows_that_diverge_are_dropped(monkeypatch):
    """Where all rounds diverge there is none; where one diverges the others count."""
    pair = halves_of(pairs.dense(2, 2, 0.5), 4, 500)
    advance = flows.advance
    steps = []
    bad = None  # the number of the round that diverges, and None for each

    def poisoned(state, *arguments):
        steps.append(int(state.step))
        state = advance(state, *arguments)
        if bad is None or len(steps) == bad:
            state = jax.tree.map(lambda a: a * jnp.nan if a.dtype == jnp.float32 else a, state)
        return state

    monkeypatch.setattr(flows, "advance", poisoned)
    told = []
    learned = flows.learn(jax.random.key(5), pair, TINY, lambda *values: told.append(values))
    assert learned.own is None and np.isfinite(told).all()
    bad = 2
    steps.clear()
    told = []
    flows.learn(jax.random.key(5), pair, TINY, lambda updates, value: told.append(updates))
    assert steps[:3] == [0, 5, 0] and told[:2] == [5, 15]


def test_another_pair_is_better_only_by_several_errors():
    """Of y as it is, and of y with noise of its own; optimism does not count."""
    pair = halves_of(pairs.dense(2, 2, 0.5), 12, 500)
    noise = np.random.default_rng(13).normal(size=pair.y.shape)
    noisy = pair._replace(y=pair.y + 0.5 * noise)
    noisier = pair._replace(y=pair.y + noise)
    assert halved_pair.better(noisy, pair, 3.0) is pair
    assert halved_pair.better(pair, noisy, 3.0) is pair
    assert halved_pair.better(noisy, pair, 1e3) is noisy
    assert (
        halved_pair.better(pair, pair._replace(y=pair.y @ np.array([[0.3, 2.0], [-1.0, 0.5]])), 3.0)
        is pair
    )  # the same
    assert halved_pair.better(noisy, noisier._replace(optimism=9.0), 3.0) is noisy


def moving_params(settings, *seeds):
    """Of flows of the plane that move points."""
    network = flows.make_network(2, settings)
    each = [init(network, jax.random.key(seed), np.zeros((1, 2), np.float32)) for seed in seeds]
    for seed, one in zip(seeds, each, strict=True):
        kernel = one["params"]["output"]["kernel"]
        noise = np.random.default_rng(seed).normal(size=kernel.shape)
        one["params"]["output"]["kernel"] = np.float32(0.3 * noise)
    return each


def test_likelihood_counts_the_volume():
    """-log N of the images less log|det| of the map, against its Jacobian by differentiation; and
    the prices."""
    settings = FlowSettings(width=8, sparsity_price=0.0, roughness_price=0.0, steps=16)
    pair = pairs.dense(2, 2, 0.5).sample(jax.random.key(6), 2000)
    blocks = [np.float32(block) for block in pair]
    params = moving_params(settings, 8, 10)

    def image(params, x):
        return flows._run(params, x[None], jnp.zeros((1, 2)), settings)[0][0]

    @jax.jit
    def map_all(params, block):
        points = functools.partial(image, params)
        slopes = jax.vmap(jax.jacfwd(points))(block)
        return jax.vmap(points)(block), jnp.mean(jnp.linalg.slogdet(slopes)[1])

    images, volumes = zip(*map(map_all, params, blocks), strict=True)
    volume = sum(map(float, volumes))
    covariance = np.cov(np.concatenate(images, axis=1).T, bias=True)
    likelihood = jax.jit(flows.negative_log_likelihood, static_argnames="settings")
    found = [float(likelihood(params, jax.random.key(k), blocks, settings, 0.0)) for k in range(20)]
    error = (
        NUM_SIGMAS * np.std(found, ddof=1) / 20**0.5 + 2e-3
    )  # of the directions, and of the steps
    assert abs(volume) > 5 * error
    assert abs(np.mean(found) - (0.5 * np.linalg.slogdet(covariance)[1] - volume)) < error
    coordinate_norms = jax.jit(flows.make_network(2, settings).coordinate_norms)
    norms = sum(float(np.sum(coordinate_norms(one))) for one in params)
    more = float(likelihood(params, jax.random.key(9), blocks, settings, 1e-3))
    less = float(likelihood(params, jax.random.key(9), blocks, settings, 0.0))
    assert more - less == pytest.approx(2e-3 * norms, rel=1e-2)
