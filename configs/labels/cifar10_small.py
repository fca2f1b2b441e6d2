"""I(image; label) of CIFAR-10 and where in the noise it lives, in a small form for two CPU cores.

    python -m experiments.labels --config=configs/labels/cifar10_small.py \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA --workdir=runs/labels_cifar10_small

600 updates of the denoiser by 32 images and 1,200 of the classifier by 64, one seed, 500 test
images for the classifier and 200 for the denoiser. Results are in docs/labels-and-guidance.md.
"""

from configs.labels import cifar10


def get_config():
    config = small_denoiser(cifar10.get_config())
    config.null_probability = 0.5
    config.eval.update(num_examples=200, monitor=50, num_levels=16, batch_size=50)
    config.posterior.update(
        channels=(32, 64, 128),
        blocks=1,
        dropout=0.0,
        dtype="float32",
        features=(128,),
        batch_size=64,
        num_updates=1200,
        learning_rate=2e-3,
        average_decay=0.99,
        save_every=600,
        evaluate_every=600,
        num_levels=32,
        num_examples=500,
    )
    return config


def small_denoiser(config):
    """Make the denoiser of a config one for CPUs; configs/guidance_images shares it."""
    config.model.update(channels=(16, 32, 64), blocks=1, attention=(), dtype="float32")
    config.batch_size = 32
    config.learning_rate = 2e-3
    config.warmup = 100
    config.average_decay = 0.99
    config.updates_per_dispatch = 50
    config.num_updates = 600
    config.save_every = config.evaluate_every = 300
    return config
