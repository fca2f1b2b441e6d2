"""Training on the nine-dimensional mixture under VPx, against a plain epoch loop.

    python -m experiments.benchmarks.entropy_training \
        --config=configs/benchmarks/entropy_training.py --workdir=runs/entropy_speed

One CPU core shared with others, 40 turns (errors over turns; only ratios mean something):

    examples a second, of the plain loop's                  12.98 +- 0.20
    network evaluations a second, of the plain loop's        1.30 +- 0.02
    seconds to a held-out gap below   2 %   0.5 %   0.1 %   of S_tot; gap at the end [nats]
        plain                         2.5   13.0     -       3.99 +- 0.07 (25.1 s)
        scanned                       2.3    4.4     -       1.53 +- 0.04 (19.6 s)
        reference                     0      0      3.0      0.19 +- 0.01 (20.0 s)

The tenfold of examples is that of noise levels: one importance-sampled level an example instead of
ten uniform times. A network evaluation costs the same in both loops, and on a CPU it is nearly all
of the time of an update: the dispatch of many updates saves a quarter. To 2 % of S_tot, which is
mostly the size of the data, the plain loop takes no longer; to 0.5 %, three times as long. The same
on another day, beside other programs: 14.24 +- 0.16 and 1.42 +- 0.02; to 0.5 % 17.0 s against 5.2.
"""

from configs.neural_entropy import gaussian_mixture


def get_config():
    config = gaussian_mixture.get_config()
    config.num_seeds = 1
    config.processes = ("vpx",)
    config.dimensions = (9,)
    with config.unlocked():
        config.benchmark = dict(
            turns=40,
            plain_updates=64,  # a quarter of an epoch
            scanned_updates=40,
            plain_batch=32,
            plain_draws=10,
            plain_learning_rate=1e-3,
            shares=(0.02, 0.005, 0.001),  # gaps to wait for, in parts of S_tot
        )
    return config
