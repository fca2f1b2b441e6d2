"""Figures of experiments.diffusion_decoder from made-up numbers: each kind of run has its files."""

import types

import numpy as np
import pytest

from diffenc.estimate import Estimate
from diffenc.latent import em
from diffenc.latent.decoder_settings import DiffusionSettings
from diffenc.latent.latent_use import ShuffleRise
from diffenc.run.advance import dotted
from diffenc.run.data import Dataset
from experiments.diffusion_decoder import figures, pictures, shuffling
from experiments.diffusion_decoder.measures import Measured
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.settings import BOTTLENECKED, METHODS, Experiment, Point

N = 40
DIM = 4
POINT = Point()
CURVES = {"rate_distortion.png", "shuffle.png", "training.png"}
IMAGES = {"reconstructions.png", "interpolations.png", "samples.png"}


def make_dataset(shape=(6, 6, 1)):
    """Numbers without labels: bytes where they are images."""
    rng = np.random.default_rng(0)
    if len(shape) == 1:
        rows = rng.normal(size=(100, *shape)).astype(np.float32)
        return Dataset("made", rows, rows[:N], None, None, None)
    rows = rng.integers(17, size=(100, *shape)).astype(np.uint8)
    return Dataset("made", rows, rows[:N], None, None, 16.0)


def make_experiment(methods, points=(POINT,), num_seeds=1, rate=None, **of_decoder):
    """Say what figures read of a config: the decoders, and the weights of the rate."""
    places = {}
    for method in methods:
        for point in points:
            if method == "vae":
                point = Point()
            elif method not in BOTTLENECKED:
                point = Point(None, point.split)
            moved = {} if point.split is None else {"split": point.split}
            diffusion = None if method == "vae" else DiffusionSettings(**of_decoder | moved)
            settings = types.SimpleNamespace(
                em=em.Settings(gamma=point.gamma or 0.1, rate=rate),
                model=types.SimpleNamespace(diffusion=diffusion),
            )
            places[method, point] = settings
    return Experiment(None, num_seeds, None, places, 0, 0, None)


def make_measured(experiment):
    """Make up the numbers of each system, and of principal components."""
    rng = np.random.default_rng(1)
    measured = {}
    for (method, point), settings in experiment.methods.items():
        for seed in range(experiment.num_seeds):
            split = settings.model.diffusion.split if settings.model.diffusion else 0.0
            gamma = settings.em.gamma
            rate = 0.0 if method == "without_latent" else -3.0 * np.log(gamma) + split
            values = {"distortion": rng.normal(110 + 20 * gamma**0.5 - split, 3.0, N)}
            if method != "deterministic_encoder":
                values["rate"] = rng.normal(rate, 1.0, N)
                values["neg_elbo"] = values["rate"] + values["distortion"]
            if method in BOTTLENECKED:
                values["refit_rate"] = 0.6 * values["rate"]
                values["refit_distortion"] = values["distortion"] + 3.0
                values["refit_neg_elbo"] = values["refit_rate"] + values["refit_distortion"]
            if method == "without_latent":
                measured[Name(method, point, seed)] = Measured(values, {}, np.zeros((N, 0)))
                continue
            values |= {"own_error": rng.uniform(1, 2, N), "other_error": rng.uniform(5, 6, N)}
            rise = None
            if method != "vae":
                values["round_trip_error"] = rng.uniform(0.1, 0.2, N)
                rise = make_rise(rng, settings.model.diffusion)
                values["shuffle_rise"] = rise.total
            z = rng.normal(size=(N, DIM))
            scalars = {"active_dimensions": Estimate(4.0, 0.0)}
            measured[Name(method, point, seed)] = Measured(values, scalars, z, rise)
    values = {"own_error": rng.uniform(1, 2, N), "other_error": rng.uniform(5, 6, N)}
    measured[Name("pca", Point(), 0)] = Measured(values, {}, rng.normal(size=(N, DIM)))
    return measured


def make_rise(rng, diffusion):
    """Make up a rise at 4 levels on each side where a latent is seen."""
    levels = rng.uniform(diffusion.low, diffusion.split, size=(N, 4))
    if diffusion.perceptual_dim:
        above = rng.uniform(diffusion.split, diffusion.high, size=(N, 4))
        levels = np.concatenate([levels, above], axis=1)
    density = np.exp(-(levels**2) / 8) * rng.exponential(size=levels.shape)
    terms = 7 * density / density.shape[1]
    return ShuffleRise(terms.sum(axis=1), levels, density, terms)


def make_pictures(experiment, dataset):
    """Make up the images that each method has."""
    rng = np.random.default_rng(2)

    def images(*shape):
        return rng.uniform(size=(*shape, *dataset.example_shape))

    made = {}
    for (method, _), settings in experiment.methods.items():
        if method == "without_latent":
            made[method] = pictures.Picture(prior=images(64))
            continue
        has_two = method != "vae" and settings.model.diffusion.perceptual_dim
        made[method] = pictures.Picture(
            images(1 if method == "vae" else 4, 12),
            None if method == "vae" else images(12),
            images(64),
            images(64) if method == "diffusion_encoder" else None,
            images(6, 9),
            images(4, 6) if has_two else None,
        )
    return made


def make_metrics(experiment):
    """Make up the curves of training; gamma moves."""
    lines = []
    for step in range(0, 600, 50):
        line = {"step": step}
        for method, point in experiment.methods:
            for seed in range(experiment.num_seeds):
                name = dotted(Name(method, point, seed).key)
                line[f"{name}.decoder_loss"] = 50 + 100 / (1 + step)
                line[f"{name}.held_out_distortion"] = 110 + 100 / (1 + step)
                if method != "deterministic_encoder":
                    line[f"{name}.held_out_rate"] = step / 50
                if method in BOTTLENECKED:
                    line[f"{name}.gamma"] = 0.1 * np.exp(-step / 1000)
        lines.append(line)
    return lines


def draw(workdir, experiment, dataset):
    """Draw everything; returns the names of the files, which are images."""
    made = make_pictures(experiment, dataset) if len(dataset.example_shape) == 3 else {}
    measured = make_measured(experiment)
    figures.draw(workdir, experiment, dataset, measured, made, make_metrics(experiment))
    files = list((workdir / "figures").iterdir())
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    return {file.name for file in files}


def test_all_methods(tmp_path):
    experiment = make_experiment(METHODS, num_seeds=2, rate=12.0)
    assert draw(tmp_path, experiment, make_dataset()) == CURVES | IMAGES


def test_diffusion_encoder_alone(tmp_path):
    experiment = make_experiment(["diffusion_encoder"])
    assert draw(tmp_path, experiment, make_dataset((6, 6, 3))) == CURVES | IMAGES


def test_methods_without_latent_alone(tmp_path):
    experiment = make_experiment(["without_latent"])
    files = {"rate_distortion.png", "training.png", "samples.png"}
    assert draw(tmp_path, experiment, make_dataset()) == files


def test_two_latents(tmp_path):
    experiment = make_experiment(METHODS, perceptual_dim=2)
    assert draw(tmp_path, experiment, make_dataset()) == CURVES | IMAGES | {"swaps.png"}


@pytest.mark.parametrize("splits", [(None,), (-2.0, 2.0)])
def test_sweep(tmp_path, splits):
    points = [Point(gamma, split) for split in splits for gamma in (0.3, 0.03)]
    experiment = make_experiment(METHODS, points)
    assert experiment.is_sweep
    assert draw(tmp_path, experiment, make_dataset()) == CURVES | IMAGES


def test_vectors(tmp_path):
    experiment = make_experiment(METHODS)
    assert draw(tmp_path, experiment, make_dataset((5,))) == CURVES
    assert pictures.make_pictures(experiment, make_dataset((5,)), {}, {}, {}, np.zeros(0)) == {}


def test_paths_keep_their_ends_and_do_not_pass_the_mean():
    z = np.random.default_rng(0).normal(2.0, 3.0, size=(12, 8)).astype(np.float32)
    path = pictures.interpolate(z, z[:6], z[6:]).reshape(6, pictures.NUM_STEPS, 8)
    np.testing.assert_allclose(path[:, 0], z[:6], atol=1e-5)
    np.testing.assert_allclose(path[:, -1], z[6:], atol=1e-5)
    lengths = np.linalg.norm((path - z.mean(axis=0)) / z.std(axis=0), axis=-1)
    np.testing.assert_allclose(np.diff(lengths, 2, axis=1), 0.0, atol=1e-5)
    line = pictures.interpolate(z[:, :1], z[:1, :1], z[1:2, :1])
    np.testing.assert_allclose(np.diff(line[:, 0], 2), 0.0, atol=1e-5)


def test_swapped_latents_stand_in_order():
    a = np.zeros((2, 5))
    b = np.ones((2, 5))
    swapped = pictures.swap(a, b, perceptual_dim=2).reshape(4, 2, 5)
    np.testing.assert_array_equal(swapped[:, 0, 0], [0, 0, 1, 1])
    np.testing.assert_array_equal(swapped[:, 1, -1], [0, 1, 0, 1])


def test_a_side_holds_its_own_terms():
    levels = np.array([[-2.0, 0.5, 1.5, 3.0]])
    terms = np.array([[1.0, 2.0, 4.0, 8.0]])
    rise = ShuffleRise(None, levels, None, terms)
    np.testing.assert_array_equal(shuffling.side_total(rise, 1.0, False), [3.0])
    np.testing.assert_array_equal(shuffling.side_total(rise, 1.0, True), [12.0])
