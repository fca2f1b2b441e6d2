"""A person's files as arrays: .npy and .npz, and tables (.csv, .tsv, .txt, .parquet) by pandas."""

import csv
import difflib
import functools
import io
import math
import re
import warnings
import zipfile
import zlib

import numpy as np
from etils import epath

from diffenc.errors import InputError, describe

TEXT_ENDINGS = (".csv", ".tsv", ".txt")
PARQUET_ENDINGS = (".parquet", ".pq")
TABLE_ENDINGS = TEXT_ENDINGS + PARQUET_ENDINGS
SEPARATORS = "\t;|,"  # in order of preference: where another one separates, a comma is decimal
WHITE_SPACE = r"\s+"
MANY_TEXTS = 0.05  # share of a column of numbers, above which cells of text are not to be dropped
SAMPLE = 50  # lines by which the separator is chosen
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


def read_arrays(path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file by their names, or the one of an .npy file as "x".

    Raises InputError for a file that is damaged, or that holds objects.
    """
    path = epath.Path(path)
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            return {key: loaded[key] for key in loaded.files}
    except UNREADABLE as error:
        if "Object arrays" in str(error):
            raise InputError(
                f"{path} holds an object array: save numbers, not objects: x.astype(float), or "
                "numpy.stack(x) of arrays"
            ) from error
        raise InputError(
            f"{path} is damaged ({type(error).__name__}): save it again with numpy"
        ) from error


def read_table(path):
    """Read a table as a pandas DataFrame, whose index counts the lines (or rows) of the file.

    A text file begins with a line of names. Its separator (tab, semicolon, bar, comma or white
    space), its encoding and a decimal comma are recognized; a comma is decimal only in a column
    without points, where it is not the separator, and where it cannot mean thousands. Numbers are
    floats, because a text does not say whether 3 is an integer, and cells that are no numbers stay
    as they are, for `numbers` to name. Empty lines are left out.

    Raises InputError for a file that cannot be read.
    """
    import pandas as pd

    path = epath.Path(path)
    if path.suffix.lower() in TEXT_ENDINGS:
        return _read_text(path)
    if path.suffix.lower() not in PARQUET_ENDINGS:
        raise InputError(f"{path} is no table: give one of {', '.join(TABLE_ENDINGS)}")
    try:
        table = pd.read_parquet(io.BytesIO(path.read_bytes()))
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read ({describe(error)}): save it with pandas' to_parquet"
        ) from error
    table.index = pd.RangeIndex(1, len(table) + 1, name="row")
    return table


def numbers(table, names=None, source: str = "the table") -> np.ndarray:
    """Return columns of a table as one array.

    Args:
        table: a pandas DataFrame.
        names: of the columns; all of them by default.
        source: what the table is called where something is wrong with it.

    Returns:
        [rows, columns]; integers if all columns are of integers or booleans, floats otherwise.

    Raises:
        InputError: there is no such column, or more than one, or a cell of it is no finite number.
    """
    names = list(table.columns) if names is None else list(names)
    if not names:
        raise InputError(f"{source} has no columns: give one or more")
    return np.stack([_column(table, name, source) for name in names], axis=1)


def numbers_or_names(table, names, source: str = "the table"):
    """Return columns of a table, each of numbers or, where no cell of it is a number, of text.

    Args:
        table: a pandas DataFrame.
        names: of the columns.
        source: what the table is called where something is wrong with it.

    Returns:
        A DataFrame of these columns, with the same index.

    Raises:
        InputError: there is no such column, or more than one, a cell of a column of numbers is no
            finite number, or one of a column of text is empty.
    """
    import pandas as pd

    columns = {}
    for name in names:
        _check_name(list(table.columns), name, source)
        column = table[name]
        is_text = not pd.api.types.is_numeric_dtype(column) and not any(
            math.isfinite(_number(cell)) for cell in column
        )
        if is_text and not column.isna().any():
            columns[name] = column.astype(str)
        else:
            columns[name] = _column(table, name, source)
    return pd.DataFrame(columns, index=table.index)


def _column(table, name, source) -> np.ndarray:
    import pandas as pd

    _check_name(list(table.columns), name, source)
    column = table[name]
    if not pd.api.types.is_numeric_dtype(column):
        values = np.array([_number(cell) for cell in column], float)
    elif column.isna().any():
        values = column.to_numpy(float, na_value=np.nan)
    else:
        values = column.to_numpy(column.dtype.type)
    if values.dtype == bool:
        values = values.astype(np.int64)
    is_bad = ~np.isfinite(values)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        cell = column.iloc[row]
        problem = f"holds {cell!r}" if isinstance(cell, str) else f"holds {cell}"
        if not isinstance(cell, str) and pd.isna(cell):
            problem = "is empty"
        remedy = f"drop such rows ({is_bad.sum()} in this column)"
        if isinstance(cell, str) and is_bad.sum() > MANY_TEXTS * len(values):
            remedy = (
                f"write the {is_bad.sum()} cells of this column that are text as numbers, or give "
                "all of its cells names"
            )
        if is_bad.all():
            remedy = "leave this column out, in which no cell is one"
        raise InputError(
            f"{source}: column {name!r}, {table.index.name or 'row'} {table.index[row]} {problem}: "
            f"give a finite number there, or {remedy}"
        )
    return values


def _check_name(header, name, source) -> None:
    """Raise InputError unless this is the name of one column."""
    if not str(name).strip():
        raise InputError(
            f"{source}: column {header.index(name) + 1} has no name: give it one, "
            "or leave it out (an index of pandas: to_csv(index=False))"
        )
    if header.count(name) > 1:
        raise InputError(
            f"{source} has {header.count(name)} columns {name!r}: give every column its own name"
        )
    if name not in header:
        near = difflib.get_close_matches(str(name), [str(one) for one in header], n=1)
        nearest = near[0] if near else ", ".join(str(one) for one in header)
        raise InputError(f"{source} has no column {name!r} (nearest: {nearest}): correct the name")


def _read_text(path):
    import pandas as pd

    text = _decode(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise InputError(
            f"{path} has {len(lines)} of two lines: give a line of names and rows of numbers"
        )
    separator = _find_separator(lines[:SAMPLE])
    header, height = _read_header(text, separator)
    if all(math.isfinite(_number(name)) for name in header):
        raise InputError(f"{path} begins with numbers: put a line of names before them")
    read = functools.partial(
        pd.read_csv,
        sep=separator,
        header=None,
        names=range(len(header)),
        index_col=False,
        skiprows=height,
        skip_blank_lines=False,  # so that rows can be counted as lines
        skipinitialspace=True,
        keep_default_na=False,  # "NA" stays, to be named
        na_values=[""],
        low_memory=False,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = read(io.StringIO(text))
    except (ValueError, pd.errors.ParserWarning) as error:
        problem = describe(error)
        if isinstance(error, pd.errors.ParserWarning):
            problem = "its rows have more cells than its first line has names"
        raise InputError(
            f"{path} cannot be read ({problem}): give every row as many cells as there are names"
        ) from error
    were_numbers = [pd.api.types.is_float_dtype(column) for _, column in table.items()]
    converted = table.apply(lambda column: _convert(column, separator))
    are_numbers = [pd.api.types.is_numeric_dtype(column) for _, column in converted.items()]
    had_commas = separator != "," and any(
        is_number and not pd.api.types.is_numeric_dtype(table[place])
        for place, is_number in enumerate(are_numbers)
    )
    for place in np.flatnonzero(were_numbers) if had_commas else ():
        # Beside a decimal comma, points may separate thousands.
        cells = read(io.StringIO(text), usecols=[place], dtype=str)[place]
        if _separates_thousands(cells.fillna("nan").str.replace(".", ",", regex=False)):
            raise InputError(
                f"{path}: column {header[place]!r} holds points that may separate thousands, "
                "beside decimal commas in another column: write its numbers without them"
            )
    table = converted
    table.index = pd.RangeIndex(height + 1, height + 1 + len(table), name="line")
    table = table.dropna(how="all")
    table.columns = header
    is_used = [bool(name) or not table.iloc[:, i].isna().all() for i, name in enumerate(header)]
    return table.loc[:, is_used]


def _decode(path) -> str:
    """Return the text of a file in UTF-8, in UTF-16, or in a Western code page.

    UTF-16 without its mark is known by its zeros, of which a table of numbers and Western names has
    one in nearly every pair of bytes, and always in the same place.
    """
    content = path.read_bytes()
    encodings = ["utf-8-sig", "cp1252", "latin-1"]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in content:
        zeros = [content[start::2].count(0) / (len(content) / 2) for start in (0, 1)]
        encodings = []
        if max(zeros) > 0.9 and min(zeros) == 0:
            encodings = ["utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path} cannot be read as text: save it as comma-separated values")


def _find_separator(lines) -> str:
    """Return what splits every line into as many cells as the first, two or more.

    Where nothing does, it is what stands in the first line; a column by itself has none.
    """
    for separator in SEPARATORS:
        counts = {len(cells) for cells in csv.reader(lines, delimiter=separator)}
        if len(counts) == 1 and counts != {1}:
            return separator
    counts = {len(line.split()) for line in lines}
    if len(counts) == 1 and counts != {1}:
        return WHITE_SPACE
    return next((separator for separator in SEPARATORS if separator in lines[0]), ";")


def _read_header(text, separator) -> tuple[list[str], int]:
    """Return the names of the columns, and how many lines of the file end with them."""
    delimiter = " " if separator == WHITE_SPACE else separator
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    for cells in reader:
        names = [name.strip() for name in cells]
        if separator == WHITE_SPACE:
            names = [name for name in names if name]
        if any(names):
            return names, reader.line_num
    raise AssertionError("a text with lines has a first one")


def _convert(column, separator):
    """Return a column with its numbers as floats, and all else as it is."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    cells = column.astype(object)
    is_decimal_comma = separator != "," and not any("." in str(cell) for cell in cells)
    is_decimal_comma = is_decimal_comma and not _separates_thousands(cells)

    def convert(cell):
        number = _number(str(cell).replace(",", ".") if is_decimal_comma else cell)
        return number if math.isfinite(number) else cell

    return pd.Series([convert(cell) for cell in cells], column.index, dtype=object).infer_objects()


def _separates_thousands(cells) -> bool:
    """Return whether commas may separate thousands, as in 987 and 1,234, and so mean nothing sure.

    All stand before three digits and behind one to three, and all cells without one are whole
    numbers below a thousand.
    """
    texts = [str(cell).strip().lstrip("+-") for cell in cells if str(cell).strip() != "nan"]
    with_comma = [text for text in texts if "," in text]
    without = [text for text in texts if "," not in text]
    return (
        bool(with_comma and without)
        and all(re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", text) for text in with_comma)
        and all(re.fullmatch(r"\d{1,3}", text) for text in without)
    )


def _number(cell) -> float:
    """Return the number in a cell; NaN if there is none."""
    try:
        return math.nan if "_" in str(cell) else float(cell)  # Python reads 1_000
    except (TypeError, ValueError):
        return math.nan
