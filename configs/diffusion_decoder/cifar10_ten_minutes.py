"""As far as ten minutes of one accelerator go, on CIFAR-10: the whole run, and how it was used.

    python -m experiments.diffusion_decoder \
        --config=configs/diffusion_decoder/cifar10_ten_minutes.py \
        --workdir=runs/cifar10_ten_minutes --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

2,000 updates of 7.6 TFLOP take five minutes at 50 TFLOP/s. They are too few for a good model; what
is measured is the system: examples a second, the share of the bfloat16 peak, memory, probes, and
all figures.
"""

from configs.diffusion_decoder import cifar10


def get_config():
    config = cifar10.get_config()
    config.methods = ("diffusion_encoder",)
    config.num_updates = 2000
    config.refit_updates = 0
    config.warmup = 200
    config.evaluate_every = 0
    config.decoder.sampler_steps = 10
    config.eval.update(num_examples=500, num_samples=4, frechet_samples=2000, peak_side=8192)
    return config
