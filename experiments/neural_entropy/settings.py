"""What a config tells experiments.neural_entropy, in frozen dataclasses that check themselves."""

from dataclasses import dataclass

from ml_collections import ConfigDict

from diffenc.diffusion.denoiser import OUTPUTS
from diffenc.diffusion.linear_process import FixedWidth
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.errors import (
    InputError,
    check,
    check_choice,
    check_fraction,
    check_least,
    check_positive,
    check_widths,
)
from diffenc.networks.unet import check_channels
from experiments import command_line

PROCESSES = {
    "vp": VPLinear(),
    "cosine": VPCosine(),
    "vpx": VPx(),
    "sub_vp": SubVP(),
    "ve": VE(),
    "straight_line": StraightLine(),
}
T_MAX = {"straight_line": 0.999, "cosine": 0.999}  # their alpha is zero at t = 1
REFERENCES = ("moments", "isotropic", "equilibrium")
SWEEPS = ("dimension", "samples")


@dataclass(frozen=True)
class Mixture:
    """The law from which Gaussian mixtures are drawn.

    Attributes:
        components: how many a mixture has, of equal weight.
        side: of the box in which their means are uniform.
        std_min: the smallest width of a component; widths are uniform.
        std_max: the largest one.
        all: the number of samples that a size of 0 stands for; None: no size is 0.
    """

    components: int
    side: float
    std_min: float
    std_max: float
    all: int | None = None

    def __post_init__(self):
        check_positive(self, "components", "side", "std_min", "all")
        largest = self.std_max
        check(largest >= self.std_min, "std_max", largest, "give std_min or more")


@dataclass(frozen=True)
class Images:
    """Where images come from, see `data.load`.

    Attributes:
        dir: of prepared TFDS data sets; "": the place where TFDS looks for itself.
        cache_dir: where decoded images are kept; "": nowhere.
        test_fraction: held out, where a data set has no split of its own.
    """

    dir: str
    cache_dir: str
    test_fraction: float


@dataclass(frozen=True)
class Network:
    """The network of a model.

    Attributes:
        features: widths of the MLP, for vectors.
        channels: widths of the U-Net, for images.
        blocks: of the U-Net at each resolution, on either way.
        attention: heights of its resolutions at which it attends; () for nowhere, None for once, at
            the coarsest.
        dtype: in which the U-Net computes, float32 or bfloat16.
    """

    features: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    blocks: int = 1
    attention: tuple[int, ...] | None = None
    dtype: str = "float32"

    def __post_init__(self):
        check_positive(self, "blocks")
        check_choice("dtype", self.dtype, ("float32", "bfloat16"))


@dataclass(frozen=True)
class Sweep:
    """The cases of a run: which data, at which sizes, under which processes.

    Attributes:
        seed: of the whole run.
        num_seeds: systems of each case; each has a mixture, samples and a start of its own.
        sweep: what the cases differ in, "dimension" of a mixture or "samples" of each data set.
        processes: names in PROCESSES.
        samples: numbers of training examples; 0 stands for all.
        num_examples: held out, at most.
        t_min: entropy is counted from this time on.
        reference: what the network need not learn, one of REFERENCES.
        output: what the network gives, see `Denoiser`.
        network: the model's.
        dimensions: of the mixtures.
        datasets: for sweep="samples": "mixture", "digits" or image data sets of TFDS.
        mixture: None where no data set is one.
        images: None where all data sets are mixtures.
    """

    seed: int
    num_seeds: int
    sweep: str
    processes: tuple[str, ...]
    samples: tuple[int, ...]
    num_examples: int
    t_min: float
    reference: str
    output: str
    network: Network
    dimensions: tuple[int, ...] = ()
    datasets: tuple[str, ...] = ("mixture",)
    mixture: Mixture | None = None
    images: Images | None = None

    def __post_init__(self):
        check_positive(self, "num_seeds", "t_min")
        check_least(self, 0, "seed")
        check_choice("sweep", self.sweep, SWEEPS)
        check_choice("reference", self.reference, REFERENCES)
        check_choice("output", self.output, OUTPUTS)
        check_processes(self.processes)
        for process in self.processes:
            if self.reference == "equilibrium" and not isinstance(PROCESSES[process], FixedWidth):
                raise InputError(
                    f"reference is 'equilibrium', but {process} has no equilibrium that stays: "
                    "give moments or isotropic"
                )
        check(bool(self.datasets), "datasets", self.datasets, "give one or more")
        holds = bool(self.samples) and min(self.samples) >= 0
        check(holds, "samples", self.samples, "give counts, one or more (0 for all)")
        check_least(self, 2, "num_examples")
        if self.mixture is not None:
            check_dimensions(self.dimensions)
        self._check_that_nothing_is_ignored()

    def _check_that_nothing_is_ignored(self) -> None:
        several_dimensions = "mixture" in self.datasets and len(self.dimensions) > 1
        if self.sweep == "samples" and (len(self.processes) > 1 or several_dimensions):
            raise InputError(
                "sweep='samples' takes one of processes and one of dimensions: "
                "the others would be ignored"
            )
        if self.sweep == "dimension" and len(self.samples) > 1:
            raise InputError("sweep='dimension' takes one of samples: the others would be ignored")


@dataclass(frozen=True)
class Training:
    """How every system is trained.

    Attributes:
        batch_size: over all devices.
        draws: noise levels of each example in an update.
        num_updates: at most, for every case.
        max_epochs: a case stands still once it has seen its examples so often; 0: never.
        updates_per_dispatch: in one compiled loop.
        learning_rate: its peak, after the warm-up; then it descends to 0 like a cosine.
        warmup: updates of a linear rise.
        clip_norm: largest norm of a gradient.
        average_decay: of the moving average of the parameters, which is what is evaluated.
        save_every: updates between checkpoints.
        evaluate_every: updates between held-out measurements; 0: none.
        metrics_extras: other places that metrics go to.
        num_devices: see `parallel.data_mesh`.
        systems_at_once: that share a program, see `groups.largest`.
    """

    batch_size: int
    draws: int
    num_updates: int
    max_epochs: int
    updates_per_dispatch: int
    learning_rate: float
    warmup: int
    clip_norm: float
    average_decay: float
    save_every: int
    evaluate_every: int
    metrics_extras: tuple[str, ...]
    num_devices: int
    systems_at_once: int = 0

    def __post_init__(self):
        check_positive(self, "batch_size", "draws", "num_updates", "updates_per_dispatch")
        check_positive(self, "learning_rate", "clip_norm", "save_every")
        check_least(
            self, 0, "max_epochs", "warmup", "evaluate_every", "num_devices", "systems_at_once"
        )
        check_fraction(self, "average_decay")


@dataclass(frozen=True)
class Evaluation:
    """What is measured on held-out examples; their number is the `Sweep`'s.

    Attributes:
        num_examples: of each system's own training examples that are measured too.
        monitor: held-out examples of the curves over training and over noise levels.
        num_levels: noise levels of each example.
        batch_size: examples measured at once.
        repetitions: of the estimates of growth and of S_NN of each network, to count how often
            their errors cover; 0: none.
        images: how many are generated.
        sampler_steps: of each of them.
    """

    num_examples: int
    monitor: int
    num_levels: int
    batch_size: int
    repetitions: int = 0
    images: int = 0
    sampler_steps: int = 1

    def __post_init__(self):
        check_least(self, 2, "num_examples", "monitor")
        check_positive(self, "num_levels", "batch_size", "sampler_steps")
        check_least(self, 0, "repetitions", "images")


def check_processes(processes: tuple[str, ...]) -> None:
    """Raise an InputError unless these are names of processes, one or more."""
    check(bool(processes), "processes", processes, "give one or more")
    for process in processes:
        check_choice("processes", process, PROCESSES)


def check_dimensions(dimensions: tuple[int, ...]) -> None:
    """Raise an InputError unless these are dimensions of mixtures, one or more."""
    holds = bool(dimensions) and min(dimensions) >= 1
    check(holds, "dimensions", dimensions, "give dimensions of 1 or more, one of them or more")


def read_sweep(config: ConfigDict) -> Sweep:
    """Read the cases of a config; of mixtures and images it needs what its data sets need."""
    read_field = command_line.read_field
    datasets = ("mixture",)
    if read_field(config, "sweep", str) == "samples":
        datasets = tuple(read_field(config, "datasets", tuple[str, ...]))
    network = command_line.read(Network, config, "model")
    values = {"network": network, "datasets": datasets}
    if "mixture" in datasets:
        values["mixture"] = command_line.read(Mixture, config, "mixture")
        with command_line.naming(features="model.features"):
            check_widths(network, "features")
    if set(datasets) - {"mixture"}:
        check_channels("config field model.channels", network.channels)
        values["images"] = command_line.read(Images, config, "data")
        num_images = read_field(config, "eval.images", int)
        check(num_images > 0, "config field eval.images", num_images, "give a number above 0")
    places = {"num_examples": "eval.num_examples"}
    return command_line.read(Sweep, config, places=places, **values)
