"""Exact posteriors of one and two dimensions, encoders of every kind, three seeds.

    python -m experiments.posteriors --config=configs/posteriors/toys.py --workdir=runs/toys

One of two CPU cores that five programs shared, 20 minutes, half of them measuring; commit beba706
or before; KL(exact posterior || encoder) in nats over 500 held-out x and three seeds:

                        absolute              ring                  two_components
    importance          0.0144 +- 0.0071      0.0109 +- 0.0015      0.0070 +- 0.0007
    langevin            0.13   +- 0.11        0.106  +- 0.026       0.137  +- 0.057
    best Gaussian       1.136  +- 0.035       1.284  +- 0.023       0.437  +- 0.017

All methods are in docs/posteriors.md, what was tried before in docs/notebook/posteriors.md. The
pinwheel has a config of its own.
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
