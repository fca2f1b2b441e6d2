"""As far as ten minutes of one accelerator go with the likelihood of CIFAR-10, at full width.

    python -m experiments.warm_start --config=configs/warm_start/cifar10_ten_minutes.py \
        --workdir=runs/warm_start_cifar10_ten_minutes \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

It has not been run. An update has 1.10 TFLOP. At 15 % of the peak of an H200 (989 TFLOP/s in
bfloat16), which is assumed and not measured, 12,000 take 89 seconds, and ten minutes would hold
81,000. What is left is for compiling, for simple codes on the host, for measuring and drawing.
"""

from configs.warm_start import cifar10


def get_config():
    config = cifar10.get_config()
    config.num_updates = 12_000
    config.warmup = 500
    config.save_every = 6000
    config.evaluate_every = 6000
    config.eval.update(num_examples=500, monitor=100, samples=16, sampler_steps=250)
    return config
