"""The source of sentences: what it writes, and that its entropy and its probabilities are true."""

import itertools

import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import sentences


def test_a_text_has_one_chain_of_classes():
    """What may follow a class has no word twice: the closed entropy needs that."""
    for words, following in sentences.GRAMMAR.values():
        assert len(set(words)) == len(words)
        assert sum(following.values()) == pytest.approx(1)
        after = [word for name in following for word in sentences.GRAMMAR[name].words]
        assert len(set(after)) == len(after)


def test_a_text_is_a_function_of_its_seed():
    text = sentences.generate(3000)
    assert len(text) == 3000 and set(text) <= set(sentences.CHARACTERS)
    assert sentences.generate(500) == text[:500] != sentences.generate(500, seed=1)
    assert text.startswith("some good birds")
    words = {word.strip() for words, _ in sentences.GRAMMAR.values() for word in words}
    assert set(text[: text.rindex(" ")].replace(".", " .").split()) <= words


def test_probabilities_of_windows_sum_to_one():
    pairs = ["".join(pair) for pair in itertools.product(sentences.CHARACTERS, repeat=2)]
    np.testing.assert_allclose(np.exp(sentences.log_prob(pairs)).sum(), 1, rtol=1e-10)
    singles = np.exp(sentences.log_prob(list(sentences.CHARACTERS)))
    second = np.exp(sentences.log_prob(pairs)).reshape(len(singles), -1).sum(axis=0)
    np.testing.assert_allclose(second, singles, rtol=1e-10)  # it is stationary
    windows = ["king sees ", "kings see ", "kings sees", "Kings see "]
    assert np.isfinite(sentences.log_prob(windows)).tolist() == [True, True, False, False]


def test_a_character_has_the_closed_entropy():
    """What the second half of a window costs given the first half is the entropy rate: it has begun
    with more than a sentence."""
    half = 96
    text = sentences.generate(300 * 2 * half, seed=2)
    windows = [text[i : i + 2 * half] for i in range(0, len(text), 2 * half)]
    first = sentences.log_prob([window[:half] for window in windows])
    rates = (first - sentences.log_prob(windows)) / half
    stderr = rates.std(ddof=1) / len(rates) ** 0.5
    assert abs(rates.mean() - sentences.entropy_rate()) < 4 * stderr and stderr < 0.005
    assert -first.mean() / half > sentences.entropy_rate() + 4 * stderr


def test_bad_input():
    with pytest.raises(InputError, match="num_characters is 0"):
        sentences.generate(0)
    for windows in ([], ["a", "ab"], [""]):
        with pytest.raises(InputError, match="one length"):
            sentences.log_prob(windows)
