"""Neural entropy by number of samples: a Gaussian mixture of nine dimensions, VP, two seeds.

    python -m experiments.neural_entropy --config=configs/neural_entropy/samples.py \
        --workdir=runs/entropy_samples

About five minutes on one of two shared CPU cores; nats, S_tot = 6.19, errors over examples and
(gap) seeds:

    N          S_NN held out    S_NN own data    growth G held out    gap L_EM
    100          42.74(29)        13.25(34)        -27.11(32)          33.4(3.0)
    300          13.39(6)          8.46(11)         -0.06(9)            6.2(5)
    1,000         6.800(16)        6.461(47)         5.469(32)          0.700(13)
    3,000         6.179(15)        6.119(27)         5.926(29)          0.248(5)
    10,000        6.046(15)        6.034(15)         6.002(28)          0.169(4)
    30,000        6.033(15)        6.028(15)         6.019(28)          0.152(6)
    100,000       5.993(15)        5.992(15)         6.019(28)          0.147(4)

Predicted: S_NN rises like log N. Measured, at 1,500 updates for every N: it falls to S_tot from
above, for few samples are learned by heart; G rises to S_tot from below, and the two meet at some
10,000. Neither is a line in log N: a + b log N through these rows has b = -3.9 +- 1.7 for S_NN and
3.5 +- 1.6 for G (errors from the scatter).
"""

from configs.neural_entropy import gaussian_mixture


def get_config():
    config = gaussian_mixture.get_config()
    config.update(sweep="samples", datasets=("mixture",))
    config.num_seeds = 2
    config.processes = ("vp",)
    config.dimensions = (9,)
    config.samples = (100, 300, 1000, 3000, 10_000, 30_000, 0)
    config.eval.repetitions = 0
    config.num_updates = 1500
    config.save_every = 500
    config.evaluate_every = 500
    return config
