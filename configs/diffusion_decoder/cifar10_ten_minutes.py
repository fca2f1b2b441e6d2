"""As far as ten minutes of one accelerator go, on CIFAR-10: the whole run, and how it was used.

    python -m experiments.diffusion_decoder \
        --config=configs/diffusion_decoder/cifar10_ten_minutes.py \
        --workdir=runs/cifar10_ten_minutes --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

It has not been run. An update has 7.63 TFLOP. At 15 % of the peak of an H200 (989 TFLOP/s in
bfloat16), which is assumed and not measured, 2,000 take 103 seconds, at 5 % five minutes, and ten
minutes at 15 % would hold 11,700. They are too few for a good model; what is measured is the system:
examples a second, the share of the bfloat16 peak, memory, probes, and all figures.
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
