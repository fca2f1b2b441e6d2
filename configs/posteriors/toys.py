"""Exact posteriors of one and two dimensions, encoders of every kind, three seeds."""

from configs.diffusion_encoder import digits
from configs.posteriors.digits import posteriors_of


def get_config():
    config = posteriors_of(digits.get_config())
    config.toys = ("absolute", "ring", "pinwheel", "two_components")
    config.num_seeds = 3
    config.data.name = "toys"
    config.model.update(
        embed_features=(64, 64), features=(128, 128), reference="prior", newton_steps=0, residual_bound=100.0
    )
    config.em.update(sampler_steps=8, langevin_steps=5, draws=4, null_probability=0.0)
    config.num_updates = 3000
    config.batch_size = 256
    config.learning_rate = 2e-3
    config.warmup = 200
    config.evaluate_every = 0
    config.save_every = 1000
    config.eval.update(
        num_examples=500,
        num_samples=32,
        sampler_steps=16,
        langevin_steps=100,
        batch_size=250,
        grid_examples=50,
        grid_sampler_steps=16,
        grid_points=2048,
        ais_examples=0,
        ais_temperatures=100,
        ais_chains=4,
    )
    return config
