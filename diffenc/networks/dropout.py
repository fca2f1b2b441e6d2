"""Dropout that is off unless a key is given."""

import flax.linen as nn
import jax


def drop(module: nn.Module, h: jax.Array) -> jax.Array:
    """Set a share module.dropout of the numbers in h to zero, and stretch the others.

    Nothing is dropped where the module is applied without a key "dropout", as in evaluation
    (Srivastava et al. 2014).
    """
    if not module.dropout:
        return h
    return nn.Dropout(module.dropout, deterministic=not module.has_rng("dropout"))(h)
