"""As far as ten minutes of one accelerator go with the neural entropy of CIFAR-10, at full width.

    python -m experiments.neural_entropy --config=configs/neural_entropy/cifar10_ten_minutes.py \
        --workdir=runs/entropy_cifar10_ten_minutes \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

FLOPSTEXT
"""

from configs.neural_entropy import cifar10


def get_config():
    config = cifar10.get_config()
    config.samples = (100, 300, 1000, 3000, 10_000)
    config.max_epochs = 50
    config.num_updates = 4000
    config.save_every = 2000
    config.evaluate_every = 0
    return config
