"""A small diffusion encoder with parameters of several kinds, as numpy arrays."""

import functools

import jax
import numpy as np

from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser

NETWORK = ConditionalDenoiser(latent_dim=2, embed_features=(16,), features=(16,))
ENCODER = DiffusionEncoder(NETWORK)
DATA_DIM = 3


@functools.cache
def initial_params():
    params = jax.jit(ENCODER.init)(jax.random.key(0), np.zeros((1, DATA_DIM), np.float32))
    return {"encoder": jax.device_get(params)}


def with_layers(params, **layers):
    """The parameters with arrays of some layers replaced: name={"bias": value}."""
    inner = params["encoder"]["params"]
    changed = {name: {**inner[name], **arrays} for name, arrays in layers.items()}
    return {"encoder": {"params": {**inner, **changed}}}


def gaussian_params():
    """r = 0 and a mean and factor away from the prior's, the same for every x."""
    biases = {"mean_head": [0.7, -1.2], "width_head": [-0.7, 0.3], "shear_head": [-0.6]}
    return with_layers(
        initial_params(),
        **{name: {"bias": np.array(bias, np.float32)} for name, bias in biases.items()},
    )


@functools.cache
def unit_kernels(dtype):
    """Standard normal kernels of every output layer, and a null token."""
    names = ("mean_head", "width_head", "shear_head", "output")
    shapes = {name: initial_params()["encoder"]["params"][name]["kernel"].shape for name in names}

    @jax.jit
    def draw(key):
        *keys, key_token = jax.random.split(key, 5)
        kernels = [
            jax.random.normal(key, shapes[name], dtype)
            for name, key in zip(names, keys, strict=True)
        ]
        return dict(zip(names, kernels, strict=True)), jax.random.normal(key_token, (16,), dtype)

    return jax.device_get(draw(jax.random.key(7)))


def random_params(scale=0.3, dtype=np.float32):
    """Every output layer away from zero: mean, factor and residual depend on x. Other draws in
    float64."""
    kernels, token = unit_kernels(dtype)
    kernels = {name: {"kernel": scale * kernel} for name, kernel in kernels.items()}
    params = with_layers(gaussian_params(), **kernels)
    params["encoder"]["params"]["null_token"] = token
    return params
