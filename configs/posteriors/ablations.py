"""MNIST, d = 8: what each part of the encoder is worth, one change at a time.

    python -m experiments.posteriors --config=configs/posteriors/ablations.py \
        --workdir=runs/ablations --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One of two CPU cores, 50 minutes, seed 0, 4,000 updates, 500 test images, commit beba706 or before:
the decoder's gradient closes the amortization gap (0.79 +- 0.15 nats, 5.39 +- 0.33 without it), the
Newton step gains likelihood (1.74 +- 0.27); capacity and more updates of the encoder do not. The
table and what was predicted are in docs/notebook/posteriors.md.
"""

from configs.posteriors import mnist

PLAIN = dict(
    newton_steps=0, pressure=False, residual_bound=100.0
)  # the network alone: none of the decoder's answers
SLOW = dict(learning_rate=2e-3)  # at 5e-3 it runs away
VARIANTS = dict(
    wide=dict(model=dict(embed_features=(1024, 1024))),
    deep=dict(model=dict(embed_features=(512, 512, 512))),
    no_pressure=dict(model=dict(pressure=False)),
    no_newton=dict(model=dict(newton_steps=0)),
    prior=dict(model=PLAIN | dict(reference="prior")),
    plain_posterior=dict(model=PLAIN, **SLOW),
    plain_prior=dict(model=PLAIN | dict(reference="prior"), **SLOW),
    denoising=dict(em=dict(target="denoising")),
    smooth_targets=dict(em=dict(smooth_targets=True)),
)


def get_config():
    config = mnist.get_config()
    config.variants = {
        name: dict(method="importance", **changes) for name, changes in VARIANTS.items()
    }
    config.methods = ("importance", *VARIANTS)
    config.num_updates = 4000
    config.evaluate_every = 0
    config.eval.update(num_examples=500, num_samples=50, ais_examples=0)
    return config
