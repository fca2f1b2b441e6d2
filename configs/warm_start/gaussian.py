"""Likelihood of Gaussian data: every term beside its closed form; nothing is trained.

    python -m experiments.warm_start --config=configs/warm_start/gaussian.py \
        --workdir=runs/warm_start_gaussian
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            seed=0,
            variances=(2.0, 1.0, 0.5, 0.1),  # along the axes of the data
            low=-10.0,  # the smallest log signal-to-noise ratio
            highs=(0.0, 2.0, 4.0, 6.0, 8.0, 10.0),  # the starts
            num_examples=2000,
            draws=64,  # noise levels of each example
        )
    )
