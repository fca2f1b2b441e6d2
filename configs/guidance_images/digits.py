"""What a label tells a small U-Net of scikit-learn's 8x8 digits, and guidance by it.

    python -m experiments.guidance_images --config=configs/guidance_images/digits.py \
        --workdir=runs/guidance_digits

One of two CPU cores that others shared, ten minutes, seed 0, commit beba706 or before, 299 held-out
images: I(image; label) is 1.97 +- 0.17 nats by entropies, 2.196 +- 0.089 by growth and 2.171 +-
0.055 by scores, of at most 2.302. Injected nats by weight are in docs/labels-and-guidance.md, the
first trial in docs/notebook/labels-and-guidance.md.
"""

from configs.labels import digits


def get_config():
    config = digits.common()
    config.update(
        t_min=1e-3,
        null_probability=0.5,  # how often a label is withheld in training
        num_updates=3000,
        evaluate_every=500,
        weights=(0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
        num_steps=200,  # of a guided chain
        num_samples=300,  # for every weight
        eval=dict(num_examples=299, monitor=299, num_levels=32, batch_size=100),
    )
    return config
