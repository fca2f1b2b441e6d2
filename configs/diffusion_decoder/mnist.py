"""Diffusion on both sides, on MNIST; d = 16, a decoder of dense layers, for CPUs.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/mnist.py \
        --workdir=runs/diffusion_decoder_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

Two CPU cores, 45 minutes beside other work; results are in docs/diffusion-decoder.md.
"""

from configs.diffusion_decoder import digits


def get_config():
    config = digits.get_config()
    config.data.name = "mnist"
    config.num_seeds = 1
    config.model.update(latent_dim=16, embed_features=(512, 512), features=(256, 256))
    config.decoder.update(features=(512,), draws=1)
    config.num_updates = 3000
    config.learning_rate = 1e-3
    config.warmup = 500
    config.eval.update(num_examples=2000, frechet_samples=2000, batch_size=250)
    return config
