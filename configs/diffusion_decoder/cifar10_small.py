"""Diffusion on both sides, on CIFAR-10, in a small form for two CPU cores; d = 16, a small U-Net.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/cifar10_small.py \
        --workdir=runs/diffusion_decoder_cifar10_small \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

300 updates of 16 images, one seed, 100 test images, and the decoder without a latent beside it. It
shows that the system learns on colour images; it is no trained model. Results are in
docs/diffusion-decoder.md.
"""

from configs.diffusion_decoder import cifar10


def get_config():
    config = cifar10.get_config()
    config.methods = ("diffusion_encoder", "without_latent")
    config.model.update(
        latent_dim=16,
        embed_channels=(16, 32, 64),
        embed_features=(256,),
        features=(128, 128),
    )
    config.decoder.update(
        features=(16, 32, 64),
        blocks=1,
        attention=(),
        precision="float32",
        sampler_steps=10,
    )
    config.num_updates = 300
    config.refit_updates = 0
    config.batch_size = 16
    config.learning_rate = 2e-3
    config.warmup = 50
    config.em.average_decay = 0.98
    config.updates_per_dispatch = 20
    config.save_every = 300
    config.evaluate_every = 0
    config.eval.update(num_examples=100, num_samples=4, frechet_samples=0, batch_size=50)
    return config
