"""A workdir as a run leaves it, made without training, for tests of what uses one."""

import json

import jax
import numpy as np
from tiny_models import make_model

from diffenc import storage
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.latent import em, system_settings, systems
from diffenc.latent.blueprints import Blueprint
from diffenc.run import checkpoints

DIM = 6
LATENT_DIM = 2


def make_truth(noise_std=2.0) -> FactorAnalysis:
    """The model that the decoder of `make_workdir` is; N(0, I) reaches all of its posteriors."""
    weight = np.random.default_rng(0).normal(size=(DIM, LATENT_DIM)).astype(np.float32)
    mean = np.linspace(-1.0, 1.0, DIM, dtype=np.float32)
    return FactorAnalysis(weight, mean, np.float32(noise_std))


def draw(truth, seed, count) -> np.ndarray:
    """Draw x [count, DIM] of a model."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(count, LATENT_DIM)) @ truth.weight.T + truth.mean
    return np.float32(mean + truth.noise_std * rng.normal(size=mean.shape))


def make_blueprint(name, method, pressure, **units) -> Blueprint:
    """A tiny system with a linear Gaussian decoder of x [DIM]; its encoder starts as a Gaussian.

    `units` are those of the data, see `Scaling.fields`."""
    model = make_model(
        latent_dim=LATENT_DIM,
        decoder="gaussian",
        newton_steps=1,
        pressure=pressure,
        diffusion=None,
    )
    optimizer = system_settings.OptimizerSettings(learning_rate=1e-3, num_updates=4, warmup=1)
    settings = system_settings.Settings(method, model, em.Settings(), optimizer, sampler_steps=2)
    return Blueprint(name, settings, (DIM,), 100, None, **units)


def make_workdir(workdir, updates=(2, 4), pressure=False, noise_std=2.0, **units) -> None:
    """Write a run whose averages are the truth's decoder, and encoders that are near N(0, I)."""
    truth = make_truth(noise_std)
    blueprints = [
        make_blueprint("diffusion_encoder", "langevin", pressure, **units),
        make_blueprint("vae", "vae", pressure, **units),
    ]
    decoder = {
        "network": {"params": {"Dense_0": {"kernel": truth.weight.T, "bias": truth.mean}}},
        "log_tau": np.asarray(np.log(truth.noise_std)),
    }
    states = {}
    for one in blueprints:
        outline = one.outline()
        state = systems.make(one.settings, outline.decoder, (DIM,), 100, 0).state
        start = jax.tree.map(np.asarray, state.averages["encoder"])
        encoder = jax.tree.map(lambda weights: np.float32(0.3) * weights, start)
        averages = {"encoder": encoder, "decoder": decoder}
        states[one.name] = state.replace(averages=averages)
    storage.write(workdir, "diffusion_encoder", 4, blueprints)
    (workdir / "config.json").write_text(json.dumps({"seed": 0}))
    with checkpoints.open(workdir / "checkpoints") as store:
        for step in updates:
            store.save(step, states)
            store.wait()
