"""The forty tasks of 'Beyond Normal' (2306.11078): truth, estimate, error, seconds; one set of settings for all.

python -m experiments.mutual_information --config=configs/mutual_information/benchmark.py --workdir=runs/benchmark_mi

One set of settings for all tasks; developed on other correlations, dimensions and degrees of freedom.
(1) An earlier form, --config.seed=2025, of which four tasks had been seen while designing; the hardest
nine, 10,000 samples, estimate - truth +- standard error in nats:

    student_5x5_dof2    0.042 +- 0.038    uniform_noise_0.1  -0.049 +- 0.016    spiral_normal_cdf_25x25  -0.070 +- 0.018
    spiral_3x3         -0.073 +- 0.040    student_2x2_dof1    0.008 +- 0.013    dense_25x25               0.020 +- 0.017
    spiral_25x25        0.059 +- 0.118    swiss_roll_2x1     -0.005 +- 0.010    sparse_25x25              0.008 +- 0.018

All nine within 0.1, mean absolute error 0.037, seven of nine within two standard errors; 12 to 188 s a task on half a
core or less. The degrees of freedom then came from a grid that held the tasks' own, and where the fit to half of the
data was not significant it counted as 0: both are mended since.

(2) The form before mixtures, --config.seed=77, not seen before; the first nine of the list, 3 to 26 s a task:

    normal_1x1          0.005 +- 0.008    uniform_noise_0.75 -0.027 +- 0.009    half_cube_1x1             0.012 +- 0.008
    normal_cdf_1x1      0.005 +- 0.008    bimodal_1x1        -0.006 +- 0.007    student_1x1_dof1         -0.015 +- 0.007
    uniform_noise_0.1  -0.043 +- 0.017    wiggly_1x1          0.018 +- 0.008    asinh_student_1x1_dof1   -0.013 +- 0.008

Mean absolute error 0.016, five of nine within two standard errors: the error bars are too short, and sharp edges
(uniform noise) are missed by the same amount at n and n/2, which the extrapolation cannot see.

(3) With mixtures first, of 8 components and batches of 256, on tasks made for the purpose (10,000 samples, nats).
Why edges are missed: exact
denoisers of uniform noise put a quarter of D beyond lambda = 4, and only 0.001 of it beyond the range; what the network
finds grows slowly with the updates and is the same for half of the data, so it is the training that falls short, not
the samples. Noise of width 0.5, one split, D = 0.1759, P^2/X: by denoising 0.150 after 1,350 updates, 0.155 after
4,500; mixtures by likelihood 0.154 after 1,000, 0.158 after 2,000, in a sixth of the time of the latter.
Predicted: edges would be found. Measured, one set of samples each, estimate - truth +- standard error: uniform noise
0.3 -0.021 +- 0.009 (before -0.034, there and on the mean of three), 0.5 -0.015 +- 0.009 (-0.030), student_1x1 with 1.5
degrees of freedom -0.009 +- 0.006; before components started apart spiral_4x4 of correlation 0.7 -0.003 +- 0.050,
dense_10x10 0.016 +- 0.013. About half of the way, within errors.

(4) 16 components, batches of 1,024 and rounds of 125 updates, tuned on uniform noise and on dense Gaussians. Uniform
noise 0.4, one split, D = 0.1925, P^2/X of the mixture by updates 500, 1,000, 2,000, 3,000 (updates make it better long
after its likelihood on held-out data has fallen): 8 components, batches of 256: 0.176, 0.181, 0.183, 0.184; 16
components 0.178, 0.184, 0.186, 0.188; 16 components, batches of 1,024: 0.186, 0.188, 0.186; 32 components, the same:
0.185, 0.186, 0.183. Rounds of 250 updates overfit where there is nothing (doubt of dense_5x5 0.054), hence rounds of
125 (dense_4x4 0.005). student_1x1 with 1.5 degrees of freedom: -0.016 +- 0.006, where the mean of the exact pointwise
information of these samples is itself off by -0.015. Twelve of the forty, form (3), --config.seed=2026, mean absolute
error 0.0075; so predicted for all: 0.008. Measured, --config.seed=2027: mean absolute error 0.059(16), 80 % within 0.1,
entropy_difference off by 14 +- 7 nats: tasks of one dimension and Gaussians as predicted, Students and spirals of
several dimensions not (student_5x5_dof2 -0.419 +- 0.223, spiral_normal_cdf_3x3 +0.321 +- 0.158).
Why, on another seed (3001), one change at a time; estimates of student_5x5_dof2 (truth 0.448) and spiral_5x5 (1.022):

    16 components, batches of 1,024   0.302 +- 0.070   0.839 +- 0.086    one round only   0.571 +- 0.100  1.103 +- 0.100
    16 components, batches of 256     0.455 +- 0.044   0.863 +- 0.059
    8 components, batches of 1,024    0.552 +- 0.081   0.977 +- 0.088
    8 components, batches of 256      0.498 +- 0.052   1.022 +- 0.063

Both contribute: the larger mixtures overfit and their density runs away between the samples (P + D = 1.79 where
2P - O = -1.09).
(5) The present form: 8 components, batches of 256, rounds of 125 updates. All forty, --config.seed=2028, not seen
before, --config.rivals="('cca','ksg')", in two programs of twenty, a core each, 57 +- 8 s a task. Estimate - truth
+- standard error, nats:

    normal_1x1              +0.006 +- 0.008    normal_cdf_1x1          -0.015 +- 0.008
    uniform_noise_0.1       -0.039 +- 0.020    uniform_noise_0.75      -0.014 +- 0.008
    bimodal_1x1             -0.008 +- 0.007    wiggly_1x1              -0.013 +- 0.007
    half_cube_1x1           +0.015 +- 0.008    student_1x1_dof1        +0.001 +- 0.007
    asinh_student_1x1_dof1  -0.007 +- 0.008    swiss_roll_2x1          +0.014 +- 0.008
    dense_2x2               +0.008 +- 0.007    dense_3x3               -0.007 +- 0.011
    dense_5x5               +0.018 +- 0.009    dense_25x25             -0.001 +- 0.025
    dense_50x50             +0.001 +- 0.023    sparse_2x2              +0.007 +- 0.011
    sparse_3x3              -0.004 +- 0.011    sparse_5x5              -0.015 +- 0.012
    sparse_25x25            -0.019 +- 0.017    student_2x2_dof1        +0.044 +- 0.030
    student_2x2_dof2        +0.025 +- 0.019    student_3x3_dof2        +0.027 +- 0.020
    student_3x3_dof3        -0.016 +- 0.014    student_5x5_dof2        -0.004 +- 0.094
    student_5x5_dof3        +0.007 +- 0.034    normal_cdf_3x3          +0.006 +- 0.012
    normal_cdf_5x5          -0.006 +- 0.012    normal_cdf_25x25        +0.006 +- 0.035
    half_cube_3x3           +0.021 +- 0.020    half_cube_5x5           -0.016 +- 0.012
    half_cube_25x25         -0.003 +- 0.026    spiral_3x3              -0.129 +- 0.053
    spiral_5x5              -0.063 +- 0.065    spiral_25x25            -0.111 +- 0.101
    spiral_normal_cdf_3x3   -0.038 +- 0.048    spiral_normal_cdf_5x5   +0.052 +- 0.090
    spiral_normal_cdf_25x25 -0.183 +- 0.116    asinh_student_2x2_dof1  -0.011 +- 0.026
    asinh_student_3x3_dof2  +0.002 +- 0.013    asinh_student_5x5_dof2  -0.076 +- 0.094

                          diffusion        entropy_difference   growth_difference   gaussian   cca     ksg
    mean absolute error   0.026 +- 0.006   2.7                  2.7                 0.166      0.152   0.246
    within 0.1 nats       92.5 %
    within two errors     92.5 +- 4 %

(some networks run away between the samples: entropy_ and growth_difference, each half of a bound, err by nats there,
where the estimate, which combines them, does not.) InfoNCE and MINE, --config.seed=2027: 0.099 and 0.110. Best
published: 0.060. Aimed at: 0.012; missed are spirals of 3 and 25 dimensions and, within its error, uniform noise 0.1.
"""

from configs.mutual_information import data

TASKS = (
    ("normal_1x1", "normal_cdf_1x1", "uniform_noise_0.1", "uniform_noise_0.75", "bimodal_1x1", "wiggly_1x1")
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
    config = data.get_config()
    config.tasks = TASKS
    config.rivals = ("cca", "ksg", "infonce", "mine")
    return config
