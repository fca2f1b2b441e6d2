"""Exact posteriors of one and two dimensions under a fixed decoder, encoders of every kind, three seeds.

python -m experiments.posteriors --config=configs/posteriors/toys.py --workdir=runs/toys
"""

from ml_collections import ConfigDict

from configs.diffusion_encoder import digits
from configs.posteriors.digits import posteriors_of


def get_config():
    config = posteriors_of(digits.get_config())
    config.toys = ("absolute", "ring", "pinwheel", "two_components")
    config.num_seeds = 3
    config.data.name = "toys"
    config.model.update(
        embed_features=(64, 64), features=(128, 128, 128), reference="prior", newton_steps=0, residual_bound=100.0
    )
    # Chains cannot cross from mode to mode, and with reference="prior" encoder and chains run away together: the
    # Langevin row keeps a Gaussian reference. Proposals from the prior see every mode.
    config.variants.langevin = ConfigDict(dict(model=dict(reference="posterior", residual_bound=20.0)))
    config.em.update(sampler_steps=4, draws=8, path_weight=1.0, null_probability=0.0, proposal="prior", proposals=512)
    config.num_updates = 5000
    config.batch_size = 256
    config.learning_rate = 4e-3
    config.baseline_learning_rate = 4e-3
    config.warmup = 500
    config.evaluate_every = 0
    config.save_every = 1000
    config.eval.update(num_examples=500, num_samples=32, sampler_steps=32, batch_size=250, grid_examples=12)
    return config
