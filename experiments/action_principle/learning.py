"""Train the control of a problem by what `control_learning` gives: for the tasks learn and sampling.

The control is that of a `Denoiser` with the reference N(0, kappa^2 I), the equilibrium: the network
is 0 at first, and its paths end in that reference. Both forms begin paths at t_max there too.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from diffenc.diffusion.control_learning import (
    action_loss,
    adjoint_loss,
    adjoint_targets,
    thin,
)
from diffenc.diffusion.controlled_paths import Problem, field_of, follow
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.path_weights import weighted_paths
from diffenc.errors import check, check_choice, check_least, check_positive, check_widths
from diffenc.networks import MLP, LevelMLP
from diffenc.networks.embeddings import log_snr_features
from diffenc.training import TrainState, make_optimizer

FORMS = ("action", "adjoint")
CLIP_NORM = 1.0
LONGEST_PULL = 20.0
AVERAGE_DECAY = 0.99


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


@dataclasses.dataclass(frozen=True)
class Learner:
    """A control to be learned. Raises InputError for an unknown form.

    Attributes:
        problem: what it is to do.
        dim: the dimension of x.
        form: of FORMS.
        training: how.
        is_weighted: whether the paths of adjoint matching are the chain of `path_weights`, of one
            evaluation a step, or those of `control`, of two and of second order.
    """

    problem: Problem
    dim: int
    form: str
    training: Training
    is_weighted: bool = False
    is_guided: bool = False

    def __post_init__(self):
        check_choice("form", self.form, FORMS)

    def score_fn(self, params) -> Callable:
        """Make the score that stands for the control, (x [n, dim], t [n]) -> [n, dim]."""
        process = self.problem.process
        scale = process.scale
        network = LevelMLP(self.training.features)
        if not self.is_guided:
            return Denoiser(network, process).score_fn(params, Reference.equilibrium(process))

        def score(x, t):
            slope = jax.grad(lambda x: jnp.sum(self.problem.end_cost(x)))(x)
            pull = x / scale - scale * slope
            longest = LONGEST_PULL * x.shape[1] ** 0.5
            length = jnp.linalg.norm(pull, axis=1, keepdims=True)
            pull = pull * jnp.minimum(1.0, longest / (length+1e-6))
            level = process.log_snr(t) + 2 * jnp.log(scale)
            gain = MLP((32,), 1).apply(params["gain"], log_snr_features(level))
            gain = jax.nn.sigmoid(level)[:, None] * (1 + gain)
            out = network.apply(params["network"], x / scale, level, pull) + gain * pull
            return process.equilibrium_score(x, t) + process.alpha(t)[:, None] / scale * out

        return score

    def init(self, key):
        network = LevelMLP(self.training.features)
        x = jnp.zeros((1, self.dim))
        if not self.is_guided:
            return Denoiser(network, self.problem.process).init(key, x)
        key_network, key_gain = jax.random.split(key)
        return {
            "network": network.init(key_network, x, jnp.zeros(1), x),
            "gain": MLP((32,), 1).init(key_gain, log_snr_features(jnp.zeros(1))),
        }

    def starts(self, key: jax.Array, num: int) -> jax.Array:
        """Draw starts of paths at t_max from the law that the reference has there, [num, dim]."""
        process = self.problem.process
        t = jnp.float32(self.problem.t_max)
        width = jnp.hypot(process.scale * process.alpha(t), process.sigma(t))
        return width * jax.random.normal(key, (num, self.dim))

    def train(self, key: jax.Array) -> Iterator[tuple[int, object]]:
        """Train a control of its own seed.

        Args:
            key: of parameters and paths.

        Yields:
            The number of updates made and the averages of the parameters, at every check and
            before the first update.
        """
        key_init, key_updates = jax.random.split(key)
        params = self.init(key_init)
        state = TrainState.create(params, self._optimizer())
        yield 0, state.averages
        for _ in range(self.training.num_checks):
            state = _many_updates(self, state, key_updates)
            yield int(state.step), state.averages

    def _optimizer(self):
        training = self.training
        warmup = training.num_updates // 10
        return make_optimizer(training.learning_rate, training.num_updates, warmup, CLIP_NORM)

    def _loss(self, params, key):
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
        if self.is_weighted:
            return weighted_paths(key, self.problem, score, (num, self.dim)).path
        key_x, key_noise = jax.random.split(key)
        field = field_of(self.problem, score)
        return follow(key_noise, self.problem, field, self.starts(key_x, num))[1]


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _many_updates(learner: Learner, state: TrainState, key: jax.Array) -> TrainState:
    """Make the updates between two checks."""

    def update(state, _):
        grads = jax.grad(learner._loss)(state.params, jax.random.fold_in(key, state.step))
        return state.apply_gradients(grads, learner._optimizer(), AVERAGE_DECAY), None

    training = learner.training
    return jax.lax.scan(update, state, length=training.num_updates // training.num_checks)[0]
