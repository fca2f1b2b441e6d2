"""Bound and `it_nll` of the 8x8 digits against the noise of the start, in distances of values.

    python -m experiments.warm_start --config=configs/warm_start/digits_warmth.py \
        --workdir=runs/warm_start_digits_warmth

Nothing else differs between the models, which take 120 updates each, three seeds; the figure
`warmth` shows both quantities.
"""

from ml_collections import ConfigDict

from configs.warm_start import digits


def get_config():
    config = digits.get_config()
    bins = dict(cold=0.17, cool=0.5, mild=1.0, warm=1.65, hot=3.0)
    config.methods = tuple(bins)
    config.models = ConfigDict(
        {name: dict(head="logits", bins=value, schedule="variance") for name, value in bins.items()}
    )
    config.num_updates = 120
    config.warmup = 30
    config.updates_per_dispatch = 20
    config.save_every = 120
    config.evaluate_every = 0
    config.eval.samples = 0
    return config
