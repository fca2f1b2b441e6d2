"""The forty tasks of 'Beyond Normal' (arXiv 2306.11078): truth, estimate, error and seconds.

    python -m experiments.mutual_information --config=configs/mutual_information/benchmark.py \
        --workdir=runs/benchmark_mi

With --config.seed=2039 the mean absolute error is 0.0102(17), 0.0159(22) and 0.0354(62) nats at
10,000, 5,000 and 1,000 samples (--config.num_samples); best published 0.060, 0.063, 0.092. One set of settings
serves all tasks.
Results are in docs/information.md; every task, earlier forms of the estimator and what was learned
in docs/notebook/information.md.
"""

from configs.mutual_information import data

TASKS = (
    (
        "normal_1x1",
        "normal_cdf_1x1",
        "uniform_noise_0.1",
        "uniform_noise_0.75",
        "bimodal_1x1",
        "wiggly_1x1",
    )
    + ("half_cube_1x1", "student_1x1_dof1", "asinh_student_1x1_dof1", "swiss_roll_2x1")
    + ("dense_2x2", "dense_3x3", "dense_5x5", "dense_25x25", "dense_50x50")
    + ("sparse_2x2", "sparse_3x3", "sparse_5x5", "sparse_25x25")
    + ("student_2x2_dof1", "student_2x2_dof2", "student_3x3_dof2", "student_3x3_dof3")
    + ("student_5x5_dof2", "student_5x5_dof3")
    + ("normal_cdf_3x3", "normal_cdf_5x5", "normal_cdf_25x25")
    + ("half_cube_3x3", "half_cube_5x5", "half_cube_25x25")
    + ("spiral_3x3", "spiral_5x5", "spiral_25x25")
    + ("spiral_normal_cdf_3x3", "spiral_normal_cdf_5x5", "spiral_normal_cdf_25x25")
    + ("asinh_student_2x2_dof1", "asinh_student_3x3_dof2", "asinh_student_5x5_dof2")
)


def get_config():
    """Make the config."""
    config = data.get_config()
    config.tasks = TASKS
    config.rivals = ("cca", "ksg", "infonce", "mine")
    return config
