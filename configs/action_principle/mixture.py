"""Mixtures whose score is known: value function, parabola of the action, guidance; no training.

    python -m experiments.action_principle --config=configs/action_principle/mixture.py \
        --workdir=runs/action_mixture
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            task="mixture",
            seed=0,
            plane=dict(  # of the action and its parabola: any dimension
                weights=(0.2, 0.5, 0.3),
                means=((1.5, 0.0), (-1.0, 1.0), (0.0, -1.8)),
                stds=(0.5, 0.7, 0.9),
            ),
            line=dict(  # of the pictures and of guidance: one dimension
                weights=(0.6, 0.4),
                means=((-1.0,), (1.2,)),
                stds=(0.4, 0.6),
            ),
            t_min=1e-2,  # paths end here
            num_steps=300,
            num_paths=2000,
            num_directions=20,  # in which the control is moved
            sizes=(-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3),  # of the move, in figures
            tilt=dict(linear=0.8, precision=1.0),  # b and R of r(x) = b x - R x^2 / 2
            guidance=(0.0, 1.0, 2.0, 4.0),  # its weights
            etas=(0.0, 0.5, 1.0, 1.5),  # noise of samples that are compared with exact ones
            num_samples=1500,
            num_permutations=999,
        )
    )
