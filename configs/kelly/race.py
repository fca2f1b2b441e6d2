"""Kelly's race on six horses with a tip that errs, and on a Gaussian channel through the diffusion.

    python -m experiments.kelly --config=configs/kelly/race.py --workdir=runs/race

Measured at commit beba706 or before (seed 0, a few seconds on one shared CPU core): growth in nats
a race with and without side information and their difference, and in brackets the truth.

    horses    0.7277 +- 0.0079 (0.7352)    0.0647 +- 0.0025 (0.0625)    0.6630 +- 0.0078 (0.6727)
    channel   0.6556 +- 0.0058 (0.6462)    0.2483 +- 0.0042 (0.2520)    0.4073 +- 0.0055 (0.3942)

The channel's difference is 2.4 errors off, and seed 1 gives 0.4051 +- 0.0054; with seed 2 and
400,000 races it is 0.3950 +- 0.0012, so this is chance. More is in docs/kelly.md.
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
