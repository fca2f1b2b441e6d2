"""I(image; label): ten principal components of the 8x8 digits, and where in the noise their meaning lives.

python -m experiments.mutual_information --config=configs/mutual_information/labels.py --workdir=runs/labels
python -m experiments.mutual_information --config=configs/mutual_information/labels.py \
    --config.tasks="('mnist',)" --config.data.dir=DIRECTORY_OF_PREPARED_DATA --workdir=runs/labels_mnist

Not measured yet.
"""

from configs.mutual_information import data


def get_config():
    config = data.get_config()
    config.tasks = ("digits",)
    config.rivals = ()
    return config
