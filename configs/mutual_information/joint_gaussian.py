"""Gaussians of much information: a 25 x 15 channel, and 80 nats in 80 x 80 dimensions.

    python -m experiments.mutual_information --config=configs/mutual_information/joint_gaussian.py \
        --workdir=runs/joint_gaussian

A core shared with a test suite, 101 and 176 seconds, --config.seed=78, 20,000 samples, commit
beba706 or before: 19.033 +- 0.026 nats (truth 19.014) and 80.073 +- 0.061 (truth 80). More is in
docs/information.md.
"""

from configs.mutual_information import data


def get_config():
    """Make the config."""
    config = data.get_config()
    config.tasks = ("joint_gaussian_25x15", "gaussian_80x80")
    config.num_samples = 20_000
    config.rivals = ("cca",)
    return config
