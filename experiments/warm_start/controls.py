"""Code lengths of whole numbers that need no network: what a bound has to beat.

All but `gzip` and `png` are laws fitted to training examples by counting,

    P(l|context) = (N(context, l) + s P'(l)) / (N(context) + s),

where P' is the same with a shorter context, and s is the number of examples that P' stands for. The
context of a number is nothing (`independent`), the number that tells most of it (`chow_liu`), or
the characters before it (`n_gram`). s, and the longest context of `n_gram`, are those with the
shortest code of the training examples, each number coded by the counts of all others
(leave-one-out, in closed form). Every one of these lengths is that of a code: its Kraft sum is 1.

A diffusion whose bound is above the tree's has learned nothing that is worth a network.

Shapes: train [n, ..., c] and x [m, ..., c] hold values 0, ..., size - 1. What comes back is in bits
for each number, one for each example of x [m].
"""

import io
import zlib

import numpy as np
from PIL import Image
from scipy.sparse import csgraph

from diffenc.diffusion.alphabet import Alphabet
from diffenc.errors import InputError, check_whole
from diffenc.estimate import Estimate
from diffenc.keys import rng_of

STRENGTHS = 4.0 ** np.arange(-3, 6)  # the choice of s
LONGEST = 5  # characters of a context of `n_gram`
STRUCTURE_SIZE = 4096  # places times groups of values, by which the tree is found
STRUCTURE_EXAMPLES = 20_000
AT_ONCE = 2000  # examples whose indicators are in memory together
NUM_BLOCKS = 20  # parts of the data whose scatter is the error of `gzip` and `png`
BYTE_VALUES = 256


def measure(train: np.ndarray, x: np.ndarray, size: int) -> dict[str, Estimate]:
    """Estimate the code length of every control that suits the data, in bits for each number.

    Args:
        train: training examples: images [n, h, w, c], sequences [n, length, 1] or vectors [n, c].
        x: held-out examples [m, ...] of the same shape, two or more.
        size: the number of values.

    Returns:
        By name: `uniform` and `independent` for all; `chow_liu` for images and vectors, `n_gram`
        for sequences; `gzip` for images and sequences of at most 256 values; `png` for such images
        of one or three channels.

    Raises:
        InputError: the shapes differ, or there are values that are no whole numbers below `size`.
    """
    check_whole("size", size, 2)
    if train.shape[1:] != x.shape[1:]:
        raise InputError(
            f"x has examples of shape {x.shape[1:]}, the training data {train.shape[1:]}: "
            "give the same"
        )
    for name, values in (("train", train), ("x", x)):
        Alphabet(size).check(values, name)
    is_sequence = x.ndim == 3
    lengths = {
        "uniform": uniform(x, size),
        "independent": independent(train, x, size),
    }
    if is_sequence:
        lengths["n_gram"] = n_gram(train, x, size)
    else:
        lengths["chow_liu"] = chow_liu(train, x, size)
    estimates = {name: Estimate.of(values) for name, values in lengths.items()}
    if size <= BYTE_VALUES and x.ndim > 2:
        estimates["gzip"] = gzip(x)
        if x.ndim == 4 and x.shape[-1] in (1, 3):
            estimates["png"] = png(x)
    return estimates


def uniform(x: np.ndarray, size: int) -> np.ndarray:
    """Give log2 K for each example: all values alike."""
    return np.full(len(x), np.log2(size))


def independent(train: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Code each number by the frequencies at its place; P' is that of all places together.

    Args:
        train: training examples.
        x: the examples to code.
        size: the number of values.
    """
    counts, everywhere, strength = _places(train, size)
    bits = -np.log2(_smoothed(counts, len(train), everywhere[None], strength))
    return bits[np.arange(len(counts))[None], _flat(x, size)].mean(axis=1)


def chow_liu(train: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Code each number given one other, along the tree that tells most (Chow & Liu 1968).

    P' is the law of `independent`.

    Args:
        train: training examples.
        x: the examples to code.
        size: the number of values.
    """
    counts, everywhere, of_places = _places(train, size)
    num_train = len(train)
    train = _flat(train, size)
    columns = np.ascontiguousarray(train.T)  # faster to read than those of `train`
    x = _flat(x, size)
    below = _smoothed(counts, num_train, everywhere[None], of_places)
    below_others = _smoothed(counts - 1, num_train - 1, everywhere[None], of_places)
    losses = np.zeros(len(STRENGTHS))
    bits = np.zeros((len(STRENGTHS), len(x)))
    for place, parent in enumerate(tree(train, counts)):
        if parent < 0:
            bits -= np.log2(below[place, x[:, place]])[None]
            continue
        pairs = np.bincount(_pair(columns[parent], columns[place], size), minlength=size**2)
        cells = np.flatnonzero(pairs)
        parent_value, value = np.divmod(cells, size)
        pair = _pair(x[:, parent], x[:, place], size)
        for i, strength in enumerate(STRENGTHS):
            others = _smoothed(
                pairs[cells] - 1,
                counts[parent, parent_value] - 1,
                below_others[place, value],
                strength,
            )
            losses[i] -= pairs[cells] @ np.log2(others)
            law = _smoothed(
                pairs[pair], counts[parent, x[:, parent]], below[place, x[:, place]], strength
            )
            bits[i] -= np.log2(law)
    return bits[np.argmin(losses)] / x.shape[1]


def tree(train: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Find the tree whose edges carry most mutual information.

    The information of a pair of places is that of its counts, less what independent numbers would
    show by chance to first order, (cells - rows - columns + 1) / 2 n of those that occur (Miller
    1955). Where there are many places, values count in groups, and a part of the examples is
    enough: memory is that of STRUCTURE_SIZE^2 numbers, or of 2 groups for each place.

    Args:
        train: [n, D].
        counts: of each value at each place [D, K].

    Returns:
        The parent of each place [D], -1 for the first.
    """
    num_places, size = counts.shape
    groups = int(np.clip(STRUCTURE_SIZE // num_places, 2, size))
    group_of = _groups(counts, groups)
    rows = rng_of(0, "structure").permutation(len(train))[:STRUCTURE_EXAMPLES]
    joint = np.zeros((num_places * groups, num_places * groups), np.float32)
    for start in range(0, len(rows), AT_ONCE):
        part = group_of[np.arange(num_places)[None], train[rows[start : start + AT_ONCE]]]
        indicators = (part[..., None] == np.arange(groups)).astype(np.float32)
        indicators = indicators.reshape(len(part), -1)
        joint += indicators.T @ indicators
    information = _information(joint.reshape(num_places, groups, num_places, groups), len(rows))
    cost = 1 + information.max() - information  # above 0, since 0 stands for no edge
    spanning = csgraph.minimum_spanning_tree(cost)
    _, parents = csgraph.breadth_first_order(spanning, 0, directed=False)
    return np.maximum(parents, -1)


def n_gram(train: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Code each character given those before it in its sequence, up to LONGEST.

    P' of a context is that of the context without its first character; of none, it is uniform.

    Args:
        train: training sequences [n, length, 1].
        x: the sequences to code.
        size: the number of values.
    """
    tables = _context_counts(np.concatenate([_flat(train, size), _flat(x, size)]), len(train), size)
    length = x.shape[1]
    best = (np.inf, None)
    for strength in STRENGTHS:
        law = np.full((len(train) + len(x), length), 1 / size)
        before = np.zeros(len(law))  # bits of the places that have no context of this order
        for count, total in tables:
            law = _smoothed(count, total, law, strength)
            bits = -np.log2(law)
            whole = before + bits.sum(axis=1)
            loss = whole[: len(train)].sum()
            if loss < best[0]:
                best = (loss, whole[len(train) :])
            before += bits[:, 0]
            law = law[:, 1:]
    return best[1] / length


def gzip(x: np.ndarray) -> Estimate:
    """Code all examples together by zlib's deflate, the code of gzip, a byte for each number.

    Args:
        x: values below 256.
    """
    return _in_blocks(x, _encode_bytes)


def png(x: np.ndarray) -> Estimate:
    """Code all images, one below the other, as one PNG file.

    Args:
        x: images [n, h, w, c] of values below 256, of one or three channels.
    """
    return _in_blocks(x, _encode_png)


def _encode_bytes(x: np.ndarray) -> bytes:
    return zlib.compress(x.astype(np.uint8).tobytes(), 9)


def _encode_png(x: np.ndarray) -> bytes:
    picture = x.astype(np.uint8).reshape(-1, *x.shape[2:])
    picture = picture[..., 0] if x.shape[-1] == 1 else picture
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", optimize=True)
    return file.getvalue()


def _in_blocks(x: np.ndarray, encode) -> Estimate:
    """Measure the code of all of x; its error is that of the mean over blocks, coded apart."""
    blocks = np.array_split(x, min(NUM_BLOCKS, len(x)))
    stderr = Estimate.of([8 * len(encode(block)) / block.size for block in blocks]).stderr
    return Estimate(8 * len(encode(x)) / x.size, stderr)


def _flat(x: np.ndarray, size: int) -> np.ndarray:
    """Give the numbers of each example in a row [n, D], in as few bytes as hold them."""
    return np.asarray(x).reshape(len(x), -1).astype(np.min_scalar_type(size - 1), copy=False)


def _pair(first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """Number pairs of values."""
    return first.astype(np.int64) * size + second


def _smoothed(count, total, below, strength):
    """P(l|context) of the counts N(context, l) and N(context), and of P'(l)."""
    return (count + strength * below) / (total + strength)


def _places(train: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Count the values at each place, and choose how much they are smoothed.

    Returns:
        (counts [D, K], the law of all places together [K], s).
    """
    counts = np.stack([np.bincount(column, minlength=size) for column in _flat(train, size).T])
    everywhere = counts.sum(axis=0) + 1 / size
    everywhere /= everywhere.sum()
    is_seen = counts > 0
    losses = []
    for strength in STRENGTHS:
        others = _smoothed(counts - 1, len(train) - 1, everywhere[None], strength)
        losses.append(-counts[is_seen] @ np.log2(others[is_seen]))
    return counts, everywhere, STRENGTHS[np.argmin(losses)]


def _groups(counts: np.ndarray, groups: int) -> np.ndarray:
    """Put neighbouring values at each place into groups of the same frequency, if they can be.

    A group is full once it has its share of what the groups before it have left. Thus one value
    that is frequent fills a group by itself, and the others share the rest.

    Args:
        counts: of each value [D, K].
        groups: their number.

    Returns:
        The group of each value [D, K].
    """
    if groups == counts.shape[1]:
        return np.broadcast_to(np.arange(groups)[None], counts.shape)
    group = np.zeros(len(counts), np.int64)
    inside = np.zeros(len(counts))
    left = counts.sum(axis=1).astype(float)
    group_of = []
    for count in counts.T:
        is_full = (inside * (groups - group) >= left) & (inside > 0) & (group < groups - 1)
        left -= np.where(is_full, inside, 0)
        inside = np.where(is_full, 0, inside) + count
        group = group + is_full
        group_of.append(group)
    return np.stack(group_of, axis=1)


def _information(joint: np.ndarray, num_examples: int) -> np.ndarray:
    """Estimate the mutual information of every pair of places [D, D] in nats, see `tree`.

    Args:
        joint: counts of pairs [D, G, D, G].
        num_examples: n.
    """
    each = np.einsum("igig->ig", joint)
    occurring = (each > 0).sum(axis=1)
    information = []
    for pairs, count, num_rows in zip(joint, each, occurring, strict=True):  # [G, D, G], [G], one
        expected = count[:, None, None] * each[None] / num_examples
        is_seen = pairs > 0
        log_ratio = np.log(np.where(is_seen, pairs, 1) / np.where(is_seen, expected, 1))
        chance = is_seen.sum(axis=(0, 2)) - num_rows - occurring + 1
        total = np.sum(pairs * log_ratio, axis=(0, 2), dtype=np.float64)
        information.append((total - chance / 2) / num_examples)
    return np.stack(information)


def _context_counts(values: np.ndarray, num_train: int, size: int) -> list:
    """Count, for each character, how often training sequences have it after its context.

    A training sequence does not count the character itself.

    Args:
        values: sequences [n, L], the first `num_train` of them for training.
        num_train: the number of these.
        size: the number of values.

    Returns:
        For contexts of 0, ..., LONGEST characters: (N(context, l), N(context)), each [n, L - k],
        of the characters that have k before them.
    """
    is_own = (np.arange(len(values)) < num_train)[:, None]
    context = np.zeros(values.shape, np.int64)
    tables = []
    for order in range(min(LONGEST + 1, values.shape[1])):
        total, _ = _occurrences(context, num_train)
        count, pair = _occurrences(_pair(context, values[:, order:], size), num_train)
        tables.append((count - is_own, total - is_own))
        context = pair[:, :-1]
    return tables


def _occurrences(names: np.ndarray, num_train: int) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each name occurs in the first rows; and number the names from 0 on."""
    unique, number = np.unique(names, return_inverse=True)
    number = number.reshape(names.shape)
    return np.bincount(number[:num_train].ravel(), minlength=len(unique))[number], number
