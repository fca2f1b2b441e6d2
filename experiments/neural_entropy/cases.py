"""The cases of experiments.neural_entropy: a process, data for every seed, and a model with its
reference."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from diffenc import networks
from diffenc.diffusion.analytic import GaussianMixture
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.noise_levels import Piecewise, log_snr_range
from diffenc.diffusion.processes import VE, Process, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.errors import InputError
from diffenc.keys import key_of, rng_of
from diffenc.run import data
from experiments import command_line

PROCESSES = {
    "vp": VPLinear(),
    "cosine": VPCosine(),
    "vpx": VPx(),
    "sub_vp": SubVP(),
    "ve": VE(),
    "straight_line": StraightLine(),
}
REFERENCES = ("moments", "isotropic", "equilibrium")
T_MAX = {"straight_line": 0.999, "cosine": 0.999}  # their alpha is zero at t = 1


class Case(NamedTuple):
    """train and test have one entry for each seed, and so has density where the law of the data is
    known. Cases of one `program` differ in their training data alone, and share what is compiled
    and their random numbers."""

    name: str
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
        return None if self.density is None else self.density[seed]


def load_cases(config: ConfigDict) -> list[Case]:
    """Every process and dimension of the mixture, or every data set and number of samples."""
    if config.sweep == "dimension":
        pairs = [(process, dim) for process in config.processes for dim in config.dimensions]
        return [
            make_case(
                config,
                f"{process}.D{dim}",
                dim,
                process,
                *draw_mixtures(config, dim, config.samples[0]),
            )
            for process, dim in pairs
        ]
    cases = []
    for name in config.datasets:
        for count in config.samples:
            if name == "mixture":
                loaded = draw_mixtures(config, config.dimensions[0], count)
            else:
                loaded = load_images(config, name, count)
            count = len(loaded[0][0])
            case = make_case(config, f"{name}.N{count}", count, config.processes[0], *loaded)
            first = next((one for one in cases if one.program == name), case)
            cases.append(case._replace(program=name, levels=first.levels))
    if len({case.name for case in cases}) < len(cases):
        raise InputError(f"samples {config.samples} name a size twice (0 is all): name each once")
    return cases


def draw_mixtures(config: ConfigDict, dim: int, count: int):
    """A mixture for each seed, means uniform in a box and widths uniform in a range, with `count`
    samples to train on and eval.num_examples held out: (train, test, scale, density)."""
    train, test, densities = [], [], []
    for seed in range(config.num_seeds):
        key_train = key_of(config.seed, "mixture", dim, seed, "train")
        key_test = key_of(config.seed, "mixture", dim, seed, "test")
        densities.append(draw_mixture(config, dim, seed))
        train.append(np.asarray(densities[-1].sample(key_train, count or config.mixture.all)))
        test.append(np.asarray(densities[-1].sample(key_test, config.eval.num_examples)))
    return train, test, 1.0, densities


def draw_mixture(config: ConfigDict, dim: int, seed: int = 0) -> GaussianMixture:
    """The mixture of that dimension and of the seed-th system of the run."""
    settings = config.mixture
    key_mean = key_of(config.seed, "mixture", dim, seed, "means")
    key_std = key_of(config.seed, "mixture", dim, seed, "widths")
    means = settings.side * (jax.random.uniform(key_mean, (settings.components, dim)) - 0.5)
    stds = jax.random.uniform(
        key_std, (settings.components,), minval=settings.std_min, maxval=settings.std_max
    )
    return GaussianMixture.isotropic(jnp.zeros(settings.components), means, stds)


def check_data(config: ConfigDict) -> None:
    """Raises InputError for data that cannot be made; mixtures and images have fields of their own
    in a config."""
    datasets = ("mixture",) if config.sweep == "dimension" else config.get("datasets", ())
    if "mixture" in datasets:
        check_mixture(config)
        command_line.check_positive(config, "mixture.all")
        command_line.check_not_negative(config, "eval.repetitions")
        command_line.check_widths(config, "model.features")
    if set(datasets) - {"mixture"}:
        command_line.check_positive(
            config, "eval.images", "eval.sampler_steps", "data.test_fraction"
        )
        command_line.check_widths(config, "model.channels", multiple=8)
        command_line.check_choice("model.dtype", config.model.dtype, ("float32", "bfloat16"))
    if not (config.processes and config.samples and datasets):
        raise InputError("give at least one of each: config fields processes, samples, datasets")
    if min(config.samples) < 0:
        raise InputError(f"config field samples is {config.samples}: give counts (0 for all)")
    several = len(config.processes) > 1 or ("mixture" in datasets and len(config.dimensions) > 1)
    if config.sweep == "samples" and several:
        raise InputError(
            "sweep='samples' takes one of processes and one of dimensions: the others would be ignored"
        )
    if config.sweep == "dimension" and len(config.samples) > 1:
        raise InputError("sweep='dimension' takes one of samples: the others would be ignored")


def check_mixture(config: ConfigDict) -> None:
    """Raises InputError for a mixture that cannot be drawn."""
    command_line.check_positive(config, "mixture.components")
    settings = config.mixture
    if not (
        settings.components >= 1 and settings.side > 0 and 0 < settings.std_min <= settings.std_max
    ):
        raise InputError(
            f"config section mixture is {settings.to_dict()}: give components, side, std_min <= std_max > 0"
        )
    if not config.processes or not config.get("dimensions") or min(config.dimensions) < 1:
        raise InputError(
            "config fields processes, dimensions: give one or more of each, dimensions of 1 or more"
        )


def load_images(config: ConfigDict, name: str, count: int):
    """`count` training images (0: all) chosen by each seed, and held-out ones: (train, test, scale,
    None)."""
    settings = config.data
    dataset = data.load(
        name,
        data_dir=settings.dir or None,
        test_fraction=settings.test_fraction,
        cache_dir=settings.cache_dir or None,
    )
    if count > len(dataset.train):
        raise InputError(
            f"config field samples asks for {count} of the {len(dataset.train)} examples of {name}"
        )
    train = []
    for seed in range(config.num_seeds):
        order = rng_of(config.seed, "training images", name, seed).permutation(len(dataset.train))
        train.append(dataset.train[order[: count or None]])
    test = dataset.test[: config.eval.num_examples]
    return train, [test] * config.num_seeds, float(dataset.max_value or 1.0), None


def make_case(
    config: ConfigDict, name: str, size: int, process_name: str, train, test, scale, density
) -> Case:
    """A case with its model: an MLP for vectors, a U-Net for images."""
    process, times = PROCESSES[process_name], (config.t_min, T_MAX.get(process_name, 1.0))
    if train[0].ndim == 4:
        halvings = len(config.model.channels) - 1
        if any(side % 2**halvings for side in train[0].shape[1:3]):
            raise InputError(
                f"config field model.channels has {halvings + 1} levels, but images of {train[0].shape[1:3]} cannot be "
                f"halved {halvings} times: give fewer"
            )
        as_matmul = jax.default_backend() == "cpu"
        dtype = jnp.dtype(config.model.dtype)
        network = networks.UNet(tuple(config.model.channels), as_matmul=as_matmul, dtype=dtype)
    else:
        network = networks.LevelMLP(tuple(config.model.features))
    model = Denoiser(network, process, config.output)
    if config.reference == "equilibrium":
        references = [Reference.equilibrium(process)] * config.num_seeds
    else:
        make = Reference.moments if config.reference == "moments" else Reference.isotropic
        references = [make(np.asarray(x, np.float32) / scale) for x in train]
    levels = model.levels(references[0], *log_snr_range(process, *times))
    return Case(
        name, name, size, process, times, model, references, levels, train, test, scale, density
    )


def scaled(scale: float, rows):
    """Data as numbers: rows / scale."""
    return rows.astype("float32") / scale
