"""Families of noise at the start, on a law of two pixels that is known; nothing is trained.

    python -m experiments.warm_start --config=configs/warm_start/noise_families.py \
        --workdir=runs/noise_families
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            seed=0,
            families=dict(
                families=("gaussian", "laplace", "logistic", "uniform", "student"),
                bins=(0.17, 0.29, 0.5, 1.0, 1.65, 3.0, 6.0),  # noise of the start
                size=17,  # levels of a pixel
                num_examples=4000,  # draws of each quantity at each start
                sigma2=(0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0),  # of the KL curves
            ),
            kraft=dict(
                bins=(0.17, 0.5, 1.0, 1.65, 3.0),
                repetitions=20,  # of 64 draws of noise for each of the 289 states
            ),
        )
    )
