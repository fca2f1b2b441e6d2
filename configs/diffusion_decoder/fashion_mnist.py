"""Diffusion on both sides, on Fashion-MNIST; d = 32, a U-Net, for one accelerator.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/fashion_mnist.py \
        --workdir=runs/diffusion_decoder_fashion \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA
"""

from configs.diffusion_decoder import digits


def get_config():
    config = digits.get_config()
    config.data.name = "fashion_mnist"
    config.num_seeds = 1
    config.model.update(
        latent_dim=32,
        embed_channels=(64, 128),
        embed_features=(512,),
        features=(512, 512),
        decoder_features=(512, 512),
    )
    config.decoder.update(
        network="unet",
        features=(64, 128, 128),
        blocks=2,
        attention=(7,),
        precision="bfloat16",
        draws=1,
    )
    config.num_updates = 40000
    config.refit_updates = 4000
    config.learning_rate = 5e-4
    config.warmup = 1000
    config.save_every = 2000
    config.evaluate_every = 4000
    config.eval.update(num_examples=10000, frechet_samples=10000, batch_size=500)
    return config
