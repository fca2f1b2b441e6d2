"""What a compiled program sends between its devices, read from its text."""

import re
from dataclasses import dataclass

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)
BYTES = {"pred": 1, "c64": 8, "c128": 16, "bf16": 2}  # of a number; of others by their digits
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_SHAPE = re.compile(r"\b(pred|bf16|[a-z]+\d+)\w*\[([\d,]*)\]")
_CALLED = re.compile(
    r"\b(?:to_apply|calls|body|condition|true_computation|false_computation)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_OPERATION = re.compile(r"^\s*(?:ROOT )?%?[\w.\-]+ = (.*?) ([a-z][\w\-]*)\(")


@dataclass(frozen=True)
class Collective:
    """One kind of exchange.

    Attributes:
        kind: a name of `KINDS`.
        count: how often it is made.
        num_bytes: of the results on one device, summed over these times.
    """

    kind: str
    count: int
    num_bytes: int


def of_program(text: str) -> list[Collective]:
    """List what a compiled program exchanges, loops of known length as often as they turn.

    Args:
        text: of the program after it was divided over devices, `compiled.as_text()`.

    Returns:
        One `Collective` for each kind that occurs, in the order of `KINDS`. Of a branch all
        alternatives count. A loop whose length is not known counts once.
    """
    operations, entry = _computations(text)
    times = dict.fromkeys(operations, 0)
    _visit(entry, 1, operations, times)
    counts = dict.fromkeys(KINDS, 0)
    sizes = dict.fromkeys(KINDS, 0)
    for name, lines in operations.items():
        for line in lines:
            kind, size = _exchange(line)
            if kind:
                counts[kind] += times[name]
                sizes[kind] += times[name] * size
    return [Collective(kind, counts[kind], sizes[kind]) for kind in KINDS if counts[kind]]


def ring_bytes(collectives: list[Collective], num_devices: int) -> float:
    """Count the bytes that each device sends, if they stand in a ring.

    A sum over P devices of n bytes is a `reduce-scatter` and an `all-gather`: 2 (P - 1) / P n
    (Patarasuk and Yuan 2009, bandwidth-optimal all-reduce).

    Args:
        collectives: of `of_program`.
        num_devices: P.
    """
    share = (num_devices - 1) / num_devices
    factors = {
        "all-reduce": 2 * share,
        "all-gather": share,
        "reduce-scatter": num_devices - 1,  # n are the bytes of the result, a part of what is sent
        "all-to-all": share,
        "collective-permute": 1,
        "collective-broadcast": share,
    }
    return sum(factors[one.kind] * one.num_bytes for one in collectives)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Read the lines of each computation, and the name of the first to run."""
    computations: dict[str, list[str]] = {}
    entry = ""
    name = None
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            name = head[2]
            computations[name] = []
            entry = name if head[1] else entry
        elif line.startswith("}"):
            name = None
        elif name is not None:
            computations[name].append(line)
    return computations, entry


def _visit(name: str, times: int, operations: dict[str, list[str]], total: dict[str, int]) -> None:
    """Add to `total` how often a computation and all that it calls run."""
    total[name] += times
    for line in operations[name]:
        called = _CALLED.findall(line)
        for names in _BRANCHES.findall(line):
            called += [one.strip().lstrip("%") for one in names.split(",")]
        turns = _TURNS.search(line)
        for one in called:
            if one in operations:
                _visit(one, times * (int(turns[1]) if turns else 1), operations, total)


def _exchange(line: str) -> tuple[str | None, int]:
    """Read the kind of an exchange and the bytes of its result; None for another operation."""
    operation = _OPERATION.match(line)
    if not operation:
        return None, 0
    shape, name = operation.groups()
    kind = name.removesuffix("-start")
    if kind not in KINDS:
        return None, 0
    shapes = _SHAPE.findall(shape)
    if name == "collective-permute-start":  # its last results are two words of bookkeeping
        shapes = [one for one in shapes if one != ("u32", "")]
    sizes = [_size(*one) for one in shapes]
    if name != kind and kind != "all-reduce":  # operands and results, of which the results count
        sizes = sizes[len(sizes) // 2 :]
    return kind, sum(sizes)


def _size(dtype: str, dimensions: str) -> int:
    """Count the bytes of an array."""
    count = 1
    for dimension in dimensions.split(","):
        count *= int(dimension or 1)
    digits = re.search(r"\d+", dtype)
    return count * (BYTES.get(dtype) or max(1, int(digits[0] if digits else 8) // 8))
