"""As mnist.py with a latent of 16 dimensions.

    python -m experiments.posteriors --config=configs/posteriors/mnist16.py --workdir=runs/posteriors_mnist16 \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

Not measured yet.
"""

from configs.posteriors import mnist


def get_config():
    config = mnist.get_config()
    config.model.latent_dim = 16
    config.methods = ("importance", "langevin", "vae", "iwae")
    return config
