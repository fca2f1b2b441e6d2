"""What the reader of an information or an entropy should know beside the number."""

from diffenc.estimate import Estimate
from diffenc.information.codes.labels import LEAST_EXAMPLES
from diffenc.information.estimation.assembly import Information
from diffenc.information.samples.clumps import RECOGNIZED

NOTHING_DETECTED = "the networks detected nothing beyond the regression"
# Rows for each column, below which that says little.
ROWS_TO_LEARN = 100
FEW_ROWS = "so few do not show that there is nothing more"
EXCHANGED = (
    "x and y were exchanged internally; in the rows `conditional` and `marginal`, X means your y"
)
UNBOUNDED = (
    "information still grows at the finest resolution: infinite, or sharper than the samples show"
)
TIED = (
    "more than a tenth of the values of a column repeat others, as those of a density never do: if "
    "they are discrete rather than rounded, there is no such entropy, and the number means nothing"
)
# Share of an information by neighbours that they may miss, from which on nobody knows how much more
# there is.
STILL = 0.4
GROWING = "it still grows with the rows: take it for a lower limit, or more rows"
# Weight of the laws of the classes from which on the estimate is theirs.
BY_LAWS = 0.9
KNOW_LESS = "the networks know less"
LIMITS = "the information of labels lies between 0 and their entropy"
BEYOND = "the estimate or its error reaches beyond"
WHAT_HELPS = (
    "unless the other block determines them, give more rows, fewer columns, or coarser labels"
)
FAR = 2.0  # standard errors, by which chance alone brings an estimate below 0 in 2.3 % of cases
BELOW = "the estimate is more than two standard errors below 0"
POOLED = (
    f"labels of fewer than {LEAST_EXAMPLES} examples were taken together; what this may have lost "
    "is in the error"
)


def limits(estimate: Estimate, entropy: float) -> list[str]:
    """Say where an information of labels leaves what is possible.

    Independent labels have estimates below 0 by chance, so that only what is far below is said. At
    the entropy the error is enough: labels that x determines have it, and so must look like it.

    Args:
        estimate: the information.
        entropy: of the labels.

    Returns:
        A sentence, or none.
    """
    if estimate.mean < -FAR * estimate.stderr:
        return [f"{LIMITS}, {entropy:.4g}, and {BELOW}"]
    if estimate.mean > entropy - estimate.stderr:
        return [f"{LIMITS}, {entropy:.4g}, and {BEYOND}: {WHAT_HELPS}"]
    return []


def nothing_detected(rows: int, columns: int, systematic: float) -> str:
    """Say that networks detected nothing, and how much that says.

    Args:
        rows: examples.
        columns: of both blocks.
        systematic: the error of the estimate by the networks (nats).

    Returns:
        A sentence.
    """
    note = (
        f"{NOTHING_DETECTED}: {rows} rows of {columns} columns show what is smooth from about "
        f"{2 * systematic:.1g} nats on"
    )
    if rows < ROWS_TO_LEARN * columns:
        note += f", and {FEW_ROWS}"
    return note


def steps(determined: str, of: str, count: int) -> str:
    """Say that an information is the entropy of repeated values.

    Args:
        determined: the column of these values.
        of: the column that determines it.
        count: of different values.

    Returns:
        A sentence.
    """
    return (
        f"{determined} is a function of {of} with {count} different values, as of steps or of "
        "rounding: the information is the entropy of these values"
    )


def recurring(name: str, different: int, rows: int) -> str:
    """Say that rows of one block recur, and what to do if they are of one subject.

    Args:
        name: of the block.
        different: how many different rows it has.
        rows: of how many.

    Returns:
        A sentence.
    """
    return (
        f"{name} has {different} different rows in {rows}: if equal ones are of one subject or "
        f"recording, say so by groups=..., since else {RECOGNIZED}"
    )


def turned(count: int, rows: int) -> str:
    """Say that rows hold the numbers of others in another order or with other signs.

    Args:
        count: of such rows.
        rows: of how many.

    Returns:
        A sentence.
    """
    return (
        f"{count} of {rows} rows hold the numbers of others in another order or with other signs: "
        "if they are turned, mirrored or exchanged copies, say which belong together by "
        f"groups=..., since else {RECOGNIZED}"
    )


def of_resolution(result: Information, names: list[list[str]]) -> list[str]:
    """Say where neighbours or laws of classes contradicted an estimate, and what was done.

    Args:
        result: the information.
        names: of the columns of each block.

    Returns:
        Sentences.
    """

    def join(places):
        parts = zip(names, places, strict=True)
        return " and ".join(", ".join(block[place] for place in of) for block, of in parts)

    notes = []
    if result.mixture_weight * (1 - result.weight) > BY_LAWS:
        assert result.mixture is not None, "laws that weigh"
        laws = result.mixture.posterior or "normal laws of the classes"
        notes.append(
            f"the estimate is by {laws}, with the weight {result.mixture_weight:.2g}: {KNOW_LESS}"
        )
    if result.columns is not None:
        notes.append(
            f"the estimate is that of {join(result.columns)} alone: all columns together show "
            "less, because there are too few rows for so many"
        )
    if result.by_all is not None:
        notes[-1] += (
            f"; yet a linear regression of all shows {result.by_all.mean:.2f} nats: the error "
            "holds the difference"
        )
    if result.is_blurred:
        notes.append(
            "values clump or repeat, and the columns follow each other more closely than the ranks "
            "of so many rows show: the estimate may be too low; give more digits, or the values "
            "without noise that was added to them"
        )
    if result.is_by_noise:
        notes.append(
            "one block is a function of the other and noise that does not depend on it, whose "
            "edges tell more than the networks: the estimate is by the entropy of this noise"
        )
    if result.nearest is not None and result.is_by_neighbours:
        notes.append(
            "the relation is finer than the networks resolve: the estimate is that of nearest "
            f"neighbours of {join(result.nearest.columns)}, and its error holds what they miss by "
            "the number of rows"
        )
        if result.nearest.missing.mean > STILL * result.nearest.estimate.mean:
            notes[-1] += f"; {GROWING}"
    elif result.nearest is not None and result.weight:
        notes.append(
            f"nearest neighbours of {join(result.nearest.columns)} are surer than the networks: "
            f"they weigh {result.weight:.2g} of the estimate"
        )
    if result.twin_weight:
        notes.append(
            "a mixture of normal laws of x and y together, corrected by nearest neighbours, is "
            f"surer than the networks: it weighs {result.twin_weight:.2g} of the estimate"
        )
    if result.terms_of is not None and result.period:
        notes.append(
            f"a cycle of period {result.period:.5g} shows more than the networks, of "
            f"{join(result.terms_of)}, in the units of one of them: the error holds the "
            "difference; give the place within the cycle (that column modulo the period) in its "
            "stead, or beside it"
        )
    elif result.terms_of is not None:
        notes.append(
            f"a regression on products or waves of {join(result.terms_of)} shows more than the "
            "networks: the error holds the difference"
        )
    elif (
        result.unresolved
        and result.weight == 0
        and result.by_all is None
        and not result.twin_weight
    ):
        assert result.nearest is not None, "neighbours show what is unresolved"
        notes.append(
            f"nearest neighbours of {join(result.nearest.columns)} show more than the networks: "
            "the error holds the difference"
        )
    return notes


def general(
    nothing_detected: str = "",
    unbounded: bool = False,
    tied: bool = False,
) -> list[str]:
    """Return what the reader of an estimate should know beside the number.

    Args:
        nothing_detected: what to say where no network was trained to the end.
        unbounded: whether the information still grows at the finest noise.
        tied: whether the entropy is of samples of which many values are equal.

    Returns:
        Sentences.
    """
    notes = {
        nothing_detected: bool(nothing_detected),
        UNBOUNDED: unbounded,
        TIED: tied,
    }
    return [note for note, holds in notes.items() if holds]
