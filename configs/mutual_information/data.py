"""Mutual information of your own samples.

The samples are an .npz file with arrays x and y, or a table with a line of names: a text of any
separator (.csv, .tsv, .txt), or .parquet.

    python -m experiments.mutual_information --config=configs/mutual_information/data.py \
        --config.data.path=xy.npz --workdir=runs/information
    python -m experiments.mutual_information --config=configs/mutual_information/data.py \
        --config.data.path=table.csv --config.data.x_columns="('height',)" \
        --config.data.y_columns="('weight','age')" --workdir=runs/information
"""

from ml_collections import ConfigDict


def get_config():
    """Make the config."""
    return ConfigDict(
        dict(
            seed=0,
            data=dict(
                path="",
                x_columns=(),
                y_columns=(),
                labels="auto",  # whether y is codes: or yes, or no
                codes=(),  # of "x", "y", "x[2]", or names of columns
                amounts=(),  # likewise, what is numbers though it has few values
                groups_column="",  # of subjects, recordings: rows of a group depend on each other
                order="auto",  # or exchangeable: neighbours are independent examples
            ),
            tasks=(),
            num_samples=10_000,  # of tasks; of a file all rows are used
            rivals=("ksg",),
            permutations=0,  # of the test of independence, such as 499
            estimator=dict(  # see diffenc.information.settings
                denoiser=dict(
                    width=128,
                    depth=2,
                    batch_size=128,
                    draws=2,
                    learning_rate=3e-3,
                    average=8.0,
                    updates=150,
                    rounds=16,
                    patience=4,
                ),
                mixture=dict(components=8, batch_size=256, updates=125, rounds=24, patience=4),
                flow=dict(
                    width=64,
                    steps=8,
                    batch_size=256,
                    learning_rate=6e-3,
                    average=8.0,
                    updates=50,
                    rounds=16,  # 0: blocks are not mapped by flows
                    patience=3,
                    roughness_price=1.0,
                    sparsity_price=1.5e-3,
                ),
                committee=dict(
                    members=4,
                    width=64,
                    batch_size=128,
                    learning_rate=3e-3,
                    average=8.0,
                    updates=150,
                    rounds=24,  # 0: no committee predicts a block of one column
                    patience=3,
                ),
                null=dict(rounds=2, errors=2.5),
                judge=dict(
                    strata=2,
                    parts=4,
                    rows=512,
                    noise_price=0.03,
                    extrapolation=0.5,
                    step_error=1.0,
                    shortfall=1.0,
                    shortfall_error=2.0,
                ),
                least_gain=1e-3,
                map_errors=3.0,
                full_rounds=2500,
            ),
            metrics_extras=(),
        )
    )
