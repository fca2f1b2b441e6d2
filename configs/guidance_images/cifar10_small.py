"""What a label tells a small U-Net of CIFAR-10, and guidance by it, in a small form for CPUs.

    python -m experiments.guidance_images --config=configs/guidance_images/cifar10_small.py \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA --workdir=runs/guidance_cifar10_small

600 updates of 32 images, one seed; 100 chains of 60 steps for every weight, 500 test images.
Results are in docs/labels-and-guidance.md.
"""

from configs.guidance_images import cifar10
from configs.labels.cifar10_small import small_denoiser


def get_config():
    config = small_denoiser(cifar10.get_config())
    config.weights = (0.0, 1.0, 4.0)
    config.num_steps = 60
    config.num_samples = 100
    config.eval.update(num_examples=500, monitor=50, num_levels=8, batch_size=50)
    return config
