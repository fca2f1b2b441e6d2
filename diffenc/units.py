"""Data in the units of a caller, and x as a trained model sees them."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np

from diffenc.latent.blueprints import Blueprint
from diffenc.run import data, examples
from diffenc.run.centring import Centring
from diffenc.run.scaling import Scaling


@dataclasses.dataclass(frozen=True)
class Units:
    """The map between the data that a run was trained on and x of its model.

    Attributes:
        blueprint: of the system, with the shape of an example and the largest value of the data.
    """

    blueprint: Blueprint

    @property
    def subject(self) -> str:
        """What `Trained.log_prob` is the probability or the density of."""
        blueprint = self.blueprint
        if blueprint.is_binary:
            return "the bits drawn from x"
        if blueprint.max_value is None or blueprint.levels is not None:
            return "x"
        if blueprint.shift is not None:
            return "x"
        if blueprint.is_centred:
            return "x in [-1, 1]"
        return "x" if blueprint.max_value == 1.0 else f"x / {blueprint.max_value:g}"

    def check(self, x) -> np.ndarray:
        """Return data [n, ...] or flat [n, D] as float32 in the shape of the training's.

        Raises:
            InputError: they are no data of the shape and the scale of those of the training.
        """
        blueprint = self.blueprint
        rows = examples.check_rows(x, blueprint.example_shape, "x")
        scaling = self._scaling
        if scaling is None or not scaling.has_signs:
            examples.check_scale(rows, blueprint.max_value, blueprint.is_binary)
        else:
            examples.check_signs(rows)
        return rows

    def make_prepare(self) -> Callable:
        """Make prepare(key, rows) -> what the model sees of rows of data, as in training."""
        blueprint = self.blueprint
        if blueprint.is_centred:
            return functools.partial(_restated, units=self._centring)
        if self._scaling is not None:
            return functools.partial(_restated, units=self._scaling)
        return functools.partial(
            _prepare, is_binary=blueprint.is_binary, max_value=blueprint.max_value
        )

    def restore(self, x: np.ndarray) -> np.ndarray:
        """Bring flat x of the model to the units and the shape of the data."""
        if self.blueprint.is_centred:
            x = self._centring.restore(x)
        elif self._scaling is not None:
            x = self._scaling.restore(x)
        else:
            x = x * np.float32(self.blueprint.max_value or 1.0)
        return x.reshape(-1, *self.blueprint.example_shape)

    def log_cells(self, data_dim: int) -> float:
        """Give what makes of -log p(x) a bound of -log P, see `Centring.log_cells`."""
        return self._centring.log_cells(data_dim)

    @property
    def _centring(self) -> Centring:
        return Centring(self.blueprint.max_value, self.blueprint.levels)

    @property
    def _scaling(self) -> Scaling | None:
        """The map of the data to x, or None where `max_value` says it all."""
        blueprint = self.blueprint
        if blueprint.shift is None or blueprint.scale is None:
            return None
        return Scaling(
            blueprint.shift,
            blueprint.scale,
            blueprint.is_binary,
            blueprint.is_whole,
            blueprint.max_value if blueprint.is_whole else None,
        )


@functools.partial(jax.jit, static_argnames=("is_binary", "max_value"))
def _prepare(key, rows, *, is_binary, max_value):
    return data.make_prepare(is_binary, max_value)(key, rows)


@functools.partial(jax.jit, static_argnames="units")
def _restated(key, rows, *, units):
    return units.prepare(key, rows)
