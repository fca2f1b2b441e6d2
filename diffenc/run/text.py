"""Texts as data: windows of characters, numbered by an alphabet.

The default is generated (`sentences`): its entropy is known, so a code length has a truth to be
compared with, it is the same on every machine, and any length of it can be had. Any other text is a
file of yours.

Shapes: whole numbers [n, length, 1] for n windows, each the place of a character in the alphabet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from etils import epath

from diffenc.errors import InputError, check, check_whole
from diffenc.keys import rng_of
from diffenc.run import sentences
from diffenc.run.data import MIN_EXAMPLES, Dataset

NUM_CHARACTERS = 1_000_000  # of the generated text
NUM_BLOCKS = 10  # of a text, each of which has a part that is held out
NAMED = 20  # unseen characters that an error names


@dataclass(frozen=True)
class Text:
    """A text as examples.

    Attributes:
        dataset: of whole numbers [n, length, 1]; its max_value is K - 1.
        characters: the alphabet, the K characters of the training part, in order.
        is_generated: whether `sentences` is the source, whose `log_prob` is then the truth.
    """

    dataset: Dataset
    characters: str
    is_generated: bool


def load(
    path=None,
    length: int = 64,
    test_fraction: float = 0.1667,
    num_characters: int | None = None,
) -> Text:
    """Cut a text into windows, and hold some out.

    The windows stand one beside the other and do not overlap; what is left at the end of the text
    is not used. The text is divided into ten blocks of windows, and the last part of each block is
    held out: test windows come from all over the text, and few of them stand beside a training
    window.

    Args:
        path: of a text file in UTF-8; None for generated sentences.
        length: characters of a window.
        test_fraction: the share of windows that is held out.
        num_characters: how much of the text is used; None for the whole file, or a million
            characters of sentences.

    Returns:
        The windows and their alphabet.

    Raises:
        InputError: the file is absent, not in UTF-8 or too short, or its held-out part has
            characters that its training part has not.
    """
    check_whole("length", length, 1)
    check(0 < test_fraction < 1, "test_fraction", test_fraction, "give a number between 0 and 1")
    if num_characters is not None:
        check_whole("num_characters", num_characters, 1)
    if path is None:
        name = "sentences"
        text = sentences.generate(num_characters or NUM_CHARACTERS)
    else:
        name = epath.Path(path).stem
        text = read(path)[:num_characters]
    train, test = _split(text, length, test_fraction)
    if len(train) < MIN_EXAMPLES or len(test) < 2:
        raise InputError(
            f"{path or name} has {len(text)} characters, which are {len(train)} training windows "
            f"of {length} and {len(test)} test windows: give a longer text or a smaller length, "
            f"for {MIN_EXAMPLES} and 2 of them"
        )
    characters = "".join(sorted(set("".join(train))))
    if len(characters) < 2:
        raise InputError(f"{path or name} repeats one character: give a text")
    train = encode(train, characters)
    test = encode(test, characters, f"the held-out part of {path or name}")
    if path is not None:  # a text changes along its length, and runs may measure the first windows
        test = test[rng_of(0, "test order").permutation(len(test))]
    dataset = Dataset(name, train, test, None, None, len(characters) - 1.0)
    return Text(dataset, characters, path is None)


def read(path) -> str:
    """Read a text file; its lines end in a line feed, whatever they end in there.

    Raises InputError for a file that is absent or not in UTF-8.
    """
    path = epath.Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist: give the path of a text file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not in UTF-8 (byte {error.start}): save it in that encoding"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def encode(windows: Sequence[str], characters: str, name: str = "text") -> np.ndarray:
    """Number the characters of windows of one length.

    Args:
        windows: n texts.
        characters: the alphabet, in order.
        name: what an error calls the windows.

    Returns:
        [n, length, 1], bytes where they suffice.

    Raises:
        InputError: the windows differ in length or are empty, or have a character that the
            alphabet has not.
    """
    lengths = {len(window) for window in windows}
    if len(lengths) != 1 or lengths == {0}:
        raise InputError(f"{name} has windows of lengths {sorted(lengths)}: give texts of one")
    text = "".join(windows)
    unseen = sorted(set(text) - set(characters))
    if unseen:
        names = ", ".join(map(repr, unseen[:NAMED]))
        more = f" and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
        raise InputError(
            f"{name} has characters that the training text has not, {names}{more}: "
            "replace or delete them"
        )
    values = np.searchsorted(_code_points(characters), _code_points(text))
    kind = np.min_scalar_type(len(characters) - 1)
    return values.astype(kind).reshape(len(windows), -1, 1)


def decode(x: np.ndarray, characters: str) -> list[str]:
    """Write whole numbers [n, length, 1] as n texts in this alphabet."""
    letters = np.array(list(characters))
    return ["".join(row) for row in letters[np.asarray(x)[..., 0]]]


def _split(text: str, length: int, test_fraction: float) -> tuple[list[str], list[str]]:
    """Cut a text into windows for training and for testing."""
    windows = [text[end - length : end] for end in range(length, len(text) + 1, length)]
    train = []
    test = []
    edges = np.linspace(0, len(windows), NUM_BLOCKS + 1).astype(int).tolist()
    for start, end in zip(edges, edges[1:], strict=False):
        first_test = end - round((end - start) * test_fraction)
        train += windows[start:first_test]
        test += windows[first_test:end]
    return train, test


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
