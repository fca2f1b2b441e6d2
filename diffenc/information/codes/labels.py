"""Labels of few examples, and the limits of the information of labels."""

from dataclasses import dataclass

import numpy as np

from diffenc.information.codes.count_table import plug_in_entropy

LEAST_EXAMPLES = 10  # of a label


@dataclass(frozen=True)
class Labels:
    """Labels, of which those with fewer than ten examples are pooled to one.

    Attributes:
        pooled: [N] whole numbers from 0.
        entropy: of the labels (nats).
        loss: entropy of the labels given the pooled ones, which is the most that was lost.
        count: how many labels were pooled.
    """

    pooled: np.ndarray
    entropy: float
    loss: float
    count: int

    def restore(self, information: float) -> float:
        """Estimate what pooling lost of an information about the labels (nats).

        It lies between 0 and `loss`, and is taken in proportion: I(X;L) / H(L) is that of the
        pooled labels.
        """
        added = information * self.loss / (self.entropy - self.loss)
        return float(np.clip(added, 0.0, self.loss))


def pool(codes: np.ndarray) -> Labels:
    """Pool labels that have fewer than ten examples.

    The rarest ones are put together, as many as are needed for ten examples. Where that would
    leave a single label, nothing is pooled.

    Args:
        codes: [N] whole numbers from 0.

    Returns:
        The labels.
    """
    counts = np.bincount(codes)
    entropy = plug_in_entropy(counts)
    order = np.argsort(counts, kind="stable")
    together = np.cumsum(counts[order])
    number = int(np.sum(counts < LEAST_EXAMPLES))
    while 0 < number < len(counts) and together[number - 1] < LEAST_EXAMPLES:
        number += 1
    if number in (0, len(counts)):
        return Labels(codes, entropy, 0.0, 0)
    new = np.zeros(len(counts), np.int64)
    new[order[number:]] = np.arange(1, len(counts) - number + 1)
    pooled = new[codes]
    loss = entropy - plug_in_entropy(np.bincount(pooled))
    return Labels(pooled, entropy, loss, number)
