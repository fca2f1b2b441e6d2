"""Settings of `toy.py`."""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict({"num_updates": 12, "save_every": 100, "pause": 0.0, "trouble": "none"})
