"""Training on the nine-dimensional mixture under VPx, against a plain epoch loop.

    python -m experiments.benchmarks.entropy_training \
        --config=configs/benchmarks/entropy_training.py --workdir=runs/entropy_speed

One CPU core shared with others, 40 turns (errors over turns; only ratios mean something), commit
beba706 or before: 12.98 +- 0.20 times the plain loop's examples a second, 1.30 +- 0.02 times its
network evaluations. Seconds to a gap are in docs/benchmarks.md.
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
