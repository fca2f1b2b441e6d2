"""Neural entropy by number of training images, at equal passes over them: 8x8 digits.

    python -m experiments.neural_entropy --config=configs/neural_entropy/passes.py \
        --workdir=runs/entropy_passes

A third of a CPU core, 17 minutes, three seeds, commit beba706 or before; thirty passes whatever N,
each size with a cosine schedule of its own, nothing known beforehand: S_NN grows from 83.2(3.0)
nats at N = 50 to 168.9(8) at 1,498, and bends. The table is in docs/neural-entropy.md, the control
with equal updates in docs/notebook/neural-entropy.md.
"""

from configs.neural_entropy import digits


def get_config():
    config = at_equal_passes(digits.get_config(), passes=30, num_updates=2000)
    config.num_seeds = 3
    config.samples = (50, 100, 200, 400, 800, 0)
    config.evaluate_every = 500
    return config


def at_equal_passes(config, passes: int, num_updates: int):
    """Let every size see its images so often, in num_updates at most, from nothing known."""
    config.reference = "equilibrium"
    config.max_epochs = passes
    config.num_updates = num_updates
    config.updates_per_dispatch = 10
    config.warmup = 20
    return config
