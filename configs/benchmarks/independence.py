"""False alarms and power of the test of independence, beside nearest neighbours and correlations.

    python -m experiments.benchmarks.independence --config=configs/benchmarks/independence.py \
        --workdir=runs/independence

One core of two shared ones. Results are in docs/information.md.
"""

from ml_collections import ConfigDict


def get_config():
    """Make the config."""
    return ConfigDict(
        dict(
            seed=0,
            num_samples=200,
            permutations=99,
            independent_sets=1000,  # of each law, in which false alarms are counted
            dependent_sets=100,  # of each relation, in which finds are counted
        )
    )
