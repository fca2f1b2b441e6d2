"""A source of English-looking sentences whose entropy is known, as data with a truth.

A sentence is a chain of words. The class of a word (a determiner of a singular subject, a noun that
is an object, ...) depends on the class before it, and the word on its class alone, by Zipf's law
in the order of its list. No two classes that may follow a class have a word in common, so a text
has one chain of classes, and the entropy of a character is

    h = sum_c pi_c (H(next class|c) + H(word|c)) / sum_c pi_c E[length of the word|c]

with pi the stationary law of the chain. What is known at the start of a text is not where a word or
a sentence begins, so a window of L characters has more than L h: `log_prob` computes its exact
probability, by the forward sums of the hidden chain of (class, word, place in the word).

A subject is singular or plural, and so is the verb that may follow it many characters later. No
short context tells which.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from diffenc.errors import InputError, check_whole
from diffenc.keys import rng_of

SINGULAR = "the a this every one that another no each".split()
PLURAL = "some these two many all those few seven several".split()
ADJECTIVES = (
    "tall small good great young long little new dark quiet heavy green strange bright cold red "
    "happy wise broken golden narrow plain"
).split()
NOUNS = (
    "king river house child tree dog letter bird queen farmer ship garden horse teacher window "
    "sailor mountain road candle soldier basket stone tower doctor"
).split()
VERBS = (
    "see find know want follow love hear remember leave like need help paint forget answer visit "
    "draw describe"
).split()
PREPOSITIONS = "of in near under behind with beside from above".split()
PLACES = "town forest valley north bridge castle harbour market desert kitchen".split()
CONJUNCTIONS = "and but while because when after".split()
AT_ONCE = 1000  # windows whose probability is computed together


class _Class(NamedTuple):
    """Words, the most frequent first, and the classes that may follow, with their probability."""

    words: list[str]
    following: dict[str, float]


def _grammar() -> dict[str, _Class]:
    """The classes by name. A word comes with the space before it; the end of a sentence does not.

    A subject is: determiner, adjectives, noun, perhaps a preposition and a place. An object is the
    same without a place. After it comes the end, or a conjunction and another sentence.
    """
    start = {"subject one": 0.6, "subject many": 0.4}
    classes = {
        "end": _Class(["."], start),
        "and": _Class(CONJUNCTIONS, start),
    }
    nouns = {"one": NOUNS, "many": [f"{word}s" for word in NOUNS]}
    verbs = {"one": [f"{word}s" for word in VERBS], "many": VERBS}
    for number, determiners in (("one", SINGULAR), ("many", PLURAL)):
        for role in ("subject", "object"):
            noun = f"{role} noun {number}"
            quality = f"{role} quality {number}"
            classes[f"{role} {number}"] = _Class(determiners, {quality: 0.4, noun: 0.6})
            classes[quality] = _Class(ADJECTIVES, {quality: 0.2, noun: 0.8})
        verb = f"verb {number}"
        classes[f"subject noun {number}"] = _Class(
            nouns[number], {f"where {number}": 0.4, verb: 0.6}
        )
        classes[f"where {number}"] = _Class(PREPOSITIONS, {f"the {number}": 1.0})
        classes[f"the {number}"] = _Class(["the"], {f"place {number}": 1.0})
        classes[f"place {number}"] = _Class(PLACES, {verb: 1.0})
        classes[verb] = _Class(verbs[number], {"end": 0.2, "object one": 0.5, "object many": 0.3})
        classes[f"object noun {number}"] = _Class(nouns[number], {"end": 0.7, "and": 0.3})
    return {
        name: _Class([word if word == "." else f" {word}" for word in words], following)
        for name, (words, following) in classes.items()
    }


GRAMMAR = _grammar()
CHARACTERS = "".join(sorted({a for words, _ in GRAMMAR.values() for word in words for a in word}))


def generate(num_characters: int, seed: int = 0) -> str:
    """Draw a text of so many characters, which begins with a sentence and ends anywhere.

    The text is the same on every machine.

    Args:
        num_characters: its length, 1 or more.
        seed: of the text. A longer text of the same seed begins with the shorter one.
    """
    check_whole("num_characters", num_characters, 1)
    edges = {
        name: (np.cumsum(_zipf(words)).tolist(), np.cumsum(list(following.values())).tolist())
        for name, (words, following) in GRAMMAR.items()
    }
    rng = rng_of(seed, "sentences")
    name = "end"
    parts = []
    length = 0
    while length < num_characters:
        for of_class, of_word in rng.random((1024, 2)).tolist():
            names = list(GRAMMAR[name].following)
            name = names[_cell(edges[name][1], of_class)]
            parts.append(GRAMMAR[name].words[_cell(edges[name][0], of_word)])
            length += len(parts[-1])
    return "".join(parts)[1 : num_characters + 1]


def entropy_rate() -> float:
    """Compute h, the entropy of a character given all that came before, in nats."""
    chain = _class_chain()
    of_class = _stationary(chain)
    entropies = []
    lengths = []
    for row, (words, _) in zip(chain, GRAMMAR.values(), strict=True):
        entropies.append(_entropy(row) + _entropy(_zipf(words)))
        lengths.append(_zipf(words) @ [len(word) for word in words])
    return float(of_class @ entropies / (of_class @ lengths))


def log_prob(windows: Sequence[str]) -> np.ndarray:
    """Evaluate the log-probability of windows that begin anywhere in an endless text, in nats.

    Args:
        windows: n texts of one length.

    Returns:
        [n]; minus infinity for what the source never writes. The mean of -log_prob is the entropy
        of a window, which no code is below on average.

    Raises:
        InputError: the texts are of different lengths, or empty.
    """
    length = len(windows[0]) if len(windows) else 0
    if not length or any(len(window) != length for window in windows):
        raise InputError("windows differ in length or are empty: give texts of one length")
    parts = [windows[start : start + AT_ONCE] for start in range(0, len(windows), AT_ONCE)]
    return np.concatenate([_log_prob(part) for part in parts])


def _log_prob(windows: Sequence[str]) -> np.ndarray:
    chain = _hidden_chain()
    characters = np.array([list(window) for window in windows])
    weights = np.broadcast_to(chain.start[:, None], (len(chain.start), len(windows)))
    log_prob = np.zeros(len(windows))
    for place, written in enumerate(characters.T):
        before = chain.moves @ weights if place else weights
        weights = before * (chain.characters[:, None] == written[None])
        total = weights.sum(axis=0)
        with np.errstate(divide="ignore"):
            log_prob += np.log(total)
        weights = weights / np.where(total > 0, total, 1)[None]
    return log_prob


class _HiddenChain(NamedTuple):
    """The chain of (class, word, place in the word).

    Attributes:
        start: its stationary law [S].
        moves: sparse [S, S], from the state of a column to that of a row.
        characters: what each state writes [S].
    """

    start: np.ndarray
    moves: sparse.csr_array
    characters: np.ndarray


@functools.cache
def _hidden_chain() -> _HiddenChain:
    chain = _class_chain()
    of_class = _stationary(chain)
    start = []
    characters: list[str] = []
    firsts = []  # the state in which each word of each class begins
    lasts = []
    for weight, (words, _) in zip(of_class, GRAMMAR.values(), strict=True):
        ends = len(characters) + np.cumsum([len(word) for word in words])
        lasts.append(ends - 1)
        firsts.append(ends - [len(word) for word in words])
        for probability, word in zip(_zipf(words), words, strict=True):
            start += [weight * probability] * len(word)
            characters += word
    size = len(characters)
    moves = sparse.lil_array((size, size))
    moves[np.arange(1, size), np.arange(size - 1)] = 1.0
    for states in lasts:
        moves[:, states] = 0.0
    for row, states in zip(chain, lasts, strict=True):
        for probability, (words, _), begins in zip(row, GRAMMAR.values(), firsts, strict=True):
            if probability:
                moves[np.ix_(begins, states)] = probability * _zipf(words)[:, None]
    start = np.array(start)
    return _HiddenChain(start / start.sum(), moves.tocsr(), np.array(characters))


def _class_chain() -> np.ndarray:
    """The probability [C, C] of the class of a column after that of a row."""
    return np.array(
        [[following.get(name, 0.0) for name in GRAMMAR] for _, following in GRAMMAR.values()]
    )


def _stationary(chain: np.ndarray) -> np.ndarray:
    """The law pi [C] with pi = pi chain."""
    size = len(chain)
    equations = np.concatenate([chain.T - np.eye(size), np.ones((1, size))])
    return np.linalg.lstsq(equations, np.eye(size + 1)[-1])[0]


def _zipf(words: list[str]) -> np.ndarray:
    weights = 1 / np.arange(1.0, len(words) + 1)
    return weights / weights.sum()


def _entropy(law: np.ndarray) -> float:
    law = law[law > 0]
    return float(-law @ np.log(law))


def _cell(edges: list[float], uniform: float) -> int:
    """Find the first cell whose upper edge is above a uniform number."""
    return next((i for i, edge in enumerate(edges) if uniform < edge), len(edges) - 1)
