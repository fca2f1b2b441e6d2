"""The result of an estimate by networks, with what a reader should know beside it."""

import math

from diffenc.information.estimation.assembly import Information
from diffenc.information.quantities.one_block import Entropy
from diffenc.information.results import remarks
from diffenc.information.results.measurement import Measurement, parts_of
from diffenc.information.samples import clumps
from diffenc.information.samples import repeats as repeats_of_rows
from diffenc.information.samples import rows as rows_of_samples
from diffenc.information.samples.inputs import Block
from diffenc.information.samples.kinds import Kinds
from diffenc.information.samples.rows import Rows


def dependent(*blocks: Block) -> list[str]:
    """Say why rows may be dependent, where nothing says which are.

    They recur, or hold the same numbers in another order or with other signs, or lie in clumps.
    """
    notes = recurring(*blocks)
    count = repeats_of_rows.count_turned(*(block.values for block in blocks))
    if count is not None:
        notes.append(remarks.turned(count, len(blocks[0].values)))
    size = clumps.clump_size(*(block.values for block in blocks))
    return notes if notes or size is None else [clumps.clumped(size)]


def recurring(*blocks: Block) -> list[str]:
    """Say of which block or column rows recur."""
    notes = []
    for block in blocks:
        n = len(block.values)
        table = block.values.reshape(n, -1)
        different = repeats_of_rows.count_recurring(table)
        if different is not None:
            notes.append(remarks.recurring(block.name, different, n))
            continue
        for name, column in zip(block.columns, table.T, strict=True):
            different = repeats_of_rows.count_recurring(column) if table.shape[1] > 1 else None
            if different is not None:
                notes.append(remarks.recurring(name, different, n))
                break
    return notes


def in_samples(result: Information | Entropy, rows: Rows):
    """Return a result whose `rows` are those of the caller."""
    return result if rows.used is None else result._replace(rows=rows.used[result.rows])


def of_information(
    quantity: str, result: Information, rows: Rows, pair: Kinds, num_columns: int
) -> Measurement:
    """Return an information by networks, with its parts and notes.

    Args:
        quantity: what it is called.
        result: the estimate.
        rows: of the samples.
        pair: the kinds of the blocks.
        num_columns: of all blocks.

    Returns:
        The information.
    """
    divergences = [one for one in (result.conditional, result.marginal) if one is not None]
    nothing = ""
    is_found = result.is_by_neighbours or result.is_by_noise
    if not (is_found or any(one.updates for one in divergences)):
        systematic = math.hypot(*(one.systematic for one in divergences))
        nothing = remarks.nothing_detected(len(pair.x.values), num_columns, systematic)
    are_exchanged = (result.diffused == "y") != pair.is_exchanged
    notes = remarks.general(nothing_detected=nothing, unbounded=result.unbounded)
    of_y = [" and ".join(pair.y.columns)] if pair.case == "labels" else pair.y.columns
    notes += remarks.of_resolution(result, [pair.x.columns, of_y])
    if pair.case in ("numbers", "labels") and rows.clusters is None:
        notes += dependent(*([pair.x, pair.y] if pair.case == "numbers" else [pair.x]))
    return Measurement(
        quantity=quantity,
        estimate=result.estimate,
        parts=parts_of(result),
        errors=result.errors,
        notes=(*pair.notes, *notes, *rows_of_samples.notes(rows.facts)),
        details=in_samples(result, rows),
        rows=rows,
        notes_of_parts=(remarks.EXCHANGED,) if are_exchanged else (),
    )
