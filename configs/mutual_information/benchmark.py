"""The forty tasks of 'Beyond Normal' (arXiv 2306.11078): truth, estimate, error and seconds.

    python -m experiments.mutual_information --config=configs/mutual_information/benchmark.py \
        --workdir=runs/benchmark_mi

One set of settings for all tasks, developed on other correlations, dimensions, degrees of freedom
and seeds. Each form was evaluated on a seed that had not been used before (mean absolute error over
the forty tasks in nats, at 10,000 samples, and at 5,000 and 1,000):

    (1) one network by denoising, seed 2025,
        the hardest nine tasks                          0.037
    (2) the same, seed 77, the first nine               0.016
        sharp edges missed at n and n/2 alike
    (3) mixtures of 16 components first,
        batches of 1,024, seed 2027                     0.059
        runs away between the samples
    (4) mixtures of 8 components, batches of 256,
        seed 2028                                       0.026(6)
        coverage 92.5 %, 57(8) s a task
    (5) (6) without largest stake, extrapolated in
        full, seed 2029                                 0.031(10)
        coverage 82.5 %
    (6) (8) without flows, seed 2030                    0.025(6)
        coverage 87.5 %, 46(6) s a task
    (7) with flows, whose networks learned in foreign
        coordinates, seed 2031                          0.018(5)
    (8) the same, mended, seed 2032                     0.017(5)    0.027(5)   0.057(9)
    (9) with a regression of lengths and unmixing,
        seed 2033                                       0.0113(19)  0.0227(60) 0.0515(92)
    (10) the same, mended, seed 2034                    0.0093(15)  0.0188(49) 0.0386(81)
    (11) the present one, seed 2035, below              0.0102(18)  0.0145(20) 0.0413(71)

What was learned, on tasks made for the purpose:
 - Lengths (`information.regression`): all dependence of a Student law is between the lengths of x
   and y, and a network that has to learn it from 5,000 samples learned by heart as well (5 x 5, 2
   degrees of freedom: O = 6 where D = 0.18). A few dozen coefficients of a map of the residual's
   length find 0.44 of 0.45 nats in a tenth of a second. Of maps of single coordinates, alone,
   before or after it, the regression finds more where densities have edges (uniform noise of width
   0.1: 1.66 in place of 1.54 of 1.71), but networks find less of what is left (-0.036(6) in place
   of -0.016(10)). Coefficients of the mean that tell nothing shorten the residual where y is long:
   20 x 20, 3 degrees of freedom, 1,000 samples, lost 0.17 of 0.79 nats, and 0.06 without them.
 - Unmixing: x and y whose coordinates are mixtures of independent ones (uniform margins under a
   slow spiral nearly are) have D[X] to be found, of which networks in 25 dimensions see a part, and
   of D[X|Y] nothing. Independent components leave no D[X] (spiral_normal_cdf_25x25, 10,000 samples:
   -0.19(12) before, -0.05(2) after).
 - Flows (`information.flows`): a spiral hides a linear relation, and a half of the samples teaches
   a denoiser too little of it. Flows of x and of y by themselves have functions of 3 coordinates to
   learn in place of 6, by likelihood: Gaussian part of spiral_3x3 of correlation 0.7 from 0.32 to
   0.63 of 0.67 nats in twenty seconds, where mixtures and denoisers took seventy for an estimate of
   0.64(4). Half of what a flow's own samples flatter it by is added (0.587 on the other half, 0.639
   on its own: 0.677 by regression in the coordinates before the map). Without a price on roughness
   they cheat: the steps of the midpoint rule, not the flow, gain the volume. In many coordinates
   they overfit, unless those that tell nothing are priced (group lasso): spiral_20x20 of
   correlation 0.8, from 0.93 to 0.95 without and to 1.00 of 1.02 with it; a price that suits twenty
   coordinates costs 0.03 in three, hence in proportion to their number; and in inverse proportion
   to the examples, for what chance gains by a coordinate goes like 1/n. With the price of 10,000
   samples, flows of 5,000 took spiral_20x20 (correlation 0.8) from 0.945 to 0.968, too little to be
   kept, and then down; with twice the price to 1.026 of 1.022, with three times 1.020, with five
   times 1.014. Spiral_3x3 of correlation 0.7 at 1,000 samples: 0.586 of 0.673, and 0.621 with
   fifteen times the price. Larger batches (1,024) overfit at once. Lengths have to be told apart
   far out (bound of `polar` 8 in place of 3: 0.045 short in place of 0.07). They are judged by the
   regression of the mean: by that of lengths, they bent Student laws until x was no longer normal.
 - Where D[X] is found and D[X|Y] is not, nothing says what is left of D[X]. A network for the
   residual by itself, whose divergence is a lower bound of D[X|Y], found next to nothing. The other
   way round may do without: x of spiral_normal_cdf_25x25 (5,000 samples, seed 2034) had been
   unmixed and y had not, 0.834(167) with y diffused and 0.946(66) with x, of 1.022.
 - Networks have to learn in the coordinates in which they are judged. A flow's chance errors differ
   from half to half: learned in those of the one and judged in those of the other they cost twice
   their size, and networks found 0.000 of what was left of spiral_3x3 (correlation 0.7: 0.033
   short); now 0.02 (0.014 short).
 - Edges: exact denoisers of uniform noise put a quarter of D beyond lambda = 4, and only 0.001 of
   it beyond the range; what a network finds grows slowly with the updates and is the same for half
   of the data, so training falls short, not the samples. Mixtures by likelihood find as much in a
   sixth of the time (width 0.5: 0.158 of 0.176).
 - Mixtures overfit in several dimensions, and a denoiser that starts from one that did cannot mend
   it: hence `rounds.score`, a price on O - X.
 - X is judged where one of the two networks has learned. On fresh samples of a dense Gaussian,
   where P = 0, X = 2.36 at O = 8.2: overfitted networks have something in common. On the samples
   themselves it is -0.11, and P^2/X runs away to either side. Hence `LARGEST_STAKE`.
 - Noise of both signs: spiral_3x3 of correlation 0.6, P after 16 rounds 0.168 in place of 0.154, at
   the same cost. Weight decay buys less noise at the price of as much time; a larger rate (8e-3)
   learns nothing.
 - Regression on the length of y and y times it, of the better of two directions: Gaussian part of
   spiral_20x20 of correlation 0.8 from 0.791 to 0.923 of 1.022 nats.
 - The step from n/2 to n, added in full, overshoots (form 5: spiral_5x5 by 0.35): half of it is
   added.

Estimate - truth, in brackets its standard error in units of 0.001, --config.seed=2035, two programs
of twenty tasks, a core each of two shared ones:

                             N = 10,000    5,000         1,000
    normal_1x1               +0.009(8)     +0.003(11)    -0.016(24)
    normal_cdf_1x1           +0.004(7)     +0.011(11)    -0.023(25)
    uniform_noise_0.1        -0.024(8)     -0.034(18)    -0.094(39)
    uniform_noise_0.75       -0.015(7)     -0.012(15)    -0.024(41)
    bimodal_1x1              +0.001(8)     -0.001(11)    -0.007(24)
    wiggly_1x1               -0.003(8)     -0.008(11)    -0.041(23)
    half_cube_1x1            +0.001(8)     +0.024(11)    -0.007(23)
    student_1x1_dof1         -0.014(7)     -0.006(10)    -0.002(25)
    asinh_student_1x1_dof1   +0.004(7)     +0.010(10)    -0.020(24)
    swiss_roll_2x1           -0.006(8)     -0.007(11)    +0.032(70)
    dense_2x2                +0.003(7)     -0.001(10)    -0.008(28)
    dense_3x3                +0.003(8)     -0.001(14)    -0.015(26)
    dense_5x5                -0.002(25)    -0.002(15)    -0.012(58)
    dense_25x25              +0.018(20)    +0.029(79)    +0.072(66)
    dense_50x50              -0.015(24)    -0.013(149)   -0.035(67)
    sparse_2x2               -0.007(11)    +0.000(16)    +0.057(193)
    sparse_3x3               +0.010(11)    +0.010(17)    +0.037(160)
    sparse_5x5               +0.015(12)    +0.032(19)    +0.018(40)
    sparse_25x25             -0.009(35)    -0.025(65)    +0.034(63)
    student_2x2_dof1         -0.002(9)     -0.017(12)    -0.011(74)
    student_2x2_dof2         -0.005(7)     -0.001(10)    -0.010(24)
    student_3x3_dof2         +0.004(8)     -0.008(12)    +0.023(82)
    student_3x3_dof3         +0.003(6)     -0.009(10)    -0.007(34)
    student_5x5_dof2         -0.006(9)     -0.001(16)    -0.036(30)
    student_5x5_dof3         -0.005(8)     -0.007(14)    -0.017(68)
    normal_cdf_3x3           +0.008(12)    -0.011(17)    +0.034(38)
    normal_cdf_5x5           -0.012(12)    -0.023(19)    +0.018(73)
    normal_cdf_25x25         -0.005(17)    -0.017(50)    -0.045(50)
    half_cube_3x3            -0.001(11)    -0.014(17)    -0.026(36)
    half_cube_5x5            -0.003(12)    +0.004(19)    +0.019(41)
    half_cube_25x25          -0.005(19)    -0.035(54)    -0.054(55)
    spiral_3x3               -0.019(33)    -0.043(48)    -0.094(119)
    spiral_5x5               -0.025(33)    -0.024(51)    -0.071(128)
    spiral_25x25             -0.013(20)    -0.019(62)    -0.216(64)
    spiral_normal_cdf_3x3    -0.017(20)    -0.009(24)    -0.067(74)
    spiral_normal_cdf_5x5    -0.053(31)    -0.046(40)    -0.167(212)
    spiral_normal_cdf_25x25  -0.047(26)    -0.044(23)    -0.117(52)
    asinh_student_2x2_dof1   +0.005(9)     -0.005(13)    -0.053(29)
    asinh_student_3x3_dof2   +0.001(9)     -0.004(11)    +0.004(173)
    asinh_student_5x5_dof2   -0.009(9)     -0.011(16)    -0.006(37)

    mean absolute error      0.0102(18)    0.0145(20)    0.0413(71)
      entropy_difference     0.023(9)      0.178(165)    0.344(166)
      growth_difference      0.030(12)     0.181(165)    0.353(170)
      score_difference (*)   0.009(2)      0.033(18)     0.072(20)
      gaussian               0.165(32)     0.167(31)     0.175(30)
      cca                    0.155(28)
      ksg                    0.244(46)
      infonce                0.097(17)
      mine                   0.112(20)
    within 0.1 nats          100.0 %       100.0 %       92.5 %
    within two errors        95.0(3.5) %   97.5(2.5) %   92.5(4.2) %
    seconds a task           42(4)         32(3)         16(2)

(*) where x was not found other than Gaussian and lengths tell nothing: 22, 27 and 25 tasks. The
rivals had the same 10,000 samples.

Best published: 0.060, 0.063, 0.092. Aimed at: 0.012, 0.018, 0.045. Predicted, before the seed was
seen: 0.0095, 0.0155, 0.036. (The commit before, in which the other way round shared a key with the
first, had 0.0102(18), 0.0148(22) and 0.0413(71): one of the 120 numbers differs.) What is missed
are spirals at few samples, in 25 dimensions most of all, where flows find nothing yet.
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
