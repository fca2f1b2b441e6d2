"""I(image; label) of MNIST with a network that can learn it, for an accelerator.

    python -m experiments.labels --config=configs/labels/mnist.py \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA --workdir=runs/labels_mnist

One H100, four and a half minutes with compilation, seed 0, commit beba706 or before, 10,000
held-out images: the classifier's lower bound is 2.2366 +- 0.0050 nats of at most 2.301. All
numbers, and what they mean, are in docs/labels-and-guidance.md. On a CPU: the network of digits.py.
"""

from configs.labels import digits


def get_config():
    config = digits.get_config()
    config.data.name = "mnist"
    config.model.channels = (32, 64, 128)
    config.null_probability = 0.85
    config.batch_size = 256
    config.num_updates = 30_000
    config.save_every = config.evaluate_every = 10_000
    config.eval.update(num_examples=10_000, monitor=1000, batch_size=250)
    config.posterior.update(num_updates=10_000, save_every=5000, evaluate_every=5000, num_draws=1)
    return config
