"""Images that the decoders of experiments.diffusion_decoder make, for its figures."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from diffenc.estimate import map_examples
from diffenc.keys import key_of
from diffenc.latent import held_out, noisy_terms
from diffenc.latent.systems import System
from diffenc.run.advance import dotted
from diffenc.run.centring import Centring
from diffenc.run.data import Dataset
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.settings import Experiment
from experiments.diffusion_decoder.usefulness import Measured

NUM_EXAMPLES = 12  # held-out ones, the first; two neighbours are a pair
NUM_PAIRS = NUM_EXAMPLES // 2
NUM_DRAWS = 4  # of x_1 for each latent
NUM_SAMPLES = 64
NUM_STEPS = 9  # from one example of a pair to the other, both among them


class Picture(NamedTuple):
    """Images of one system, from 0 (black) to 1; None for what it has none of.

    Attributes:
        draws: reconstructions from random x_1 [k, 12, h, w, c]; k = 1 for a decoder that is no
            diffusion, whose reconstruction is E[x|z].
        round_trip: reconstructions from the x_1 to which the flow leads x [12, h, w, c].
        prior: of z ~ N(0, I) [64, h, w, c].
        learned: of z from the learned prior [64, h, w, c].
        path: between the latents of two examples [6, 9, h, w, c], from one x_1 each.
        swaps: of the pairs (semantic, perceptual) latents that two examples a and b make, in the
            order aa, ab, ba, bb [4, 6, h, w, c], from one x_1 for the four.
    """

    draws: np.ndarray | None = None
    round_trip: np.ndarray | None = None
    prior: np.ndarray | None = None
    learned: np.ndarray | None = None
    path: np.ndarray | None = None
    swaps: np.ndarray | None = None


class Request(NamedTuple):
    """What is to be decoded: `shape` images, a row of each array for one.

    Attributes:
        z: latents [n, d].
        x_1: the noise that a diffusion starts from [n, D].
        shape: of the n images.
    """

    z: np.ndarray
    x_1: np.ndarray
    shape: tuple[int, ...]


def are_images(dataset: Dataset) -> bool:
    """Tell whether the examples are images [height, width, channels] that can be shown."""
    return len(dataset.example_shape) == 3 and dataset.example_shape[-1] in (1, 3)


def to_unit(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Map data in their own units to [0, 1]: the largest value, or the range of training data."""
    low = 0.0
    high = dataset.max_value
    if high is None:
        low = float(dataset.train.min())
        high = float(dataset.train.max())
    return np.clip((np.asarray(rows, np.float32) - low) / ((high - low) or 1.0), 0.0, 1.0)


def make_pictures(
    experiment: Experiment,
    dataset: Dataset,
    models: dict[Name, System],
    params: dict[Name, dict],
    measured: dict[Name, Measured],
    x: np.ndarray,
) -> dict[str, Picture]:
    """Make the images of each method, of its first place of the sweep and its first seed.

    Args:
        experiment: the config.
        dataset: the data.
        models: the systems.
        params: of each of them.
        measured: of which the latents of x are read.
        x: held-out examples [n, ...].

    Returns:
        Pictures by method; none where the data are no images.
    """
    if not are_images(dataset):
        return {}
    pictures = {}
    for name, system in models.items():
        if name.method not in pictures:
            pictures[name.method] = make_picture(
                experiment, dataset, name, system, params[name], measured[name].z, x
            )
    return pictures


def make_picture(
    experiment: Experiment, dataset: Dataset, name: Name, system: System, params, z, x
) -> Picture:
    """Make the images of one system.

    Args:
        experiment: the config.
        dataset: the data.
        name: of the system.
        system: the model.
        params: its parameters.
        z: a latent of each held-out example [n, d]; d = 0 for a decoder without a latent.
        x: held-out examples [n, ...].
    """
    key = key_of(experiment.training.seed, "pictures", dotted(name.key))
    key_z, key_draws, key_prior, key_pairs, key_learned = jax.random.split(key, 5)
    batch_size = experiment.evaluation.batch_size

    def noise(key, count):
        return np.asarray(jax.random.normal(key, (count, x[0].size)))

    x_1 = noise(key_prior, NUM_SAMPLES)
    prior = np.asarray(jax.random.normal(key_z, (NUM_SAMPLES, system.encoder.latent_dim)))
    requests = {"prior": Request(prior, x_1, (NUM_SAMPLES,))}
    if hasattr(system.encoder, "embed_null") and z.shape[1]:
        learned = held_out.learned_prior(
            key_learned, system, params, NUM_SAMPLES, dataset.example_shape
        )
        requests["learned"] = Request(np.asarray(learned.z), x_1, (NUM_SAMPLES,))
    if z.shape[1]:
        num_draws = 1 if system.decoder.is_exact else NUM_DRAWS
        shape = (num_draws, NUM_EXAMPLES)
        own = np.tile(z[:NUM_EXAMPLES], (num_draws, 1))
        requests["draws"] = Request(own, noise(key_draws, len(own)), shape)
        x_1 = noise(key_pairs, NUM_PAIRS)
        path = interpolate(z, z[:NUM_EXAMPLES:2], z[1:NUM_EXAMPLES:2])
        shape = (NUM_PAIRS, NUM_STEPS)
        requests["path"] = Request(path, np.repeat(x_1, NUM_STEPS, axis=0), shape)
        perceptual_dim = getattr(system.decoder, "perceptual_dim", 0)
        if perceptual_dim:
            swapped = swap(z[:NUM_EXAMPLES:2], z[1:NUM_EXAMPLES:2], perceptual_dim)
            requests["swaps"] = Request(swapped, np.tile(x_1, (4, 1)), (4, NUM_PAIRS))
    images = decode(system, params, requests, dataset, batch_size)
    if z.shape[1] and not system.decoder.is_exact:
        back = noisy_terms.round_trips(
            system, params, x[:NUM_EXAMPLES], z[:NUM_EXAMPLES], batch_size
        )
        images["round_trip"] = as_images(back, (NUM_EXAMPLES,), dataset)
    return Picture(**images)


@functools.partial(jax.jit, static_argnames="decoder")
def _decode(params, z, x_1, *, decoder):
    if decoder.is_exact:
        return decoder.mean(params, z)
    return decoder.decode(params, z, x_1.reshape(len(z), *decoder.shape))


def decode(
    system: System, params, requests: dict[str, Request], dataset: Dataset, batch_size: int
) -> dict[str, np.ndarray]:
    """Decode everything that is asked for by one program.

    Args:
        system: the model.
        params: its parameters.
        requests: by name.
        dataset: the data.
        batch_size: latents at a time.

    Returns:
        {name: images [*shape, h, w, c]}.
    """

    def of_batch(_, pair):
        # of the decoder alone, so that methods with one decoder share the program
        return _decode(params["decoder"], *pair, decoder=system.decoder)

    z = np.concatenate([request.z for request in requests.values()])
    x_1 = np.concatenate([request.x_1 for request in requests.values()])
    decoded = map_examples(of_batch, None, (z, x_1), batch_size)
    ends = np.cumsum([len(request.z) for request in requests.values()])
    parts = zip(requests.items(), np.split(decoded, ends[:-1]), strict=True)
    return {name: as_images(part, request.shape, dataset) for (name, request), part in parts}


def as_images(x: np.ndarray, shape: tuple[int, ...], dataset: Dataset) -> np.ndarray:
    """Bring decoded x [n, D] to images [*shape, h, w, c] in [0, 1]."""
    rows = np.asarray(Centring.of(dataset).restore(x))
    return to_unit(dataset, rows.reshape(*shape, *dataset.example_shape))


def interpolate(z: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Make the paths between latents, along great circles after z is standardized.

    A straight line passes nearer to the mean than latents are, and images there look like averages.
    The circle's radius changes evenly from one length to the other.

    Args:
        z: latents of held-out examples [n, d], by whose mean and scale they are standardized.
        first: where paths begin [pairs, d].
        last: where they end [pairs, d].

    Returns:
        [pairs * steps, d], a pair after the other.
    """
    mean = z.mean(axis=0)
    scale = z.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    a = (first - mean) / scale
    b = (last - mean) / scale
    length_a = np.linalg.norm(a, axis=1, keepdims=True)
    length_b = np.linalg.norm(b, axis=1, keepdims=True)
    direction_a = a / np.maximum(length_a, 1e-12)
    direction_b = b / np.maximum(length_b, 1e-12)
    cosine = np.sum(direction_a * direction_b, axis=1, keepdims=True)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    is_flat = sine < 1e-3  # as in one dimension, where there is no circle
    points = []
    for share in np.linspace(0.0, 1.0, NUM_STEPS):
        weight_a = np.sin((1 - share) * angle)
        weight_b = np.sin(share * angle)
        circle = (weight_a * direction_a + weight_b * direction_b) / np.where(is_flat, 1.0, sine)
        length = (1 - share) * length_a + share * length_b
        straight = (1 - share) * a + share * b
        points.append(np.where(is_flat, straight, length * circle))
    return (np.stack(points, axis=1) * scale + mean).reshape(-1, z.shape[1]).astype(np.float32)


def swap(a: np.ndarray, b: np.ndarray, perceptual_dim: int) -> np.ndarray:
    """Make the four latents of two examples: semantic and perceptual of aa, ab, ba, bb.

    Args:
        a: latents [pairs, d].
        b: latents [pairs, d].
        perceptual_dim: how many of the coordinates, the last ones, are perceptual.

    Returns:
        [4 * pairs, d].
    """
    first = a.shape[1] - perceptual_dim
    latents = [
        np.concatenate([semantic[:, :first], perceptual[:, first:]], axis=1)
        for semantic in (a, b)
        for perceptual in (a, b)
    ]
    return np.concatenate(latents)
