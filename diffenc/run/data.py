"""Data sets as arrays held whole in memory, checked once."""

import dataclasses
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from etils import epath

from diffenc.errors import InputError
from diffenc.keys import rng_of
from diffenc.run import image_sets
from diffenc.run.arrays import TABLE_ENDINGS, numbers, read_arrays, read_table

logger = logging.getLogger(__name__)

MIN_EXAMPLES = 100
MOST_ROUNDED = 0.01  # of the deviation of a dimension, by which float32 may round it


@dataclass(frozen=True)
class Dataset:
    """Train and test examples.

    Attributes:
        name: of the data set.
        train: [n, h, w, c] images or [n, d] vectors.
        test: the same of other examples.
        train_labels: [n] int32, or None.
        test_labels: [n] int32, or None.
        max_value: the intensity that counts as one (16 for digits, 255 for bytes, 1 for numbers in
            [0, 1]); None for real-valued vectors.
        has_signs: whether the data are bits that are written as -1 and +1, and stay so.
        columns: the names of the dimensions, of a table.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    max_value: float | None
    has_signs: bool = False
    columns: tuple[str, ...] = ()

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
    """Load a data set.

    Args:
        name: "digits" (8x8), "file" (your own, at `path`), or an image data set of TFDS.
        data_dir: where data sets of TFDS lie prepared.
        path: of an .npy file; of an .npz file with x (and labels), or with train and test (and
            train_labels, test_labels); or of a table, see `arrays.read_table`, whose columns are
            the dimensions, but for a column "labels".
        test_fraction: of what has no test part, the share that is held out, in the same
            proportions of labels.
        seed: of that split. Experiments leave it at 0, so that the seed of a run does not move its
            test set.
        cache_dir: where the decoded arrays of TFDS data sets are kept.

    Returns:
        The data set.

    Raises:
        InputError: something is missing, damaged or unfit.
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"test_fraction is {test_fraction}: give a number between 0 and 1")
    if name == "digits":
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images = images.astype(np.uint8).reshape(-1, 8, 8, 1)
        return _split(name, images, labels.astype(np.int32), 16.0, test_fraction, seed)
    if name == "file":
        return _mixed(_load_file(path, test_fraction, seed))
    arrays = image_sets.read(name, data_dir, cache_dir)
    warn_of_copies(name, arrays["train"], arrays["test"])
    train_labels = arrays["train_labels"] if arrays["train_labels"].size else None
    test_labels = arrays["test_labels"] if arrays["test_labels"].size else None
    return Dataset(name, arrays["train"], arrays["test"], train_labels, test_labels, 255.0)


def hold_out(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """Take random training examples out to stand in for the test set.

    Settings are chosen on them, and the test set stays unseen.

    Args:
        dataset: the whole data set.
        count: how many examples are taken.
        seed: of their choice.

    Returns:
        The data set of the training examples that are left and of those taken.

    Raises:
        InputError: fewer than two are asked for, or fewer than MIN_EXAMPLES would be left.
    """
    if not 2 <= count <= len(dataset.train) - MIN_EXAMPLES:
        raise InputError(
            f"count is {count} of {len(dataset.train)} training examples: "
            f"give 2 to {len(dataset.train) - MIN_EXAMPLES}, or 0 for the test set"
        )
    order = rng_of(seed, "validation", count).permutation(len(dataset.train))
    test = order[:count]  # in a random order, of which runs may measure the first
    train = np.sort(order[count:])
    labels = dataset.train_labels
    warn_of_copies(dataset.name, dataset.train[train], dataset.train[test])
    return dataclasses.replace(
        dataset,
        train=dataset.train[train],
        test=dataset.train[test],
        train_labels=None if labels is None else labels[train],
        test_labels=None if labels is None else labels[test],
    )


def count_copies(train: np.ndarray, test: np.ndarray) -> int:
    """Count the test examples that are equal to a training example.

    Where fewer than a quarter of the training examples are different ones, as among a few bits,
    equal ones are not copies, and the count is 0.
    """
    known = {example.tobytes() for example in train}
    if len(known) < len(train) / 4:
        return 0
    return sum(example.tobytes() in known for example in test)


def warn_of_copies(name: str, train: np.ndarray, test: np.ndarray) -> None:
    """Say how many test examples a model has seen in training, if there are any."""
    copies = count_copies(train, test)
    if copies:
        logger.warning(
            "%s: %d of %d test examples are equal to a training example: drop them, or what is "
            "measured on the test set is too good",
            name,
            copies,
            len(test),
        )


@jax.jit
def binarize(key: jax.Array, rows: jax.Array, max_value: float) -> jax.Array:
    """Draw bits [n, ...] in {0., 1.} with probability rows / max_value.

    Every visit draws afresh (dynamic binarization).
    """
    rows = rows.astype("float32")
    return (jax.random.uniform(key, rows.shape) * max_value < rows).astype(rows.dtype)


def make_prepare(is_binary: bool, max_value: float | None) -> Callable:
    """Make `prepare(key, rows [batch, ...]) -> x [batch, ...]`, what a model sees of the data.

    Args:
        is_binary: whether x is fresh bits at every call, see `binarize`; else it is rows /
            max_value.
        max_value: of the data; None where they are real-valued.
    """
    if is_binary:
        return functools.partial(binarize, max_value=max_value)
    return functools.partial(_scaled, scale=max_value or 1.0)


def _scaled(key, rows, scale):
    return rows.astype("float32") / scale


def _split(name, x, labels, max_value, test_fraction, seed) -> Dataset:
    """Make a random part the test set: one in 1/test_fraction of a random order.

    The order is sorted by label, if there are labels, so that each gives the same share.
    """
    # Not from a named key (`keys.rng_of`): that would move the test part of every data set, and
    # with it all numbers that were measured before keys had names.
    order = np.random.default_rng(seed).permutation(len(x))
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    counts = np.floor(np.arange(len(x) + 1) * test_fraction)
    test = np.zeros(len(x), bool)
    test[order[np.diff(counts) > 0]] = True
    if not test.any() or test.all():
        raise InputError(
            f"test_fraction is {test_fraction} and leaves {test.sum()} of {len(x)} examples to "
            "test: try 0.2"
        )
    train_labels = None if labels is None else labels[~test]
    test_labels = None if labels is None else labels[test]
    warn_of_copies(name, x[~test], x[test])
    return Dataset(name, x[~test], x[test], train_labels, test_labels, max_value)


def _mixed(dataset: Dataset) -> Dataset:
    """Put the examples in a random order: a file may be sorted, and runs may measure the first."""
    parts = {}
    for part in ("train", "test"):
        x = getattr(dataset, part)
        labels = getattr(dataset, f"{part}_labels")
        order = rng_of(0, part, "order").permutation(len(x))
        parts[part] = x[order]
        parts[f"{part}_labels"] = None if labels is None else labels[order]
    return dataclasses.replace(dataset, **parts)


def _load_file(path, test_fraction, seed) -> Dataset:
    path, arrays, columns = read_file(path)
    if "train" in arrays and "test" in arrays:
        return _make_pair(path, arrays)
    key = next((key for key in ("x", "train") if key in arrays), None)
    if key is None:
        raise InputError(
            f"{path} holds {sorted(arrays)}: name its array x, or its two arrays train and test"
        )
    if "test" in arrays:
        raise InputError(f"{path} holds {key} and test: name the first of them train")
    x, max_value = _check_examples(f"{path}: {key}", arrays[key])
    labels = _check_labels(path, "labels" if key == "x" else "train_labels", arrays, len(x))
    dataset = _split(path.stem, x, labels, max_value, test_fraction, seed)
    return dataclasses.replace(dataset, columns=columns)


def read_file(path) -> tuple[epath.Path, dict[str, np.ndarray], tuple[str, ...]]:
    """Read a person's file; return its path, its arrays by their names, and names of dimensions.

    The columns of a table become the array "x", a column "labels" the array "labels". Other files
    have no names of dimensions.

    Raises InputError for a file that is absent or damaged, or of another kind.
    """
    known = f".npy, .npz or {', '.join(TABLE_ENDINGS)}"
    if path is None:
        raise InputError(f"data set 'file' needs a path: give that of a file {known}")
    path = epath.Path(path)
    if path.suffix not in (".npy", ".npz", *TABLE_ENDINGS):
        raise InputError(f"{path} is not {known}: save your array with numpy.save")
    if not path.is_file():
        raise InputError(f"{path} does not exist: give the path of a file {known}")
    if path.suffix in (".npy", ".npz"):
        return path, read_arrays(path), ()
    table = read_table(path)
    dimensions = [name for name in table.columns if name != "labels"]
    arrays = {"x": numbers(table, dimensions, str(path))}
    if "labels" in table.columns:
        labels = numbers(table, ["labels"], str(path))[:, 0]
        is_whole = np.array_equal(labels, np.round(labels))  # a text does not say what is whole
        arrays["labels"] = labels.astype(np.int64) if is_whole else labels
    return path, arrays, tuple(map(str, dimensions))


def _make_pair(path, arrays) -> Dataset:
    """Check arrays train and test, and their labels, and that they go together."""
    # An all-black test set of bytes holds no bits.
    bits = all(_are_bits(arrays[part]) for part in ("train", "test"))
    train, max_value = _check_examples(f"{path}: train", arrays["train"], bits=bits)
    test, test_max = _check_examples(f"{path}: test", arrays["test"], fewest=1, bits=bits)
    if train.shape[1:] != test.shape[1:] or max_value != test_max or train.dtype != test.dtype:
        raise InputError(
            f"{path}: train holds {train.dtype}{list(train.shape[1:])} examples of scale "
            f"{max_value}, test {test.dtype}{list(test.shape[1:])} of scale {test_max}: "
            "give both in the same form"
        )
    train_labels = _check_labels(path, "train_labels", arrays, len(train))
    test_labels = _check_labels(path, "test_labels", arrays, len(test))
    warn_of_copies(path.stem, train, test)
    return Dataset(path.stem, train, test, train_labels, test_labels, max_value)


def _are_bits(x) -> bool:
    """Return whether these are booleans, or integers that are all 0 or 1."""
    return x.dtype == bool or bool(
        np.issubdtype(x.dtype, np.integer) and x.size and x.min() >= 0 and x.max() <= 1
    )


def _check_examples(what, x, fewest=MIN_EXAMPLES, bits=True):
    """Return the examples as bytes or float32, images with a channel axis, and their `max_value`.

    Raises InputError for examples that are unfit.
    """
    if x.dtype.kind not in "biuf":  # to numpy a span of time is an integer, too
        raise InputError(f"{what} has dtype {x.dtype}: give real numbers")
    if x.ndim not in (2, 3, 4):
        raise InputError(
            f"{what} has shape {x.shape}: give [n, d] vectors, or [n, h, w] or [n, h, w, c] images"
        )
    if len(x) < fewest:
        raise InputError(f"{what} has {len(x)} examples: give at least {fewest}")
    if x.size == 0:
        raise InputError(
            f"{what} has shape {x.shape}, no numbers at all: "
            "give examples of at least one dimension"
        )
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else x
    if narrow.dtype == np.float32 and not np.isfinite(narrow).all():
        bad = ~np.isfinite(narrow)
        first = tuple(int(index) for index in np.argwhere(bad)[0])
        raise InputError(
            f"{what} has {bad.sum()} values that are NaN, infinite or beyond float32, "
            f"the first at {first}: mend them"
        )
    low = narrow.min()
    high = narrow.max()
    if low == high and fewest > 1:
        raise InputError(f"{what} is {low} everywhere: give data that vary")
    if x.ndim == 3:
        narrow = narrow[..., None]
    if x.dtype == bool or (bits and _are_bits(x)):
        return narrow.astype(np.uint8), 1.0
    if x.dtype == np.uint8 or (
        np.issubdtype(x.dtype, np.integer) and x.ndim > 2 and low >= 0 and high <= 255
    ):
        if high < 128:
            logger.warning(
                "%s has whole numbers up to %g, which are taken as intensities of 255: if %g is "
                "the largest intensity, give the data divided by it",
                what,
                high,
                high,
            )
        return narrow.astype(np.uint8), 255.0
    if np.issubdtype(x.dtype, np.floating) and low >= 0 and high <= 1:
        return narrow, 1.0
    _check_rounding(what, x)
    return narrow.astype(np.float32), None


def _check_rounding(what, x) -> None:
    """Raise an InputError for a dimension of vectors that float32 rounds to few values, or one."""
    if x.ndim != 2 or len(x) < MIN_EXAMPLES:
        return
    for place in range(x.shape[1]):
        column = x[:, place].astype(np.float64)
        rounded = np.abs(column.astype(np.float32) - column).max()
        if column.min() < column.max() and rounded > MOST_ROUNDED * column.std():
            raise InputError(
                f"{what} has dimension {place} from {column.min():.12g} to {column.max():.12g}, "
                f"which float32 rounds by {rounded:.2g}: subtract {column.min():.12g} from it"
            )


def _check_labels(path, key, arrays, count):
    labels = arrays.get(key)
    if labels is None:
        return None
    if labels.shape != (count,):
        raise InputError(
            f"{path}: {key} has shape {labels.shape} beside {count} examples: "
            "give one label for each"
        )
    if not (np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool):
        raise InputError(f"{path}: {key} has dtype {labels.dtype}: give integers")
    narrow = labels.astype(np.int32)
    if not np.array_equal(narrow, labels):
        raise InputError(f"{path}: {key} has values beyond int32: number the labels from 0")
    return narrow
