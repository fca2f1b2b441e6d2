"""Two latents on digits: one that the decoder sees at high noise, one that it sees at low noise.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/two_latents.py \
        --workdir=runs/two_latents

Three seeds: I(semantic z; label) is 2.67 +- 0.45 nats, I(perceptual z; label) 0.33 +- 0.07. Results
are in docs/diffusion-decoder.md.
"""

from configs.diffusion_decoder import digits


def get_config():
    config = digits.get_config()
    config.methods = ("diffusion_encoder",)
    config.decoder.perceptual_dim = 4
    config.decoder.split = 1.0
    config.num_updates = 1500
    config.refit_updates = 0
    return config
