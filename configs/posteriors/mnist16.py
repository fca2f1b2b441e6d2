"""MNIST as in mnist.py, with a latent of 16 dimensions.

    python -m experiments.posteriors --config=configs/posteriors/mnist16.py \
        --workdir=runs/posteriors_mnist16 --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One CPU core of two that others shared, 36 minutes of training, 24,000 updates, seed 0,
--config.methods="('importance','vae','iwae')", columns and sizes as in mnist.py:

                  nll            -ELBO          gap            ess    train_nll   ms
    importance    87.82 +- .53   88.81 +- .53    0.61 +- .09   23.5   87.70       36.7
    vae           90.50 +- .55   93.63 +- .57    3.60 +- .13    7.9   90.44        6.9
    iwae          89.65 +- .54   96.61 +- .57   11.01 +- .20    4.7   89.28       22.4

                  AIS nll        AIS gap
    importance    86.84 +- .76   0.08 +- 0.01
    vae           88.78 +- .78   0.05 +- 0.01
    iwae          87.60 +- .76   0.06 +- 0.01

Paired over importance: vae nll 2.68 +- .10, -ELBO 4.82 +- .11, AIS 1.94 +- .12; iwae nll 1.84 +-
.09, AIS 0.76 +- .11.

How em.proposal_width=1.3 came about: docs/notebook/posteriors_mnist.md.
"""

from configs.posteriors import mnist


def get_config():
    config = mnist.get_config()
    config.model.latent_dim = 16
    config.methods = ("importance", "langevin", "vae", "iwae")
    return config
