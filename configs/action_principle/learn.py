"""A control learned by its action alone, beside the score: linear-quadratic problems, a mixture.

    python -m experiments.action_principle --config=configs/action_principle/learn.py \
        --workdir=runs/action_learn
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            task="learn",
            seed=0,
            num_seeds=3,  # trainings of each control
            plane=dict(  # the mixture, in two dimensions
                weights=(0.2, 0.5, 0.3),
                means=((1.5, 0.0), (-1.0, 1.0), (0.0, -1.8)),
                stds=(0.5, 0.7, 0.9),
            ),
            dimensions=(1, 2, 20),  # of the linear-quadratic problems
            t_min=1e-2,  # paths end here
            t_max_quadratic=0.3,  # and begin here with a cost of the state, at t = 1 without
            num_steps=32,
            num_paths=500,  # for each error
            training=dict(
                num_updates=300,
                batch_size=64,  # paths
                num_nodes=16,  # of each path, of adjoint matching
                learning_rate=5e-3,
                features=(64, 64),
                num_checks=5,
            ),
        )
    )
