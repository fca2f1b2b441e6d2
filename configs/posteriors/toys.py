"""Exact posteriors of one and two dimensions, encoders of every kind, three seeds.

    python -m experiments.posteriors --config=configs/posteriors/toys.py --workdir=runs/toys

KL(exact posterior || encoder) in nats, over 500 held-out x with 32 exact draws each, and over three
seeds. Goal: 0.02 where the best Gaussian has 0.5. One of two CPU cores that five programs shared:
20 minutes, half of them measuring.

                        absolute              ring                  two_components
    importance          0.0144 +- 0.0062      0.0125 +- 0.0019      0.0068 +- 0.0008
    langevin            0.148  +- 0.080       0.063  +- 0.009       0.072  +- 0.012
    best Gaussian       1.136  +- 0.035       1.284  +- 0.023       0.437  +- 0.017
    vae (one mode)      105    +- 8           133    +- 7           9.5    +- 2.4
    flow_vae            (d = 1: none)         3.5    +- 1.6         4083   +- 4152

All seven methods, a later day
(--config.methods="('importance','langevin','persistent','wake_sleep','vae','iwae', 'flow_vae')"):

                        absolute              ring                  two_components
    importance          0.0144 +- 0.0071      0.0109 +- 0.0015      0.0070 +- 0.0007
    langevin            0.13   +- 0.11        0.106  +- 0.026       0.137  +- 0.057
    persistent          0.047  +- 0.013       0.0208 +- 0.0024      0.0524 +- 0.0043
    wake_sleep          0.0283 +- 0.0045      0.0465 +- 0.0033      0.0375 +- 0.0019
    vae (one mode)      105    +- 7           131    +- 7           9.7    +- 2.5
    iwae                67     +- 29          1.86   +- 0.31        0.970  +- 0.048
    flow_vae            (d = 1: none)         3.5    +- 1.6         4156   +- 4016

The mean masses of q on the grid are 1 within 0.001. (An earlier version: 0.0108, 0.0109, 0.0071;
0.36, 0.056, 0.122.) Langevin chains do not cross from mode to mode: they keep the weights that the
encoder happens to give its modes (see `absolute`), and three seeds differ. A flow thins out but
never opens a ring, and KL(p || q) counts the exact draws in the gap. The pinwheel has a config of
its own.

What was tried before: docs/notebook/posteriors_toys.md.
"""

from configs.diffusion_encoder import digits
from configs.posteriors.digits import posteriors_of


def get_config():
    config = posteriors_of(digits.get_config())
    config.toys = ("absolute", "ring", "two_components")
    config.num_seeds = 3
    config.data.name = "toys"
    config.methods = ("importance", "langevin", "vae", "flow_vae")
    config.model.update(
        embed_features=(64, 64),
        features=(128, 128, 128),
        octaves=3,
        reference="prior",
        newton_steps=0,
        pressure=False,
        residual_bound=20.0,
    )
    config.em.update(
        langevin_steps=4,
        sampler_steps=4,
        draws=4,
        null_probability=0.0,
        proposal="prior",  # sees every mode
        proposals=128,
        smooth_targets=True,
        smooth_decoder=False,  # which has nothing to learn
        path_weight=1.0,
    )
    config.num_updates = 2000
    config.batch_size = 128
    config.learning_rate = 4e-3
    config.baseline_learning_rate = 4e-3
    config.warmup = 200
    config.evaluate_every = 0
    config.save_every = 2000
    config.eval.update(
        num_examples=500, num_samples=32, sampler_steps=32, batch_size=250, grid_examples=4
    )
    return config
