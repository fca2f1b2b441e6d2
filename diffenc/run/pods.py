"""How long an update would take on many chips, by their published rates: a prediction.

Each of P chips computes its part of a batch of B examples, then gradients are summed, and each chip
changes the whole state:

    T(P) = B f / (P F) + s / M + 2 (P - 1)/P n / L + a

f  operations of an example             F  operations a second of a chip
s  bytes of the state that are read     M  bytes a second of its memory
   and written
n  bytes that are summed over chips     L  bytes a second that a chip sends to others
a  seconds of an update's share of a dispatch

The first term alone falls with P at one batch. Nothing overlaps, every rate is reached, a sum takes
no time but that of its bytes, and what an example reads from the memory of a chip is left out: a
model for comparing terms, not for seconds.
"""

from typing import NamedTuple

from diffenc.errors import check


class Chip(NamedTuple):
    """Published rates of a chip.

    Attributes:
        flops: F, operations a second of matrix products in bfloat16.
        memory_rate: M, bytes a second.
        link_rate: L, bytes a second that it sends to others, in one direction.
        per_host: chips of a host.
    """

    flops: float
    memory_rate: float
    link_rate: float
    per_host: int


# Published, not measured: docs.cloud.google.com/tpu/docs/v5e, where the rate of links is of both
# directions together. A pod has 256 chips.
V5E = Chip(197e12, 819e9, 400e9 / 2, 8)


class UpdateWork(NamedTuple):
    """What an update does.

    Attributes:
        example_flops: f, operations for each example.
        state_bytes: s / 2, the size of the train state: it is read and written.
        summed_bytes: n.
    """

    example_flops: float
    state_bytes: float
    summed_bytes: float


class Times(NamedTuple):
    """Seconds of the parts of an update.

    Attributes:
        arithmetic: of the examples of a chip.
        state: of its memory, for the change of the state.
        sums: of the sums over chips.
        dispatch: of what processes do for each dispatch.
    """

    arithmetic: float
    state: float
    sums: float
    dispatch: float

    @property
    def total(self) -> float:
        """Of an update."""
        return sum(self)


def times(
    work: UpdateWork, chip: Chip, num_chips: int, batch_size: float, dispatch: float = 0.0
) -> Times:
    """Predict the parts of an update.

    Args:
        work: of the update.
        chip: of which all are.
        num_chips: P.
        batch_size: B, of all chips.
        dispatch: seconds that several processes lose for each update, in agreeing on stops. The
            chips of one host are of one process, which agrees with nobody.

    Raises:
        InputError: there is no chip, or fewer examples than chips.
    """
    check(num_chips >= 1, "num_chips", num_chips, "give 1 or more")
    remedy = f"give {num_chips} or more, one for each chip"
    check(batch_size >= num_chips, "batch_size", batch_size, remedy)
    return Times(
        batch_size * work.example_flops / (num_chips * chip.flops),
        2 * work.state_bytes / chip.memory_rate,
        2 * (num_chips - 1) / num_chips * work.summed_bytes / chip.link_rate,
        dispatch if num_chips > chip.per_host else 0.0,
    )


def efficiency(
    work: UpdateWork, chip: Chip, num_chips: int, batch_size: float, dispatch: float = 0.0
) -> float:
    """Predict the share of a chip's rate that is left where it is one of P, with as many examples.

    It is T(1) at B / P examples over T(P) at B.

    Args:
        work: of the update.
        chip: of which all are.
        num_chips: P.
        batch_size: B, of all chips.
        dispatch: see `times`.
    """
    alone = times(work, chip, 1, batch_size / num_chips).total
    return alone / times(work, chip, num_chips, batch_size, dispatch).total


def speedup(
    work: UpdateWork, chip: Chip, num_chips: int, batch_size: float, dispatch: float = 0.0
) -> float:
    """Predict how many times as fast P chips are as one, at the same batch: T(1) / T(P).

    Args:
        work: of the update.
        chip: of which all are.
        num_chips: P.
        batch_size: B, of all chips in both.
        dispatch: see `times`.
    """
    alone = times(work, chip, 1, batch_size).total
    return alone / times(work, chip, num_chips, batch_size, dispatch).total


def balanced_batch(work: UpdateWork, chip: Chip, num_chips: int) -> float:
    """Give the examples of each chip at which arithmetic takes as long as the sums.

        2 (P - 1)/P n F / (L f)

    Args:
        work: of the update.
        chip: of which all are.
        num_chips: P.
    """
    sums = times(work, chip, num_chips, num_chips).sums
    return sums * chip.flops / work.example_flops
