"""Strategies of hypothesis: odd values, and samples that a person might give; how a call may end.

Examples are derived from the test itself (derandomize), so that a test draws the same ones in every
run. A new release of hypothesis draws others.
"""

import collections
import math
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.extra import numpy as numpy_strategies

from diffenc.errors import InputError

# What hypothesis keeps, constants of the code that it found, is no part of the repository.
set_hypothesis_home_dir(Path(__file__).resolve().parents[2] / ".cache" / "hypothesis")
ROWS = 120
CHECKS = hypothesis.HealthCheck


def draw(count: int):
    """Decorate a property with the settings of all: this many examples, the same in every run."""
    return hypothesis.settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=[CHECKS.too_slow, CHECKS.function_scoped_fixture],
    )


class Reached(Exception):
    """The input was taken, and the work would begin now."""


def reach(*arguments, **named):
    raise Reached


def end_of(counts: collections.Counter, call) -> str | None:
    """Call: it runs, or is refused in one line; count which. Any other error goes on.

    Returns the refusal, or None where there is none.
    """
    try:
        call()
    except Reached:
        counts["ran"] += 1
        return None
    except InputError as error:
        counts["refused"] += 1
        text = str(error)
        assert text and "\n" not in text
        return text
    counts["ran"] += 1
    return None


def report(what: str, counts: collections.Counter) -> None:
    total = sum(counts.values())
    print(f"{what}: {total} tried, {counts['ran']} ran, {counts['refused']} refused in a line")
    assert counts["ran"] and counts["refused"], "both ends are found"


NUMBERS = st.one_of(
    st.integers(-3, 5),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.5, 0.5, 1.0, 2.5, 10**6, 1e300]),
    st.floats(-10, 10),
)
SCALARS = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=8), st.binary(max_size=3))
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(SCALARS, max_size=3).map(tuple),
    st.lists(st.lists(NUMBERS, max_size=2).map(tuple), max_size=2).map(tuple),
    st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2),
    st.complex_numbers(max_magnitude=3),
)


def often(value, others):
    """Draw this value every other time."""
    return st.booleans().flatmap(lambda is_it: st.just(value) if is_it else others)


def with_value(x, value):
    x = np.array(x, object if isinstance(value, str | None) else float)
    x[(len(x) // 2,) + (0,) * (x.ndim - 1)] = value
    return x


MUTATIONS = {
    "nothing": lambda x: x,
    "one column": lambda x: x[:, 0],
    "no column": lambda x: x[:, :0],
    "no rows": lambda x: x[:0],
    "few rows": lambda x: x[:60],
    "one row fewer": lambda x: x[:-1],
    "transposed": lambda x: x.T,
    "images": lambda x: x[..., None],
    "a number": lambda x: x.ravel()[0],
    "nan": lambda x: with_value(x, math.nan),
    "infinite": lambda x: with_value(x, -math.inf),
    "text in it": lambda x: with_value(x, "n/a"),
    "none in it": lambda x: with_value(x, None),
    "constant": lambda x: np.zeros_like(x),
    "constant column": lambda x: np.concatenate([x, np.ones((len(x), 1))], axis=1),
    "repeated column": lambda x: np.concatenate([x, x[:, :1] ** 3], axis=1),
    "few values": lambda x: np.round(x),
    "two values": lambda x: x > 0,
    "whole": lambda x: (100 * x).astype(int),
    "bytes": lambda x: (100 * x).astype(np.uint8),
    "half": lambda x: x.astype(np.float16),
    "huge": lambda x: x * 1e200,
    "tiny": lambda x: x * 1e-200,
    "shifted": lambda x: x + 1e15,
    "complex": lambda x: x + 1j,
    "names": lambda x: np.where(x > 0, "yes", "no"),
    "texts": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "dates": lambda x: (1000 * x).astype("M8[D]"),
    "spans": lambda x: (1000 * x).astype("m8[s]"),
    "sorted": lambda x: np.sort(x, axis=0),
    "written twice": lambda x: np.repeat(x[: len(x) // 2], 2, axis=0),
    "heavy tails": lambda x: np.sinh(9 * x),
}
FORMS = {
    "array": lambda x: x,
    "list": lambda x: x.tolist(),
    "table": lambda x: pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])]),
    "table of one name": lambda x: pd.DataFrame(x, columns=["c"] * x.shape[1]),
    "other index": lambda x: pd.DataFrame(x, index=range(5, 5 + len(x))),
    "missing": lambda x: pd.DataFrame(x).convert_dtypes().mask(pd.DataFrame(x) == x[0]),
    "series": lambda x: pd.Series(x[:, 0]),
    "masked": lambda x: np.ma.masked_array(x, x == x[0]),
}
STRANGE = st.one_of(
    VALUES,
    numpy_strategies.arrays(numpy_strategies.scalar_dtypes(), st.just((ROWS, 1))),
    numpy_strategies.arrays(
        float, numpy_strategies.array_shapes(max_dims=3, max_side=4), elements=NUMBERS
    ),
)


@st.composite
def samples(draw, strange: bool = True):
    """Draw normal samples, changed once or twice, in one of several forms; or something strange."""
    if strange and draw(st.integers(0, 7)) == 0:
        return draw(STRANGE)
    rng = np.random.default_rng(draw(st.integers(0, 3)))
    x = rng.normal(size=(ROWS, draw(st.sampled_from([1, 2, 2, 3, 3, 40]))))
    for name in draw(st.lists(st.sampled_from(sorted(MUTATIONS)), max_size=2)):
        try:
            x = MUTATIONS[name](x)
        except (TypeError, ValueError, IndexError):  # the second does not fit the first
            hypothesis.reject()
    try:
        return FORMS[draw(st.sampled_from(sorted(FORMS)))](x)
    except (TypeError, ValueError, IndexError, AttributeError):
        return x
