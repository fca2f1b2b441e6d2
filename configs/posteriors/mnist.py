"""MNIST, binarized anew at every visit, d = 8: encoders of every kind with one decoder.

    python -m experiments.posteriors --config=configs/posteriors/mnist.py --workdir=runs/posteriors_mnist \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA
"""

from configs.diffusion_encoder import mnist
from configs.posteriors.digits import posteriors_of


def get_config():
    config = posteriors_of(mnist.get_config())
    config.num_updates = 24000
    config.evaluate_every = 2000
    config.save_every = 2000
    return config
