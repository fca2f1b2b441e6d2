"""Neural entropy against the number of samples: a Gaussian mixture of nine dimensions under VP, two seeds.

python -m experiments.neural_entropy --config=configs/neural_entropy/samples.py --workdir=runs/entropy_samples
"""

from configs.neural_entropy import gaussian_mixture


def get_config():
    config = gaussian_mixture.get_config()
    config.sweep = "samples"
    config.num_seeds = 2
    config.processes = ("vp",)
    config.dimensions = (9,)
    config.samples = (100, 300, 1000, 3000, 10_000, 30_000, 0)
    config.eval.repetitions = 0
    config.num_updates = 1500
    config.save_every = 500
    config.evaluate_every = 500
    return config
