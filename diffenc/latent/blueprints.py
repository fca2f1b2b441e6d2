"""What a system can be made from again, without its data: plain values, written as JSON."""

import dataclasses
import functools
from typing import Any

import jax

from diffenc.latent import decoders, em, systems, toys
from diffenc.latent.decoder_settings import DiffusionSettings
from diffenc.latent.system_settings import ModelSettings, OptimizerSettings, Settings
from diffenc.latent.systems import System

Name = str | tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """A system's name and settings, and what it has to know of its data.

    Attributes:
        name: the key of the system's state in a checkpoint.
        settings: of the system.
        example_shape: of x [batch, *example_shape].
        num_examples: how many it was trained on.
        max_value: the value of the data that counts as one, see `data.Dataset`; None for
            real-valued data.
        toy: the name of the toy that is its decoder; None for a decoder that learns.
        levels: how many values a number of the data takes, for a diffusion decoder and its rivals;
            None where they are real numbers.
        is_rival: whether it was trained beside a diffusion decoder, on the same x.
        shift: what x is less than the data, see `scaling.Scaling`; None where x is the data divided
            by `max_value`, or bits drawn by that.
        scale: what the difference is divided by.
        is_whole: whether the data are whole numbers, dequantized.
        log_volume: of the data that are one of x.
    """

    name: Name
    settings: Settings
    example_shape: tuple[int, ...]
    num_examples: int
    max_value: float | None
    toy: str | None = None
    levels: int | None = None
    is_rival: bool = False
    shift: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    is_whole: bool = False
    log_volume: float = 0.0

    @property
    def label(self) -> str:
        """The name with its parts joined by dots, as in results.json."""
        return ".".join(map(str, self.name)) if isinstance(self.name, tuple) else self.name

    @property
    def is_binary(self) -> bool:
        """Whether the decoder's data are bits."""
        return self.toy is None and self.settings.model.decoder == "bernoulli"

    @property
    def is_diffusion(self) -> bool:
        """Whether the decoder is a diffusion of x."""
        return self.toy is None and self.settings.model.decoder == "diffusion"

    @property
    def is_centred(self) -> bool:
        """Whether x is data about zero, as a diffusion decoder and its rivals see them."""
        return self.is_diffusion or self.is_rival

    def outline(self) -> System:
        """Make the system with the shapes of its state in place of the arrays; nothing is computed.

        It cannot be trained: it has no update.
        """
        decoder = self._decoder()
        make = functools.partial(
            systems.make, self.settings, decoder, self.example_shape, self.num_examples, 0
        )
        return System(
            systems.make_encoder(self.settings, decoder),
            decoders.bound_of(decoder),
            jax.eval_shape(lambda: make().state),
            _refuse,
            self.settings.sampler_steps,
            self.settings.em.gamma,
            self.settings.method == "persistent",
        )

    def _decoder(self):
        if self.toy is not None:
            return toys.make(self.toy)
        model = self.settings.model
        return systems.make_decoder(
            model, self.example_shape, self.settings.method, self.log_volume
        )


def _refuse(state, key, batch):
    """The update of an outline."""
    raise TypeError("an outline of a system cannot be trained: make the system")


def from_json(values: dict[str, Any]) -> Blueprint:
    """Read the fields of a `Blueprint` from JSON, which has lists in place of tuples.

    Raises TypeError, KeyError or an InputError where a field is absent, unknown, or has a value
    that the settings refuse.
    """
    model = _with_tuples(values["settings"]["model"])
    if model.get("diffusion") is not None:
        model["diffusion"] = DiffusionSettings(**_with_tuples(model["diffusion"]))
    of_settings = values["settings"] | {
        "model": ModelSettings(**model),
        "em": em.Settings(**values["settings"]["em"]),
        "optimizer": OptimizerSettings(**values["settings"]["optimizer"]),
    }
    return Blueprint(**_with_tuples(values) | {"settings": Settings(**of_settings)})


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists of JSON into tuples, which are hashable as the settings must be."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
