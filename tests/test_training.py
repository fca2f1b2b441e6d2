"""Many updates in one dispatch: one trace, the same as one by one, and the same on any number of
devices."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffenc import training
from diffenc.errors import InputError
from diffenc.latent import chains, decoders, em
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser
from diffenc.run import parallel
from diffenc.run.order import batch_indices

DATA = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
OPTIMIZER = training.make_optimizer(0.1, 40)


@jax.jit
def make_state():
    return training.TrainState.create({"w": jnp.ones(3)}, OPTIMIZER)


def update(state, key, x):
    noise = jax.random.normal(key, (3,))
    loss, grads = jax.value_and_grad(
        lambda p: jnp.mean(jnp.sum((x - (p["w"] + noise)[None]) ** 2, axis=-1))
    )(state.params)
    return state.apply_gradients(grads, OPTIMIZER, 0.999), {"loss": loss}


def prepare(key, rows):
    return rows + 0.1 * jax.random.normal(key, rows.shape)


RUN = training.scan_updates(update, prepare)


def test_a_scan_of_updates_is_traced_once_and_equals_one_by_one():
    traces = []

    def counted(state, key, x):
        traces.append(0)
        return update(state, key, x)

    run, indices = training.scan_updates(counted, prepare), batch_indices(0, 0, 12, 8, 50)
    state, losses = make_state(), []
    for part in (indices[:4], indices[4:8], indices[8:]):
        state, metrics = run(state, jax.random.key(1), DATA, part)
        losses.extend(np.asarray(metrics["loss"]))
    assert len(traces) == 1 and run._cache_size() == 1

    @jax.jit
    def one(state, step, rows):
        key_prepare, key_update = jax.random.split(jax.random.fold_in(jax.random.key(1), step))
        return update(state, key_update, prepare(key_prepare, rows))

    expected = make_state()
    for step in range(12):
        expected, metrics = one(expected, step, DATA[indices[step]])
        np.testing.assert_allclose(losses[step], metrics["loss"], rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), state, expected
    )
    assert state.step == 12


def test_how_many_updates_a_dispatch_makes_changes_no_bit():
    indices, ends = batch_indices(0, 0, 12, 8, 50), []
    for size in (12, 3):
        state = make_state()
        for start in range(0, 12, size):
            state, _ = RUN(state, jax.random.key(1), DATA, indices[start : start + size])
        ends.append(state)
    jax.tree.map(np.testing.assert_array_equal, *ends)


def test_the_state_is_donated_with_its_average():
    state = make_state()
    np.testing.assert_array_equal(state.averages["w"], state.params["w"])
    RUN(state, jax.random.key(1), DATA, batch_indices(0, 0, 3, 8, 50))
    assert state.params["w"].is_deleted() and state.averages["w"].is_deleted()


def test_the_average_forgets_slowly_but_not_at_the_start():
    optimizer = optax.sgd(1.0)
    apply = jax.jit(lambda state: state.apply_gradients(jnp.ones(()), optimizer, 0.7))
    state, expected = jax.jit(training.TrainState.create, static_argnums=1)(0.0, optimizer), 0.0
    for step in range(30):
        state = apply(state)
        decay = min(0.7, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * -(step + 1.0)
    np.testing.assert_allclose(state.averages, expected, rtol=1e-5)


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_the_optimizer_warms_up_descends_and_clips(clip_norm):
    optimizer = training.make_optimizer(0.1, 100, warmup=1000, clip_norm=clip_norm)

    @jax.jit
    def updates():
        """The steps of the first parameter, and the state at the end."""
        params = jnp.zeros(2)

        def step(state, _):
            updates, state = optimizer.update(jnp.array([3.0, 4.0]), state, params)
            return state, -updates[0]

        return jax.lax.scan(step, optimizer.init(params), length=101)

    state, sizes = jax.device_get(updates())
    # Adam's step for a constant gradient is the learning rate itself
    np.testing.assert_allclose(sizes[:51], 0.1 * np.arange(51) / 50, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(sizes[75], 0.05, rtol=1e-3)
    assert np.all(np.diff(sizes[50:]) < 0) and sizes[100] < 1e-6
    first_moment = optax.tree_utils.tree_get(state, "mu")
    np.testing.assert_allclose(
        first_moment, np.array([3.0, 4.0]) * (1 if clip_norm is None else 0.1), rtol=1e-3
    )


@pytest.mark.parametrize("clip_norm", [0.5, 100.0, np.inf])
def test_gradients_are_clipped_as_by_optax(clip_norm):
    rng = np.random.default_rng(0)
    grads = [rng.normal(size=shape).astype(np.float32) for shape in ((), (3,), (4, 5), (2, 3, 4))]
    ours, theirs = training._clip(clip_norm), optax.clip_by_global_norm(clip_norm)

    @jax.jit
    def clip(grads):
        return [of.update(grads, of.init(grads)) for of in (ours, theirs)]

    (clipped, state), (expected, expected_state) = clip(grads)
    assert state == expected_state
    chex.assert_trees_all_close(clipped, expected, rtol=1e-6)
    (broken, _), _ = clip([*grads[:-1], np.full_like(grads[-1], np.nan)])
    assert np.isnan(broken[0])


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_accumulated_gradients_make_the_step_of_their_mean(clip_norm):
    """Twelve updates are four steps of Adam, each with the mean of three gradients; the average of
    the parameters moves with every update."""
    accumulated = training.make_optimizer(0.1, 14, 9, clip_norm, accumulate=3)
    plain = training.make_optimizer(0.1, 4, 3, clip_norm)
    grads = np.random.default_rng(3).normal(size=(12, 2)).astype(np.float32)

    @functools.partial(jax.jit, static_argnums=1)
    def follow(grads, optimizer):
        """The states after each update."""

        def step(state, grad):
            state = state.apply_gradients({"w": grad}, optimizer, 0.5)
            return state, (state.params["w"], state.averages["w"])

        state = training.TrainState.create({"w": jnp.ones(2)}, optimizer)
        return jax.lax.scan(step, state, grads)

    state, (params, averages) = jax.device_get(follow(grads, accumulated))
    _, (expected, _) = jax.device_get(follow(grads.reshape(4, 3, 2).mean(axis=1), plain))
    rounding = 1e-6  # of parameters of size 1, after four steps
    before = np.concatenate([np.ones((1, 2)), expected[:-1]])
    np.testing.assert_allclose(params[2::3], expected, rtol=0, atol=rounding)
    np.testing.assert_array_equal(params[1::3], params[::3])
    np.testing.assert_allclose(params[::3], before, rtol=0, atol=rounding)
    assert state.step == 12 and np.all(expected[1:] != expected[:-1])

    average = np.ones(2)
    for step, value in enumerate(params):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * value
        np.testing.assert_allclose(averages[step], average, rtol=1e-6)


@pytest.mark.parametrize(
    ("accumulate", "message"), [(0, "give 1 or more"), (1.5, "a whole number"), (11, "at most")]
)
def test_an_accumulation_that_cannot_be_is_refused(accumulate, message):
    with pytest.raises(InputError, match=f"accumulate is {accumulate}: .*{message}"):
        training.make_optimizer(0.1, 10, accumulate=accumulate)


def test_the_alternating_update_does_not_depend_on_the_number_of_devices():
    """Twenty updates of a diffusion encoder on blocks of bits, on one device and on four."""
    rng = np.random.default_rng(0)
    bits = (
        rng.random((200, 16)) < rng.choice([0.1, 0.9], (4, 16))[rng.integers(0, 4, 200)]
    ).astype(np.float32)
    encoder = DiffusionEncoder(
        ConditionalDenoiser(latent_dim=2, embed_features=(16,), features=(16,))
    )
    decoder, settings = (
        decoders.make("bernoulli", 16, (16,)),
        em.Settings(e_step="langevin", langevin_steps=2, sampler_steps=2, draws=2),
    )
    optimizer = training.make_optimizer(1e-3, 20)
    make_update = em.make_update(encoder, decoder, settings, optimizer)

    @jax.jit
    def initial():
        params = {
            "encoder": encoder.init(jax.random.key(0), jnp.zeros((1, 16))),
            "decoder": decoder.init(jax.random.key(1), 2),
        }
        return training.TrainState.create(params, optimizer, chains.ChainState.create(settings))

    found = []
    for num_devices in (1, 4):
        mesh, run = (
            parallel.data_mesh(num_devices),
            training.scan_updates(make_update, lambda key, rows: rows),
        )
        state, train = parallel.replicate(mesh, initial()), parallel.replicate(mesh, bits)
        indices = [
            parallel.shard_batch(mesh, batch_indices(0, start, 10, 16, 200), axis=1)
            for start in (0, 10)
        ]
        key, parts = parallel.replicate(mesh, jax.random.key(2)), []
        for part in indices:
            state, metrics = run(state, key, train, part)
            parts.append(jax.device_get(metrics))
        assert run._cache_size() == 1, (
            "the state that comes back has the type of the state that went in"
        )
        found.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
    for name in ("encoder_loss", "decoder_loss", "acceptance"):
        assert np.isfinite(found[0][name]).all()
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-5, err_msg=name)
