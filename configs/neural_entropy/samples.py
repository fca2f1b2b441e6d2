"""Neural entropy by number of samples: a Gaussian mixture of nine dimensions, VP, two seeds.

    python -m experiments.neural_entropy --config=configs/neural_entropy/samples.py \
        --workdir=runs/entropy_samples

One of two shared CPU cores, about five minutes, commit beba706 or before; 1,500 updates for every
N: S_NN falls to S_tot = 6.19 nats from above, because few samples are memorized, and growth
G rises to it from below. The table is in docs/neural-entropy.md, what was predicted in
docs/notebook/neural-entropy.md.
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
