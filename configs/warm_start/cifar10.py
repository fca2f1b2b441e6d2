"""Likelihood of CIFAR-10 in bits a dimension: 256 levels of three colours; for one accelerator.

    python -m experiments.warm_start --config=configs/warm_start/cifar10.py \
        --workdir=runs/warm_start_cifar10 --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

It has not been run. Its network gives v (`plain`): in the small form (cifar10_small.py) it learned
much faster than one that gives logits of the 256 values (`cold`).
"""

from configs.warm_start import mnist


def get_config():
    config = mnist.get_config()
    config.data.name = "cifar10"
    config.methods = ("plain",)
    config.model.update(
        features=(64, 128, 256),
        blocks=2,
        attention=(16,),
        dropout=0.1,
        precision="bfloat16",
    )
    config.systems_at_once = 1  # one of this size fills a device
    config.num_updates = 100000
    config.batch_size = 128
    config.learning_rate = 1e-3
    config.warmup = 1000
    config.average_decay = 0.9995
    config.updates_per_dispatch = 500
    config.save_every = 5000
    config.evaluate_every = 5000
    config.eval.batch_size = 20  # with 16 draws each, 320 images, for `cold` with 256 logits each
    return config
