"""Neural entropy of a small U-Net on MNIST, pixels in [0, 1], against the number of training images.

python -m experiments.neural_entropy --config=configs/neural_entropy/mnist.py --workdir=runs/entropy_mnist \
    --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

The size below is what one core does. For an accelerator:

    --config.model.channels="(64,128,256)" --config.model.dtype=bfloat16 --config.batch_size=256 \
    --config.num_updates=50000 --config.samples="(100,300,1000,3000,10000,30000,0)" --config.eval.num_examples=10000
"""

from configs.neural_entropy import digits


def get_config():
    config = digits.get_config()
    config.datasets = ("mnist",)
    config.samples = (100, 1000, 10_000)
    config.model.channels = (8, 16, 32)
    config.batch_size = 32
    config.num_updates = 500
    config.evaluate_every = 100
    config.save_every = 500
    config.eval.update(num_examples=300, monitor=100, batch_size=100)
    return config
