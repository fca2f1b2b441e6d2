"""What a config tells experiments.posteriors, in frozen dataclasses that check themselves."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

from ml_collections import ConfigDict

from diffenc.errors import InputError, check, check_least, check_positive
from diffenc.latent import annealing, em, system_settings, toys
from experiments import command_line
from experiments.command_line import read_field
from experiments.diffusion_encoder import settings as diffusion_encoder
from experiments.diffusion_encoder.settings import DataSettings, Training, read_system

logger = logging.getLogger(__name__)

VARIED = (  # what a variant may change
    "method",
    "model",
    "em",
    "rivals",
    "learning_rate",
    "baseline_learning_rate",
    "warmup",
    "clip_norm",
    "eval",
)
SHARED = ("decoder", "decoder_features", "activation")  # of all methods: one decoder


@dataclass(frozen=True)
class Evaluation(diffusion_encoder.Evaluation):
    """What is measured on held-out examples.

    Attributes:
        ais_examples: held-out examples of annealed importance sampling; 0 for none.
        ais_simulated: simulated ones, whose likelihood is bounded from both sides; not used
            without ais_examples.
        ais_temperatures: from the encoder's Gaussian to the posterior.
        ais_chains: for each example.
        grid_sampler_steps: of the encoder whose density is measured on toys.
        grid_examples: examples of a toy for which the density's mass on the grid is measured.
    """

    ais_examples: int
    ais_simulated: int
    ais_temperatures: int
    ais_chains: int
    grid_sampler_steps: int
    grid_examples: int

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "grid_sampler_steps", "grid_draws")
        check_positive(self, "ais_temperatures", "ais_chains")
        check_least(self, 0, "ais_examples", "grid_examples")
        remedy = "a standard error needs 2 or more (0 for none)"
        check(self.ais_examples != 1, "ais_examples", self.ais_examples, remedy)
        remedy = "a standard error needs 2 or more (ais_examples=0 for no annealing)"
        check(
            self.ais_simulated >= 2 or not self.ais_examples,
            "ais_simulated",
            self.ais_simulated,
            remedy,
        )

    @property
    def annealing(self) -> annealing.Settings:
        """The settings of annealed importance sampling."""
        return annealing.Settings(
            num_temperatures=self.ais_temperatures, num_chains=self.ais_chains
        )


class Experiment(NamedTuple):
    """A config.

    Attributes:
        training: how long and where.
        num_seeds: systems of each method on each case.
        data: which images, unless `toys` names toys.
        toys: names of toys; none for images.
        base: settings of the decoder and of the data, before any variant.
        methods: the settings of each method, by its name; differences are from the first.
        evaluation: what is measured.
    """

    training: Training
    num_seeds: int
    data: DataSettings
    toys: tuple[str, ...]
    base: system_settings.ModelSettings
    methods: dict[str, system_settings.Settings]
    evaluation: Evaluation


def read_experiment(config: ConfigDict) -> Experiment:
    """Read the config of experiments.posteriors; raises InputError for a bad field."""
    num_seeds = read_field(config, "num_seeds", int)
    check(num_seeds > 0, "config field num_seeds", num_seeds, "give a number above 0")
    names = tuple(read_field(config, "methods", tuple[str, ...]))
    is_once = bool(names) and len(set(names)) == len(names)
    check(is_once, "config field methods", names, "name each method once")
    for name in read_field(config, "variants"):
        check_variant(config, name)
    data = command_line.read(DataSettings, config, "data")
    evaluation = diffusion_encoder.read_evaluation(config, Evaluation)
    methods = {name: read_method(config, name) for name in names}
    toy_names = ()
    if data.name == "toys":
        toy_names = tuple(read_field(config, "toys", tuple[str, ...]))
        check_toys(toy_names, evaluation, methods)
    check_unread(config, methods)
    return Experiment(
        diffusion_encoder.read_training(config),
        num_seeds,
        data,
        toy_names,
        command_line.read(system_settings.ModelSettings, config, "model"),
        methods,
        evaluation,
    )


def read_method(config: ConfigDict, name: str) -> system_settings.Settings:
    """Read the settings of a method, or of a variant of one."""
    method = config.variants.get(name, {}).get("method", name)
    remedy = "it has no density, and no bound to compare: leave it out"
    check(method != "deterministic", "config field methods", method, remedy)
    config = varied(config, name)
    num_samples = read_field(config, "rivals.iwae_samples", int)
    settings = read_system(config, method, iwae_samples=num_samples)
    gamma = settings.em.gamma
    remedy = "give 1, for the rivals' bounds are of likelihood"
    check(gamma == 1, "config field em.gamma", gamma, remedy)
    return settings


def check_unread(config: ConfigDict, methods: dict[str, system_settings.Settings]) -> None:
    """Name fields of `em` that were changed and that nothing reads.

    A field of a variant that its own method does not read is refused with an InputError. A field of
    the config that none of the methods reads is warned of: the file was written for all of its
    methods, and `methods` may name a few of them.

    Args:
        config: the whole config.
        methods: the settings of each method, by its name.
    """
    unread = set.intersection(*(set(settings.unread()) for settings in methods.values()))
    alternation = command_line.read(em.Settings, config, "em")
    changed = diffusion_encoder.changed_fields(alternation, sorted(unread))
    if changed:
        fields = ", ".join(f"em.{name}" for name in changed)
        logger.warning("none of the methods %s reads %s", ", ".join(methods), fields)
    for name, settings in methods.items():
        changes = config.variants.get(name, {}).get("em", {})
        ignored = [field for field in settings.unread() if field in changes]
        if ignored:
            raise InputError(
                f"variants.{name}.em.{ignored[0]} would have no effect: {settings.method} does "
                "not read it, leave it out"
            )


def varied(config: ConfigDict, name: str) -> ConfigDict:
    """Give the config with what the variant of that name changes, if there is one."""
    if name not in config.variants:
        return config
    changes = config.variants[name].to_dict()
    changes.pop("method", None)
    config = ConfigDict(config.to_dict()).lock()
    try:
        config.update(changes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"variants.{name}: {' '.join(str(error.args[0]).split())}") from error
    return config


def check_variant(config: ConfigDict, name: str) -> None:
    """Raise an InputError for a change of a field that is unknown, or that no variant can move."""
    varied(config, name)
    changes = config.variants[name]
    unread = [field for field in changes if field not in VARIED]
    unread += [f"eval.{field}" for field in changes.get("eval", {}) if field != "sampler_steps"]
    unread += [f"em.{field}" for field in changes.get("em", {}) if field == "gamma"]
    shared = (*SHARED, "latent_dim") if config.data.name == "toys" else SHARED
    unread += [f"model.{field}" for field in changes.get("model", {}) if field in shared]
    if unread:
        raise InputError(
            f"variants.{name}.{unread[0]} would have no effect: give one of {', '.join(VARIED)}"
        )


def check_toys(
    names: tuple[str, ...], evaluation: Evaluation, methods: dict[str, system_settings.Settings]
) -> None:
    """Raise an InputError unless these toys can be trained and measured.

    Args:
        names: of the toys.
        evaluation: what is measured.
        methods: the methods that are trained.
    """
    if not (names and evaluation.grid_examples > 1):
        raise InputError("toys want one name or more in toys, and eval.grid_examples of 2 or more")
    for name in names:
        toys.make(name)
    if all(settings.method == "flow_vae" for settings in methods.values()):
        raise InputError(
            "methods hold flow_vae alone, which toys of one dimension do not allow: give one more"
        )
