"""Neural entropy by number of training images on CIFAR-10, in a small form for two CPU cores.

    python -m experiments.neural_entropy --config=configs/neural_entropy/cifar10_small.py \
        --workdir=runs/entropy_cifar10_small --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

Ten passes over N = 100, 300, 1,000 and 3,000 images by 32 at a time, which are 32, 94, 313 and 938
updates, three seeds, a small U-Net, 200 test images. Results are in docs/neural-entropy.md.
"""

from configs.neural_entropy import cifar10
from configs.neural_entropy.passes import at_equal_passes


def get_config():
    config = at_equal_passes(cifar10.get_config(), passes=10, num_updates=940)
    config.num_seeds = 3
    config.samples = (100, 300, 1000, 3000)
    config.model.update(channels=(16, 32, 64), blocks=1, attention=(), dtype="float32")
    config.batch_size = 32
    config.learning_rate = 2e-3
    config.save_every = 940
    config.evaluate_every = 0
    config.eval.update(num_examples=200, monitor=50, batch_size=50, sampler_steps=50)
    return config
