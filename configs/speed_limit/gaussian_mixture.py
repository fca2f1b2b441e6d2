"""How far a mixture moves under three processes, against the limit set by its entropy.

    python -m experiments.speed_limit --config=configs/speed_limit/gaussian_mixture.py \
        --workdir=runs/speed_limit

One of two shared CPU cores, a minute and a half, commit beba706 or before: the straight line nearly
saturates its limit (D = 3: W_2^2 is 6.68(4), the limit 6.71(6)), VP stays below it (2.86(10) of
4.046(11)). The table is in docs/neural-entropy.md.
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            processes=("vp", "vpx", "straight_line"),
            dimensions=(1, 3),
            mixture=dict(components=5, side=4.0, std_min=0.5, std_max=1.0),
            t_min=1e-3,
            num_samples=4000,  # for the rate
            num_times=16,  # at which both sides are compared
            refine=16,  # steps of quadrature between them
            transport=dict(samples=600, groups=6),
        )
    )
