"""Likelihood of a text in bits a character: generated sentences, whose entropy is known.

python -m experiments.warm_start --config=configs/warm_start/text.py --workdir=runs/warm_start_text
"""

from configs.warm_start import digits


def get_config():
    config = digits.get_config()
    config.methods = ("cold",)
    config.num_seeds = 1
    config.models.cold.bins = 0.12  # of the distance between two codes
    config.data.name = "text"
    config.data.length = 32
    config.model.update(
        network="sequence",
        features=(96,),
        blocks=5,
        dropout=0.0,
        code="one_hot",
        low=-6.0,
        sees="expected",
    )
    config.num_updates = 4000
    config.learning_rate = 5e-3
    config.batch_size = 128
    config.updates_per_dispatch = 100
    config.save_every = 1000
    config.evaluate_every = 500
    config.eval.update(num_examples=500, samples=0, draws=32)
    return config
