"""What a config tells experiments that learn from labelled images: settings check themselves."""

from dataclasses import dataclass

from ml_collections import ConfigDict

from diffenc.errors import (
    check,
    check_choice,
    check_fraction,
    check_least,
    check_positive,
    check_widths,
)
from diffenc.networks.unet import check_channels
from experiments import command_line


@dataclass(frozen=True)
class Images:
    """Where labelled images come from, see `data.load`.

    Attributes:
        name: "digits", or a labelled image data set of TFDS.
        dir: of prepared TFDS data sets; "": the place where TFDS looks for itself.
        cache_dir: where decoded images are kept; "": nowhere.
        test_fraction: held out, where a data set has no split of its own.
        validation: training images that stand in for the held-out ones; 0: none do.
    """

    name: str
    dir: str
    cache_dir: str
    test_fraction: float
    validation: int

    def __post_init__(self):
        holds = self.name != "file"
        remedy = "give 'digits' or a labelled image data set of TFDS"
        check(holds, "name", repr(self.name), remedy)
        check_least(self, 0, "validation")


@dataclass(frozen=True)
class Training:
    """How the denoiser of labelled images is trained.

    Attributes:
        channels: widths of its U-Net.
        dtype: in which the U-Net computes, float32 or bfloat16.
        t_min: noise levels begin at this time.
        null_probability: how often a label is withheld.
        batch_size: over all devices.
        num_updates: in all.
        updates_per_dispatch: in one compiled loop.
        learning_rate: its peak, after the warm-up; then it descends to 0 like a cosine.
        warmup: updates of a linear rise.
        clip_norm: largest norm of a gradient.
        average_decay: of the moving average of the parameters, which is what is evaluated.
        save_every: updates between checkpoints.
        evaluate_every: updates between held-out measurements; 0: none.
        metrics_extras: other places that metrics go to.
        num_devices: see `parallel.data_mesh`.
    """

    channels: tuple[int, ...]
    dtype: str
    t_min: float
    null_probability: float
    batch_size: int
    num_updates: int
    updates_per_dispatch: int
    learning_rate: float
    warmup: int
    clip_norm: float
    average_decay: float
    save_every: int
    evaluate_every: int
    metrics_extras: tuple[str, ...]
    num_devices: int

    def __post_init__(self):
        check_channels("channels", self.channels)
        check_choice("dtype", self.dtype, ("float32", "bfloat16"))
        check_positive(self, "batch_size", "num_updates", "updates_per_dispatch")
        check_positive(self, "save_every", "learning_rate", "clip_norm", "t_min")
        check_least(self, 0, "warmup", "evaluate_every", "num_devices")
        check(self.t_min < 1, "t_min", self.t_min, "give a time below 1")
        share = self.null_probability
        check(0 < share < 1, "null_probability", share, "give a number in (0, 1)")
        check_fraction(self, "average_decay")


@dataclass(frozen=True)
class Evaluation:
    """What is measured of the denoiser.

    Attributes:
        num_examples: held-out images, at most.
        monitor: of them for the curves over training.
        num_levels: noise levels of each image.
        batch_size: images measured at once.
    """

    num_examples: int
    monitor: int
    num_levels: int
    batch_size: int

    def __post_init__(self):
        check_positive(self, "num_levels", "batch_size")
        check_least(self, 100, "num_examples")
        check_least(self, 2, "monitor")


@dataclass(frozen=True)
class Classifier:
    """How the classifier of noised images is trained and measured.

    Attributes:
        features: widths of its MLP.
        batch_size: over all devices.
        num_updates: in all, a multiple of updates_per_dispatch, as are the next two intervals.
        learning_rate: its peak, after the warm-up; then it descends to 0 like a cosine.
        warmup: updates of a linear rise.
        average_decay: of the moving average of the parameters, which is what is evaluated.
        save_every: updates between checkpoints.
        evaluate_every: updates between held-out measurements; 0: none.
        num_levels: steps of the grid of noise levels on which it is measured.
        num_draws: of an image's noise, each kept along the grid.
        num_examples: held-out images, at most.
        updates_per_dispatch: in one compiled loop.
    """

    features: tuple[int, ...]
    batch_size: int
    num_updates: int
    learning_rate: float
    warmup: int
    average_decay: float
    save_every: int
    evaluate_every: int
    num_levels: int
    num_draws: int
    num_examples: int
    updates_per_dispatch: int

    def __post_init__(self):
        check_positive(self, "batch_size", "num_updates", "save_every")
        check_positive(self, "learning_rate", "num_levels", "num_draws")
        check_least(self, 0, "warmup", "evaluate_every")
        every = self.updates_per_dispatch
        remedy = f"give a multiple of updates_per_dispatch, {every}"
        for name in ("num_updates", "save_every", "evaluate_every"):
            value = getattr(self, name)
            check(value % every == 0, name, value, remedy)
        check_fraction(self, "average_decay")
        check_least(self, 100, "num_examples")
        check_widths(self, "features")


def read_training(config: ConfigDict) -> Training:
    """Read the training of the denoiser."""
    places = {"channels": "model.channels", "dtype": "model.dtype"}
    return command_line.read(Training, config, places=places)


def read_classifier(config: ConfigDict) -> Classifier:
    """Read the classifier; its updates come in dispatches as many as the denoiser's."""
    places = {"updates_per_dispatch": "updates_per_dispatch"}
    return command_line.read(Classifier, config, "posterior", places)
