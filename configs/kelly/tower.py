"""A tower of N autoencoders on Gaussian data: the terms of its ELBO and the limit of their sum.

    python -m experiments.kelly --config=configs/kelly/tower.py --workdir=runs/tower

A few seconds on one CPU core, commit beba706 or before; no randomness. The sums of 4, 32, 256 and
1024 levels are 32.525, 8.3012, 6.8322 and 6.7013 nats, the integral is 6.6588; the order of
convergence between the last two numbers of levels is 1.009 (predicted: 1). More is in
docs/kelly.md.
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            case="tower",
            levels=(4, 8, 16, 32, 64, 128, 256, 512, 1024),
            variances=(0.02, 0.1, 0.5, 1.0, 2.0),  # of the data, along its axes
            start=0.05,  # time of the finest level
        )
    )
