"""False alarms of every warning and note on 200 clean sets, and of nearest neighbours on known laws.

    python -m experiments.benchmarks.false_alarms --config=configs/benchmarks/false_alarms.py \
        --workdir=runs/false_alarms

Results are in docs/notebook/information.md.
"""

from ml_collections import ConfigDict


def get_config():
    """Make the config."""
    return ConfigDict(
        dict(
            seed=0,
            sets=200,  # clean ones for each warning
            sets_of_law=3,  # for each number of rows
            num_samples=(300, 1000, 3000),
            estimates=200,  # clean sets of which whole estimates are made
        )
    )
