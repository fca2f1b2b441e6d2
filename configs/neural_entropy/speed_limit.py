"""How far a mixture moves under three processes, against the limit that its entropy production sets.

python -m experiments.speed_limit --config=configs/neural_entropy/speed_limit.py --workdir=runs/speed_limit
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
