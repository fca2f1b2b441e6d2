"""Settings of `toy.py`."""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        {"num_updates": 48, "save_every": 400, "pause": 0.0, "is_fed": False, "trouble": "none"}
    )
