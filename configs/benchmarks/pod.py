"""What a pod of 256 chips would do with the systems of real size: a prediction, nothing is trained.

    python -m experiments.benchmarks.pod --config=configs/benchmarks/pod.py --workdir=runs/pod

Results are in docs/pods.md.
"""

from ml_collections import ConfigDict

from configs.diffusion_decoder import cifar10 as decoder
from configs.diffusion_encoder import mnist
from configs.warm_start import cifar10 as likelihood


def get_config() -> ConfigDict:
    config = ConfigDict(
        dict(
            devices=8,  # virtual ones, over which updates are compiled
            chips=(1, 2, 4, 8, 16, 32, 64, 128, 256),  # of the prediction
            agreement=1.1e-3,  # seconds a dispatch, in which processes agree on stops
            mnist_encoder=mnist.get_config(),
            cifar10_unet=likelihood.get_config(),
            cifar10_decoder=decoder.get_config(),
        )
    )
    config.mnist_encoder.baseline = False
    config.cifar10_unet.update(num_seeds=1, methods=("cold",))
    config.cifar10_decoder.update(num_seeds=1, methods=("diffusion_encoder",))
    return config
