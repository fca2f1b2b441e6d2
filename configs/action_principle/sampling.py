"""Unnormalized densities sampled by a learned control, and by annealing: log Z beside its truth.

    python -m experiments.action_principle --config=configs/action_principle/sampling.py \
        --workdir=runs/action_sampling
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            task="sampling",
            seed=0,
            num_seeds=3,  # trainings of the control, and runs of annealing
            targets=("funnel", "mixture", "double_well"),
            t_min=2e-3,  # paths end here
            t_max=0.8,  # and begin here
            num_steps=64,
            num_groups=20,  # each with a log Z of its own
            group_size=250,  # paths
            training=dict(
                num_updates=150,
                batch_size=256,  # paths
                num_nodes=16,  # of each path
                learning_rate=3e-3,
                features=(64, 64),
                num_checks=1,
            ),
        )
    )
