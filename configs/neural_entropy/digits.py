"""Neural entropy of a small U-Net on scikit-learn's 8x8 digits, against the number of training images.

python -m experiments.neural_entropy --config=configs/neural_entropy/digits.py --workdir=runs/entropy_digits
"""

from configs.neural_entropy import gaussian_mixture


def get_config():
    config = gaussian_mixture.get_config()
    config.sweep = "samples"
    config.num_seeds = 1
    config.processes = ("vp",)
    config.datasets = ("digits",)
    config.samples = (100, 300, 900, 0)
    config.reference = "isotropic"
    config.output = "v"
    config.model.channels = (16, 32)
    config.batch_size = 32
    config.draws = 1
    config.num_updates = 1000
    config.save_every = 500
    config.learning_rate = 2e-3
    config.evaluate_every = 200
    config.eval.update(num_examples=298, monitor=200, batch_size=149)
    return config
