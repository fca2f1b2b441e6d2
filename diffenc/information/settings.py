"""Settings of the estimators of information: one set of values serves every task.

Beside samples, every estimator takes settings and a progress callback.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from diffenc.errors import InputError, check_least, check_positive

Show = Callable[[str, int, float], None]  # of (stage, updates, value in nats)


def silent(stage: str, updates: int, value: float) -> None:
    """Do nothing: the default progress callback."""


@dataclass(frozen=True)
class DenoiserSettings:
    """The two networks, and the rounds of denoising that train them.

    Attributes:
        width: units of every hidden layer, those of the mixtures included.
        depth: number of hidden layers of the denoiser.
        batch_size: examples in a batch.
        draws: noise levels drawn for each example of a batch. The noise of every level is used
            with both signs.
        learning_rate: step size of Adam, for the denoiser and for the mixtures.
        average: parameters are averaged over about the last 1 / (1 + average) of the updates.
        updates: updates in a round.
        rounds: largest number of rounds.
        patience: training stops after this many rounds without a gain.
    """

    width: int = 128
    depth: int = 2
    batch_size: int = 128
    draws: int = 2
    learning_rate: float = 3e-3
    average: float = 8.0
    updates: int = 150
    rounds: int = 16
    patience: int = 4

    def __post_init__(self):
        counts = ("width", "depth", "batch_size", "draws", "updates", "rounds", "patience")
        check_least(self, 1, *counts)
        check_least(self, 0, "average")
        check_positive(self, "learning_rate")


@dataclass(frozen=True)
class MixtureSettings:
    """The mixtures of Gaussians, which are fitted before the denoiser.

    Attributes:
        components: Gaussians in a mixture.
        batch_size: examples in a batch.
        updates: updates in a round.
        rounds: largest number of rounds.
        patience: training stops after this many rounds without a gain.
    """

    components: int = 8
    batch_size: int = 256
    updates: int = 125
    rounds: int = 24
    patience: int = 4

    def __post_init__(self):
        counts = ("components", "batch_size", "updates", "rounds", "patience")
        check_least(self, 1, *counts)


@dataclass(frozen=True)
class FlowSettings:
    """The invertible maps of x and of y.

    Attributes:
        width: units of the hidden layers of a velocity.
        steps: steps of the midpoint rule.
        batch_size: examples in a batch, or four for each coordinate if that is more.
        learning_rate: step size of Adam.
        average: parameters are averaged over about the last 1 / (1 + average) of the updates.
        updates: updates in a round.
        rounds: largest number of rounds. With 0 the blocks are not mapped by flows.
        patience: training stops after this many rounds without a gain.
        roughness_price: weight of the roughness of the maps in the loss.
        sparsity_price: weight of the norms of a coordinate's weights in the loss, for each
            coordinate of the block, for `Settings.full_rounds` examples in a half.
    """

    width: int = 64
    steps: int = 8
    batch_size: int = 256
    learning_rate: float = 6e-3
    average: float = 8.0
    updates: int = 50
    rounds: int = 16
    patience: int = 3
    roughness_price: float = 1.0
    sparsity_price: float = 1.5e-3

    def __post_init__(self):
        check_least(self, 1, "width", "steps", "batch_size", "updates", "patience")
        check_least(self, 0, "average", "rounds", "roughness_price", "sparsity_price")
        check_positive(self, "learning_rate")

    @property
    def shape(self) -> "FlowSettings":
        """What of these settings shapes a compiled program, see `Settings.shape`."""
        return dataclasses.replace(self, updates=1, sparsity_price=0.0)


@dataclass(frozen=True)
class CommitteeSettings:
    """The networks that predict a block of one column, beside trees.

    Attributes:
        members: networks of each quarter of the rows, whose mean predicts it.
        width: units of their hidden layers.
        batch_size: examples in a batch of each.
        learning_rate: step size of Adam.
        average: parameters are averaged over about the last 1 / (1 + average) of the updates.
        updates: updates in a round.
        rounds: largest number of rounds. With 0 there is no committee, and no trees.
        patience: training stops after this many rounds without a gain.
    """

    members: int = 4
    width: int = 64
    batch_size: int = 128
    learning_rate: float = 3e-3
    average: float = 8.0
    updates: int = 150
    rounds: int = 24
    patience: int = 3

    def __post_init__(self):
        check_least(self, 1, "members", "width", "batch_size", "updates", "patience")
        check_least(self, 0, "average", "rounds")
        check_positive(self, "learning_rate")

    @property
    def shape(self) -> "CommitteeSettings":
        """What of these settings shapes a compiled program, see `Settings.shape`."""
        return dataclasses.replace(self, updates=1, rounds=1, patience=1)


@dataclass(frozen=True)
class NullSettings:
    """The test of whether the networks have detected anything.

    Attributes:
        rounds: the test is made after this many rounds of denoising.
        errors: D is set to 0 unless P exceeds this many of its standard errors.
    """

    rounds: int = 2
    errors: float = 2.5

    def __post_init__(self):
        check_least(self, 1, "rounds")
        check_least(self, 0, "errors")


@dataclass(frozen=True)
class JudgeSettings:
    """How networks are evaluated on examples that they were not trained on.

    Attributes:
        strata: strata of lambda in the evaluation of a round.
        parts: the final evaluation divides each stratum into this many.
        rows: examples evaluated at a time, which bounds the memory.
        noise_price: weight of O - X in the score by which a round is chosen.
        extrapolation: this share of the step from n / 2 to n examples is added to the estimate.
        step_error: this share of the same step is added to the systematic error.
        shortfall: this many sampling errors of D are added to the estimate, for what both networks
            miss alike.
        shortfall_error: this many sampling errors of D are added to the systematic error.
    """

    strata: int = 2
    parts: int = 4
    rows: int = 512
    noise_price: float = 0.03
    extrapolation: float = 0.5
    step_error: float = 1.0
    shortfall: float = 1.0
    shortfall_error: float = 2.0

    def __post_init__(self):
        check_least(self, 1, "strata", "parts", "rows")
        check_least(self, 0, "noise_price", "extrapolation", "step_error")
        check_least(self, 0, "shortfall", "shortfall_error")


@dataclass(frozen=True)
class Settings:
    """All settings of an estimate.

    Attributes:
        denoiser: the networks and their training by denoising.
        mixture: the mixtures in these networks and their training.
        flow: the invertible maps of the blocks.
        committee: the networks that predict one column from many.
        null: the test of whether anything was detected.
        judge: the evaluation.
        least_gain: nats. A round with a smaller gain counts as a round without one.
        map_errors: flows, unmixing and the regression of lengths are used only if their gain
            exceeds this many of its standard errors.
        full_rounds: rounds of training are shorter if a half has fewer examples than this.
    """

    denoiser: DenoiserSettings = DenoiserSettings()
    mixture: MixtureSettings = MixtureSettings()
    flow: FlowSettings = FlowSettings()
    committee: CommitteeSettings = CommitteeSettings()
    null: NullSettings = NullSettings()
    judge: JudgeSettings = JudgeSettings()
    least_gain: float = 1e-3
    map_errors: float = 3.0
    full_rounds: int = 2500

    def __post_init__(self):
        check_least(self, 0, "least_gain", "map_errors")
        check_least(self, 1, "full_rounds")

    @classmethod
    def from_dict(cls, values: Mapping) -> "Settings":
        """Make settings from nested dictionaries, such as a section of a config.

        What is left out has its default. Raises InputError for an unknown name or a bad value.
        """
        sections: dict[str, type[Any]] = {
            field.name: type(field.default)
            for field in dataclasses.fields(cls)
            if dataclasses.is_dataclass(field.default)
        }
        _check_names(cls, values, "")
        arguments = dict(values)
        for name in sections.keys() & values.keys():
            _check_names(sections[name], values[name], f"{name}.")
            try:
                arguments[name] = sections[name](**values[name])
            except InputError as error:
                raise InputError(f"{name}.{error}") from error
        return cls(**arguments)

    @property
    def shape(self) -> "Settings":
        """What of these settings shapes a compiled program: lengths of rounds and prices do not."""
        return dataclasses.replace(
            self,
            denoiser=dataclasses.replace(self.denoiser, updates=1),
            mixture=dataclasses.replace(self.mixture, updates=1),
            flow=self.flow.shape,
            committee=CommitteeSettings(),
        )

    def for_examples(self, n: float) -> "Settings":
        """Return the settings for n examples in a half.

        Networks overfit fewer examples in fewer updates. Below `full_rounds` examples, rounds of
        mixtures and of denoising are therefore shortened in proportion to n, to 10 updates at
        least. Rounds of flows keep their length, and the price of their coordinates is inversely
        proportional to n, as is the gain by chance of a coordinate that is independent of the
        other block.
        """
        share = min(1.0, n / self.full_rounds)
        price = self.flow.sparsity_price * self.full_rounds / n
        return dataclasses.replace(
            self,
            denoiser=_shorten(self.denoiser, share),
            mixture=_shorten(self.mixture, share),
            committee=_shorten(self.committee, share),
            flow=dataclasses.replace(self.flow, sparsity_price=price),
        )


DEFAULTS = Settings()


def _shorten(section, share):
    """Return a section with this share of its updates in a round."""
    updates = max(min(10, section.updates), round(share * section.updates))
    return dataclasses.replace(section, updates=updates)


def _check_names(cls, values, prefix) -> None:
    names = [field.name for field in dataclasses.fields(cls)]
    if not isinstance(values, Mapping):
        raise InputError(
            f"{prefix.removesuffix('.')} is {values!r}: give a section of {', '.join(names)}"
        )
    for name in values:
        if name not in names:
            raise InputError(
                f"setting {prefix}{name} does not exist: give one of {', '.join(names)}"
            )
