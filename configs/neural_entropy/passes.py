"""Neural entropy against the number of training images at equal passes over them, scikit-learn's 8x8 digits.

python -m experiments.neural_entropy --config=configs/neural_entropy/passes.py --workdir=runs/entropy_passes
"""

from configs.neural_entropy import digits


def get_config():
    config = digits.get_config()
    config.num_seeds = 3
    config.samples = (50, 100, 200, 400, 800, 0)
    config.reference = "equilibrium"
    config.max_epochs = 30
    config.num_updates = 2000
    config.updates_per_dispatch = 10
    config.warmup = 20
    config.evaluate_every = 500
    return config
