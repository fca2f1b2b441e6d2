"""Factor analysis as a model with a decoder and a small encoder, for several files of tests."""

import numpy as np

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.latent import decoders
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser

MODEL = FactorAnalysis(
    np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
    np.array([0.1, 0.0, -0.2], np.float32),
    np.float32(0.6),
)
X = np.array([[0.9, -1.4, 0.8]], np.float32)
DECODER = decoders.make("gaussian", 3)
ENCODER = DiffusionEncoder(ConditionalDenoiser(latent_dim=2, embed_features=(16,), features=(16,)))


def decoder_params(model):
    """The parameters that make DECODER this factor analysis."""
    dense = {"kernel": model.weight.T, "bias": model.mean}
    return {"network": {"params": {"Dense_0": dense}}, "log_tau": np.log(model.noise_std)}
