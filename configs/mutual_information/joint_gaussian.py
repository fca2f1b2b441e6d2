"""Gaussians of much information: the 25 x 15 channel of 2509.23937 (20,000 samples) and 80 nats in 80 x 80 dimensions.

python -m experiments.mutual_information --config=configs/mutual_information/joint_gaussian.py \
    --workdir=runs/joint_gaussian
"""

from configs.mutual_information import data


def get_config():
    config = data.get_config()
    config.tasks = ("joint_gaussian_25x15", "gaussian_80x80")
    config.num_samples = 20_000
    config.rivals = ("cca",)
    return config
