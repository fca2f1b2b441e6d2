"""Image data sets prepared by TFDS, read without TensorFlow, and the cache of their arrays."""

import difflib
import logging

import numpy as np
from etils import epath

from diffenc.errors import InputError
from diffenc.run import files
from diffenc.run.arrays import UNREADABLE

READ_AT_ONCE = 1000
_LOG = logging.getLogger("diffenc")


def read(name: str, data_dir=None, cache_dir=None) -> dict[str, np.ndarray]:
    """Read an image data set of TFDS.

    Args:
        name: as TFDS calls it.
        data_dir: where data sets lie prepared; None is the place that TFDS has for them.
        cache_dir: where the decoded arrays are kept for the next run; None is nowhere.

    Returns:
        Images "train" and "test" [n, h, w, c] uint8, and "train_labels" and "test_labels" [n]
        int32, empty where there are none.

    Raises:
        InputError: the data set is missing, damaged or no set of images.
    """
    import tensorflow_datasets as tfds

    if data_dir is not None and not epath.Path(data_dir).is_dir():
        raise InputError(f"data_dir {data_dir} does not exist: {_how_to_prepare(name, data_dir)}")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, tfds.core.registered.DatasetNotFoundError) as error:
        near = difflib.get_close_matches(name, _prepared(data_dir), n=1)
        hint = f" (nearest in {data_dir}: {near[0]})" if near else ""
        raise InputError(
            f"no data set is called {name!r}: give 'digits', 'file' or a name of TFDS{hint}"
        ) from error
    except (AssertionError, ValueError, OSError) as error:
        problem = " ".join(str(error).split())[-120:]
        raise InputError(
            f"data set {name!r} cannot be opened ({problem}): {_how_to_prepare(name, data_dir)}"
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
    cache = None if cache_dir is None else epath.Path(cache_dir) / file_name
    arrays = _read_cache(cache, feature.shape, builder.info.splits, test_split)
    if arrays is None:
        arrays = {}
        for part, split in (("train", "train"), ("test", test_split)):
            arrays[part], arrays[f"{part}_labels"] = _read_split(builder, split, data_dir)
        _write_cache(cache, arrays)
    return arrays


def _prepared(data_dir) -> list[str]:
    """List what lies in a directory of prepared data sets; nothing where it cannot be listed."""
    try:
        return [] if data_dir is None else [path.name for path in epath.Path(data_dir).iterdir()]
    except OSError:
        return []


def _read_split(builder, split, data_dir):
    """Read all images of a split, [n, h, w, c] uint8, and its labels, [n] int32 or empty."""
    try:
        source = builder.as_data_source(split=split)
    except NotImplementedError as error:
        remedy = _how_to_prepare(builder.name, data_dir)
        raise InputError(
            f"data set {builder.name!r} in {builder.data_dir} is not stored as array_record: "
            f"{remedy}"
        ) from error
    logging.getLogger("absl").addFilter(_no_advice)
    images = np.empty((len(source), *builder.info.features["image"].shape), np.uint8)
    labels = []
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
    """Drop the reader's advice of a faster image library, which the cache makes needless."""
    return "OpenCV" not in record.getMessage()


def _how_to_prepare(name, data_dir) -> str:
    """Return the remedy for a data set that is not there."""
    where = f", data_dir='{data_dir}'" if data_dir is not None else ""
    prepare = f"tfds.builder('{name}'{where}).download_and_prepare(file_format='array_record')"
    command = f'python -c "import tensorflow_datasets as tfds; {prepare}"'
    return f"pip install -e '.[prepare]', then {command}"


def _read_cache(path, shape, splits, test_split):
    """Return the cached arrays, or None where there are none or the file is damaged."""
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


def _write_cache(path, arrays) -> None:
    if path is None:
        return

    def write_to(temporary):
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    try:
        files.write(path, write_to)
    except OSError as error:
        _LOG.warning("the cache %s cannot be written (%s): continuing without", path, error)
