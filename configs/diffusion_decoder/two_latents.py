"""Two latents on digits: one that the decoder sees at high noise, one that it sees at low noise.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/two_latents.py \
        --workdir=runs/two_latents

Three seeds: I(semantic z; label) is 2.61 +- 0.41 nats, I(perceptual z; label) 0.58 +- 0.11. Results
are in docs/diffusion-decoder.md.
"""

from configs.diffusion_decoder import digits


def get_config():
    config = digits.get_config()
    config.methods = ("diffusion_encoder",)
    config.decoder.perceptual_dim = 4
    config.num_updates = 1500
    config.refit_updates = 0
    return config
