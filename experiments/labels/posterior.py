"""What a noised image x_lambda says about its label Y, by a classifier of all noise levels.

A label is discrete, so nothing needs a denoiser here: the score that a label adds is s(x|y) - s(x)
= grad log p(y|x) (classifier guidance, arXiv 2105.05233), and the information is bounded by what a
gambler wins who bets on the label,

    H(Y) + E log q(y | x_lambda) = I(x_lambda; Y) - E KL(p(.|x_lambda) || q)
                                <= I(x_lambda; Y) <= H(Y)                                       (a)
    d I(x_lambda; Y) / d lambda  = 1/2 sigma^2 E |grad log p(y | x_lambda)|^2                   (b)

with the gradient by x_lambda = alpha x + sigma eps itself (arXiv 2509.23937). (a) is a bound at
every lambda, whatever q: the odds are the labels' shares among the training images, whose own error
can add (K - 1) / 2N to it, K labels of N images. (b) is right for the exact posterior only, and
then the slope of (a): nothing in training asks for right gradients. Levels are a grid, and an image
keeps its noise along it: neighbouring points of the curve move together, and their differences have
small errors.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path

from diffenc import networks, training
from diffenc.compilation import init
from diffenc.diffusion import noise_levels, profiles
from diffenc.diffusion.denoiser import Reference
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VPLinear
from diffenc.estimate import Estimate, bootstrap, map_examples, resampled_mean
from diffenc.keys import key_of
from diffenc.run import division, loop, parallel
from diffenc.run.advance import make_advance
from diffenc.run.tables import Result
from experiments import command_line
from experiments.labels.denoiser import Labelled, make_trainee
from experiments.labels.forms import surprise
from experiments.labels.settings import Classifier, Training

LEVELS = (-6, -4, -2, 0, 2)  # of lambda, where the results give the curve
NAME = "classifier"  # of the system


class Curve(NamedTuple):
    """What is known of the label at every noise level, for each held-out image.

    Attributes:
        log_snr: a grid of lambda of equal steps, [K + 1].
        information: what (a) is the mean of, nats, [K + 1, n].
        density: what (b) is the mean of, nats per unit of lambda, [K + 1, n].
    """

    log_snr: np.ndarray
    information: np.ndarray
    density: np.ndarray

    def up_to(self, level: float) -> np.ndarray:
        """Give (a) at lambda = level, between two points of the grid on the straight line: [n]."""
        place = np.interp(level, self.log_snr, np.arange(len(self.log_snr)))
        low = min(int(place), len(self.log_snr) - 2)
        step = self.information[low + 1] - self.information[low]
        return self.information[low] + (place - low) * step

    def slope(self) -> profiles.Profile:
        """Give the rise of (a) over each of the K steps, as draws of its density over lambda."""
        step = np.diff(self.log_snr)[:, None]
        values = np.diff(self.information, axis=0) / step
        centres = 0.5 * (self.log_snr[1:] + self.log_snr[:-1])
        centres = np.broadcast_to(centres[:, None], values.shape)
        return profiles.Profile(centres, values, np.full(values.shape, 1 / np.ptp(self.log_snr)))

    def integral(self) -> np.ndarray:
        """Integrate (b) up to every point of the grid by the trapezoidal rule: [K + 1, n]."""
        step = np.diff(self.log_snr)[:, None]
        parts = 0.5 * step * (self.density[1:] + self.density[:-1])
        return np.concatenate([np.zeros_like(parts[:1]), np.cumsum(parts, axis=0)])


class System(NamedTuple):
    """A classifier before its training.

    Attributes:
        log_q: see `make_log_q`.
        levels: the density of noise levels.
        state: the `TrainState` that training starts from.
        update: (state, key, (x, labels)) -> (state, metrics).
    """

    log_q: Callable
    levels: Uniform
    state: training.TrainState
    update: Callable


def run(
    seed: int,
    workdir: Path,
    labelled: Labelled,
    settings: Classifier,
    of_denoiser: Training,
    batch_size: int,
) -> Curve:
    """Train the classifier, or continue its training, and measure it on held-out images.

    Args:
        seed: of the run.
        workdir: of the classifier's training.
        labelled: the images.
        settings: of the classifier.
        of_denoiser: its t_min, devices and extras are the classifier's too.
        batch_size: images measured at once.
    """
    images = labelled.images
    mesh = parallel.data_mesh(of_denoiser.num_devices)
    process = VPLinear()
    log_q, levels, state, update = make_system(seed, labelled, settings, of_denoiser.t_min)
    key = key_of(seed, NAME, "evaluation")
    measure = make_measure(key, log_q, process, levels, settings, batch_size)
    num_monitored = min(1000, settings.num_examples)

    def evaluate(states, step):
        averages = parallel.local(states)[NAME].averages
        curve = measure(averages, images, labelled.scale, num_monitored)
        mean, stderr = Estimate.of(curve.information[-1])
        over_levels = float(curve.information.mean())
        return {"over_levels": over_levels, "information": mean, "information_stderr": stderr}

    states = loop.train(
        workdir,
        parallel.replicate(mesh, {NAME: state}),
        make_advance(
            {NAME: make_trainee(seed, NAME, update, labelled, mesh)}, mesh, settings.batch_size
        ),
        num_updates=settings.num_updates,
        updates_per_dispatch=settings.updates_per_dispatch,
        save_every=settings.save_every,
        evaluate=evaluate,
        evaluate_every=settings.evaluate_every,
        headline=lambda metrics: f"loss {metrics[f'{NAME}.loss']:.3f}",
        extras=of_denoiser.metrics_extras,
        description=NAME,
    )
    averages = parallel.local(states)[NAME].averages
    with division.spread_over(mesh):
        return measure(averages, images, labelled.scale, settings.num_examples)


def make_network(settings: Classifier, num_classes: int) -> networks.LevelClassifier:
    """Make the network of the classifier."""
    return networks.LevelClassifier(
        tuple(settings.features),
        num_classes,
        tuple(settings.channels),
        settings.blocks,
        settings.dropout,
        jnp.dtype(settings.dtype),
    )


def inputs_like(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give one example and its level, as the network takes them, for images x [n, ...]."""
    return np.zeros((1, *x.shape[1:]), np.float32), np.zeros(1, np.float32)


def check_network(settings: Classifier, labelled: Labelled) -> None:
    """Raise an InputError unless the network of the classifier can take the images."""
    network = make_network(settings, labelled.num_classes)
    inputs = inputs_like(labelled.images.train)
    with command_line.naming(channels="posterior.channels"):
        jax.eval_shape(network.init, key_of(0, "shapes"), *inputs)


def make_system(seed: int, labelled: Labelled, settings: Classifier, t_min: float) -> System:
    """Make a classifier with its update.

    Args:
        seed: of the run.
        labelled: the images.
        settings: of the classifier.
        t_min: the time at which noise levels begin.
    """
    images = labelled.images
    process = VPLinear()
    levels = Uniform(*log_snr_range(process, t_min))
    network = make_network(settings, labelled.num_classes)
    reference = Reference.isotropic(np.asarray(images.train, np.float32) / labelled.scale)
    log_q = make_log_q(network, process, reference)
    optimizer = training.make_optimizer(
        settings.learning_rate, settings.num_updates, settings.warmup
    )
    params = init(network, key_of(seed, NAME, "model"), *inputs_like(images.train))
    update = make_update(log_q, process, levels, optimizer, settings.average_decay)
    return System(log_q, levels, training.TrainState.create(params, optimizer), update)


def make_log_q(network, process, reference: Reference) -> Callable:
    """Make log_q(params, x_t [batch, ...], t [batch], rngs=None) -> [batch, classes].

    Args:
        network: a `LevelClassifier`, which sees x_t at unit size.
        process: the diffusion.
        reference: the Gaussian that gives x_t its unit size.
    """

    def log_q(params, x_t, t, rngs=None):
        alpha = expand(process.alpha(t), x_t)
        sigma = expand(process.sigma(t), x_t)
        variance = jnp.square(alpha) * reference.variance + jnp.square(sigma)
        u = (x_t - alpha * reference.mean) / jnp.sqrt(variance)
        level = process.log_snr(t) + jnp.log(reference.variance)
        return jax.nn.log_softmax(network.apply(params, u, level, rngs=rngs))

    return log_q


def of_labels(log_q: jax.Array, labels: jax.Array) -> jax.Array:
    """Pick log_q [batch, classes] of each image's own label: [batch]."""
    return jnp.take_along_axis(log_q, labels[:, None], axis=1)[:, 0]


def make_update(
    log_q: Callable, process, levels: Uniform, optimizer, average_decay: float
) -> Callable:
    """Make update(state, key, (x, labels)): one step up the mean of log q.

    Args:
        log_q: of `make_log_q`.
        process: the diffusion.
        levels: the density of noise levels.
        optimizer: of optax.
        average_decay: of the moving average of the parameters.
    """

    def update(state, key, batch):
        x, labels = batch
        key_level, key_eps, key_dropout = jax.random.split(key, 3)
        t = process.time(levels.draw(noise_levels.stratified_uniform(key_level, labels.shape))[0])
        x_t = process.perturb(x, jax.random.normal(key_eps, x.shape, x.dtype), t)

        def loss_fn(params):
            log_prob = log_q(params, x_t, t, {"dropout": key_dropout})
            return -jnp.mean(of_labels(log_prob, labels))

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads, optimizer, average_decay), {"loss": loss}

    return update


def bet(log_q: Callable, process, params, x, labels, eps, t):
    """Give log q of the label of images with noise, and the density of (b).

    Args:
        log_q: of `make_log_q`.
        process: the diffusion.
        params: of log_q.
        x: images [batch, ...].
        labels: theirs [batch].
        eps: noise [batch, ...].
        t: one time for all.

    Returns:
        log q [batch], and 1/2 sigma^2 |grad log q|^2 [batch].
    """
    t = jnp.full(x.shape[:1], t, x.dtype)

    def total(x_t):
        log_q_of_label = of_labels(log_q(params, x_t, t), labels)
        return jnp.sum(log_q_of_label), log_q_of_label

    gradient, log_q_of_label = jax.grad(total, has_aux=True)(process.perturb(x, eps, t))
    steps = expand(process.sigma(t), x) * gradient
    return log_q_of_label, 0.5 * jnp.sum(jnp.square(steps).reshape(len(x), -1), axis=1)


def make_measure(
    key, log_q: Callable, process, levels: Uniform, settings: Classifier, batch_size: int
) -> Callable:
    """Make measure(params, images, scale, count): the `Curve` of the first count held-out images.

    Args:
        key: of the noise, which an image keeps along the grid.
        log_q: of `make_log_q`.
        process: the diffusion.
        levels: between whose edges the grid lies.
        settings: num_levels and num_draws are read.
        batch_size: images measured at once.
    """
    grid = np.linspace(levels.low, levels.high, settings.num_levels + 1)
    times = jax.jit(process.time)(grid.astype(np.float32))

    @jax.jit
    def batch_of(params, key, pair):
        x, labels = pair

        def of_draw(key):
            eps = jax.random.normal(key, x.shape, x.dtype)
            return jax.lax.map(lambda t: bet(log_q, process, params, x, labels, eps, t), times)

        draws = jax.lax.map(of_draw, jax.random.split(key, settings.num_draws))
        return jax.tree.map(lambda values: jnp.mean(values, axis=0).T, draws)

    def measure(params, images, scale, count):
        pair = (images.test[:count].astype("float32") / scale, images.test_labels[:count])
        call = functools.partial(batch_of, params)
        with jax.default_matmul_precision("highest"):
            log_q_of_label, density = map_examples(call, jax.random.clone(key), pair, batch_size)
        odds = surprise(images, count)
        information = odds[None] + log_q_of_label.T.astype(np.float64)
        return Curve(grid, information, density.T.astype(np.float64))

    return measure


def information(name: str, curve: Curve) -> list[Result]:
    """Report (a) at the end of the curve, the best bound, on its way, and the integral of (b)."""
    results = [
        Result(f"{name}.label_information", *Estimate.of(curve.information[-1])),
        Result(f"{name}.label_information_by_gradients", *Estimate.of(curve.integral()[-1])),
    ]
    for level in LEVELS:
        if curve.log_snr[0] < level < curve.log_snr[-1]:
            estimate = Estimate.of(curve.up_to(level))
            results.append(Result(f"{name}.lambda={level}.label_information", *estimate))
    return results


def high_noise_share(rng, curve: Curve) -> Estimate:
    """Estimate I(x_lambda; Y) at lambda = 0 as a share of the end's, both by (a).

    There noise is as strong as signal. The error is that of the bootstrap over images.
    """
    both = np.stack([curve.up_to(0.0), curve.information[-1]], axis=1)

    def share(means):
        return means[0] / means[1]

    error = bootstrap(share, lambda: resampled_mean(rng, both))
    return Estimate(float(share(both.sum(axis=0))), float(error))
