"""What a config tells experiments.diffusion_decoder: frozen dataclasses that check themselves."""

import dataclasses
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from diffenc.errors import InputError, check, check_choice, check_least, check_positive
from diffenc.latent import em, system_settings
from diffenc.latent.decoder_settings import DiffusionSettings
from experiments import command_line
from experiments.command_line import read_field
from experiments.diffusion_encoder.settings import DataSettings, Training, refuse_unread

# Methods of the issue of this experiment, and what `systems` calls them; the e_step of the first is
# the config's.
METHODS = {
    "diffusion_encoder": "",
    "gaussian_encoder": "vae",
    "deterministic_encoder": "deterministic",
    "vae": "vae",
    "without_latent": "without_latent",
}
BOTTLENECKED = ("diffusion_encoder", "gaussian_encoder")  # that have a rate, and a weight of it
FEWEST = 20  # held-out examples
KERNEL = "ula"  # that the configs name for chains, whatever the E-step


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Bottlenecks and splits at each of which the methods are trained; none for the config's own.

    Raises InputError for a value that is none.

    Attributes:
        gammas: weights of the rate.
        splits: levels below which the decoder sees z.
    """

    gammas: tuple[float, ...] = ()
    splits: tuple[float, ...] = ()

    def __post_init__(self):
        for gamma in self.gammas:
            check(gamma > 0, "gammas", self.gammas, "give numbers above 0")
        for name in ("gammas", "splits"):
            values = getattr(self, name)
            holds = len({f"{value:g}" for value in values}) == len(values)
            check(holds, name, values, "give each once, apart by more than the sixth digit")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is measured on held-out examples.

    Raises InputError for a number out of range.

    Attributes:
        num_examples: at most; None for all.
        num_samples: draws of z and of the decoder's noise for each example.
        sampler_steps: of the encoder when it is measured.
        mean_samples: draws of z whose mean is probed.
        neighbours: of the nearest-neighbour probe.
        frechet_samples: draws of x that are compared with held-out ones; 0 for none.
        classifier_updates: of the classifier in whose features they are compared.
        batch_size: examples at a time.
        peak_side: of the matrices whose products tell the devices' peak, see `throughput`; 0 for
            no such numbers.
    """

    num_examples: int | None
    num_samples: int
    sampler_steps: int
    mean_samples: int
    neighbours: int
    frechet_samples: int
    classifier_updates: int
    batch_size: int
    peak_side: int

    def __post_init__(self):
        check(
            self.num_examples is None or self.num_examples >= FEWEST,
            "num_examples",
            self.num_examples,
            f"probes need {FEWEST} or more (0 for all)",
        )
        check_positive(self, "num_samples", "sampler_steps", "batch_size", "neighbours")
        check_least(self, 1, "mean_samples")
        check_least(self, 2, "classifier_updates")
        check_least(self, 0, "peak_side")
        holds = self.frechet_samples == 0 or self.frechet_samples >= 100
        remedy = "a covariance of features needs 100 or more (0 for none)"
        check(holds, "frechet_samples", self.frechet_samples, remedy)


class Point(NamedTuple):
    """A place of a sweep; None for the config's own value.

    Attributes:
        gamma: weight of the rate.
        split: of the decoder.
    """

    gamma: float | None = None
    split: float | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Name it, as in ("gamma=0.1", "split=0")."""
        pairs = (("gamma", self.gamma), ("split", self.split))
        return tuple(f"{name}={value:g}" for name, value in pairs if value is not None)


class Experiment(NamedTuple):
    """A config.

    Attributes:
        training: how long and where.
        num_seeds: systems of each method.
        data: which.
        methods: the settings of each system, by the method and the place of the sweep.
        first_updates: before the others, in which encoders learn from a Gaussian decoder; 0 for
            none.
        refit_updates: in which encoders are fitted at gamma = 1 while decoders rest; 0 for none.
        evaluation: what is measured.
    """

    training: Training
    num_seeds: int
    data: DataSettings
    methods: dict[tuple[str, Point], system_settings.Settings]
    first_updates: int
    refit_updates: int
    evaluation: Evaluation

    @property
    def is_sweep(self) -> bool:
        """Whether methods are trained at several places."""
        return len({point for _, point in self.methods}) > 1

    def first(self, settings: system_settings.Settings) -> system_settings.Settings:
        """Give the settings by which an encoder learns from a Gaussian decoder."""
        alternation = dataclasses.replace(settings.em, rate=None)  # no gamma is carried for it
        settings = dataclasses.replace(settings, em=alternation)
        return of_length(settings, self.first_updates)

    def refit(self, settings: system_settings.Settings) -> system_settings.Settings:
        """Give the settings by which an encoder is fitted again."""
        alternation = dataclasses.replace(settings.em, gamma=1.0, rate=None)
        settings = dataclasses.replace(settings, em=alternation)
        return of_length(settings, self.refit_updates, only_encoder=True)


def of_length(
    settings: system_settings.Settings, num_updates: int, only_encoder: bool = False
) -> system_settings.Settings:
    """Give the settings of a training of another length, a twentieth of which is the warm-up.

    Args:
        settings: of the system.
        num_updates: the length.
        only_encoder: whether its decoder rests.
    """
    optimizer = dataclasses.replace(
        settings.optimizer,
        num_updates=num_updates,
        warmup=num_updates // 20,
        only_encoder=only_encoder,
    )
    return dataclasses.replace(settings, optimizer=optimizer)


def read_experiment(config: ConfigDict) -> Experiment:
    """Read the config of experiments.diffusion_decoder; raises InputError for a bad field."""
    training = command_line.read(Training, config)
    num_seeds = read_field(config, "num_seeds", int)
    check(num_seeds > 0, "config field num_seeds", num_seeds, "give a number above 0")
    first_updates = read_stage(config, "first_updates", training)
    refit_updates = read_stage(config, "refit_updates", training)
    lengths = (training.num_updates, first_updates, refit_updates)
    fewest = min(length for length in lengths if length)
    accumulate = read_field(config, "accumulate", int)
    remedy = f"one of the trainings of this run has {fewest} updates: give at most as many"
    check(accumulate <= fewest, "config field accumulate", accumulate, remedy)
    names = tuple(read_field(config, "methods", tuple[str, ...]))
    check(bool(names), "config field methods", names, "name one or more")
    for name in names:
        check_choice("config field methods", name, METHODS)
    check(len(set(names)) == len(names), "config field methods", names, "name each once")
    refuse_unread_fields(config)
    num_examples = read_field(config, "eval.num_examples", int) or None
    return Experiment(
        training,
        num_seeds,
        command_line.read(DataSettings, config, "data"),
        read_methods(config, names),
        first_updates,
        refit_updates,
        command_line.read(Evaluation, config, "eval", num_examples=num_examples),
    )


def read_stage(config: ConfigDict, name: str, training: Training) -> int:
    """Read the updates of a stage before or after the training proper; 0 for none.

    Args:
        config: the whole config.
        name: of its field.
        training: whose dispatches the stage has.
    """
    length = read_field(config, name, int)
    holds = length >= 0 and length % training.updates_per_dispatch == 0
    remedy = "give a multiple of updates_per_dispatch (0 for none)"
    check(holds, f"config field {name}", length, remedy)
    return length


def refuse_unread_fields(config: ConfigDict) -> None:
    """Raise an InputError where a field of `em` was changed that the E-step does not read."""
    rate = read_field(config, "em.rate", float) or None
    alternation = command_line.read(em.Settings, config, "em", rate=rate)
    unread = set(alternation.unread())
    if alternation.kernel == KERNEL:
        unread -= {"kernel"}
    refuse_unread(alternation, sorted(unread), f"em.e_step={alternation.e_step}")


def read_methods(
    config: ConfigDict, names: tuple[str, ...]
) -> dict[tuple[str, Point], system_settings.Settings]:
    """Read the settings of the methods at every place of the sweep.

    A method without a bottleneck is trained once for each split, one without a diffusion once.

    Args:
        config: the whole config.
        names: of the methods.
    """
    sweep = command_line.read(Sweep, config, "sweep")
    if sweep.gammas and read_field(config, "em.rate", float):
        raise InputError("sweep.gammas move gamma, which em.rate moves too: give em.rate=0")
    methods = {}
    for name in names:
        gammas = (sweep.gammas or (None,)) if name in BOTTLENECKED else (None,)
        splits = (None,) if name == "vae" else sweep.splits or (None,)
        for gamma in gammas:
            for split in splits:
                point = Point(gamma, split)
                methods[name, point] = read_system(config, name, point)
    return methods


def read_system(config: ConfigDict, name: str, point: Point) -> system_settings.Settings:
    """Read the settings of a method at a place of the sweep.

    Args:
        config: the whole config.
        name: of the method.
        point: the place.
    """
    method = METHODS[name] or read_field(config, "em.e_step", str)
    is_diffusion = name != "vae"
    diffusion = None
    if is_diffusion:
        moved = {} if point.split is None else {"split": point.split}
        places = {name: f"sweep.{name}s" for name in moved}
        diffusion = command_line.read(DiffusionSettings, config, "decoder", places, **moved)
    model = command_line.read(
        system_settings.ModelSettings,
        config,
        "model",
        decoder="diffusion" if is_diffusion else "gaussian",
        reference="posterior",
        newton_steps=0,
        pressure=False,
        landmarks=0,
        octaves=0,
        diffusion=diffusion,
    )
    weights: dict[str, Any] = {} if point.gamma is None else {"gamma": point.gamma}
    rate = (read_field(config, "em.rate", float) or None) if name in BOTTLENECKED else None
    if not is_diffusion:  # its bottleneck is its likelihood's own scale
        weights = {"gamma": 1.0}
    alternation = command_line.read(em.Settings, config, "em", rate=rate, **weights)
    optimizer = command_line.read(
        system_settings.OptimizerSettings,
        config,
        clip_norm=read_field(config, "clip_norm", float) or None,
    )
    with command_line.naming(
        method="em.e_step", rate="em.rate", sampler_steps="eval.sampler_steps"
    ):
        return system_settings.Settings(
            method, model, alternation, optimizer, read_field(config, "eval.sampler_steps", int)
        )
