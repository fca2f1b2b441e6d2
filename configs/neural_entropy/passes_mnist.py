"""Neural entropy by number of training images, at ten passes over them: MNIST, a small U-Net.

    python -m experiments.neural_entropy --config=configs/neural_entropy/passes_mnist.py \
        --workdir=runs/entropy_passes_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One of two CPU cores, 16 minutes, one seed, commit beba706 or before: S_NN grows from 532.5(2.7)
nats at N = 100 to 2859(12) at 10,000, and bends. The table is in docs/neural-entropy.md, what was
predicted in docs/notebook/neural-entropy.md.
"""

from configs.neural_entropy import mnist
from configs.neural_entropy.passes import at_equal_passes


def get_config():
    config = at_equal_passes(mnist.get_config(), passes=10, num_updates=4000)
    config.samples = (100, 300, 1000, 3000, 10_000)
    config.evaluate_every = 0
    return config
