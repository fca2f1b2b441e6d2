"""What a noised image x_lambda says about its label Y, by a classifier q(y | x_lambda, lambda) of
all noise levels.

A label is discrete, so nothing needs a denoiser here: the score that a label adds is s(x|y) - s(x)
= grad log p(y|x) (classifier guidance, arXiv 2105.05233), and the information is bounded by what a
gambler wins who bets on the label,

    H(Y) + E log q(y | x_lambda) = I(x_lambda; Y) - E KL(p(.|x_lambda) || q) <= I(x_lambda; Y) <= H(Y)       (a)
    d I(x_lambda; Y) / d lambda = 1/2 sigma^2 E |grad log p(y | x_lambda)|^2                                 (b)

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
from ml_collections import ConfigDict

from diffenc import networks, training
from diffenc.diffusion import entropy, noise_levels
from diffenc.diffusion.denoiser import Reference
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VPLinear, expand
from diffenc.errors import InputError
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.networks.embeddings import log_snr_features
from diffenc.run import loop, parallel
from diffenc.run.tables import Result
from experiments import command_line
from experiments.labels import denoiser

LEVELS = (-6, -4, -2, 0, 2)  # of lambda, where the results give the curve


class Curve(NamedTuple):
    """On a grid log_snr [K + 1] of equal steps, for each held-out image [K + 1, n]: what (a) is the
    mean of, nats, and what (b) is, nats per unit of lambda."""

    log_snr: np.ndarray
    information: np.ndarray
    density: np.ndarray

    def up_to(self, level: float) -> np.ndarray:
        """(a) at lambda = level, between two points of the grid on the straight line: [n]."""
        place = np.interp(level, self.log_snr, np.arange(len(self.log_snr)))
        low = min(int(place), len(self.log_snr) - 2)
        return self.information[low] + (place - low) * (
            self.information[low + 1] - self.information[low]
        )

    def slope(self) -> entropy.Profile:
        """The rise of (a) over each of the K steps, as draws of its density over lambda."""
        step = np.diff(self.log_snr)[:, None]
        values = np.diff(self.information, axis=0) / step
        centres = np.broadcast_to(
            0.5 * (self.log_snr[1:] + self.log_snr[:-1])[:, None], values.shape
        )
        return entropy.Profile(centres, values, np.full(values.shape, 1 / np.ptp(self.log_snr)))

    def integral(self) -> np.ndarray:
        """(b) integrated up to every point of the grid by the trapezoidal rule, [K + 1, n]."""
        step = np.diff(self.log_snr)[:, None]
        parts = 0.5 * step * (self.density[1:] + self.density[:-1])
        return np.concatenate([np.zeros_like(parts[:1]), np.cumsum(parts, axis=0)])


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no training or measurement could use: all of them, since
    a long training of the denoiser comes first."""
    positive = (
        "batch_size",
        "num_updates",
        "save_every",
        "learning_rate",
        "num_levels",
        "num_draws",
    )
    command_line.check_positive(config, *(f"posterior.{field}" for field in positive))
    command_line.check_not_negative(config, "posterior.warmup", "posterior.evaluate_every")
    settings = config.posterior
    for field in ("num_updates", "save_every", "evaluate_every"):
        if settings[field] % config.updates_per_dispatch:
            raise InputError(
                f"config field posterior.{field} is {settings[field]}: give a multiple of updates_per_dispatch, "
                f"{config.updates_per_dispatch}"
            )
    if not 0 <= settings.average_decay < 1:
        raise InputError(
            f"config field posterior.average_decay is {settings.average_decay}: give a number in [0, 1)"
        )
    if settings.num_examples < 100:
        raise InputError(
            f"config field posterior.num_examples is {settings.num_examples}: give 100 or more"
        )
    if not settings.features or min(settings.features) < 1:
        raise InputError(
            f"config field posterior.features is {settings.features}: give widths above 0, one or more"
        )


def run(config: ConfigDict, workdir: Path, images, scale: float, classes: int) -> Curve:
    """Train the classifier, or continue the training in workdir / "posterior", and measure it on
    held-out images."""
    settings = config.posterior
    mesh = parallel.data_mesh(config.num_devices or None)
    process = VPLinear()
    network = networks.MLP(tuple(settings.features), classes)
    reference = Reference.isotropic(np.asarray(images.train, np.float32) / scale)
    log_q = make_log_q(network, process, reference)
    levels = Uniform(*log_snr_range(process, config.t_min))
    optimizer = training.make_optimizer(
        settings.learning_rate, settings.num_updates, settings.warmup
    )
    shape = (1, images.train[0].size + log_snr_features(jnp.zeros(())).size)
    params = network.init(key_of(config.seed, "classifier", "model"), jnp.zeros(shape))
    measure = make_measure(config, log_q, process, levels)

    def evaluate(state, step):
        curve = measure(
            parallel.local(state).averages, images, scale, min(1000, settings.num_examples)
        )
        mean, stderr = Estimate.of(curve.information[-1])
        return {
            "over_levels": float(curve.information.mean()),
            "information": mean,
            "information_stderr": stderr,
        }

    def update(state, key, batch):
        x, labels = batch
        key_level, key_eps = jax.random.split(key)
        t = process.time(levels.draw(noise_levels.stratified_uniform(key_level, labels.shape))[0])
        x_t = process.perturb(x, jax.random.normal(key_eps, x.shape, x.dtype), t)

        def loss_fn(params):
            return -jnp.mean(of_labels(log_q(params, x_t, t), labels))

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads, optimizer, settings.average_decay), {"loss": loss}

    state = loop.train(
        workdir / "posterior",
        parallel.replicate(mesh, training.TrainState.create(params, optimizer)),
        denoiser.advance_by(
            update, mesh, images, scale, settings.batch_size, config.seed, "classifier"
        ),
        num_updates=settings.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=settings.save_every,
        evaluate=evaluate,
        evaluate_every=settings.evaluate_every,
        headline=lambda metrics: f"loss {metrics['loss']:.3f}",
        extras=tuple(config.metrics_extras),
        description="classifier",
    )
    return measure(parallel.local(state).averages, images, scale, settings.num_examples)


def make_log_q(network, process, reference: Reference) -> Callable:
    """log_q(params, x_t [batch, ...], t [batch]) -> [batch, classes] of an MLP, which sees x_t at
    unit size."""

    def log_q(params, x_t, t):
        alpha, sigma = expand(process.alpha(t), x_t), expand(process.sigma(t), x_t)
        u = (x_t - alpha * reference.mean) / jnp.sqrt(
            jnp.square(alpha) * reference.variance + jnp.square(sigma)
        )
        level = process.log_snr(t) + jnp.log(reference.variance)
        seen = jnp.concatenate([u.reshape(len(u), -1), log_snr_features(level)], axis=1)
        return jax.nn.log_softmax(network.apply(params, seen))

    return log_q


def of_labels(log_q: jax.Array, labels: jax.Array) -> jax.Array:
    """log_q [batch, classes] of each image's own label, [batch]."""
    return jnp.take_along_axis(log_q, labels[:, None], axis=1)[:, 0]


def make_measure(config: ConfigDict, log_q: Callable, process, levels: Uniform) -> Callable:
    """measure(params, images, scale, count): the `Curve` of the first count held-out images, or of
    all if fewer."""
    settings = config.posterior
    grid = np.linspace(levels.low, levels.high, settings.num_levels + 1)
    times = process.time(jnp.asarray(grid, jnp.float32))

    @jax.jit
    def batch_of(params, key, pair):
        x, labels = pair

        def of_draw(key):
            eps = jax.random.normal(key, x.shape, x.dtype)

            def at_time(t):
                t = jnp.full(x.shape[:1], t, x.dtype)

                def total(x_t):
                    won = of_labels(log_q(params, x_t, t), labels)
                    return jnp.sum(won), won

                gradient, won = jax.grad(total, has_aux=True)(process.perturb(x, eps, t))
                steps = expand(process.sigma(t), x) * gradient
                return won, 0.5 * jnp.sum(jnp.square(steps).reshape(len(x), -1), axis=1)

            return jax.lax.map(at_time, times)

        draws = jax.lax.map(of_draw, jax.random.split(key, settings.num_draws))
        return jax.tree.map(lambda values: jnp.mean(values, axis=0).T, draws)

    def measure(params, images, scale, count):
        x, labels = images.test[:count].astype("float32") / scale, images.test_labels[:count]
        call, key = (
            functools.partial(batch_of, params),
            key_of(config.seed, "classifier", "evaluation"),
        )
        won, density = map_examples(call, key, (x, labels), config.eval.batch_size)
        surprise = denoiser.surprise(images, count)
        return Curve(grid, surprise[None] + won.T.astype(np.float64), density.T.astype(np.float64))

    return measure


def information(name: str, curve: Curve) -> list[Result]:
    """(a) at the end of the curve, the best bound, and on its way there; the integral of (b)."""
    return [
        Result(f"{name}.label_information", *Estimate.of(curve.information[-1])),
        Result(f"{name}.label_information_by_gradients", *Estimate.of(curve.integral()[-1])),
        *(
            Result(f"{name}.lambda={level}.label_information", *Estimate.of(curve.up_to(level)))
            for level in LEVELS
            if curve.log_snr[0] < level < curve.log_snr[-1]
        ),
    ]


def high_noise_share(rng, curve: Curve, resamples: int = 500) -> Estimate:
    """I(x_lambda; Y) at lambda = 0, noise as strong as signal, as a share of the end's, both by
    (a); the error by the bootstrap over images."""
    both = np.stack([curve.up_to(0.0), curve.information[-1]], axis=1)
    count = len(both)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples) @ both
    share = both[:, 0].sum() / both[:, 1].sum()
    return Estimate(float(share), float(np.std(drawn[:, 0] / drawn[:, 1], ddof=1)))
