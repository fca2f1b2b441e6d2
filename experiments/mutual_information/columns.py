"""All pairs of columns of a user's file: their samples, and their results as one matrix."""

import itertools
import math

import numpy as np
from etils.epath import Path

from diffenc.errors import InputError
from diffenc.information.matrix import (
    InformationMatrix,
    check_names,
    check_rows_of_all,
    join_notes,
    split_columns,
    words_of_pair,
)
from diffenc.run import arrays, figures
from diffenc.run.tables import Result
from experiments.mutual_information.results import Record, notes
from experiments.mutual_information.samples import (
    ORDERS,
    DataSettings,
    Samples,
    check_file,
    groups_of_archive,
    groups_of_table,
)

ARRAY_ENDINGS = (".npz", ".npy")


def load_pairs(settings: DataSettings) -> tuple[tuple[str, ...], dict[str, Samples]]:
    """Read the columns of a file, a table or an array x [N, d], and make all pairs of them.

    Args:
        settings: the file and the names of columns.

    Returns:
        names: of the columns.
        pairs: the samples of every pair by the names of its columns, "a.b".

    Raises:
        InputError: for a file that cannot be read, and for columns that cannot be used.
    """
    path = check_file(settings.path)
    groups = None
    if path.suffix in ARRAY_ENDINGS:
        blocks = arrays.read_arrays(path)
        if "x" not in blocks or settings.columns:
            raise InputError(
                f"{path} has arrays {', '.join(blocks)}: save one array x [N, d], of which all "
                "columns are taken, or give a table"
            )
        columns = blocks["x"]
        groups = groups_of_archive(path, blocks, settings.groups_column)
    elif path.suffix in arrays.TABLE_ENDINGS:
        table = arrays.read_table(path)
        groups = groups_of_table(path, table, settings.groups_column)
        others = [name for name in table.columns if name != settings.groups_column]
        columns = arrays.numbers_or_names(table, settings.columns or others, str(path))
    else:
        endings = ", ".join((*ARRAY_ENDINGS, *arrays.TABLE_ENDINGS))
        raise InputError(f"data file {path} is {path.suffix or 'without ending'}: give {endings}")
    names, parts = split_columns(columns)
    check_names(settings.codes + settings.amounts, names)
    check_rows_of_all(parts[0], groups, ORDERS[settings.order])
    pairs = {}
    for i, j in itertools.combinations(range(len(names)), 2):
        words = {
            "codes": words_of_pair(settings.codes, names[i], names[j]),
            "amounts": words_of_pair(settings.amounts, names[i], names[j]),
        }
        pairs[f"{names[i]}.{names[j]}"] = Samples(
            parts[i],
            parts[j],
            truth=None,
            are_numbers=False,
            words=words,
            groups=groups,
            order=ORDERS[settings.order],
        )
    return names, pairs


def summarize_pairs(records: list[Record]) -> list[Result]:
    """Collect the results of all pairs that have an estimate, by the names of docs/results.md."""
    results = []
    for record in records:
        value = record.get("diffusion")
        if value is None:
            continue
        stderr = record.get("diffusion", "stderr")
        if record.get("unbounded"):
            value = stderr = math.nan
        results.append(Result(f"{record.name}.mutual_information", value, stderr))
        if record.get("p_value") is not None:
            results.append(Result(f"{record.name}.p_value", record.get("p_value"), None, "of 1"))
    return results


def report_pairs(workdir: Path, names: tuple[str, ...], records: list[Record]) -> None:
    """Print the estimates of all pairs as a table, and draw them as a heat map into figures/.

    Args:
        workdir: of the run.
        names: of the columns.
        records: of all pairs, in the order of `load_pairs`.
    """
    mean = np.full((len(names), len(names)), np.nan)
    stderr = mean.copy()
    notes_of_pairs = {}
    places = itertools.combinations(range(len(names)), 2)
    for (i, j), record in zip(places, records, strict=True):
        label = f"{names[i]}, {names[j]}"
        notes_of_pairs[label] = notes(record)
        if record.get("diffusion") is not None:
            mean[i, j] = mean[j, i] = record.get("diffusion")
            stderr[i, j] = stderr[j, i] = record.get("diffusion", "stderr")
    matrix = InformationMatrix(names, mean, stderr, join_notes(notes_of_pairs))
    print(matrix)
    side = 1.6 + 0.75 * len(names)
    fig, axes = figures.figure(width=side + 1.2, height=side)
    matrix.plot(axes[0, 0])
    figures.save(fig, workdir, "matrix")
