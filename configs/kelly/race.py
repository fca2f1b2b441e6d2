"""Kelly's race on six horses with a tip that errs, and on a Gaussian channel through the diffusion.

python -m experiments.kelly --config=configs/kelly/race.py --workdir=runs/race
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            case="race",
            seed=0,
            num_races=20_000,  # held out
            num_horses=6,
            error=0.3,  # of the tip
            num_past_races=20_000,  # that the bets are learned from
            variance=0.3,  # of X; the odds are N(0, 1)
            noise_std=0.5,
            draws=32,  # noise levels a race, each with eps of both signs
        )
    )
