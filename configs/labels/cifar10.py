"""I(image; label) of CIFAR-10: how little a label says of an image, and where in the noise.

    python -m experiments.labels --config=configs/labels/cifar10.py \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA --workdir=runs/labels_cifar10

For one accelerator or several; it has not been run. The label holds log 10 = 2.303 nats at most. Its
classifier is made of blocks of convolutions. Noise ends at 0.04 of the intensities.
"""

from configs.labels import mnist


def get_config():
    config = of_cifar10(mnist.get_config())
    config.t_min = 0.01
    config.null_probability = 0.8
    config.posterior.update(
        channels=(128, 256, 512),
        blocks=2,
        dropout=0.3,
        dtype="bfloat16",
        features=(512,),
        learning_rate=1e-3,
        num_updates=20_000,
        save_every=5000,
        evaluate_every=5000,
    )
    return config


def of_cifar10(config):
    """Give a config the denoiser of CIFAR-10, at size; configs/guidance_images shares it."""
    config.data.name = "cifar10"
    config.model.update(channels=(128, 256, 256), blocks=2, attention=(16, 8), dtype="bfloat16")
    config.batch_size = 128
    config.learning_rate = 2e-4
    config.warmup = 1000
    config.average_decay = 0.9995
    config.num_updates = 100_000
    config.save_every = config.evaluate_every = 10_000
    return config
