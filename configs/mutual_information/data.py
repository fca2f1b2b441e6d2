"""Mutual information of your own samples: an .npz file with arrays x and y, or a .csv file with a
line of names.

python -m experiments.mutual_information --config=configs/mutual_information/data.py \
    --config.data.path=xy.npz --workdir=runs/information
python -m experiments.mutual_information --config=configs/mutual_information/data.py \
    --config.data.path=table.csv --config.data.x_columns="('height',)"
    --config.data.y_columns="('weight','age')" \ --workdir=runs/information
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            data=dict(
                path="", x_columns=(), y_columns=(), labels="auto"
            ),  # labels: auto, yes or no
            tasks=(),
            num_samples=10_000,  # of tasks; of a file all rows are used
            rivals=("ksg",),
            estimator=dict(
                width=128,
                components=8,  # of mixtures
                mixture_batch=256,
                batch_size=128,  # of denoising
                draws=2,  # noise levels for each example, with both signs of the noise
                learning_rate=3e-3,
                mixture_updates=125,  # a round of training of mixtures
                mixture_rounds=24,  # at most
                updates=150,  # a round of denoising
                max_rounds=16,
                flow_width=64,  # of the velocity of invertible maps
                flow_updates=50,  # a round of their training
                flow_rounds=16,  # at most; 0: blocks stay as they are
                judge_parts=4,  # of the two strata of lambda, for the last judgement
            ),
            metrics_extras=(),
        )
    )
