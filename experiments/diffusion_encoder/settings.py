"""What a config tells experiments.diffusion_encoder: frozen dataclasses that check themselves."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple, TypeVar

from ml_collections import ConfigDict

from diffenc.errors import InputError, check, check_choice, check_least, check_positive
from diffenc.latent import em, system_settings
from experiments import command_line
from experiments.command_line import read_field

NAMES = ("diffusion_encoder", "vae")  # of the systems, in metrics, results and figures


@dataclass(frozen=True)
class Training:
    """How long and where every system is trained.

    Attributes:
        batch_size: over all devices.
        num_updates: of every system.
        updates_per_dispatch: in one compiled loop.
        save_every: updates between checkpoints.
        evaluate_every: updates between held-out measurements; 0: none.
        seed: of the whole run.
        num_devices: see `parallel.data_mesh`.
        metrics_extras: other places that metrics go to.
        systems_at_once: that share a program, see `groups.largest`.
    """

    batch_size: int
    num_updates: int
    updates_per_dispatch: int
    save_every: int
    evaluate_every: int
    seed: int
    num_devices: int
    metrics_extras: tuple[str, ...]
    systems_at_once: int = 0

    def __post_init__(self):
        check_positive(self, "batch_size", "num_updates", "updates_per_dispatch", "save_every")
        check_least(self, 0, "evaluate_every", "seed", "num_devices", "systems_at_once")


@dataclass(frozen=True)
class DataSettings:
    """Where the data come from, see `diffenc.run.data.load`.

    Attributes:
        name: "digits", "factor_analysis", "file", or an image data set of TFDS.
        dir: of prepared TFDS data sets; "": the place where TFDS looks for itself.
        path: of a user's file; "" for none.
        cache_dir: where decoded images are kept; "": nowhere.
        test_fraction: held out, where a data set has no test part of its own.
        validation: training examples that stand in for the test set; 0 for none.
        values: what numbers in [0, 1] of a user's file are: "chances" of bits, "reals", or "auto"
            to ask.
    """

    name: str
    dir: str
    path: str
    cache_dir: str
    test_fraction: float
    validation: int
    values: str = "auto"

    def __post_init__(self):
        check_least(self, 0, "validation")
        is_share = 0 < self.test_fraction < 1
        check(is_share, "test_fraction", self.test_fraction, "give a number between 0 and 1")
        check_choice("values", self.values, ("auto", "chances", "reals"))
        if self.path and self.name != "file":
            raise InputError(f"path is given, but data.name is {self.name!r}: give data.name=file")


@dataclass(frozen=True)
class Evaluation:
    """What is measured on held-out examples.

    Attributes:
        num_examples: at most; None for all.
        num_samples: K of the importance bound.
        langevin_steps: after which a sample counts as the posterior's.
        batch_size: examples measured at once.
        grid_draws: exact posterior draws of each example where the posterior is known on a grid;
            0 for none.
    """

    num_examples: int | None
    num_samples: int
    langevin_steps: int
    batch_size: int
    grid_draws: int

    def __post_init__(self):
        count = self.num_examples
        holds = count is None or count >= 2
        remedy = "a standard error needs 2 or more (0 for all)"
        check(holds, "num_examples", count, remedy)
        check_positive(self, "num_samples", "batch_size")
        check_least(self, 0, "langevin_steps", "grid_draws")


class Experiment(NamedTuple):
    """A config.

    Attributes:
        training: how long and where.
        data: which.
        systems: the settings of each system, by its name in NAMES.
        evaluation: what is measured.
    """

    training: Training
    data: DataSettings
    systems: dict[str, system_settings.Settings]
    evaluation: Evaluation

    @property
    def model(self) -> system_settings.ModelSettings:
        """The networks, which all systems have in common."""
        return self.systems["diffusion_encoder"].model


def read_experiment(config: ConfigDict) -> Experiment:
    """Read the config of experiments.diffusion_encoder; raises InputError for a bad field."""
    training = read_training(config)
    alternation = command_line.read(em.Settings, config, "em")
    e_step = read_field(config, "em.e_step", str)
    refuse_unread(alternation, alternation.unread(), f"em.e_step={e_step}")
    methods = {"diffusion_encoder": e_step}
    if read_field(config, "baseline", bool):
        methods["vae"] = "vae"
    return Experiment(
        training,
        command_line.read(DataSettings, config, "data"),
        {name: read_system(config, method) for name, method in methods.items()},
        read_evaluation(config, Evaluation),
    )


def read_training(config: ConfigDict) -> Training:
    """Read how long and where to train."""
    return command_line.read(Training, config)


Kind = TypeVar("Kind", bound=Evaluation)


def read_evaluation(config: ConfigDict, kind: type[Kind]) -> Kind:
    """Read what is measured, as an `Evaluation` of that kind."""
    num_examples = read_field(config, "eval.num_examples", int) or None
    return command_line.read(kind, config, "eval", num_examples=num_examples)


def read_system(config: ConfigDict, method: str, **values) -> system_settings.Settings:
    """Read the settings of a system.

    Args:
        config: its fields model, em, learning_rate and so on, eval.sampler_steps.
        method: a name of `system_settings.METHODS`.
        **values: other fields of `system_settings.Settings`.
    """
    optimizer = command_line.read(
        system_settings.OptimizerSettings,
        config,
        clip_norm=read_field(config, "clip_norm", float) or None,
        baseline_learning_rate=read_field(config, "baseline_learning_rate", float) or None,
    )
    model = command_line.read(system_settings.ModelSettings, config, "model")
    alternation = command_line.read(em.Settings, config, "em")
    sampler_steps = read_field(config, "eval.sampler_steps", int)
    with command_line.naming(
        method="methods", sampler_steps="eval.sampler_steps", iwae_samples="rivals.iwae_samples"
    ):
        return system_settings.Settings(
            method, model, alternation, optimizer, sampler_steps, **values
        )


def refuse_unread(settings: em.Settings, unread: Iterable[str], reader: str) -> None:
    """Raise an InputError where fields of `em` were changed that have no effect.

    Args:
        settings: the config's.
        unread: names of the fields without effect.
        reader: what does not read them, for the message.
    """
    changed = changed_fields(settings, unread)
    if changed:
        first = next(iter(changed))
        remedy = " ".join(f"--config.em.{name}={default}" for name, default in changed.items())
        raise InputError(
            f"config field em.{first} is {getattr(settings, first)!r}, which {reader} does not "
            f"read: give {remedy}"
        )


def changed_fields(settings: em.Settings, names: Iterable[str]) -> dict[str, object]:
    """Return the defaults of those named fields that differ from their defaults."""
    defaults = {field.name: field.default for field in fields(settings)}
    return {name: defaults[name] for name in names if getattr(settings, name) != defaults[name]}
