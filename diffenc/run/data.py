"""Data sets as arrays held whole in memory, checked once, and the order in which training visits
them.

The order is a pure function of (seed, step), so a resumed run has no iterator to restore.
"""

import functools
import logging
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.keys import rng_of
from diffenc.run import files

MIN_EXAMPLES = 100
READ_AT_ONCE = 1000
_LOG = logging.getLogger("diffenc")
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    IndexError,
    EOFError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Dataset:
    """Train and test examples, [n, h, w, c] images or [n, d] vectors, with labels [n] int32 where
    there are any.

    `max_value`: the intensity that counts as one (16 for digits, 255 for bytes, 1 for numbers in
    [0, 1]), None for real-valued vectors.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    max_value: float | None

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.shape[1:]


def load(
    name: str,
    data_dir=None,
    path=None,
    test_fraction: float = 0.1667,
    seed: int = 0,
    cache_dir=None,
) -> Dataset:
    """The data set called `name`: 'digits' (8x8), 'file' (your arrays, at `path`), or an image data
    set of TFDS.

    'file' reads .npy, or .npz with x (and labels), or with train and test (and train_labels,
    test_labels). What has no test part is split by `seed`, in the same proportions of labels;
    experiments leave it at 0, so that the seed of a run does not move its test set. `data_dir`:
    where TFDS data sets lie prepared; `cache_dir`: where their decoded arrays are kept. Raises
    InputError for anything missing, damaged or unfit.
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"test_fraction is {test_fraction}: give a number between 0 and 1")
    if name == "digits":
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images = images.astype(np.uint8).reshape(-1, 8, 8, 1)
        return _split(name, images, labels.astype(np.int32), 16.0, test_fraction, seed)
    if name == "file":
        return _load_file(path, test_fraction, seed)
    return _load_tfds(name, data_dir, cache_dir)


def hold_out(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """`dataset` with `count` random training examples taken out to stand in for its test set:
    settings are chosen on them, and the test set stays unseen. Raises InputError when fewer than
    MIN_EXAMPLES would be left to train on."""
    if not 2 <= count <= len(dataset.train) - MIN_EXAMPLES:
        raise InputError(
            f"data.validation is {count} of {len(dataset.train)} training examples: "
            f"give 2 to {len(dataset.train) - MIN_EXAMPLES}, or 0 for the test set"
        )
    order = rng_of(seed, "validation", count).permutation(len(dataset.train))
    held, kept = np.sort(order[:count]), np.sort(order[count:])
    labels = dataset.train_labels
    parts = (None, None) if labels is None else (labels[kept], labels[held])
    return Dataset(
        dataset.name, dataset.train[kept], dataset.train[held], *parts, dataset.max_value
    )


def binarize(key: jax.Array, rows: jax.Array, max_value: float) -> jax.Array:
    """Draw bits in {0., 1.} with probability rows / max_value, anew at each visit.

    This is dynamic binarization.

    Args:
        key: a random key.
        rows: intensities [n, ...].
        max_value: the intensity that counts as one.

    Returns:
        float32 [n, ...], of the shape of the rows.
    """
    rows = rows.astype("float32")
    return (jax.random.uniform(key, rows.shape) * max_value < rows).astype(rows.dtype)


def batch_indices(
    seed: int,
    step: int,
    num_steps: int,
    batch_size: int,
    num_examples: int,
    names: tuple[str | int, ...] = (),
) -> np.ndarray:
    """Which examples the updates step, ..., step + num_steps - 1 use: [num_steps, batch_size]
    int32.

    Update s takes positions s * batch_size, ... of the endless sequence of epochs; epoch e is the
    permutation drawn by the name ("order", *names, e) of the seed, so that several systems of a run
    have orders of their own. An update may straddle two epochs: every example is used exactly once
    in each. Raises InputError unless all counts are positive.
    """
    for label, value in (
        ("num_steps", num_steps),
        ("batch_size", batch_size),
        ("num_examples", num_examples),
    ):
        if value < 1:
            raise InputError(f"{label} is {value}: give at least 1")
    for label, value in (("seed", seed), ("step", step)):
        if value < 0:
            raise InputError(f"{label} is {value}: give 0 or more")
    first = int(step) * batch_size
    epochs, offsets = np.divmod(np.arange(first, first + num_steps * batch_size), num_examples)
    indices = np.empty(epochs.shape, np.int32)
    for epoch in range(epochs[0], epochs[-1] + 1):
        inside = epochs == epoch
        indices[inside] = _permutation(int(seed), names, int(epoch), num_examples)[offsets[inside]]
    return indices.reshape(num_steps, batch_size)


@functools.lru_cache(maxsize=2)
def _permutation(seed, names, epoch, num_examples):
    order = rng_of(seed, "order", *names, epoch).permutation(num_examples).astype(np.int32)
    order.setflags(write=False)
    return order


def _split(name, x, labels, max_value, test_fraction, seed) -> Dataset:
    """A random part becomes the test set: one in 1/test_fraction of a random order, sorted by label
    if any."""
    order = np.random.default_rng(seed).permutation(len(x))
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    counts = np.floor(np.arange(len(x) + 1) * test_fraction)
    test = np.zeros(len(x), bool)
    test[order[np.diff(counts) > 0]] = True
    if not test.any() or test.all():
        raise InputError(
            f"test_fraction {test_fraction} leaves {test.sum()} of {len(x)} examples to test: try 0.2"
        )
    parts = (None, None) if labels is None else (labels[~test], labels[test])
    return Dataset(name, x[~test], x[test], *parts, max_value)


def _load_file(path, test_fraction, seed) -> Dataset:
    if path is None:
        raise InputError("data set 'file' needs a path: give that of a .npy or .npz file")
    path = Path(path)
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"{path} is neither .npy nor .npz: save your array with numpy.save")
    if not path.is_file():
        raise InputError(f"{path} does not exist: give the path of a .npy or .npz file")
    arrays = _read_arrays(path)
    if "train" in arrays and "test" in arrays:
        bits = all(
            _are_bits(arrays[part]) for part in ("train", "test")
        )  # an all-black test set of bytes is none
        train, max_value = _check_examples(f"{path}: train", arrays["train"], bits=bits)
        test, test_max = _check_examples(f"{path}: test", arrays["test"], fewest=1, bits=bits)
        if train.shape[1:] != test.shape[1:] or max_value != test_max or train.dtype != test.dtype:
            raise InputError(
                f"{path}: train holds {train.dtype}{list(train.shape[1:])} examples of scale {max_value}, "
                f"test {test.dtype}{list(test.shape[1:])} of scale {test_max}: give both in the same form"
            )
        train_labels = _check_labels(path, "train_labels", arrays, len(train))
        test_labels = _check_labels(path, "test_labels", arrays, len(test))
        return Dataset(path.stem, train, test, train_labels, test_labels, max_value)
    key = next((key for key in ("x", "train") if key in arrays), None)
    if key is None:
        raise InputError(
            f"{path} holds {sorted(arrays)}: name its array x, or its two arrays train and test"
        )
    x, max_value = _check_examples(f"{path}: {key}", arrays[key])
    labels = _check_labels(path, "labels" if key == "x" else "train_labels", arrays, len(x))
    return _split(path.stem, x, labels, max_value, test_fraction, seed)


def _read_arrays(path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            return {key: loaded[key] for key in loaded.files}
    except UNREADABLE as error:
        if "Object arrays" in str(error):
            raise InputError(
                f"{path} holds an object array: give numbers of one shape, as by numpy.stack"
            ) from error
        raise InputError(
            f"{path} is damaged ({type(error).__name__}): save it again with numpy"
        ) from error


def _are_bits(x) -> bool:
    """Whether these are booleans, or integers that are all 0 or 1."""
    return x.dtype == bool or bool(
        np.issubdtype(x.dtype, np.integer) and x.size and x.min() >= 0 and x.max() <= 1
    )


def _check_examples(what, x, fewest=MIN_EXAMPLES, bits=True):
    """The examples as bytes or float32, images with a channel axis, and their `max_value`;
    InputError if unfit."""
    if not (
        np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer) or x.dtype == bool
    ):
        raise InputError(f"{what} has dtype {x.dtype}: give real numbers")
    if x.ndim not in (2, 3, 4):
        raise InputError(
            f"{what} has shape {x.shape}: give [n, d] vectors, or [n, h, w] or [n, h, w, c] images"
        )
    if len(x) < fewest:
        raise InputError(f"{what} has {len(x)} examples: give at least {fewest}")
    if x.size == 0:
        raise InputError(
            f"{what} has shape {x.shape}, no numbers at all: give examples of at least one dimension"
        )
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else x
    if narrow.dtype == np.float32 and not np.isfinite(narrow).all():
        bad = ~np.isfinite(narrow)
        first = tuple(int(index) for index in np.argwhere(bad)[0])
        raise InputError(
            f"{what} has {bad.sum()} values that are NaN, infinite or beyond float32, the first at {first}: mend them"
        )
    low, high = narrow.min(), narrow.max()
    if low == high and fewest > 1:
        raise InputError(f"{what} is {low} everywhere: give data that vary")
    if x.ndim == 3:
        narrow = narrow[..., None]
    if x.dtype == bool or (bits and _are_bits(x)):
        return narrow.astype(np.uint8), 1.0
    if x.dtype == np.uint8 or (
        np.issubdtype(x.dtype, np.integer) and x.ndim > 2 and low >= 0 and high <= 255
    ):
        return narrow.astype(np.uint8), 255.0
    if np.issubdtype(x.dtype, np.floating) and low >= 0 and high <= 1:
        return narrow, 1.0
    return narrow.astype(np.float32), None


def _check_labels(path, key, arrays, count):
    labels = arrays.get(key)
    if labels is None:
        return None
    if labels.shape != (count,):
        raise InputError(
            f"{path}: {key} has shape {labels.shape} beside {count} examples: give one label for each"
        )
    if not (np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool):
        raise InputError(f"{path}: {key} has dtype {labels.dtype}: give integers")
    return labels.astype(np.int32)


def _load_tfds(name, data_dir, cache_dir) -> Dataset:
    """An image data set prepared by TFDS, read without TensorFlow."""
    import tensorflow_datasets as tfds

    if data_dir is not None and not Path(data_dir).is_dir():
        raise InputError(f"data_dir {data_dir} does not exist: {_how_to_prepare(name, data_dir)}")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, tfds.core.registered.DatasetNotFoundError) as error:
        raise InputError(
            f"no data set is called {name!r}: give 'digits', 'file' or a name of TFDS"
        ) from error
    except (AssertionError, ValueError, OSError) as error:
        told = " ".join(str(error).split())[-120:]
        raise InputError(
            f"data set {name!r} cannot be opened ({told}): {_how_to_prepare(name, data_dir)}"
        ) from error
    splits = list(builder.info.splits)
    if not splits:
        where = data_dir or builder.data_dir
        raise InputError(
            f"data set {name!r} is not prepared in {where}: {_how_to_prepare(name, data_dir)}"
        )
    test_split = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or test_split is None:
        raise InputError(
            f"data set {name!r} has splits {splits}: choose one with train and test (or validation)"
        )
    feature = dict(builder.info.features).get("image")
    if (
        feature is None
        or feature.shape is None
        or None in feature.shape
        or feature.np_dtype != np.uint8
    ):
        raise InputError(
            f"data set {name!r} has no uint8 images of one shape: choose another, or give a 'file'"
        )
    file_name = f"{builder.info.full_name.replace('/', '-')}.npz"
    cache = None if cache_dir is None else Path(cache_dir) / file_name
    arrays = _read_cache(cache, feature.shape, builder.info.splits, test_split)
    if arrays is None:
        arrays = {}
        for part, split in (("train", "train"), ("test", test_split)):
            arrays[part], arrays[f"{part}_labels"] = _read_split(builder, split, data_dir)
        _write_cache(cache, arrays)
    labels = [arrays[key] if arrays[key].size else None for key in ("train_labels", "test_labels")]
    return Dataset(name, arrays["train"], arrays["test"], *labels, 255.0)


def _read_split(builder, split, data_dir):
    """All images of a split, [n, h, w, c] uint8, and its labels, [n] int32 (or empty)."""
    try:
        source = builder.as_data_source(split=split)
    except NotImplementedError as error:
        remedy = _how_to_prepare(builder.name, data_dir)
        raise InputError(
            f"data set {builder.name!r} in {builder.data_dir} is not stored as array_record: {remedy}"
        ) from error
    logging.getLogger("absl").addFilter(_no_advice)
    images, labels = np.empty((len(source), *builder.info.features["image"].shape), np.uint8), []
    try:
        for first in range(0, len(source), READ_AT_ONCE):
            indices = list(range(first, min(first + READ_AT_ONCE, len(source))))
            for index, example in zip(indices, source.__getitems__(indices), strict=True):
                images[index] = example["image"]
                labels.extend([example["label"]] if "label" in example else [])
    except Exception as error:  # damaged records fail in several ways
        raise InputError(
            f"data set {builder.name!r} in {builder.data_dir} is damaged ({type(error).__name__}): "
            f"delete that directory, then {_how_to_prepare(builder.name, data_dir)}"
        ) from error
    finally:
        logging.getLogger("absl").removeFilter(_no_advice)
    return images, np.asarray(labels, np.int32)


def _no_advice(record) -> bool:
    """Drops the reader's recommendation of a faster image library, which the cache makes
    needless."""
    return "OpenCV" not in record.getMessage()


def _how_to_prepare(name, data_dir) -> str:
    """The remedy for a TFDS data set that is not there."""
    where = f", data_dir='{data_dir}'" if data_dir is not None else ""
    prepare = f"tfds.builder('{name}'{where}).download_and_prepare(file_format='array_record')"
    return f"pip install -e '.[prepare]', then python -c \"import tensorflow_datasets as tfds; {prepare}\""


def _read_cache(path, shape, splits, test_split):
    """The cached arrays, or None where there are none or the file is damaged."""
    if path is None or not path.exists():
        return None
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {key: loaded[key] for key in ("train", "test", "train_labels", "test_labels")}
        for key, split in (("train", "train"), ("test", test_split)):
            if (
                arrays[key].shape != (splits[split].num_examples, *shape)
                or arrays[key].dtype != np.uint8
            ):
                raise ValueError(f"{key} has another shape")
        return arrays
    except UNREADABLE as error:
        _LOG.warning("the cache %s is damaged (%s): making it again", path, type(error).__name__)
        return None


def _save_arrays(path, arrays) -> None:
    with path.open("wb") as file:  # given a name, numpy would add its own ending
        np.savez(file, **arrays)


def _write_cache(path, arrays) -> None:
    if path is None:
        return
    try:
        files.write(path, lambda temporary: _save_arrays(temporary, arrays))
    except OSError as error:
        _LOG.warning("the cache %s cannot be written (%s): continuing without", path, error)
