"""As far as ten minutes of one accelerator go with the neural entropy of CIFAR-10, at full width.

    python -m experiments.neural_entropy --config=configs/neural_entropy/cifar10_ten_minutes.py \
        --workdir=runs/entropy_cifar10_ten_minutes \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

It has not been run. An update has 6.95 TFLOP; forty passes over N = 100, 1,000, 3,000 and 10,000
images are 4,408 updates. At 15 % of the peak of an H200 (989 TFLOP/s in bfloat16), which is assumed
and not measured, they take 206 seconds, and ten minutes would hold 12,800. What is left is for
compiling a program for each N, measuring and drawing.
"""

from configs.neural_entropy import cifar10


def get_config():
    config = cifar10.get_config()
    config.samples = (100, 1000, 3000, 10_000)
    config.max_epochs = 40
    config.num_updates = 3200
    config.save_every = 1600
    config.evaluate_every = 0
    return config
