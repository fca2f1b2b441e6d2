"""How far a mixture moves under three processes, against the limit set by its entropy.

    python -m experiments.speed_limit --config=configs/speed_limit/gaussian_mixture.py \
        --workdir=runs/speed_limit

A minute and a half on one of two shared CPU cores. From t = 1e-3 to the end, W_2^2 of samples
(biased upwards; less its floor: biased downwards) and the limit T int (g^2/2) r dt, errors over
groups of samples:

                          W_2^2 (corrected)        limit
    vp             1     0.729(21)  (0.718)      0.971(1)
                   3     2.86(10)   (2.61)       4.046(11)
    vpx            1     1.451(31)  (1.447)      2.006(36)
                   3     6.62(7)    (6.49)       8.94(8)
    straight_line  1     1.547(24)  (1.542)      1.496(26)
                   3     6.68(4)    (6.54)       6.71(6)

The straight line nearly saturates its limit (its samples move at constant speed); there W_2^2 above
it is within the errors. For the Gaussians of the same moments both sides are exact, and the limit
holds at every t.
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
