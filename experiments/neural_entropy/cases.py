"""The cases of experiments.neural_entropy: a process, data for every seed, and a model."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import networks
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.noise_levels import Piecewise, log_snr_range
from diffenc.errors import InputError
from diffenc.keys import key_of, rng_of
from diffenc.run import data
from experiments.neural_entropy.settings import PROCESSES, T_MAX, Mixture, Sweep


class Case(NamedTuple):
    """A process, data, and a model of them; several systems are trained on it, one for each seed.

    Attributes:
        name: in metrics and results, such as "vp.D3" or "digits.N100": the group and the size.
        group: the process of a mixture, or the data set; cases of one group differ in size.
        program: cases of one program differ in their training data alone, and share what is
            compiled and their random numbers.
        size: the dimension, or the number of training examples.
        process: the forward diffusion.
        times: from which to which entropy is counted.
        model: the denoiser.
        references: for each seed, the Gaussian that the network need not learn.
        levels: the density of noise levels of training.
        train: for each seed, the training examples.
        test: for each seed, the held-out examples.
        scale: the data divided by this are what the model sees.
        density: for each seed, the law of the data; None where it is not known.
    """

    name: str
    group: str
    program: str
    size: int
    process: Process
    times: tuple[float, float]
    model: Denoiser
    references: list[Reference]
    levels: Piecewise
    train: list[np.ndarray]
    test: list[np.ndarray]
    scale: float = 1.0
    density: list[GaussianMixture] | None = None

    def density_of(self, seed: int) -> GaussianMixture | None:
        """Give the law of the data of a seed, or None where it is not known."""
        return None if self.density is None else self.density[seed]


class Examples(NamedTuple):
    """The data of a case; fields as in `Case`."""

    train: list[np.ndarray]
    test: list[np.ndarray]
    scale: float
    density: list[GaussianMixture] | None


def load_cases(sweep: Sweep) -> list[Case]:
    """Make every process and dimension of the mixture, or every data set and number of samples."""
    if sweep.sweep == "samples":
        return cases_of_samples(sweep)
    cases = []
    for process in sweep.processes:
        for dim in sweep.dimensions:
            examples = draw_examples(sweep, dim, sweep.samples[0])
            cases.append(make_case(sweep, process, f"D{dim}", dim, process, examples))
    return cases


def cases_of_samples(sweep: Sweep) -> list[Case]:
    """Make every data set and number of samples; a data set is one program."""
    cases = []
    for name in sweep.datasets:
        first = None
        for count in sweep.samples:
            if name == "mixture":
                examples = draw_examples(sweep, sweep.dimensions[0], count)
            else:
                examples = load_images(sweep, name, count)
            size = len(examples.train[0])
            case = make_case(sweep, name, f"N{size}", size, sweep.processes[0], examples)
            first = case if first is None else first
            cases.append(case._replace(program=name, levels=first.levels))
    if len({case.name for case in cases}) < len(cases):
        raise InputError(
            f"config field samples is {sweep.samples}: it names a size twice (0 is all), "
            "name each once"
        )
    return cases


def draw_examples(sweep: Sweep, dim: int, count: int) -> Examples:
    """Draw a mixture for each seed, `count` samples of it to train on, and held-out ones.

    A count of 0 stands for mixture.all.
    """
    assert sweep.mixture is not None, "examples of dimensions are drawn from one"
    train = []
    test = []
    densities = []
    for seed in range(sweep.num_seeds):
        key_train = key_of(sweep.seed, "mixture", dim, seed, "train")
        key_test = key_of(sweep.seed, "mixture", dim, seed, "test")
        density = draw_mixture(sweep.seed, sweep.mixture, dim, seed)
        densities.append(density)
        train.append(np.asarray(density.sample(key_train, count or sweep.mixture.all)))
        test.append(np.asarray(density.sample(key_test, sweep.num_examples)))
    return Examples(train, test, 1.0, densities)


def draw_mixture(seed: int, mixture: Mixture, dim: int, system: int = 0) -> GaussianMixture:
    """Draw a Gaussian mixture of isotropic components.

    Args:
        seed: of the run.
        mixture: the law of its means and widths.
        dim: of its samples.
        system: which of the run's systems of that dimension it belongs to.
    """
    key_mean = key_of(seed, "mixture", dim, system, "means")
    key_std = key_of(seed, "mixture", dim, system, "widths")
    return _mixture(key_mean, key_std, mixture, dim)


@functools.partial(jax.jit, static_argnames=("mixture", "dim"))
def _mixture(key_mean, key_std, mixture: Mixture, dim: int) -> GaussianMixture:
    count = mixture.components
    means = mixture.side * (jax.random.uniform(key_mean, (count, dim)) - 0.5)
    stds = jax.random.uniform(key_std, (count,), minval=mixture.std_min, maxval=mixture.std_max)
    return GaussianMixture.isotropic(jnp.zeros(count), means, stds)


def load_images(sweep: Sweep, name: str, count: int) -> Examples:
    """Load `count` training images (0: all), chosen anew by each seed, and the held-out ones."""
    images = sweep.images
    assert images is not None, "the config names data sets"
    dataset = data.load(
        name,
        data_dir=images.dir or None,
        test_fraction=images.test_fraction,
        cache_dir=images.cache_dir or None,
    )
    if count > len(dataset.train):
        raise InputError(
            f"config field samples asks for {count} of the {len(dataset.train)} examples of {name}"
        )
    train = []
    for seed in range(sweep.num_seeds):
        order = rng_of(sweep.seed, "training images", name, seed).permutation(len(dataset.train))
        train.append(dataset.train[order[: count or None]])
    test = dataset.test[: sweep.num_examples]
    return Examples(train, [test] * sweep.num_seeds, float(dataset.max_value or 1.0), None)


def make_case(
    sweep: Sweep, group: str, label: str, size: int, process_name: str, examples: Examples
) -> Case:
    """Make a case with its model: an MLP for vectors, a U-Net for images.

    Args:
        sweep: its network, reference, output and t_min are read.
        group: the process, or the data set.
        label: of the size; the case and its program are called group.label.
        size: the dimension, or the number of training examples.
        process_name: in PROCESSES.
        examples: its data.
    """
    process = PROCESSES[process_name]
    times = (sweep.t_min, T_MAX.get(process_name, 1.0))
    if examples.train[0].ndim == 4:
        network = networks.UNet(
            tuple(sweep.network.channels or ()),
            dtype=jnp.dtype(sweep.network.dtype),
            blocks=sweep.network.blocks,
            attention=sweep.network.attention,
        )
        fields = ("config field model.channels", "config field model.attention")
        network.check_sides(examples.train[0].shape[1:3], *fields)
    else:
        network = networks.LevelMLP(tuple(sweep.network.features or ()))
    model = Denoiser(network, process, sweep.output)
    references = [
        make_reference(sweep.reference, process, x, examples.scale) for x in examples.train
    ]
    levels = model.levels(references[0], *log_snr_range(process, *times))
    name = f"{group}.{label}"
    return Case(name, group, name, size, process, times, model, references, levels, *examples)


def make_reference(name: str, process: Process, x: np.ndarray, scale: float) -> Reference:
    """Make the Gaussian that a network need not learn.

    Args:
        name: one of REFERENCES.
        process: whose equilibrium it is, for name="equilibrium".
        x: training examples, whose moments it has otherwise.
        scale: x / scale are what the model sees.
    """
    if name == "equilibrium":
        return Reference.equilibrium(process)
    make = Reference.moments if name == "moments" else Reference.isotropic
    return make(np.asarray(x, np.float32) / scale)


def scaled(scale: float, rows):
    """Give data as the numbers that the model sees: rows / scale."""
    return rows.astype("float32") / scale
