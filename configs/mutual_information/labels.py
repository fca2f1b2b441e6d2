"""I(image; label): ten principal components of the 8x8 digits, and where in the noise their meaning lives.

python -m experiments.mutual_information --config=configs/mutual_information/labels.py --workdir=runs/labels
python -m experiments.mutual_information --config=configs/mutual_information/labels.py \
    --config.tasks="('mnist',)" --config.data.dir=DIRECTORY_OF_PREPARED_DATA --workdir=runs/labels_mnist

Digits, seed 0, 1,797 images, five minutes of one of two CPU cores: 2.9 +- 4.2 nats, of which the labels hold 2.30:
no result. Ten components of so few images are far from Gaussian (D[X] and D[X|L] of several nats, found by networks
that learn by heart: entropy_difference 21.7, growth_difference -16.3), and the regression alone, 3.48, exceeds the
labels' entropy. For I(image; label) take configs/guidance/digits.py, 2.17 +- .06.
"""

from configs.mutual_information import data


def get_config():
    config = data.get_config()
    config.tasks = ("digits",)
    config.rivals = ()
    return config
