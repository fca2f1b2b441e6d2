"""Random keys by name: the one place where a seed becomes a key, or a generator of numpy.

Offsets of a seed collide (seed 0 + 1 is seed 1 + 0), and so do two splits of one key: with JAX's
partitionable threefry, split(key, 3)[i] = split(key, 4)[i] = fold_in(key, i). A purpose therefore
has a name, the name is hashed, and the hash is folded into the key of the seed: names that differ
give unrelated keys, and so do seeds. What a key is used for splits it once, or folds steps into it,
and never does both.
"""

import json
import zlib

import jax
import numpy as np


def key_of(seed: int, *names: str | int) -> jax.Array:
    """Make the key of a purpose: key_of(config.seed, "evaluation", "vae").

    Args:
        seed: the seed of the run, a whole number of 0 or more.
        *names: what the key is for, a string first; numbers may follow, such as a step or which of
            several systems.

    Returns:
        A typed key.
    """
    key = jax.random.key(seed % 2**32)
    rest = seed >> 32
    while rest > 0:  # jax.random.key would drop what is beyond 32 bits
        key = jax.random.fold_in(key, rest % 2**32)
        rest = rest >> 32
    return jax.random.fold_in(key, _hash(names))


def split_key(key: jax.Array, count: int = 2) -> list[jax.Array]:
    """Split a key outside of compiled code: as `jax.random.split`, by one program for all counts.

    JAX's check of keys that are used twice does not see that this key is used up.

    Args:
        key: a key.
        count: number of keys.

    Returns:
        The keys; key i is fold_in(key, i), which is what JAX's partitionable threefry splits into.
    """
    return [jax.random.fold_in(key, i) for i in range(count)]


def rng_of(seed: int, *names: str | int) -> np.random.Generator:
    """Make numpy's generator of a purpose, named as in `key_of`."""
    return np.random.default_rng((seed, _hash(names)))


def generator(key: jax.Array) -> np.random.Generator:
    """Make numpy's generator as a function of a key.

    It is for float64 samples and for what numpy does on the host.
    """
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())


def _hash(names) -> int:
    is_named = bool(names) and isinstance(names[0], str)
    if not is_named or not all(isinstance(name, str | int) for name in names):
        raise TypeError(f"a key has a name, a string before numbers, not {names}")
    # As JSON, so that ("a", "b") is not ("ab",) and "1" is not 1.
    return zlib.crc32(json.dumps(names).encode())
