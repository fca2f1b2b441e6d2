"""Diffusion on both sides, on CIFAR-10; d = 32, a U-Net, for one accelerator or several.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/cifar10.py \
        --workdir=runs/diffusion_decoder_cifar10 \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

The batch is split over all devices of the run. One accelerator of less memory makes the same step
of half batches by --config.batch_size=64 --config.accumulate=2 and twice the num_updates, or
computes the U-Net twice by --config.decoder.rematerialize=True.
"""

from configs.diffusion_decoder import fashion_mnist


def get_config():
    config = fashion_mnist.get_config()
    config.data.name = "cifar10"
    config.model.update(embed_channels=(64, 128, 256))
    config.decoder.update(features=(128, 256, 256), attention=(16, 8), high=10.0)
    config.systems_at_once = 1  # one of this size fills a device
    config.num_updates = 100000
    config.learning_rate = 2e-4
    return config
