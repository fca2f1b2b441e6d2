"""A trained model of discrete data: `TrainedGrid`, which `models.load` makes of its run."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import grid_models, training
from diffenc.batches import map_padded
from diffenc.diffusion import likelihood
from diffenc.diffusion.grid_denoiser import GridDenoiser, Marginals
from diffenc.errors import check_whole
from diffenc.grid_models import Carried, ModelSettings
from diffenc.keys import key_of
from diffenc.run import examples, text

GROUPS = 8  # of the draws of an example, whose scatter is the error of its bound
AT_ONCE = 2**26  # numbers of the largest array, those of the decoder's probabilities


class Name(NamedTuple):
    """Which system of a run.

    Attributes:
        model: its name in the config.
        seed: of its training.
    """

    model: str
    seed: int


class Outline(NamedTuple):
    """A model with the shapes of its state in place of the arrays.

    Attributes:
        denoiser: the model.
        state: a `training.TrainState`.
    """

    denoiser: GridDenoiser
    state: training.TrainState


@dataclasses.dataclass(frozen=True)
class GridBlueprint:
    """What a model of discrete data can be made from again, without its data.

    Attributes:
        name: the key of its state in a checkpoint.
        settings: of the model.
        example_shape: of x [batch, *example_shape].
        rule: by which its noise levels are learned, see `AdaptiveLevels`.
        clip_norm: of its optimizer, whose state is in the checkpoint.
        characters: those that the numbers of a text stand for, in order; None for other data.
    """

    name: Name
    settings: ModelSettings
    example_shape: tuple[int, ...]
    rule: str
    clip_norm: float | None
    characters: str | None = None

    @property
    def label(self) -> str:
        """The name with its parts joined by dots, as in metrics.jsonl."""
        return ".".join(map(str, self.name))

    def outline(self) -> Outline:
        """Make the model with the shapes of its state; nothing is computed."""
        denoiser = grid_models.make(self.settings, self.example_shape)
        optimizer = training.make_optimizer(1.0, 1, clip_norm=self.clip_norm)

        def start():
            zero = jnp.zeros(())
            logs = jnp.zeros((*self.example_shape, self.settings.size))
            carried = Carried.create(self.settings, Marginals(zero, zero, logs), self.rule)
            x = jnp.zeros((1, *self.example_shape), jnp.int32)
            params = denoiser.init(key_of(0, "outline"), x)
            return training.TrainState.create(params, optimizer, carried)

        return Outline(denoiser, jax.eval_shape(start))


def from_json(values: dict[str, Any]) -> GridBlueprint:
    """Read the fields of a `GridBlueprint` from JSON, which has lists in place of tuples.

    Raises TypeError, KeyError or an InputError where a field is absent, unknown, or has a value
    that the settings refuse.
    """
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values["settings"].items()
    }
    made = {
        "name": Name(*values["name"]),
        "settings": ModelSettings(**settings),
        "example_shape": tuple(values["example_shape"]),
    }
    return GridBlueprint(**values | made)


class LogProb(NamedTuple):
    """A lower bound of log P(x) for each example, in nats.

    Attributes:
        values: the bound [n].
        stderr: its standard error over the draws of noise [n].
        bound: the name of the bound.
    """

    values: np.ndarray
    stderr: np.ndarray
    bound: str


class BitsPerDim(NamedTuple):
    """An upper bound of the code length of each example, in bits for each of its numbers.

    Attributes:
        values: the bound [n].
        stderr: its standard error over the draws of noise [n].
    """

    values: np.ndarray
    stderr: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedGrid:
    """A trained model of whole numbers, made by `models.load`.

    Data x are whole numbers in the units and the shape of those that the run was trained on: [n, h,
    w, c], [n, h, w] for images of one channel, or flat [n, D]; of texts, also n strings of the
    length of the training windows. Every example has its own random numbers, a function of the seed
    and of its place in x, so that no result depends on the other examples.

    Work is done in batches of a power of two of examples, at most `batch_size`, and fewer where the
    probabilities of all values of a batch would fill the memory. A `progress`, where it is given,
    is called with the number of examples done.

    Attributes:
        name: of the system, one of `systems`.
        systems: the names of all systems of the run.
        updates: how many the parameters were trained for.
        num_updates: how many the whole training has.
        example_shape: of one x.
        size: how many values a number of x takes: 0, ..., size - 1.
        batch_size: the largest number of examples at a time.
        columns: the names of the dimensions of a table, by which those of a DataFrame are found.
        characters: those that the numbers of a text stand for, in order; None for other data.
            `run.text.decode(x, characters)` makes texts of samples.
    """

    name: str
    systems: tuple[str, ...]
    updates: int
    num_updates: int
    example_shape: tuple[int, ...]
    size: int
    batch_size: int
    columns: tuple[str, ...]
    characters: str | None
    _denoiser: GridDenoiser = dataclasses.field(repr=False)
    _params: Any = dataclasses.field(repr=False)
    _carried: Carried = dataclasses.field(repr=False)

    @property
    def dim(self) -> int:
        """The numbers D of an example."""
        return int(np.prod(self.example_shape))

    def log_prob(self, x, samples: int = 64, seed: int = 0, progress=None) -> LogProb:
        """Bound log P(x) of every example from below, by the evidence lower bound.

        It is the bound of results.json, -(prior + diffusion + reconstruction), which belongs to a
        code; more samples make it more precise, and move its mean nowhere.

        Args:
            x: whole numbers [n, ...].
            samples: noise levels of each example, rounded up to a multiple of 8.
            seed: of the draws.
            progress: called with the number of examples done.
        """
        check_whole("samples", samples, 1)
        x = self._observe(x)
        draws = -(-samples // GROUPS)

        def draw(key, x):
            return _totals(
                key, self._params, self._carried, x, denoiser=self._denoiser, draws=draws
            )

        totals = self._map(draw, self._key(seed, "log_prob"), x, draws, progress)
        stderr = totals.std(axis=1, ddof=1) / np.sqrt(GROUPS)
        bound = f"evidence lower bound of log P(x) in nats, {GROUPS * draws} draws"
        return LogProb(-totals.mean(axis=1), stderr, bound)

    def bits_per_dim(self, x, samples: int = 64, seed: int = 0, progress=None) -> BitsPerDim:
        """Bound the code length of every example: -log P(x), in bits for each of its numbers.

        Args:
            x: whole numbers [n, ...].
            samples: see `log_prob`.
            seed: of the draws, which are those of `log_prob`.
            progress: called with the number of examples done.
        """
        bound = self.log_prob(x, samples, seed, progress)
        return BitsPerDim(
            likelihood.bits_per_dim(-bound.values, self.dim),
            likelihood.bits_per_dim(bound.stderr, self.dim),
        )

    def sample(self, n: int, seed: int = 0, steps: int = 250, progress=None) -> np.ndarray:
        """Draw whole numbers x [n, ...] from the model, int32.

        Args:
            n: how many.
            seed: of the draws.
            steps: of the reverse process from noise; at its end the decoder draws the values.
            progress: called with the number of examples done.
        """
        check_whole("n", n, 1)
        check_whole("steps", steps, 1)

        def draw(key, nothing):
            return grid_models.sample(
                key,
                self._params,
                self._carried,
                denoiser=self._denoiser,
                shape=(len(nothing), *self.example_shape),
                steps=steps,
            )

        nothing = np.zeros((n, 0), np.float32)
        return self._map(draw, self._key(seed, "sample"), nothing, 1, progress)

    def _observe(self, x) -> np.ndarray:
        """Check x, and number the characters of texts."""
        is_list = isinstance(x, list | tuple)
        if self.characters is not None and is_list and all(isinstance(one, str) for one in x):
            x = text.encode(x, self.characters, "x")
        x = examples.check_rows(examples.in_order(x, self.columns), self.example_shape, "x")
        self._denoiser.alphabet.check(x, "x")
        return x

    def _key(self, seed: int, name: str):
        """Make the key of a purpose; raises InputError for a seed that is none."""
        check_whole("seed", seed, 0)
        return key_of(int(seed), name)

    def _map(self, fn, key, rows: np.ndarray, draws: int, progress):
        """Apply fn to batches of rows, of each of which the network sees `draws` at a time."""
        most = max(1, AT_ONCE // (draws * self.dim * self.size))
        batch_size = min(self.batch_size, 1 << (most.bit_length() - 1))
        return map_padded(fn, key, rows, batch_size, progress)


@functools.partial(jax.jit, static_argnames=("denoiser", "draws"))
def _totals(key, params, carried, x, *, denoiser, draws):
    """Draw the bound on -log P(x) in groups of noise levels [batch, GROUPS], in nats."""

    def of_group(key):
        return grid_models.draw_terms(key, params, carried, x, denoiser=denoiser, draws=draws).total

    return jax.lax.map(of_group, jax.random.split(key, GROUPS)).T
