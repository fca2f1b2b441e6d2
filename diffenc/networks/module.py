"""The base of networks whose outputs are arrays or contexts of their own."""

from typing import TYPE_CHECKING, Any

import flax.linen as nn


class Module(nn.Module):
    """A flax module whose variables do not change when it is applied.

    flax says of `apply` that it may return a pair, the output and changed variables. Here it is the
    output alone, which only a checker of types needs to be told.
    """

    if TYPE_CHECKING:

        def apply(self, variables, *args, **options) -> Any:
            """Compute the output."""
