"""The demo: a diffusion encoder and a VAE on real digits, d = 2, where the posterior is known.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/demo.py \
        --workdir=runs/demo

Two CPU cores, 162 seconds from nothing; three seeds, 28 November 2026, after keys came from names:
KL(exact posterior || encoder) is 0.148 +- 0.013 nats, the VAE's 0.620 +- 0.098.
Results are in docs/diffusion-encoder.md; how the encoder came about, and what did not help, in
docs/notebook/diffusion-encoder.md.
"""

from configs.diffusion_encoder import digits


def get_config():
    config = digits.get_config()
    config.data.test_fraction = 0.3333  # 599 images to judge by
    config.model.update(
        latent_dim=2,
        # Several modes far from each other: the diffusion starts from N(0, I), and the network
        # learns from the decoder's weights of the landmarks where they are; Newton steps and
        # gradients see one mode.
        reference="prior",
        newton_steps=0,
        pressure=False,
        landmarks=1024,
        residual_bound=20.0,
        features=(128, 128, 128),
        octaves=3,
    )
    config.em.update(proposal="shared", proposals=512, smooth_targets=True, path_weight=1.0)
    config.num_updates = 1700
    config.learning_rate = 4e-3
    config.warmup = 300
    config.eval.update(num_samples=16, sampler_steps=16, grid_draws=16)
    return config
