"""As far as ten minutes of one accelerator go with the labels of CIFAR-10, at full width.

    python -m experiments.labels --config=configs/labels/cifar10_ten_minutes.py \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA --workdir=runs/labels_cifar10_ten_minutes

It has not been run. An update of the denoiser has 3.25 TFLOP, one of the classifier .73. At 15 % of
the peak of an H200 (989 TFLOP/s in bfloat16), which is assumed and not measured, 8,000 of each take
215 seconds, and ten minutes would hold 22,400. What is left is for compiling, measuring and
drawing.
"""

from configs.labels import cifar10


def get_config():
    config = cifar10.get_config()
    config.num_updates = 8000
    config.save_every = config.evaluate_every = 4000
    config.eval.update(num_examples=2000, monitor=200)
    config.posterior.update(num_updates=8000, save_every=4000, evaluate_every=4000)
    return config
