"""What a pod of 256 chips would do with the systems of real size, by published rates of a chip.

    python -m experiments.benchmarks.pod --config=configs/benchmarks/pod.py --workdir=DIR

The updates of each system are compiled over virtual devices of this machine: what they sum over
devices is read from the compiled program, and their operations are counted. Nothing is trained. How
long that would take on a pod is the formula of `diffenc.run.pods`: a prediction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import check, check_least
from diffenc.keys import rng_of
from diffenc.run import figures, parallel, pods, tables
from diffenc.run.advance import Trainee
from diffenc.run.data import Dataset
from diffenc.run.tables import Result
from experiments import command_line
from experiments.benchmarks import virtual_devices
from experiments.benchmarks.virtual_devices import Exchange
from experiments.command_line import read_field
from experiments.diffusion_decoder import models as decoder_models
from experiments.diffusion_decoder import settings as decoder_settings
from experiments.diffusion_encoder import __main__ as encoder_models
from experiments.diffusion_encoder import settings as encoder_settings
from experiments.warm_start import models as likelihood_models
from experiments.warm_start import settings as likelihood_settings

NAMES = {
    "mnist_encoder": "diffusion encoder, MNIST",
    "cifar10_unet": "likelihood by a U-Net, CIFAR-10",
    "cifar10_decoder": "diffusion decoder, CIFAR-10",
}
SHAPES = {
    "mnist_encoder": (28, 28, 1),
    "cifar10_unet": (32, 32, 3),
    "cifar10_decoder": (32, 32, 3),
}


@dataclass(frozen=True)
class Pod:
    """What is predicted.

    Attributes:
        devices: virtual ones, over which updates are compiled.
        chips: numbers of chips; the last is the pod.
        agreement: seconds of each dispatch, in which processes agree on stops.
    """

    devices: int
    chips: tuple[int, ...]
    agreement: float

    def __post_init__(self):
        check_least(self, 2, "devices")
        check_least(self, 0, "agreement")
        check(bool(self.chips), "chips", self.chips, "give one number of chips or more")
        check(min(self.chips, default=0) >= 1, "chips", self.chips, "give 1 or more")


class System(NamedTuple):
    """A system of real size, and what its config says of its updates.

    Attributes:
        trainee: what is trained.
        state: its train state.
        batch_size: over all devices.
        updates_per_dispatch: in one compiled loop.
    """

    trainee: Trainee
    state: object
    batch_size: int
    updates_per_dispatch: int


class Count(NamedTuple):
    """What was counted of a system.

    Attributes:
        exchange: what its update does.
        batch_size: its examples.
        updates_per_dispatch: in one compiled loop.
    """

    exchange: Exchange
    batch_size: int
    updates_per_dispatch: int

    @property
    def work(self) -> pods.UpdateWork:
        """What the prediction needs."""
        costs = self.exchange.costs
        example_flops = costs.flops / self.batch_size
        return pods.UpdateWork(example_flops, costs.state_bytes, self.exchange.summed_bytes)


def run(config: ConfigDict, workdir: Path) -> None:
    """Count and predict; running it again prints the results."""
    settings = command_line.read(Pod, config)
    sections = {name: read_field(config, name) for name in NAMES}
    for name, section in sections.items():
        read_section(name, section)
    if command_line.is_complete(config, workdir):
        return
    plain = {name: section.to_dict() for name, section in sections.items()}
    counts = virtual_devices.call(settings.devices, count_all, plain)
    results = []
    for name, count in counts.items():
        results += rows_of(name, count, settings)
    draw(workdir, counts, settings)
    tables.write_results(workdir, results)
    tables.print_table(results, title="a pod of TPU v5e, predicted from counted work")


def read_section(name: str, config: ConfigDict):
    """Read the config of a system's own experiment."""
    readers = {
        "mnist_encoder": encoder_settings.read_experiment,
        "cifar10_unet": likelihood_settings.read_experiment,
        "cifar10_decoder": decoder_settings.read_experiment,
    }
    return readers[name](config)


def make_system(name: str, config: ConfigDict) -> System:
    """Make a system for noise in place of its data, on the first device.

    Args:
        name: of the system.
        config: of its experiment.
    """
    experiment = read_section(name, config)
    training = experiment.training
    mesh = parallel.data_mesh(1)
    shape = (training.batch_size, *SHAPES[name])
    noise = rng_of(0, "pixels", name).integers(0, 256, shape, dtype=np.uint8)
    dataset = Dataset("noise", noise, noise, None, None, 255.0)
    trainees: Mapping[Any, Trainee]
    states: list[Any]
    if name == "mnist_encoder":
        scaling = encoder_models.make_scaling(experiment, dataset, None)
        encoders = encoder_models.make_systems(experiment, dataset, scaling)
        trainees = encoder_models.make_trainees(0, encoders, scaling.prepare, dataset, mesh)
        states = [one.state for one in encoders.values()]
    elif name == "cifar10_unet":
        denoisers = likelihood_models.make_systems(experiment, dataset, 256)
        trainees = likelihood_models.make_trainees(experiment, dataset, denoisers, mesh)
        states = [one.state for one in denoisers.values()]
    else:
        decoders = decoder_models.make_systems(experiment, dataset)
        trainees = decoder_models.make_trainees(experiment, dataset, decoders, mesh)
        states = [one.state for one in decoders.values()]
    trainee = next(iter(trainees.values()))
    return System(trainee, states[0], training.batch_size, training.updates_per_dispatch)


def count_all(sections: dict[str, dict]) -> dict[str, Count]:
    """Count what updates do, divided over all devices of this process.

    Args:
        sections: the configs, by system.
    """
    counts = {}
    for name, section in sections.items():
        system = make_system(name, ConfigDict(section))
        size = system.batch_size
        exchange = virtual_devices.exchange(system.trainee, system.state, jax.device_count(), size)
        counts[name] = Count(exchange, size, system.updates_per_dispatch)
    return counts


def rows_of(name: str, count: Count, settings: Pod) -> list[Result]:
    """Report what was counted of a system, and what is predicted.

    Args:
        name: of the system.
        count: of its updates.
        settings: of the prediction.
    """
    largest = max(settings.chips)
    work = count.work
    balanced = pods.balanced_batch(work, pods.V5E, largest)
    exchange = count.exchange
    rows = [
        Result(f"{name}.parameters", exchange.costs.num_parameters / 1e6, None, "million"),
        Result(f"{name}.state", exchange.costs.state_bytes / 1e6, None, "MB"),
        Result(f"{name}.operations", work.example_flops / 1e9, None, "GFLOP an example"),
        Result(f"{name}.summed", exchange.summed_bytes / 1e6, None, "MB an update"),
        Result(f"{name}.sums", exchange.sums, None, "an update"),
        Result(f"{name}.sent_beside", exchange.other_bytes / 1e6, None, "MB an update"),
        Result(f"{name}.balanced_batch", balanced, None, "examples of a chip"),
    ]
    for chips in settings.chips:
        for kind, batch in batches_of(count.batch_size, chips).items():
            label = f"{name}.chips={chips}.{kind}"
            parts = pods.times(work, pods.V5E, chips, batch, agreement_of(count, settings))
            rows += [
                Result(f"{label}.arithmetic", 1e6 * parts.arithmetic, None, "us an update"),
                Result(f"{label}.state", 1e6 * parts.state, None, "us an update"),
                Result(f"{label}.sums", 1e6 * parts.sums, None, "us an update"),
                Result(f"{label}.dispatch", 1e6 * parts.dispatch, None, "us an update"),
            ]
            share = efficiency(kind, count, chips, settings)
            rows.append(Result(f"{label}.efficiency", share, None, "of the rate of one chip"))
    return rows


def agreement_of(count: Count, settings: Pod) -> float:
    """Give an update's share of the seconds in which processes agree."""
    return settings.agreement / count.updates_per_dispatch


def efficiency(kind: str, count: Count, chips: int, settings: Pod) -> float:
    """Predict the rate of examples over that of as many single chips.

    Args:
        kind: a name of `batches_of`.
        count: of a system.
        chips: how many.
        settings: of the prediction.
    """
    batch = batches_of(count.batch_size, chips)[kind]
    predict = pods.speedup if kind == "one_batch" else pods.efficiency
    ratio = predict(count.work, pods.V5E, chips, batch, agreement_of(count, settings))
    return ratio / chips if kind == "one_batch" else ratio


def batches_of(batch_size: int, chips: int) -> dict[str, int]:
    """Give the batches that are predicted, by what stays: the batch itself, or each chip's.

    The first is left out where there are more chips than examples.
    """
    batches = {"own_batch": batch_size * chips}
    return batches if chips > batch_size else {"one_batch": batch_size} | batches


def draw(workdir, counts: dict[str, Count], settings: Pod) -> None:
    """Draw the predicted efficiency over chips, at one batch for all and at one for each chip.

    Args:
        workdir: of the run.
        counts: of each system.
        settings: of the prediction.
    """
    fig, axes = figures.figure(1, 2)
    titles = {"one_batch": "the config's batch", "own_batch": "that batch on each chip"}
    for ax, (kind, title) in zip(axes.flat, titles.items(), strict=True):
        for name, count in counts.items():
            chips = [one for one in settings.chips if kind in batches_of(count.batch_size, one)]
            shares = [efficiency(kind, count, one, settings) for one in chips]
            ax.plot(chips, shares, "o-", label=NAMES[name])
        figures.log_ticks(ax, settings.chips)
        ax.set_ylim(0, 1.05)
        figures.label(ax, "chips (TPU v5e)", "predicted efficiency", title)
    axes[0, 1].legend(frameon=False, fontsize=8)
    figures.save(fig, workdir, "pod_efficiency")


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
