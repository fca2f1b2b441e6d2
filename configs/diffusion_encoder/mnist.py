"""MNIST, binarized anew at every visit; d = 8, decoder 256-256 tanh.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/mnist.py \
        --workdir=runs/mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

The E-step is em.e_step=importance, the best of those that configs/posteriors/mnist.py compares.
There, 12,000 updates, seed 0, first 1,000 test images: nll 96.07 +- 0.99, -ELBO 97.1 +- 1.0, and
the VAE's nll 2.85 +- 0.20 above. All numbers are of commit beba706 or before; random keys are
others since.

The former default, --config.em.e_step=langevin, two CPU cores, seed 0, first 2,000 test images
(nats; 100 importance samples; the difference of nll is paired):

                           diffusion encoder        VAE
    nll                      97.34 +- 0.68      99.55 +- 0.70   (difference 2.21 +- 0.15)
    -ELBO                    98.50 +- 0.69     102.41 +- 0.74
    rate                     18.21             16.64
    own, Langevin            80.25, 79.26      85.71, 81.98     (-log p(x|z))
    own less Langevin         0.99 +- 0.09      3.73 +- 0.15
    effective samples        27.2              11.5
    time of an update         4.16 VAE updates

Other seeds, how the settings were chosen and what was varied: docs/notebook/encoder_mnist.md.
"""

from configs.diffusion_encoder import digits


def get_config():
    config = digits.get_config()
    config.data.name = "mnist"
    config.model.update(latent_dim=8, embed_features=(512, 512), features=(256, 256))
    config.num_updates = 12000
    config.learning_rate = 5e-3
    config.save_every = 1000
    config.evaluate_every = 500
    config.eval.update(num_examples=2000, num_samples=100, batch_size=250)
    return config
