"""The rate-distortion curves of both encoders on digits: two decades of gamma, three splits.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/digits_curve.py \
        --workdir=runs/diffusion_decoder_curve

Results are in docs/diffusion-decoder.md.
"""

from configs.diffusion_decoder import digits


def get_config():
    config = digits.get_config()
    config.methods = ("diffusion_encoder", "gaussian_encoder", "without_latent")
    config.sweep.gammas = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
    config.sweep.splits = (-2.0, 0.0, 2.0)
    config.num_seeds = 1
    config.num_updates = 1000
    config.refit_updates = 0
    config.evaluate_every = 0
    return config
