"""As far as ten minutes of one accelerator go with guidance on CIFAR-10, at full width.

    python -m experiments.guidance_images --config=configs/guidance_images/cifar10_ten_minutes.py \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA \
        --workdir=runs/guidance_cifar10_ten_minutes

It has not been run. An update has 3.25 TFLOP. At 15 % of the peak of an H200 (989 TFLOP/s in
bfloat16), which is assumed and not measured, 8,000 take 175 seconds, and ten minutes would hold
27,400. What is left is for compiling, for 1,800 chains of 100 or 200 steps, for judging and
drawing.
"""

from configs.guidance_images import cifar10


def get_config():
    config = cifar10.get_config()
    config.num_updates = 8000
    config.save_every = config.evaluate_every = 4000
    config.num_samples = 300
    config.eval.update(num_examples=1000, monitor=200)
    return config
