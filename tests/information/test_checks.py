"""Contracts of the checks of samples: what they take, besides arrays."""

import numpy as np
import pandas as pd
import pytest

from diffenc.errors import InputError
from diffenc.information import checks


def test_frames_and_series_of_pandas_are_taken_as_arrays():
    generator = np.random.default_rng(0)
    x = pd.DataFrame(generator.normal(size=(300, 2)), columns=["a", "b"], index=range(5, 305))
    y = pd.Series(generator.normal(size=300), name="c")
    blocks = checks.check(x, y)
    np.testing.assert_array_equal(blocks[0], x.to_numpy())
    np.testing.assert_array_equal(blocks[1], y.to_numpy()[:, None])
    x.iloc[5, 1] = np.nan
    with pytest.raises(InputError, match="x column 1 is not finite in row 5"):
        checks.check(x, y)


@pytest.mark.parametrize("labels", [None, False, True])
def test_spans_of_time_are_no_numbers(labels):
    spans = np.arange(300).astype("timedelta64[s]")  # a gap among them would be a huge number
    with pytest.raises(InputError, match="y is not one|y has type timedelta64.s."):
        if not checks.are_labels(spans, labels):
            checks.check(np.random.default_rng(0).normal(size=300), spans)
