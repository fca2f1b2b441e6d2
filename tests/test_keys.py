"""Keys by name: no two purposes of a run, and no two seeds, share random numbers."""

import ast
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_distinct_keys, record_keys

from configs.diffusion_encoder import factor_analysis
from diffenc import keys
from diffenc.information.training import flows
from experiments.diffusion_encoder import __main__ as diffusion_encoder
from experiments.diffusion_encoder.settings import read_experiment

ROOT = Path(__file__).resolve().parents[1]
SEEDED = ("key", "PRNGKey", "default_rng", "RandomState")
FIXED = {  # what the seed of a run is not to move
    "diffenc/run/data.py": 1,  # which examples are held out
    "experiments/mutual_information/samples.py": 1,  # the task joint_gaussian_25x15 is one channel
    "diffenc/latent/diffusion_decoder.py": 1,  # the noises whose draws are averaged for E[x|z]
    "diffenc/information/coordinates/gaussian.py": 1,  # directions along which normality is tested
    "diffenc/information/benchmark/beyond.py": 2,  # what tasks are made of
    "experiments/benchmarks/wild_samples.py": 3,  # what situations are made of
    "diffenc/information/samples/repeats.py": 1,  # the direction along which equal rows are sorted
}


def test_a_split_and_a_fold_of_one_key_are_the_same():
    """Why a purpose has a name: neither another number of parts nor an index makes another key."""

    @jax.jit
    def parts(key):
        of_three, of_four = [jax.random.split(key, count)[:3] for count in (3, 4)]
        folded = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(3))
        return jax.tree.map(jax.random.key_data, (of_three, of_four, folded))

    with jax.debug_key_reuse(False):
        of_three, of_four, folded = parts(jax.random.key(3))
    np.testing.assert_array_equal(of_three, of_four)
    np.testing.assert_array_equal(of_three, folded)
    by_one_program = keys.split_key(jax.random.key(3), 3)
    np.testing.assert_array_equal([jax.random.key_data(key) for key in by_one_program], folded)


def data(key) -> tuple:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_names_and_seeds_make_keys_that_differ_with_all_that_is_split_from_them():
    names = [
        ("a",),
        ("b",),
        ("a", "b"),
        ("ab",),
        ("a", 0),
        ("a", 1),
        ("a", "1"),
        ("a", 1, 0),
        ("a", 10),
    ]
    assert_distinct_keys({(seed, *name) for seed in (0, 1, 7) for name in names})
    assert data(keys.key_of(0, "a", 1)) == data(keys.key_of(0, "a", 1))
    draws = [keys.rng_of(seed, *name).random() for seed in (0, 1, 7) for name in names]
    assert len(set(draws)) == len(draws)
    assert keys.rng_of(0, "a").random() == keys.rng_of(0, "a").random()


def test_a_key_without_a_name_is_refused():
    for names in ((), (1,), ("a", 1.5), ("a", None)):
        with pytest.raises(TypeError, match="a key has a name"):
            keys.key_of(0, *names)


def test_a_seed_becomes_a_key_in_one_place():
    """No call of jax.random.key or of numpy's generators in diffenc or experiments, but in
    diffenc/keys.py."""
    found = {}
    for path in itertools.chain(
        (ROOT / "diffenc").rglob("*.py"), (ROOT / "experiments").rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in SEEDED
            ):
                if ast.unparse(node.func.value) in (
                    "jax.random",
                    "random",
                    "np.random",
                    "numpy.random",
                ):
                    name = str(path.relative_to(ROOT))
                    found[name] = found.get(name, 0) + 1
    assert found.pop("diffenc/keys.py") == 3
    assert found == FIXED


def test_the_truth_of_factor_analysis_and_the_model_start_from_keys_of_their_own(monkeypatch):
    experiment = read_experiment(factor_analysis.get_config())
    asked = record_keys(monkeypatch)
    dataset, _ = diffusion_encoder.load(experiment)
    diffusion_encoder.make_systems(experiment, dataset)
    assert len(asked) >= 6  # weight, mean, two parts of the data; encoder, decoder
    assert_distinct_keys(asked)


def test_the_flows_of_x_and_y_start_apart():
    """Blocks of equal dimensions had the very same network at first."""
    state = flows._initialize(jax.random.key(0), (2, 2), flows.FlowSettings())
    of_x, of_y = [
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(one)]) for one in state.averages
    ]
    assert of_x.shape == of_y.shape and not np.array_equal(of_x, of_y)
