"""Settings of a diffusion decoder: each bad value gives one line that names the field and the
remedy; and the decoder that is made of them."""

import dataclasses

import jax.numpy as jnp
import pytest

from diffenc.errors import InputError
from diffenc.latent.decoder_settings import DiffusionSettings, make_diffusion_decoder
from diffenc.latent.decoders import bound_of
from diffenc.networks import ModulatedMLP, UNet

REFUSED = {
    "network": (dict(network="unett"), r"^network is 'unett': .* \(nearest: unet\)"),
    "precision": (dict(precision="float16"), "^precision is 'float16': .* bfloat16, float32"),
    "no width": (dict(features=()), r"^features is \(\): give widths"),
    "two widths": (dict(features=(8, 8)), r"^features is \(8, 8\): an MLP has one width"),
    "draws": (dict(draws=0), "^draws is 0: give 1 or more"),
    "sampler_steps": (dict(sampler_steps=0), "^sampler_steps is 0: give 1 or more"),
    "blocks": (dict(blocks=0), "^blocks is 0: give 1 or more"),
    "perceptual_dim": (dict(perceptual_dim=-1), "^perceptual_dim is -1: give 0 or more"),
    "low": (dict(low=7.0), "^low is 7.0: give less than high=7"),
    "split below": (dict(split=-7.0), "^split is -7.0: give a level between low=-7 and high=7"),
    "split above": (dict(split=7.5), "^split is 7.5: give a level between low=-7 and high=7"),
    "split nan": (dict(split=float("nan")), "^split is nan: give a level between"),
    "weighting": (dict(weighting="sigmoit"), r"^weighting is 'sigmoit': .* \(nearest: sigmoid\)"),
    "bias unread": (dict(weighting_bias=0.0), "^weighting_bias is 0.0: weighting=elbo does not"),
    "bias": (
        dict(weighting="sigmoid", weighting_bias=float("inf")),
        "^weighting_bias is inf: give a number",
    ),
    "no split": (
        dict(split=7.0, perceptual_dim=1),
        "^perceptual_dim is 1: a second latent is seen above .* give a split below high=7",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_value_is_refused(name):
    values, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as raised:
        DiffusionSettings(**values)
    assert "\n" not in str(raised.value)


def test_a_decoder_of_vectors_is_flat():
    settings = DiffusionSettings(
        features=(16,), low=-6.0, high=5.0, split=1.0, draws=3, sampler_steps=7, perceptual_dim=2
    )
    decoder = make_diffusion_decoder(settings, (4, 2, 1))
    assert decoder.network == ModulatedMLP(16, 2) and decoder.shape == (8,)
    assert (decoder.below.low, decoder.below.high, decoder.above.high) == (-6.0, 1.0, 5.0)
    assert (decoder.draws, decoder.sampler_steps, decoder.perceptual_dim) == (3, 7, 2)
    assert not decoder.is_blind and not decoder.sees_above
    blind = make_diffusion_decoder(dataclasses.replace(settings, sees_above=True), (8,), True)
    assert blind.is_blind and blind.sees_above


def test_levels_are_weighted_in_training_alone():
    assert make_diffusion_decoder(DiffusionSettings(), (3,)).weighting_bias is None
    weighted = DiffusionSettings(weighting="sigmoid", weighting_bias=1.0)
    decoder = make_diffusion_decoder(weighted, (3,))
    assert decoder.weighting_bias == 1.0
    assert bound_of(decoder) == make_diffusion_decoder(DiffusionSettings(), (3,))


def test_a_split_at_the_last_level_leaves_one_side():
    decoder = make_diffusion_decoder(DiffusionSettings(split=7.0), (3,))
    assert decoder.above is None and decoder.below.high == decoder.high == 7.0


def test_a_decoder_of_images_keeps_their_shape():
    settings = DiffusionSettings(
        network="unet", features=(8, 16), blocks=1, attention=(4,), precision="bfloat16"
    )
    decoder = make_diffusion_decoder(settings, (8, 4, 3))
    expected = UNet((8, 16), blocks=1, attention=(4,), dtype=jnp.dtype("bfloat16"), start=0.1)
    assert decoder.network == expected and decoder.shape == (8, 4, 3)
    without = make_diffusion_decoder(dataclasses.replace(settings, attention=()), (8, 4, 3))
    assert without.network.attention is None


OF_IMAGES = {
    "vectors": ((64,), dict(), r"'unet' takes images \[h, w, c\], not .* \[64\]: choose mlp"),
    "odd sides": ((6, 6, 1), dict(features=(8, 8, 8)), r"images of \(6, 6\) cannot be halved 2"),
    "widths": ((8, 8, 1), dict(features=(12,)), r"features is \(12,\): give multiples of 8"),
    "attention": ((8, 8, 1), dict(attention=(5,)), r"attention is \(5,\): choose among .* 8, 4"),
}


@pytest.mark.parametrize("name", OF_IMAGES)
def test_images_that_the_network_cannot_take_are_refused(name):
    shape, changes, message = OF_IMAGES[name]
    settings = DiffusionSettings(**({"network": "unet", "features": (8, 8)} | changes))
    with pytest.raises(InputError, match=message) as raised:
        make_diffusion_decoder(settings, shape)
    assert "\n" not in str(raised.value)
