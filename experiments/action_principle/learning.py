"""Train the control of a problem by `control_learning`, for the tasks learn and sampling.

The score of the control is that of a process of fixed width with what a network adds, times
alpha/kappa. The network is 0 at first, and paths then end in the equilibrium N(0, kappa^2 I). They
begin at t_max where those of the equilibrium do.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from diffenc.compilation import init
from diffenc.diffusion.control_learning import (
    action_loss,
    adjoint_loss,
    adjoint_targets,
    thin,
)
from diffenc.diffusion.controlled_paths import Problem, field_of, follow
from diffenc.diffusion.path_weights import weighted_paths
from diffenc.errors import check, check_choice, check_least, check_positive, check_widths
from diffenc.networks import MLP, LevelMLP
from diffenc.networks.embeddings import log_snr_features
from diffenc.training import TrainState, make_optimizer

FORMS = ("action", "adjoint")
CLIP_NORM = 1.0
AVERAGE_DECAY = 0.99
GAIN = MLP((32,), 1)
LONGEST_SLOPE = 20.0  # that a network is shown, for each root of the dimension


@dataclasses.dataclass(frozen=True)
class Training:
    """How a control is trained.

    Attributes:
        num_updates: of the parameters.
        batch_size: paths of an update.
        num_nodes: nodes of each path that adjoint matching regresses at, at most those of the path.
        learning_rate: its peak.
        features: widths of the network's layers.
        num_checks: times at which what has been learned is measured, the end one of them.
    """

    num_updates: int
    batch_size: int
    num_nodes: int
    learning_rate: float
    features: tuple[int, ...]
    num_checks: int

    def __post_init__(self):
        check_least(self, 1, "num_updates", "batch_size", "num_nodes", "num_checks")
        check_positive(self, "learning_rate")
        check_widths(self, "features")
        holds = self.num_updates % self.num_checks == 0
        remedy = f"give a divisor of num_updates, {self.num_updates}"
        check(holds, "num_checks", self.num_checks, remedy)


def check_nodes(training: Training, num_steps: int) -> None:
    """Raise an InputError unless paths of so many steps have the nodes of the training."""
    remedy = f"give {num_steps + 1} or less, the nodes of a path"
    check(training.num_nodes <= num_steps + 1, "training.num_nodes", training.num_nodes, remedy)


@dataclasses.dataclass(frozen=True)
class Learner:
    """A control to be learned. Raises InputError for an unknown form.

    Attributes:
        problem: what it is to do.
        dim: the dimension of x.
        form: of FORMS.
        training: how.
        is_sampler: whether the end cost is a density's energy that may be asked at every step. The
            network then sees its slope too, as in arXiv 2111.15141, and paths are those of
            `path_weights`, of one evaluation a step; else they are those of `control`.
    """

    problem: Problem
    dim: int
    form: str
    training: Training
    is_sampler: bool = False

    def __post_init__(self):
        check_choice("form", self.form, FORMS)

    @property
    def evaluations_of_a_path(self) -> int:
        """Evaluations of the end cost with its gradient that a path takes.

        The slopes at the nodes of a regression are known from the path, and not counted again.
        """
        return 1 + (self.problem.num_steps if self.is_sampler else 0)

    def score_fn(self, params) -> Callable:
        """Make the score that stands for the control, (x [n, dim], t [n]) -> [n, dim]."""
        process = self.problem.process
        scale = process.scale

        def score(x, t):
            level = process.log_snr(t) + 2 * jnp.log(scale)
            if self.is_sampler:
                slope = self._slope(x)
                gain = jax.nn.sigmoid(level) * GAIN.apply(params[1], log_snr_features(level))[:, 0]
                out = self._network().apply(params[0], x / scale, level, slope)
                out += (jax.nn.sigmoid(level) + gain)[:, None] * slope
            else:
                out = self._network().apply(params[0], x / scale, level)
            return process.equilibrium_score(x, t) + process.alpha(t)[:, None] / scale * out

        return score

    def _network(self):
        return LevelMLP(self.training.features)

    def _slope(self, x):
        """The gradient of log(exp(-E) / equilibrium) by x/kappa, shortened where it is too long."""
        scale = self.problem.process.scale
        slope = x / scale - scale * jax.grad(lambda x: jnp.sum(self.problem.end_cost(x)))(x)
        square = jnp.sum(jnp.square(slope), axis=1, keepdims=True)
        return slope / jnp.sqrt(1 + square / (LONGEST_SLOPE**2 * self.dim))

    def init(self, key: jax.Array):
        """Make the parameters."""
        key_network, key_gain = jax.random.split(key)
        x = jnp.zeros((1, self.dim))
        level = jnp.zeros(1)
        if not self.is_sampler:
            return (init(self._network(), key_network, x, level),)
        gain = init(GAIN, key_gain, log_snr_features(level))
        return init(self._network(), key_network, x, level, x), gain

    def starts(self, key: jax.Array, num: int) -> jax.Array:
        """Draw starts of paths at t_max from the law that the equilibrium has there, [num, dim]."""
        process = self.problem.process
        t = jnp.float32(self.problem.t_max)
        width = jnp.hypot(process.scale * process.alpha(t), process.sigma(t))
        return width * jax.random.normal(key, (num, self.dim))

    def train(self, key: jax.Array) -> Iterator[tuple[int, tuple]]:
        """Train a control.

        Args:
            key: of parameters and paths.

        Yields:
            The number of updates made and the averages of the parameters, before the first update
            and at every check.
        """
        key_init, key_updates = jax.random.split(key)
        state = TrainState.create(self.init(key_init), self.optimizer())
        yield 0, jax.tree.map(jnp.copy, state.averages)
        for _ in range(self.training.num_checks):
            state = many_updates(self, state, key_updates)
            yield int(state.step), jax.tree.map(jnp.copy, state.averages)

    def optimizer(self):
        """Make the optimizer."""
        training = self.training
        warmup = training.num_updates // 10
        return make_optimizer(training.learning_rate, training.num_updates, warmup, CLIP_NORM)

    def loss(self, params, key: jax.Array) -> jax.Array:
        """Draw the loss of an update, a scalar in nats."""
        if self.form == "action":
            key_x, key_paths = jax.random.split(key)
            x = self.starts(key_x, self.training.batch_size)

            def score(params, x, t):
                return self.score_fn(params)(x, t)

            return jnp.mean(action_loss(key_paths, self.problem, score, params, x))
        key_paths, key_nodes = jax.random.split(key)
        path = self._path(key_paths, self.score_fn(jax.lax.stop_gradient(params)))
        targets = thin(key_nodes, adjoint_targets(self.problem, path), self.training.num_nodes)
        return jnp.mean(adjoint_loss(self.score_fn(params), targets))

    def _path(self, key, score):
        num = self.training.batch_size
        if self.is_sampler:
            return weighted_paths(key, self.problem, score, (num, self.dim)).path
        key_x, key_noise = jax.random.split(key)
        field = field_of(self.problem, score)
        return follow(key_noise, self.problem, field, self.starts(key_x, num))[1]


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def many_updates(learner: Learner, state: TrainState, key: jax.Array) -> TrainState:
    """Make the updates between two checks.

    Args:
        learner: the control.
        state: before them; its memory is given away.
        key: of all updates of the training.
    """

    def update(state, _):
        grads = jax.grad(learner.loss)(state.params, jax.random.fold_in(key, state.step))
        return state.apply_gradients(grads, learner.optimizer(), AVERAGE_DECAY), None

    training = learner.training
    return jax.lax.scan(update, state, length=training.num_updates // training.num_checks)[0]
