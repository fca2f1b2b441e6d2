"""Mutual information of all pairs of columns of a file, with a heat map.

    python -m experiments.mutual_information --config=configs/mutual_information/matrix.py \
        --config.data.path=table.csv --workdir=runs/pairs
    python -m experiments.mutual_information --config=configs/mutual_information/matrix.py \
        --config.data.path=table.csv --config.data.columns="('height','weight','age')" \
        --workdir=runs/pairs
"""

from configs.mutual_information import data


def get_config():
    """Make the config."""
    config = data.get_config()
    config.rivals = ()
    config.data = dict(
        path="",
        columns=(),  # all of the file, if none are named
        codes=(),  # names of columns whose values are codes
        amounts=(),  # of those that are numbers, though they have few values
        groups_column="",  # see data.py
        order="auto",
    )
    return config
