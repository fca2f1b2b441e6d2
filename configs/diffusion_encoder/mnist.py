"""MNIST, binarized anew at every visit; d = 8, decoder 256-256 tanh.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/mnist.py \
        --workdir=runs/mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One CPU core, three seeds, first 2,000 test images: the bound on -log p(x) of 100 samples is 97.00
+- 0.69 nats (b2cd006); with a denoiser of 256 the VAE's was 2.83 +- 0.24 above, paired (ce726d4).
Results are in docs/diffusion-encoder.md; other seeds, how the settings were chosen and what was
varied in docs/notebook/diffusion-encoder.md.
"""

from configs.diffusion_encoder import digits


def get_config():
    config = digits.get_config()
    config.data.name = "mnist"
    config.model.update(latent_dim=8, embed_features=(512, 512))
    config.num_updates = 12000
    config.learning_rate = 5e-3
    config.save_every = 1000
    config.evaluate_every = 500
    config.eval.update(num_examples=2000, num_samples=100, batch_size=250)
    return config
