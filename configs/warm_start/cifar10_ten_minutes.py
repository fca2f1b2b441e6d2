"""As far as ten minutes of one accelerator go with the likelihood of CIFAR-10, at full width.

    python -m experiments.warm_start --config=configs/warm_start/cifar10_ten_minutes.py \
        --workdir=runs/warm_start_cifar10_ten_minutes \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

FLOPSTEXT
"""

from configs.warm_start import cifar10


def get_config():
    config = cifar10.get_config()
    config.num_updates = 6000
    config.warmup = 300
    config.save_every = 3000
    config.evaluate_every = 3000
    config.eval.update(num_examples=500, monitor=100, samples=16, sampler_steps=250)
    return config
