"""Time of an alternating update against one of a VAE, at the MNIST sizes, on random bits.

    python -m experiments.benchmarks.update_time \
        --config=configs/benchmarks/update_time.py --workdir=runs/benchmark
"""

from configs.diffusion_encoder import mnist


def get_config():
    config = mnist.get_config()
    with config.unlocked():
        config.benchmark = dict(repeats=10, updates=100)
    return config
