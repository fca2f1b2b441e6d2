"""Likelihood of Fashion-MNIST in bits a dimension: 256 levels.

    python -m experiments.warm_start --config=configs/warm_start/fashion_mnist.py \
        --workdir=runs/warm_start_fashion --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA
"""

from configs.warm_start import mnist


def get_config():
    config = mnist.get_config()
    config.data.name = "fashion_mnist"
    return config
