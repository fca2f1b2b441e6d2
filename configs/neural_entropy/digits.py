"""Neural entropy of a small U-Net on scikit-learn's 8x8 digits, by number of training images.

    python -m experiments.neural_entropy \
        --config=configs/neural_entropy/digits.py --workdir=runs/entropy_digits

One CPU core, four and a half minutes, one seed, VP from t = 1e-3, 298 held-out images, errors over
images (nats):

    N         S_NN held out    S_NN own data    growth G held out
    100         263.5(1.6)       186.4(1.6)        94.7(2.3)
    300         174.4(9)         168.6(9)         162.9(1.1)
    900         166.8(9)         166.0(9)         166.4(1.0)
    1498        166.3(8)         165.9(9)         166.7(1.0)

Predicted: S_NN grows like log N (arXiv 2409.03817). Measured: the opposite. Every size is trained
for the same 1,000 updates, so 100 images are learned by heart, and S_NN on images that the network
has not seen then counts entropy that is not there (S_NN = a + b log N gives b = -34 +- 14). Growth
is what rises with N, and it levels off near 167 at a few hundred images. S_NN and G agree from 900
on.
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
