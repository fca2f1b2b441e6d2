"""Twenty kinds of samples as people bring them, each with its truth, answer and verdict.

    python -m experiments.benchmarks.situations --config=configs/benchmarks/situations.py \
        --workdir=runs/situations

Results are in docs/notebook/information.md.
"""

from ml_collections import ConfigDict


def get_config():
    """Make the config."""
    return ConfigDict(dict(seed=1, situations=(), estimator=dict()))
