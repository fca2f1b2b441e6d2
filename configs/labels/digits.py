"""I(image; label) of scikit-learn's 8x8 digits, or of MNIST, and where in the noise it lives.

    python -m experiments.labels --config=configs/labels/digits.py --workdir=runs/labels
    python -m experiments.labels --config=configs/labels/digits.py --config.data.name=mnist \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA --config.model.channels="(8,16,32)" \
        --config.null_probability=0.5 --config.num_updates=3500 --config.save_every=500 \
        --config.posterior.num_draws=1 --workdir=runs/labels_mnist

One CPU core, seed 0, commit beba706 or before, errors over held-out images alone: the classifier's
lower bound is 2.243 +- 0.018 nats on digits and 2.2324 +- 0.0049 on MNIST, of at most 2.302 and
2.3001. All numbers, and what they mean, are in docs/labels-and-guidance.md; how settings were
chosen, what was predicted, and times in docs/notebook/labels-and-guidance.md.
"""

from ml_collections import ConfigDict


def get_config():
    config = common()
    config.update(
        # lambda up to 3.7, noise of .16 of the intensities: who sees that much sees the label
        t_min=0.05,
        null_probability=0.8,  # how often a label is withheld in training
        num_updates=4000,
        evaluate_every=1000,
        eval=dict(
            num_examples=1000,  # at most
            monitor=100,
            num_levels=32,
            batch_size=100,
        ),
        posterior=dict(  # the classifier of noised images
            features=(256, 256),
            batch_size=256,
            num_updates=8000,
            learning_rate=2e-3,
            warmup=200,
            average_decay=0.999,
            save_every=1000,
            evaluate_every=1000,
            num_levels=64,
            num_draws=4,  # of an image's noise
            num_examples=10_000,  # at most
        ),
    )
    return config


def common() -> ConfigDict:
    """The fields of a denoiser of labelled images that configs/guidance_images shares."""
    return ConfigDict(
        dict(
            seed=0,
            num_devices=0,  # 0: all
            # data.validation: training images that stand in for the held-out ones
            data=dict(name="digits", dir="", cache_dir="", test_fraction=0.1667, validation=0),
            model=dict(channels=(16, 32), dtype="float32"),  # or bfloat16, of its products
            batch_size=64,
            updates_per_dispatch=100,
            learning_rate=2e-3,
            warmup=200,
            clip_norm=1.0,
            average_decay=0.999,
            save_every=1000,
            metrics_extras=(),
        )
    )
