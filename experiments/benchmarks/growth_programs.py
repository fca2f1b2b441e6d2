"""What `growth` measures: programs of the project, each made at any size of it.

A program is a frozen dataclass whose fields are its sizes; `make` compiles it. Their networks are
those of experiments, at small sizes, and their data are noise.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import training
from diffenc.errors import check_positive
from diffenc.estimate import map_examples
from diffenc.keys import key_of, rng_of
from diffenc.latent import annealing, bounds, em, systems
from diffenc.latent.system_settings import ModelSettings, OptimizerSettings, Settings
from diffenc.latent.whitening import Frame
from diffenc.run import costs, parallel
from diffenc.run.advance import Trainee, costs_of, make_advance

NUM_UPDATES = 1000  # of the schedule of the learning rate
UPDATES = 2  # in a dispatch
SIDE = 28  # of the images of a diffusion encoder


class Program(NamedTuple):
    """A program of one size, compiled.

    Attributes:
        run: runs it once and returns its seconds, see `seconds_of`.
        flops: operations of its matrix products and convolutions; None where they are not counted.
        temporary_bytes: what it needs beside its arguments and results; None where it is unknown.
    """

    run: Callable[[], float]
    flops: int | None = None
    temporary_bytes: int | None = None


def seconds_of(function: Callable[[], Any]) -> float:
    """Call a function and return its seconds: those of the CPU that this process used.

    Other processes of a busy machine do not count. On an accelerator they are the elapsed ones.
    """
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    began = clock()
    jax.block_until_ready(function())
    return clock() - began


def of_function(function: Callable, *arguments) -> Program:
    """Compile a function of these arguments."""
    traced = jax.jit(function).trace(*arguments)
    compiled = traced.lower().compile()
    memory = compiled.memory_analysis()
    return Program(
        functools.partial(seconds_of, functools.partial(compiled, *arguments)),
        costs.count_flops(traced.jaxpr),
        None if memory is None else memory.temp_size_in_bytes,
    )


class Training(NamedTuple):
    """Updates that can be compiled.

    Attributes:
        state: the train state at the start.
        run_updates: of `training.scan_updates`.
        examples: [n, ...], as many as an update takes.
    """

    state: training.TrainState
    run_updates: jax.stages.Wrapped
    examples: np.ndarray

    def on(self, mesh) -> tuple[Trainee, Any]:
        """Place what is trained, and its state, on the devices of a mesh."""
        examples = parallel.replicate(mesh, self.examples)
        trainee = Trainee(self.run_updates, examples, key_of(0, "training"), 0)
        return trainee, parallel.replicate(mesh, jax.tree.map(jnp.copy, self.state))


def of_updates(trained: Training) -> Program:
    """Compile updates, as `run.advance` makes them in every experiment."""
    mesh = parallel.data_mesh(1)
    trainee, state = trained.on(mesh)
    batch = len(trained.examples)
    trainees = {"system": trainee}
    states = {"system": state}
    cost = costs_of(trainees, states, "system", mesh, batch, UPDATES)
    advance = make_advance(trainees, mesh, batch)
    step = 0

    def run():
        nonlocal states, step

        def make():
            nonlocal states
            states, _ = advance(states, step, UPDATES)
            return states

        seconds = seconds_of(make)
        step += UPDATES
        return seconds / UPDATES

    return Program(run, cost.flops, cost.temporary_bytes)


def noise(*shape: int) -> np.ndarray:
    """Draw the data: numbers of N(0, 1)."""
    return rng_of(0, "noise", *shape).normal(size=shape).astype(np.float32)


@dataclass(frozen=True)
class EncoderUpdate:
    """An alternating update of a diffusion encoder and its decoder of 28x28 bits.

    Attributes:
        batch: images of an update.
        latent_dim: d.
        width: of the decoder's and the denoiser's two layers; half of those that embed x.
        chain_steps: of the Markov chains of the E-step.
        proposals: of each image; above 0 they take the place of the chains.
    """

    batch: int
    latent_dim: int
    width: int
    chain_steps: int
    proposals: int

    def __post_init__(self):
        check_positive(self, "batch", "latent_dim", "width", "chain_steps")

    def system(self) -> systems.System:
        """Make the system, the settings of the digits' config for what is no size here."""
        model = ModelSettings(
            self.latent_dim,
            decoder="bernoulli",
            decoder_features=(self.width, self.width),
            activation="tanh",
            embed_features=(2 * self.width, 2 * self.width),
            features=(self.width, self.width),
            reference="posterior",
            newton_steps=1,
            pressure=True,
            residual_bound=5.0,
            landmarks=0,
            octaves=0,
        )
        settings = Settings(
            "importance" if self.proposals else "langevin",
            model,
            em.Settings(langevin_steps=self.chain_steps, proposals=max(1, self.proposals), draws=2),
            OptimizerSettings(1e-4, NUM_UPDATES, 100),
            sampler_steps=1,
        )
        shape = (SIDE, SIDE, 1)
        return systems.make(settings, systems.make_decoder(model, shape), shape, self.batch, 0)

    def training(self) -> Training:
        """Make what is trained."""
        system = self.system()
        x = (noise(self.batch, SIDE, SIDE, 1) > 0).astype(np.float32)
        run_updates = systems.make_run_updates(system, lambda key, rows: rows)
        return Training(system.state, run_updates, x)

    def make(self) -> Program:
        """Compile an update."""
        return of_updates(self.training())


@dataclass(frozen=True)
class Encoding:
    """Draws of z ~ q(z|x) for images, as `diffenc.load(...).encode` makes them.

    Attributes:
        examples: how many images.
        steps: of the sampler.
        width: see `EncoderUpdate`.
    """

    examples: int
    steps: int
    width: int

    def make(self) -> Program:
        """Compile the encoder of a batch."""
        system = EncoderUpdate(1, 8, self.width, 1, 0).system()
        x = (noise(self.examples, SIDE, SIDE, 1) > 0).astype(np.float32)
        encoder = system.encoder
        params = system.state.params
        key = key_of(0, "encoding")

        @jax.jit
        def draw(key, x):
            return encoder.sample(key, params, encoder.infer(params, x), self.steps)

        def encode():
            return map_examples(draw, key, x, batch_size=256)

        encode()  # compiles
        return Program(functools.partial(seconds_of, encode))


@dataclass(frozen=True)
class Bound:
    """The importance-weighted bound of log p(x) of 100 images.

    Attributes:
        samples: draws of z for each image.
        width: see `EncoderUpdate`.
    """

    samples: int
    width: int

    def make(self) -> Program:
        """Compile the bound."""
        system = EncoderUpdate(1, 8, self.width, 1, 0).system()
        x = (noise(100, SIDE, SIDE, 1) > 0).astype(np.float32)

        def bound(key, params, x):
            return bounds.terms(key, system.encoder, system.decoder, params, x, self.samples, 4)

        return of_function(bound, key_of(0, "bound"), system.state.params, x)


@dataclass(frozen=True)
class Annealing:
    """Annealed importance sampling of log p(x) of 10 images.

    Attributes:
        chains: for each image.
        temperatures: steps of each chain.
        width: see `EncoderUpdate`.
    """

    chains: int
    temperatures: int
    width: int

    def make(self) -> Program:
        """Compile the walk up the temperatures."""
        system = EncoderUpdate(1, 8, self.width, 1, 0).system()
        x = (noise(10, SIDE, SIDE, 1) > 0).astype(np.float32)
        settings = annealing.Settings(self.temperatures, self.chains)
        frame = Frame(jnp.zeros((10, 8)), jnp.tile(jnp.eye(8), (10, 1, 1)))

        def anneal(key, params, x, log_steps):
            log_joint = annealing.make_log_joint(system.decoder, params["decoder"])
            weights, _ = annealing.forward(key, log_joint, x, frame, log_steps, settings)
            return annealing.lower(weights)

        log_steps = jnp.full(self.temperatures, -2.0)
        return of_function(anneal, key_of(0, "annealing"), system.state.params, x, log_steps)
