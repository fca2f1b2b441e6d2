"""The networks of a tiny model, for tests that need no more."""

from diffenc.latent.decoder_settings import DiffusionSettings
from diffenc.latent.system_settings import ModelSettings

DIFFUSION = DiffusionSettings(features=(8,), blocks=1, draws=1, sampler_steps=2)


def make_model(**changes) -> ModelSettings:
    """Layers of eight; the decoder is a diffusion unless the changes say otherwise."""
    values = dict(
        latent_dim=2,
        decoder="diffusion",
        decoder_features=(),
        activation="tanh",
        embed_features=(8,),
        features=(8,),
        reference="posterior",
        newton_steps=0,
        pressure=False,
        residual_bound=5.0,
        landmarks=0,
        octaves=0,
        diffusion=DIFFUSION,
    )
    return ModelSettings(**(values | changes))
