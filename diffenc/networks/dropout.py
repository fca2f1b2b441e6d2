"""Dropout that is off unless a key is given."""

import flax.linen as nn
import jax

from diffenc.errors import check_fraction


def drop(module: nn.Module, h: jax.Array) -> jax.Array:
    """Set a share module.dropout of the numbers in h to zero, and stretch the others.

    The others are divided by 1 - module.dropout, so that the mean stays (Srivastava et al. 2014).
    Nothing is dropped where the module is applied without a key "dropout", as in evaluation. Raises
    InputError unless the share is in [0, 1).
    """
    check_fraction(module, "dropout")
    if not module.dropout:
        return h
    return nn.Dropout(module.dropout, deterministic=not module.has_rng("dropout"))(h)
