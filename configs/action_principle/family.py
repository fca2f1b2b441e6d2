"""One network of 8x8 digits in the coordinates of every process: likelihoods and samples.

    python -m experiments.action_principle --config=configs/action_principle/family.py \
        --workdir=runs/action_family

Five minutes of one CPU core; the numbers are in docs/action-principle.md.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            task="family",
            seed=0,
            num_seeds=1,
            num_devices=0,  # 0: all of them
            systems_at_once=0,  # that share a program; 1: one after another; 0: 1 on CPUs, else all
            sweep="samples",
            processes=("vp",),  # under which it is trained
            datasets=("digits",),
            data=dict(dir="", cache_dir="", test_fraction=0.1667),
            samples=(0,),  # training images; 0: all
            t_min=1e-3,
            reference="isotropic",  # what the network need not learn
            output="v",
            model=dict(features=(512, 512)),
            batch_size=128,  # over all devices
            draws=1,  # noise levels of each image in an update
            num_updates=6000,
            max_epochs=0,
            updates_per_dispatch=100,
            learning_rate=2e-3,  # its peak
            warmup=100,
            clip_norm=1.0,
            average_decay=0.99,
            save_every=1000,
            evaluate_every=0,
            metrics_extras=(),
            eval=dict(
                t_end=0.05,  # noise of 0.16 of the range, two and a half gray levels, is left
                num_examples=16,  # of likelihoods
                num_steps=600,
                num_samples=500,
                sampler_steps=60,
                etas=(0.0, 0.5, 1.0, 1.5),
                batch_size=8,
                num_permutations=999,
            ),
        )
    )
