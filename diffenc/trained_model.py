"""A trained model and what can be asked of it: `Trained`, which `models.load` makes."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from diffenc.batches import map_padded
from diffenc.errors import InputError, check_whole
from diffenc.keys import key_of
from diffenc.latent import bounds, draws, held_out, noisy_terms, posterior
from diffenc.latent.blueprints import Blueprint
from diffenc.latent.systems import System
from diffenc.run import examples
from diffenc.units import Units

logger = logging.getLogger(__name__)

LARGEST_FOLDS = 0.01  # a share of draws, above which values are no bounds
FOLD_DRAWS = 10  # of each example, for the share of draws that fold the space


class LogProb(NamedTuple):
    """A lower bound of log p(x) for each example, in nats.

    Attributes:
        values: the bound [n].
        stderr: its standard error over the draws of z [n], (K / ess - 1) / (K - 1) under the root.
            It is too small where `ess` is a few. For a diffusion decoder it is that over draws of z
            and of noise, for the one x that is drawn from the cells of whole numbers.
        ess: the effective number of the K draws [n]; near K where q(z|x) is the posterior. NaN for
            a diffusion decoder.
        folds: the share of 10 more draws [n] on whose way the sampler folded the space. The density
            of such draws is not known: if the mean over examples is above a per cent, the values
            are no bounds. It happens to encoders that were hardly trained, and on data unlike those
            of training.
        bound: the name of the bound, and what it bounds.
    """

    values: np.ndarray
    stderr: np.ndarray
    ess: np.ndarray
    folds: np.ndarray
    bound: str


class PosteriorSamples(NamedTuple):
    """Latents from the exact posterior of the decoder, see `Trained.posterior_samples`.

    Attributes:
        z: [n, samples, d].
        ess: the effective number of the encoder's draws that they were chosen from [n].
    """

    z: np.ndarray
    ess: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A trained encoder with its decoder, made by `models.load`.

    Data x are arrays in the units and the shape of those that the run was trained on: [n, h, w, c],
    [n, h, w] for images of one channel, or flat [n, D]. Results are numpy arrays whose first axis
    is that of x. Every example has its own random numbers, a function of the seed and of its place
    in x, so that no result depends on the other examples. Where the decoder is of bits, the bits of
    x are drawn by its intensities, the same ones for the same seed in every method.

    Work is done in batches of a power of two of examples, at most `batch_size`: a second call of
    the same size compiles nothing, one of another size compiles each program once more at most.
    A `progress`, where it is given, is called with the number of examples done.

    Attributes:
        name: of the system, one of `systems`.
        systems: the names of all systems of the run.
        updates: how many the parameters were trained for.
        num_updates: how many the whole training has.
        example_shape: of one x.
        latent_dim: the dimension d of z.
        max_value: the largest value of the data, such as 255; None for real-valued data.
        batch_size: the largest number of examples at a time.
        columns: the names of the dimensions of a table, by which those of a DataFrame are found.
    """

    name: str
    systems: tuple[str, ...]
    updates: int
    num_updates: int
    example_shape: tuple[int, ...]
    latent_dim: int
    max_value: float | None
    batch_size: int
    columns: tuple[str, ...]
    _blueprint: Blueprint = dataclasses.field(repr=False)
    _system: System = dataclasses.field(repr=False)
    _params: Any = dataclasses.field(repr=False)

    def encode(
        self, x, seed: int = 0, mean: bool = False, samples: int = 100, progress=None
    ) -> np.ndarray:
        """Draw one z ~ q(z|x) for each example, or average such draws.

        Args:
            x: data [n, ...].
            seed: of the draws.
            mean: whether to average `samples` draws instead, which errs by the width of q(z|x) /
                sqrt(samples). Of a posterior with several modes the mean may lie in none.
            samples: how many draws are averaged; read only with `mean`.
            progress: called with the number of examples done.

        Returns:
            z [n, d].
        """
        check_whole("samples", samples, 1)
        x = self._observe(x, seed)

        def draw(key, x):
            if mean:
                return draws.mean(key, self._system, self._params, x, samples)
            return held_out.own_samples(key, self._system, self._params, x)

        return self._map(draw, self._key(seed, "encode"), x, progress)

    def decode(self, z, seed: int = 0, mean: bool = False, progress=None) -> np.ndarray:
        """Decode latents, in the units and the shape of the data.

        A diffusion decoder draws x ~ p(x|z), another x for another seed; with `mean` it gives
        E[x|z], as every other decoder does.

        Args:
            z: latents [n, d].
            seed: of the draws.
            mean: whether a diffusion decoder gives E[x|z], too.
            progress: called with the number of latents done.

        Returns:
            [n, ...]. For bits these are their probabilities times `max_value`.
        """
        z = examples.check_rows(z, (self.latent_dim,), "z")

        def of_latents(key, z):
            return held_out.decode_batch(self._system, self._params, z)

        def draw(key, z):
            return noisy_terms.decode_batch(key, self._system, self._params, z)

        if self._blueprint.is_diffusion and not mean:
            return self._units.restore(self._map(draw, self._key(seed, "decode"), z, progress))
        return self._units.restore(self._map(of_latents, None, z, progress))

    def reconstruct(self, x, seed: int = 0, progress=None) -> np.ndarray:
        """Encode x and decode z: `decode(z, seed)` [n, ...] of the z that `encode(x, seed)` draws.

        Args:
            x: data [n, ...].
            seed: of the draws.
            progress: called with the number of examples encoded.
        """
        return self.decode(self.encode(x, seed, progress=progress), seed)

    def sample(self, n: int, seed: int = 0, mean: bool = False) -> np.ndarray:
        """Draw x [n, ...] from the model: z ~ N(0, I), then x ~ p(x|z).

        Args:
            n: how many.
            seed: of the draws.
            mean: whether to give E[x|z] in place of x, which for images is the clearer picture. For
                bits x itself is 0 or `max_value`.
        """
        check_whole("n", n, 1)

        def draw(key, _):
            return draws.ancestral(key, self._system, self._params, mean)

        nothing = np.zeros((n, 0), np.float32)
        return self._units.restore(self._map(draw, self._key(seed, "sample"), nothing))

    def log_prob(self, x, samples: int = 100, seed: int = 0, progress=None) -> LogProb:
        """Bound log p(x) of every example from below, by the importance-weighted bound.

        log p(x) >= E log (1/K) sum_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x) (Burda et al., 1509.00519).
        More samples bring it nearer. For bits it is the log probability of the bits drawn from x,
        otherwise the log density of x, as in results.json; of whole numbers that of uniform draws
        from their cells, which bounds their log probability. (Runs of earlier versions give the
        density of x / max_value, which in the units of the data is lower by D log(max_value).) Of a
        rival of a diffusion decoder it is the log
        probability of x where the data are whole numbers, otherwise the log density of x in
        [-1, 1].

        A diffusion decoder gives draws of a bound, for which more samples bring nothing nearer:
        there it is the evidence lower bound, averaged over the samples, of x itself where the data
        are whole numbers and otherwise of x in [-1, 1]; `ess` is NaN.

        Args:
            x: data [n, ...].
            samples: K.
            seed: of the draws.
            progress: called with the number of examples done.
        """
        check_whole("samples", samples, 2)
        if self._blueprint.is_diffusion:
            return self._elbo(x, samples, seed, progress)
        x = self._observe(x, seed)
        terms, folds = self._map_bound(bounds.terms, x, samples, seed, progress)
        kind = "importance-weighted lower bound"
        if folds.mean() > LARGEST_FOLDS:
            kind = "no bound, for the sampler folds the space: importance-weighted estimate"
            logger.warning(
                "%.1f %% of the draws fold the space: the values are no bounds of log p(x)",
                100 * folds.mean(),
            )
        variance = np.maximum(samples / terms.ess - 1, 0) / (samples - 1)
        values = -(terms.nll + np.float32(self._units.log_cells(x[0].size)))
        _warn_of_no_numbers(values)
        return LogProb(
            values,
            np.sqrt(variance),
            terms.ess,
            folds,
            f"{kind} of log p({self._units.subject}) in nats, K = {samples}",
        )

    def _elbo(self, x, samples: int, seed: int, progress) -> LogProb:
        """Bound log p(x) by the evidence lower bound, see `log_prob`."""
        if not hasattr(self._system.encoder, "sample_and_log_prob"):
            raise InputError(
                f"system {self.name} has an encoder without a density, hence no bound: give system="
                "one of a method that has a rate"
            )
        x = self._observe(x, seed)
        terms, folds = self._map_bound(bounds.elbo, x, samples, seed, progress)
        log_cells = self._units.log_cells(x[0].size)
        values = -(terms.rate + terms.distortion + np.float32(log_cells))
        _warn_of_no_numbers(values)
        return LogProb(
            values,
            terms.scatter / np.sqrt(samples - 1),
            np.full(len(x), np.nan, np.float32),
            folds,
            f"evidence lower bound of log p({self._units.subject}) in nats, {samples} draws",
        )

    def _map_bound(self, bound: Callable, x: np.ndarray, samples: int, seed: int, progress):
        """Return the terms of a bound, and the share of draws that fold the space [n]."""

        def terms(key, x):
            return held_out.batch_bound(key, bound, self._system, self._params, x, samples)

        def fold_shares(key, x):
            return draws.fold_shares(key, self._system, self._params, x, FOLD_DRAWS)

        return (
            self._map(terms, self._key(seed, "log_prob"), x, progress),
            self._map(fold_shares, self._key(seed, "folds"), x),
        )

    def posterior_samples(
        self,
        x,
        samples: int = 10,
        seed: int = 0,
        proposals: int = 1000,
        steps: int = 20,
        progress=None,
    ) -> PosteriorSamples:
        """Draw from the posterior of the decoder, p(z|x) ~ p(z) p(x|z), rather than from q(z|x).

        `proposals` draws of the encoder are weighted by p(z|x) / q(z|x), `samples` of them are
        chosen by weight, and each choice is moved by `steps` of MALA. This is exact for many
        proposals or many steps. It is poor where `ess` is a few: then the encoder's draws miss part
        of the posterior. Steps mend that nearby, but lead to no other mode; a mode where the
        encoder never draws is missed, and `ess` does not tell. If the run was trained with a
        gamma other than 1, the posterior is p(z) p(x|z)^(1/gamma).

        Args:
            x: data [n, ...].
            samples: draws for each example.
            seed: of all draws.
            proposals: draws of the encoder.
            steps: of MALA; 0 for none.
            progress: called with the number of examples done.
        """
        check_whole("samples", samples, 1)
        check_whole("proposals", proposals, 1)
        check_whole("steps", steps, 0)
        x = self._observe(x, seed)

        def draw(key, x):
            return posterior.draw(key, self._system, self._params, x, samples, proposals, steps)

        return PosteriorSamples(*self._map(draw, self._key(seed, "posterior_samples"), x, progress))

    def _observe(self, x, seed: int) -> np.ndarray:
        """Check x and make of it what the model sees, as in training."""
        units = self._units
        rows = units.check(examples.in_order(x, self.columns))
        return self._map(units.make_prepare(), self._key(seed, "bits"), rows)

    def _key(self, seed: int, name: str):
        """Make the key of a purpose; raises InputError for a seed that is none."""
        check_whole("seed", seed, 0)
        return key_of(int(seed), name)

    @property
    def _units(self) -> Units:
        return Units(self._blueprint)

    def _map(self, fn: Callable, key, rows: np.ndarray, progress=None):
        """Apply fn to batches of rows, see `map_padded`."""
        return map_padded(fn, key, rows, self.batch_size, progress)


def _warn_of_no_numbers(values: np.ndarray) -> None:
    """Say which examples are so far from those of training that float32 holds no density."""
    is_bad = ~np.isfinite(values)
    if is_bad.any():
        logger.warning(
            "log p(x) of %d of %d examples is no number of float32, so far are they from the data "
            "of training; the first is x[%d]: leave them out of a mean",
            is_bad.sum(),
            len(values),
            np.argmax(is_bad),
        )
