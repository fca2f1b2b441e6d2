"""The demo: two encoders on real digits in a latent of two dimensions, where the exact posterior is
known.

python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/demo.py
--workdir=runs/demo
"""

from configs.diffusion_encoder import digits


def get_config():
    config = digits.get_config()
    config.model.update(
        latent_dim=2,
        reference="prior",
        newton_steps=0,
        pressure=False,
        residual_bound=20.0,
        features=(128, 128, 128),
        octaves=3,
    )
    config.em.update(
        proposal="shared",
        proposals=512,
        smooth_targets=True,
        path_weight=1.0,
        draws=4,
        null_probability=0.0,
    )
    config.eval.update(sampler_steps=16, grid_draws=32)
    return config
