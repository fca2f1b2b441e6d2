"""Neural entropy of a small U-Net on MNIST, pixels in [0, 1], by number of training images.

    python -m experiments.neural_entropy --config=configs/neural_entropy/mnist.py \
        --workdir=runs/entropy_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One CPU core, seven minutes, one seed, commit beba706 or before: 500 updates of 32 images are too
few for N to matter (G is 2682.2(8.9) nats at N = 100 and 2686.5(8.9) at 10,000). The table is in
docs/neural-entropy.md; four sizes on an accelerator, and a budget of passes, in
docs/notebook/neural-entropy.md.
"""

from configs.neural_entropy import digits


def get_config():
    config = digits.get_config()
    config.datasets = ("mnist",)
    config.samples = (100, 1000, 10_000)
    config.model.channels = (8, 16, 32)
    config.batch_size = 32
    config.num_updates = 500
    config.evaluate_every = 100
    config.save_every = 500
    config.eval.update(num_examples=300, monitor=100, batch_size=100)
    return config
