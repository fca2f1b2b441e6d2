"""Residual and gap of a trained score by noise level: a Gaussian mixture of two dimensions.

    python -m experiments.action_principle --config=configs/action_principle/residual.py \
        --workdir=runs/action_residual
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            task="residual",
            seed=0,
            num_seeds=1,
            num_devices=0,  # 0: all of them
            systems_at_once=0,  # that share a program; 1: one after another; 0: 1 on CPUs, else all
            sweep="dimension",
            processes=("vp",),
            dimensions=(2,),
            samples=(8192,),  # training examples
            mixture=dict(components=5, side=4.0, std_min=0.4, std_max=0.8),  # as neural_entropy
            t_min=1e-3,
            reference="moments",  # what the network need not learn
            output="residual",  # what it gives, see `diffenc.diffusion.denoiser`
            model=dict(features=(128, 128)),
            batch_size=256,  # over all devices
            draws=1,  # noise levels of each example in an update
            num_updates=3000,
            max_epochs=0,
            updates_per_dispatch=100,
            learning_rate=3e-3,  # its peak
            warmup=200,
            clip_norm=1.0,
            average_decay=0.99,
            save_every=1000,
            evaluate_every=300,
            metrics_extras=(),
            eval=dict(
                num_examples=1000,
                num_levels=24,  # of each example; bins of the figure
            ),
        )
    )
