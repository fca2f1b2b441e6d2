"""Time of an alternating update against one of a VAE, at the MNIST sizes, on random bits.

    python -m experiments.benchmarks.update_time \
        --config=configs/benchmarks/update_time.py --workdir=runs/benchmark

Two CPU cores, the langevin E-step, commit beba706 or before: an alternating update takes 3.88 +-
0.09 VAE updates. More is in docs/benchmarks.md.
"""

from configs.diffusion_encoder import mnist


def get_config():
    config = mnist.get_config()
    with config.unlocked():
        config.benchmark = dict(repeats=10, updates=100)
    return config
