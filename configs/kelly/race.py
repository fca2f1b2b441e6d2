"""Kelly's race on six horses with a tip that errs, and on a Gaussian channel through the diffusion.

    python -m experiments.kelly --config=configs/kelly/race.py --workdir=runs/race

Measured after keys had names (seed 0, a few seconds on one shared CPU core): growth in nats a race
with and without side information and their difference, and in brackets the truth.

    horses    0.8600 +- 0.0076 (0.8581)    0.2766 +- 0.0047 (0.2663)    0.5834 +- 0.0074 (0.5918)
    channel   0.6517 +- 0.0058 (0.6462)    0.2563 +- 0.0041 (0.2520)    0.3954 +- 0.0054 (0.3942)

With seed 2 and 400,000 races the channel's difference is 0.3934 +- 0.0012. More is in docs/kelly.md.
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
