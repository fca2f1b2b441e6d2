"""What a label tells a U-Net of CIFAR-10, and guidance by it, at size.

    python -m experiments.guidance_images --config=configs/guidance_images/cifar10.py \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA --workdir=runs/guidance_cifar10

For one accelerator or several; it has not been run. The label holds log 10 = 2.303 nats at most.
"""

from configs.guidance_images import digits
from configs.labels.cifar10 import of_cifar10


def get_config():
    config = of_cifar10(digits.get_config())
    config.num_samples = 1000
    config.eval.update(num_examples=5000, monitor=500, batch_size=250)
    return config
