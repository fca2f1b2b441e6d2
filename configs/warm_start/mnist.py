"""Likelihood of MNIST in bits a dimension: 256 levels.

    python -m experiments.warm_start --config=configs/warm_start/mnist.py \
        --workdir=runs/warm_start_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One CPU core, an hour and three quarters, before convolutions became faster; one seed, 1,000 test
images: 1.030 +- 0.010 bits a dimension. The table is in docs/likelihood.md.
"""

from configs.warm_start import digits


def get_config():
    config = digits.get_config()
    config.methods = ("cold",)
    config.num_seeds = 1
    config.data.name = "mnist"
    config.model.dropout = 0.0
    config.num_updates = 12_000
    config.batch_size = 32
    config.learning_rate = 4e-3
    config.warmup = 200
    config.updates_per_dispatch = 50
    config.save_every = 500
    config.evaluate_every = 500
    config.eval.update(num_examples=1000, monitor=200, draws=16, batch_size=50)
    return config
