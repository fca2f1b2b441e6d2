"""Likelihood of CIFAR-10 in bits a dimension, in a small form for two CPU cores.

    python -m experiments.warm_start --config=configs/warm_start/cifar10_small.py \
        --workdir=runs/warm_start_cifar10_small --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

800 updates of 8 images, one seed, 100 test images: a model that knows the grid, and a plain one,
which learns much faster here. Results are in docs/likelihood.md.
"""

from configs.warm_start import mnist


def get_config():
    config = mnist.get_config()
    config.data.name = "cifar10"
    config.methods = ("cold", "plain")
    config.num_updates = 800
    config.batch_size = 8
    config.learning_rate = 2e-3
    config.warmup = 50
    config.average_decay = 0.98
    config.updates_per_dispatch = 20
    config.save_every = 400
    config.evaluate_every = 200
    config.eval.update(
        num_examples=100,
        monitor=20,
        draws=8,
        batch_size=20,
        samples=9,
        sampler_steps=40,
    )
    return config
