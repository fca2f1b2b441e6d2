"""Nats injected by guidance on the 25 x 15 joint Gaussian of 2509.23937, against the weight w.

    python -m experiments.guidance --config=configs/guidance/joint_gaussian.py \
        --workdir=runs/guidance

Measured at commit beba706, whose seed 0 drew a channel of I(X;Y) = 19.141 nats (keys have names
since, and seed 0 now draws one of 17.981), with 4,000 chains, three minutes of a share of one CPU
core; simulated +- standard error beside the closed recursion of the same steps:

    w     nats injected              information of the samples   distortion
    0     19.204 +- 0.082 (19.153)   19.187 +- 0.056 (19.132)      0.00
    1     31.828 +- 0.095 (31.928)   26.936 +- 0.059 (27.026)      3.35
    5     85.20  +- 0.18  (85.23)    37.093 +- 0.061 (37.110)     12.64
    10    152.80 +- 0.29  (152.76)   42.083 +- 0.061 (42.066)     18.18

The numbers in brackets hold the error of the step; in continuous time w = 0, 5 inject 19.133,
84.776 nats. Injected nats keep growing with w, the information of the samples saturates: what is
left distorts them.
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            dim_x=25,
            dim_y=15,
            noise_std=1.0,
            weights=(0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0),
            num_steps=4000,
            num_samples=4000,
        )
    )
