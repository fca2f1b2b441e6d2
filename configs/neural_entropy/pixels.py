"""Total correlation of scikit-learn's 8x8 digits: what of their entropy is between pixels.

    python -m experiments.neural_entropy --config=configs/neural_entropy/pixels.py \
        --workdir=runs/pixels

One of two CPU cores, two minutes, commit beba706 or before: the pixels by themselves hold 161.03 +-
0.21 nats, G = 173.4 +- 1.1, so their total correlation is at least 12.4 +- 1.1 (errors over 298
held-out images). More is in docs/neural-entropy.md.
"""

from configs.neural_entropy import digits


def get_config():
    config = digits.get_config()
    config.samples = (0,)
    config.num_updates = 2000
    config.evaluate_every = 500
    config.save_every = 1000
    return config
