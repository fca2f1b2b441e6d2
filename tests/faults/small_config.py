"""The config of small_run: ten epochs and more, a checkpoint every ten updates."""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            num_devices=1,
            num_updates=120,
            updates_per_dispatch=5,
            save_every=10,
            evaluate_every=30,
            batch_size=10,
            learning_rate=0.1,
            data=dict(path=""),
        )
    )
