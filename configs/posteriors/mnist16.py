"""MNIST as in mnist.py, with a latent of 16 dimensions.

    python -m experiments.posteriors --config=configs/posteriors/mnist16.py \
        --workdir=runs/posteriors_mnist16 --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One CPU core of two that others shared, 36 minutes of training, 24,000 updates, seed 0, commit
beba706 or before, --config.methods="('importance','vae','iwae')": the bound on -log p(x) of
importance is 87.82 +- 0.53 nats, that of the VAE 2.68 +- 0.10 and of the IWAE 1.84 +- 0.09 above,
paired. The table is in docs/posteriors.md; how em.proposal_width=1.3 came about in
docs/notebook/posteriors.md.
"""

from configs.posteriors import mnist


def get_config():
    config = mnist.get_config()
    config.model.latent_dim = 16
    config.methods = ("importance", "langevin", "vae", "iwae")
    return config
