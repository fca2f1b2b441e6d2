"""What a config tells experiments.warm_start, in frozen dataclasses that check themselves."""

import dataclasses

from ml_collections import ConfigDict

from diffenc.diffusion.grid_denoiser import HEADS
from diffenc.errors import (
    check,
    check_choice,
    check_fraction,
    check_least,
    check_positive,
)
from diffenc.grid_models import ModelSettings
from experiments import command_line

LEARNED = ("variance", "entropy")  # rules by which training learns its noise levels
# how noise levels are drawn in training
SCHEDULES = ("uniform", "alpha2", "vp_time", "straight_time", *LEARNED)
# what simple codes are called in results.json
CONTROLS = ("uniform", "independent", "chow_liu", "n_gram", "gzip", "png")


@dataclasses.dataclass(frozen=True)
class Data:
    """Where data come from, see `data.load`.

    Attributes:
        name: digits, file, text, or an image set of TensorFlow Datasets.
        dir: of prepared TFDS data sets; "": the place where TFDS looks for itself.
        path: of a file; of a text, "" for generated sentences.
        cache_dir: where decoded images are kept; "": nowhere.
        test_fraction: held out, where a data set has no split of its own.
        validation: measure on so many training examples, kept from training, instead of the test
            set; 0: on the test set.
        length: characters of a window of text.
    """

    name: str
    dir: str
    path: str
    cache_dir: str
    test_fraction: float
    validation: int
    length: int = 64

    def __post_init__(self):
        check_least(self, 0, "validation")


@dataclasses.dataclass(frozen=True)
class Network:
    """The network of every model, see `grid_models.ModelSettings`."""

    network: str
    features: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...] | None
    dropout: float
    precision: str
    sees: str
    code: str
    low: float
    fourier: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Start:
    """What the models of a run differ in.

    Attributes:
        head: what the network gives, see `grid_denoiser`.
        bins: the noise of the start; .17 is a cold one, 1.65 the paper's warm one.
        schedule: how noise levels are drawn in training, a name of `SCHEDULES`.
    """

    head: str
    bins: float
    schedule: str

    def __post_init__(self):
        check_choice("head", self.head, HEADS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_positive(self, "bins")

    @property
    def rule(self) -> str:
        """The rule by which noise levels are learned, for measuring where not for training."""
        return self.schedule if self.schedule in LEARNED else "variance"


@dataclasses.dataclass(frozen=True)
class Training:
    """How every model is trained.

    Attributes:
        seed: of the whole run.
        num_seeds: systems of each model.
        batch_size: over all devices.
        num_updates: of every system.
        updates_per_dispatch: in one compiled loop.
        learning_rate: its peak, after the warm-up; then it descends to 0 like a cosine.
        warmup: updates of a linear rise.
        clip_norm: largest norm of a gradient, in nats; None: do not clip.
        average_decay: of the moving average of the parameters, which is what is evaluated.
        save_every: updates between checkpoints.
        evaluate_every: updates between held-out measurements; 0: none.
        metrics_extras: other places that metrics go to.
        num_devices: see `parallel.data_mesh`.
        systems_at_once: that share a program, see `groups.largest`.
    """

    seed: int
    num_seeds: int
    batch_size: int
    num_updates: int
    updates_per_dispatch: int
    learning_rate: float
    warmup: int
    clip_norm: float | None
    average_decay: float
    save_every: int
    evaluate_every: int
    metrics_extras: tuple[str, ...]
    num_devices: int
    systems_at_once: int = 0

    def __post_init__(self):
        check_positive(self, "num_seeds", "batch_size", "num_updates", "updates_per_dispatch")
        check_positive(self, "learning_rate", "clip_norm", "save_every")
        check_least(self, 0, "seed", "warmup", "evaluate_every", "num_devices", "systems_at_once")
        check_fraction(self, "average_decay")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is measured on held-out examples.

    Attributes:
        num_examples: how many, at most; None for all.
        monitor: how many of them for the curves over training.
        draws: noise levels of each example.
        batch_size: examples at a time.
        samples: how many are generated for a figure.
        sampler_steps: of each of them.
    """

    num_examples: int | None
    monitor: int
    draws: int
    batch_size: int
    samples: int
    sampler_steps: int

    def __post_init__(self):
        check_least(self, 2, "num_examples", "monitor", "draws")
        check_least(self, 1, "batch_size", "sampler_steps")
        check_least(self, 0, "samples")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A whole config.

    Attributes:
        data: where data come from.
        network: of every model.
        starts: the models by name, in the order of the config's `methods`.
        training: of every system.
        evaluation: of every system.
    """

    data: Data
    network: Network
    starts: dict[str, Start]
    training: Training
    evaluation: Evaluation

    def model(self, name: str, size: int) -> ModelSettings:
        """Give the settings of a model of data with `size` values.

        A network that gives v always sees the noisy data themselves: it is there to tell what a
        model is worth that knows nothing of the grid.
        """
        start = self.starts[name]
        network = dataclasses.asdict(self.network)
        if start.head == "v":
            network["sees"] = "noisy"
        fields = {key: f"model.{key}" for key in network}
        with command_line.naming(**fields, head=f"models.{name}.head"):
            return ModelSettings(head=start.head, bins=start.bins, size=size, **network)


def read_experiment(config: ConfigDict) -> Experiment:
    """Read a config; 0 there stands for 'all' and 'do not clip'."""
    read_field = command_line.read_field
    names = tuple(read_field(config, "methods", tuple[str, ...]))
    check(bool(names), "config field methods", names, "name one or more of config.models")
    models = {}
    for name in read_field(config, "models"):
        remedy = "results of a simple code have that name, give another"
        check(name not in CONTROLS, "a name in config field models", name, remedy)
        models[name] = command_line.read(Start, config, f"models.{name}")
    for name in names:
        check_choice("config field methods", name, models)
    starts = {name: models[name] for name in names}
    clip_norm = read_field(config, "clip_norm", float) or None
    num_examples = read_field(config, "eval.num_examples", int) or None
    attention = tuple(read_field(config, "model.attention", tuple[int, ...])) or None
    return Experiment(
        command_line.read(Data, config, "data"),
        command_line.read(Network, config, "model", attention=attention),
        starts,
        command_line.read(Training, config, clip_norm=clip_norm),
        command_line.read(Evaluation, config, "eval", num_examples=num_examples),
    )
