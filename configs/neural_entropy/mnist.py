"""Neural entropy of a small U-Net on MNIST, pixels in [0, 1], by number of training images.

    python -m experiments.neural_entropy --config=configs/neural_entropy/mnist.py \
        --workdir=runs/entropy_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One CPU core, seven minutes, one seed, VP from t = 1e-3, 300 held-out images, errors over images
(nats):

    N         S_NN held out    S_NN own data    growth G held out
    100          2657(11)         2640(17)        2682.2(8.9)
    1000         2620(11)         2621(10)        2685.4(8.9)
    10000        2624(12)         2626(10)        2686.5(8.9)

500 updates of 32 images are too few for N to matter, and what this network generates are strokes.
Mind that the numbers depend on t_min: a pixel that is always zero adds 1/2 nat for each further
unit of lambda.

Four sizes on an accelerator, and a budget of passes: docs/notebook/neural_entropy_mnist.md.
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
