"""Neural entropy by number of training images, at equal passes over them: CIFAR-10, at size.

    python -m experiments.neural_entropy --config=configs/neural_entropy/cifar10.py \
        --workdir=runs/entropy_cifar10 --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

For one accelerator or several; it has not been run. The U-Net has the published widths (three
resolutions of 256 channels, two blocks each, attention at sides 16 and 8; arXiv 2409.03817), its
process (VP, beta from .1 to 16) and its learning rate; it is told no label and has no dropout.
N training images are N / 10 of each class on average. --config.model.attention="()" trains without
attention.
"""

from configs.neural_entropy import mnist
from configs.neural_entropy.passes import at_equal_passes


def get_config():
    config = at_equal_passes(mnist.get_config(), passes=200, num_updates=80_000)
    config.datasets = ("cifar10",)
    config.samples = (100, 300, 1000, 3000, 10_000, 30_000, 0)
    config.model.update(channels=(256, 256, 256), blocks=2, attention=(16, 8), dtype="bfloat16")
    config.systems_at_once = 1  # one of this size fills a device
    config.batch_size = 128
    config.updates_per_dispatch = 100
    config.learning_rate = 2e-4
    config.warmup = 100
    config.save_every = 5000
    config.evaluate_every = 10_000
    config.eval.update(num_examples=1000, monitor=200, batch_size=200, sampler_steps=100)
    return config
