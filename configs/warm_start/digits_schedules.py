"""Six densities of noise levels on the 8x8 digits, four fixed by a formula and two learned.

    python -m experiments.warm_start --config=configs/warm_start/digits_schedules.py \
        --workdir=runs/warm_start_digits_schedules

Nothing else differs between the models. The figures `training`, `levels` and `information` show how
fast each learns, where it draws its levels, and how evenly it loses information.
"""

from ml_collections import ConfigDict

from configs.warm_start import digits


def get_config():
    config = digits.get_config()
    schedules = dict(
        even="uniform",  # in lambda
        alpha2="alpha2",
        vp_time="vp_time",
        straight_time="straight_time",
        variance="variance",
        entropy="entropy",
    )
    config.methods = tuple(schedules)
    config.models = ConfigDict(
        {
            name: dict(head="logits", bins=0.17, schedule=schedule)
            for name, schedule in schedules.items()
        }
    )
    config.num_updates = 120
    config.warmup = 30
    config.updates_per_dispatch = 20
    config.save_every = 120
    config.evaluate_every = 40
    config.eval.monitor = 100
    config.eval.draws = 32
    config.eval.samples = 0
    return config
