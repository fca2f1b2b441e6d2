"""Forty tasks beyond those of benchmark.py, in two halves: truth, oracle, estimate and error.

    python -m experiments.mutual_information --config=configs/mutual_information/beyond.py \
        --workdir=runs/beyond_choose
    python -m experiments.mutual_information --config=configs/mutual_information/beyond.py \
        --config.tasks="('report',)" --workdir=runs/beyond_report

Settings are chosen on the first half; the second is for one report at the end. The oracle is the
mean of the exact pointwise information of the same samples.
"""

from configs.mutual_information import data


def get_config():
    """Make the config."""
    config = data.get_config()
    config.tasks = ("choose",)  # or report, or tasks of diffenc.information.benchmark.beyond
    config.rivals = ("ksg",)
    return config
