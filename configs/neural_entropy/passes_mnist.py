"""Neural entropy by number of training images, at ten passes over them: MNIST, a small U-Net.

    python -m experiments.neural_entropy --config=configs/neural_entropy/passes_mnist.py \
        --workdir=runs/entropy_passes_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

32 to 3,125 updates of 32 images, each size with a cosine schedule of its own, nothing known
beforehand, VP from t = 1e-3, 300 held-out images, one seed, 16 minutes on one of two CPU cores;
nats, errors over images:

    N         S_NN held out    S_NN own data    growth G held out    of S_NN at t < 0.1
    100          532.5(2.7)       536(5)          1216(7)               0.690(6)
    300         2119(11)         2129(10)         2306(13)              0.755(6)
    1000        2628(13)         2635(12)         2663(13)              0.777(6)
    3000        2776(12)         2780(11)         2796(13)              0.785(6)
    10000       2859(12)         2863(12)         2879(12)              0.787(6)

Predicted (arXiv 2409.03817, which has 1400 nats at N = 100 and 2530 at 60,000 for another network):
growth like log N. Measured: S_NN grows, and bends: a + b log N has b = 459 +- 154 nats, but the
steps, each of about a factor of three, are 1,587, 509, 148 and 83 nats. On digits a control says
that what grows is the training that a size is allowed (passes.py); so, probably, here. Nothing is
learned by heart (own and held-out images agree), and G, which lies above S_NN while the network is
unfinished, closes up with it. The pixels by themselves hold 2630.3 +- 1.3 nats (10,000 images).
"""

from configs.neural_entropy import mnist
from configs.neural_entropy.passes import at_equal_passes


def get_config():
    config = at_equal_passes(mnist.get_config(), passes=10, num_updates=4000)
    config.samples = (100, 300, 1000, 3000, 10_000)
    config.evaluate_every = 0
    return config
