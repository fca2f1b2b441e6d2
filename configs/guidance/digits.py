"""What a label tells a small U-Net of scikit-learn's 8x8 digits, and guidance by it.

python -m experiments.guidance --config=configs/guidance/digits.py --workdir=runs/guidance_digits
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            num_devices=0,  # 0: all
            data=dict(name="digits", dir="", cache_dir="", test_fraction=0.1667),
            t_min=1e-3,
            model=dict(channels=(16, 32)),
            null_probability=0.2,  # how often a label is withheld in training
            batch_size=64,
            num_updates=3000,
            updates_per_dispatch=100,
            learning_rate=2e-3,
            warmup=200,
            clip_norm=1.0,
            average_decay=0.999,
            save_every=1000,
            evaluate_every=500,
            metrics_extras=(),
            weights=(0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
            num_steps=200,  # of a guided chain
            num_samples=300,  # for every weight
            eval=dict(num_examples=299, num_levels=32, batch_size=100),
        )
    )
