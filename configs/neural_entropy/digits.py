"""Neural entropy of a small U-Net on scikit-learn's 8x8 digits, by number of training images.

    python -m experiments.neural_entropy \
        --config=configs/neural_entropy/digits.py --workdir=runs/entropy_digits

One CPU core, four and a half minutes, one seed, commit beba706 or before; 1,000 updates for every
size: S_NN falls from 263.5(1.6) nats at N = 100 to 166.3(8) at 1,498, because few images are
memorized, and growth G rises from 94.7(2.3) to 166.7(1.0). The table is in
docs/neural-entropy.md, what was predicted in docs/notebook/neural-entropy.md.
"""

from configs.neural_entropy import gaussian_mixture


def get_config():
    config = gaussian_mixture.common()
    config.update(
        sweep="samples",
        num_seeds=1,
        processes=("vp",),
        datasets=("digits",),  # or 'mnist', or another image data set of TFDS
        data=dict(dir="", cache_dir="", test_fraction=0.1667),
        samples=(100, 300, 900, 0),
        reference="isotropic",
        output="v",
        model=dict(channels=(16, 32), dtype="float32"),
        batch_size=32,
        draws=1,
        num_updates=1000,
        save_every=500,
        learning_rate=2e-3,
        evaluate_every=200,
    )
    config.eval.update(
        num_examples=298,
        monitor=200,
        batch_size=149,
        images=20,  # to be generated
        sampler_steps=50,
    )
    return config
