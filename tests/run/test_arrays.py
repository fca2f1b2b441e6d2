"""Contracts of tables: every separator, encoding and decimal comma, and the cell that is wrong."""

import numpy as np
import pandas as pd
import pytest

from diffenc.errors import InputError
from diffenc.run import arrays

VALUES = [[1.5, -200.0], [3.0, 0.25]]


def write(tmp_path, content, name="t.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1.5,-2e2\n3,.25\n",
        "a, b\n1.5, -2e2\n3, .25\n",
        "a;b\n1.5;-2e2\n3;.25\n",
        "a;b\r\n1,5;-2e2\r\n3;0,25\r\n",
        "a;b\n1,5;-2e2\n3;.25\n",
        "a\tb\n1,5\t-2e2\n3\t0,25\n",
        "a|b\n1.5|-2e2\n3|.25\n",
        "a b\n  1.5   -2e2\n3 .25\n",
        '"a","b"\n"1.5","-2e2"\n"3",".25"\n',
        "\n\na,b\n\n1.5,-2e2\n\n3,.25\n,\n",
        "a,b\n1.5,-2e2,\n3,.25,\n",
        "a,b,\n1.5,-2e2,\n3,.25,\n",
    ],
)
def test_the_separator_and_the_decimal_comma_are_recognized(tmp_path, text):
    table = arrays.read_table(write(tmp_path, text))
    assert list(table.columns) == ["a", "b"]
    np.testing.assert_array_equal(arrays.numbers(table), VALUES)
    np.testing.assert_array_equal(arrays.numbers(table, ["b"])[:, 0], [-200.0, 0.25])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt"])
def test_the_encoding_is_recognized(tmp_path, encoding, ending):
    path = write(tmp_path, "größe;süß\n1,5;2\n", f"t{ending}", encoding)
    table = arrays.read_table(path)
    assert list(table.columns) == ["größe", "süß"]
    assert arrays.numbers(table).tolist() == [[1.5, 2.0]]


def test_one_column_alone(tmp_path):
    for text in ("heart rate\n1.5\n2.5\n", "rate\n1,5\n2,5\n"):
        assert arrays.numbers(arrays.read_table(write(tmp_path, text))).tolist() == [[1.5], [2.5]]


def test_numbers_are_read_to_the_last_bit(tmp_path):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(500, 2)) * 10.0 ** generator.integers(-20, 20, (500, 2))
    for point in (".", ","):
        lines = [";".join(repr(float(value)) for value in row) for row in values]
        text = "\n".join(["a;b", *lines]).replace(".", point)
        np.testing.assert_array_equal(
            arrays.numbers(arrays.read_table(write(tmp_path, text))), values
        )


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n\n3,x\n", "column 'b', line 4 holds 'x': give a finite number"),
        ("a;b\n1,5;2\nx;3\n", "column 'a', line 3 holds 'x'"),
        ("a,b\n1,2\n3,\n", "column 'b', line 3 is empty"),
        ("a,b\n1,2\n3\n", "column 'b', line 3 is empty"),
        ("a,b\n1,NA\n", "column 'b', line 2 holds 'NA'"),
        ("a,b\n1,nan\n", "column 'b', line 2 holds 'nan'"),
        ("a,b\n1,inf\n2,3\n", r"column 'b', line 2 holds inf: .*\(1 in this column\)"),
        ("a,b\n1,x\n2,y\n", "column 'b', line 2 holds 'x': .* or leave this column out"),
        ("a,b\n1,2020-01-01\n", "column 'b', line 2 holds '2020-01-01'"),
        ("a,b\n1,2_000\n", "column 'b', line 2 holds '2_000'"),
        ('a,b\n"1,234",2\n', "column 'a', line 2 holds '1,234'"),
        ("a;b\n1.234,5;2\n", "column 'a', line 2 holds '1.234,5'"),
        ("a,a,b\n1,2,3\n", "has 2 columns 'a': give every column its own name"),
        (",a,b\n0,1,2\n", r"column 1 has no name: .* to_csv\(index=False\)"),
    ],
)
def test_cells_and_columns_that_cannot_be_used_are_named(tmp_path, text, message):
    table = arrays.read_table(write(tmp_path, text))
    with pytest.raises(InputError, match=f"t.csv:? {message}") as caught:
        arrays.numbers(table, source="t.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "has 0 of two lines"),
        ("a,b\n", "has 1 of two lines"),
        ("1,2\n3,4\n", "begins with numbers: put a line of names before them"),
        (bytes(range(256)), "cannot be read as text"),
        ("a,b\n1,2\n3,4,5\n", "cannot be read .*in line 3, saw 3.*: give every row as many cells"),
        ("a,b\n1,2,3\n4,5,6\n", "its rows have more cells than its first line has names"),
        ('a,b\n1,"2\n', "cannot be read .*EOF inside string"),
    ],
)
def test_texts_that_cannot_be_read(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        arrays.read_table(write(tmp_path, content))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_column_that_is_not_there(tmp_path):
    table = arrays.read_table(write(tmp_path, "height,weight\n1,2\n"))
    with pytest.raises(InputError, match="has no column 'hight' .nearest: height.: correct"):
        arrays.numbers(table, ["hight"])
    with pytest.raises(InputError, match="has no columns"):
        arrays.numbers(table, [])


def test_parquet_keeps_its_types(tmp_path):
    table = pd.DataFrame(
        {
            "whole": [1, 2],
            "real": [0.5, 1.5],
            "flag": [True, False],
            "nullable": pd.array([3, None], dtype="Int64"),
            "text": ["1", "two"],
        },
        index=["p", "q"],
    )
    table.to_parquet(tmp_path / "t.parquet")
    loaded = arrays.read_table(tmp_path / "t.parquet")
    whole = arrays.numbers(loaded, ["whole", "flag"])
    assert np.issubdtype(whole.dtype, np.integer) and whole.tolist() == [[1, 1], [2, 0]]
    assert arrays.numbers(loaded, ["whole", "real"]).tolist() == [[1.0, 0.5], [2.0, 1.5]]
    with pytest.raises(InputError, match="column 'nullable', row 2 is empty"):
        arrays.numbers(loaded, ["nullable"])
    with pytest.raises(InputError, match="column 'text', row 2 holds 'two'"):
        arrays.numbers(loaded, ["text"])
    (tmp_path / "t.parquet").write_bytes(b"garbage")
    with pytest.raises(InputError, match="t.parquet cannot be read"):
        arrays.read_table(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="t.xlsx is no table: give one of .csv"):
        arrays.read_table(tmp_path / "t.xlsx")


def test_points_that_may_separate_thousands_are_named(tmp_path):
    """Beside decimal commas, 1.234 may be more than 987."""
    path = tmp_path / "table.csv"
    path.write_text("price;other\n1.234;3,5\n987;2,5\n12.345;1,5\n")
    with pytest.raises(InputError, match="column 'price' holds points that may separate thousands"):
        arrays.read_table(path)
    for cells in ("1.25;3,5\n987;2,5\n12.5;1,5\n", "1.234;3.5\n987;2.5\n12.345;1.5\n"):
        path.write_text("price;other\n" + cells)
        assert arrays.numbers(arrays.read_table(path), ["price"])[1] == 987


def test_commas_that_may_separate_thousands_are_named(tmp_path):
    """Read as decimal, 1,234 would be less than 987."""
    path = tmp_path / "table.tsv"
    path.write_text("price\tother\n987\t1,250\n1,234\t2,500\n12,500\t0,750\n")
    table = arrays.read_table(path)
    assert arrays.numbers(table, ["other"]).tolist() == [[1.25], [2.5], [0.75]]
    with pytest.raises(
        InputError, match="column 'price', line 3 holds '1,234'.* write the 2 cells"
    ):
        arrays.numbers(table, ["price"])
