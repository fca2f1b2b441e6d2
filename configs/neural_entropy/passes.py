"""Neural entropy by number of training images, at equal passes over them: 8x8 digits.

    python -m experiments.neural_entropy --config=configs/neural_entropy/passes.py \
        --workdir=runs/entropy_passes

Thirty passes whatever N (47 to 1,405 updates, each size with a cosine schedule of its own), nothing
known beforehand, VP from t = 1e-3, 298 held-out images; 17 minutes on a third of a CPU core; nats,
errors over images and three seeds:

    N         S_NN held out    S_NN own data    growth G held out    of S_NN at t < 0.1
    50           83.2(3.0)        81.4(9)          83.1(1.7)           0.557(17)
    100         117.0(2.0)       116.5(8)         120.6(1.7)           0.689(6)
    200         138.2(1.0)       137.6(6)         141.0(1.5)           0.710(5)
    400         151.2(8)         150.8(6)         152.2(1.4)           0.720(5)
    800         162.6(8)         162.3(6)         162.4(9)             0.731(4)
    1498        168.9(8)         168.9(7)         168.7(1.0)           0.736(4)

Predicted (arXiv 2409.03817): about logarithmic growth. Measured: it grows, and bends: the fit S_NN
= a + b log N has b = 24.2 +- 3.3 nats, but the first doubling adds 34 nats and the last two steps
11 and 6, so errors of about one nat reject the straight line. S_NN on images that the network has
not seen, on its own, and G agree: nothing is learned by heart. Control, 100 updates for every size
(--config.max_epochs=0 --config.num_updates=100 --config.evaluate_every=0 --config.save_every=100):
G = 120.3(1.4), 122.9(1.7), 124.2(1.4), 123.1(1.6), 124.3(1.0), 123.1(1.5), slope 0.7 +- 0.4; S_NN
from 124.2(8) at N = 50 to 115.7(1.2) at 1,498, slope -1.9 +- 0.7. So what grows here is the
training that a size is allowed; with far more updates (digits.py) S_NN falls with N.
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
