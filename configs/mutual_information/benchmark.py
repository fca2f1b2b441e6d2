"""The forty tasks of 'Beyond Normal' (2306.11078): truth, estimate, error, seconds; one set of settings for all.

python -m experiments.mutual_information --config=configs/mutual_information/benchmark.py --workdir=runs/benchmark_mi

One set of settings for all tasks, developed on other correlations, dimensions, degrees of freedom and seeds, each form
judged on a seed not seen before (mean absolute error over the forty, 10,000 samples, nats):

    (1) one network by denoising, seed 2025, the hardest nine         0.037
    (2) the same, seed 77, the first nine                             0.016    sharp edges missed at n and n/2 alike
    (4) mixtures of 16 components first, batches of 1,024, seed 2027  0.059    runs away between the samples
    (5) mixtures of 8 components, batches of 256, seed 2028           0.026(6)  coverage 92.5 %, 57(8) s a task
    (6) (7) without largest stake, extrapolated in full, seed 2029    0.031(10) coverage 82.5 %
    (7) (9) without flows, seed 2030                                  0.025(6)  coverage 87.5 %, 46(6) s a task
    (8) with flows, whose networks learned in foreign coordinates, seed 2031   0.018(5)
    (9) the same, mended, seed 2032                                   0.017(5)  0.027(5), 0.057(9) at 5,000, 1,000
    (10) with a regression of lengths and unmixing, seed 2033         0.0113(19)  0.0227(60), 0.0515(92)
    (11) the present one, seed 2034                                   0.0093(15), below

What was learned, on tasks made for the purpose:
 - Lengths (`estimators.regression`): all dependence of a Student law is between the lengths of x and y, and a network
   that has to learn it from 5,000 samples learned by heart as well (5 x 5, 2 degrees of freedom: O = 6 where D = 0.18).
   Sixteen coefficients of a map of the residual's length find 0.44 of 0.45 nats in a tenth of a second. Of maps of
   single coordinates, alone, before or after it, the regression finds more where densities have edges (uniform noise of
   width 0.1: 1.66 in place of 1.54 of 1.71), but networks find less of what is left (-0.036(6) in place of -0.016(10)).
   Coefficients of the mean that tell nothing shorten the residual where y is long: 20 x 20, 3 degrees of freedom,
   1,000 samples, lost 0.17 of 0.79 nats, and 0.06 without them.
 - Unmixing: x and y whose coordinates are mixtures of independent ones (uniform margins under a slow spiral nearly are)
   have D[X] to be found, of which networks in 25 dimensions see a part, and of D[X|Y] nothing. Independent components
   leave no D[X] (spiral_normal_cdf_25x25, 10,000 samples: -0.19(12) before, -0.05(2) after).
 - Flows (`estimators.flows`): a spiral hides a linear relation, and a half of the samples teaches a denoiser too
   little of it. Flows of x and of y by themselves have functions of 3 coordinates to learn in place of 6, by
   likelihood: Gaussian part of spiral_3x3 of correlation 0.7 from 0.32 to 0.63 of 0.67 nats in twenty seconds, where
   mixtures and denoisers took seventy for an estimate of 0.64(4). Half of what a flow's own samples flatter it by is
   added (0.587 on the other half, 0.639 on its own: 0.677 by regression in the coordinates before the map). Without a
   price on roughness they cheat: the steps of the midpoint rule, not the flow, gain the volume. In many coordinates
   they overfit, unless those that tell nothing are priced (group lasso): spiral_20x20 of correlation 0.8, from 0.93 to
   0.95 without and to 1.00 of 1.02 with it; a price that suits twenty coordinates costs 0.03 in three, hence in
   proportion to their number. Lengths have to be told apart far out (bound of `polar` 8 in place of 3: 0.045 short in
   place of 0.07). They are judged by the regression of the mean: by that of lengths, they bent Student laws until x was
   no longer normal.
 - Networks have to learn in the coordinates in which they are judged. A flow's chance errors differ from half to half:
   learned in those of the one and judged in those of the other they cost twice their size, and networks found 0.000 of
   what was left of spiral_3x3 (correlation 0.7: 0.033 short); now 0.02 (0.014 short).
 - Edges: exact denoisers of uniform noise put a quarter of D beyond lambda = 4, and only 0.001 of it beyond the range;
   what a network finds grows slowly with the updates and is the same for half of the data, so training falls short, not
   the samples. Mixtures by likelihood find as much in a sixth of the time (width 0.5: 0.158 of 0.176).
 - Mixtures overfit in several dimensions, and a denoiser that starts from one that did cannot mend it: hence
   `divergence.score`, a price on O - X.
 - X is judged where one of the two networks has learned. On fresh samples of a dense Gaussian, where P = 0, X = 2.36 at
   O = 8.2: overfitted networks have something in common. On the samples themselves it is -0.11, and P^2/X runs away to
   either side. Hence `LARGEST_STAKE`.
 - Noise of both signs: spiral_3x3 of correlation 0.6, P after 16 rounds 0.168 in place of 0.154, at the same cost.
   Weight decay buys less noise at the price of as much time; a larger rate (8e-3) learns nothing.
 - Regression on the length of y and y times it, of the better of two directions: Gaussian part of spiral_20x20 of
   correlation 0.8 from 0.791 to 0.923 of 1.022 nats.
 - The step from n/2 to n, added in full, overshoots (form 6: spiral_5x5 by 0.35): half of it is added.

Estimate - truth, in brackets its standard error in units of 0.001, --config.seed=2034, two programs of twenty tasks, a
core each of two shared ones:

                             N = 10,000    5,000         1,000
    normal_1x1               +0.006(7)     +0.012(10)    +0.025(24)
    normal_cdf_1x1           -0.006(7)     -0.013(10)    -0.037(22)
    uniform_noise_0.1        -0.031(8)     -0.031(10)    -0.065(26)
    uniform_noise_0.75       -0.005(10)    -0.015(15)    -0.036(25)
    bimodal_1x1              +0.007(7)     +0.024(11)    +0.019(25)
    wiggly_1x1               +0.005(8)     +0.001(11)    -0.021(23)
    half_cube_1x1            +0.007(8)     +0.004(11)    -0.015(31)
    student_1x1_dof1         -0.001(7)     +0.014(10)    +0.003(26)
    asinh_student_1x1_dof1   +0.003(7)     -0.016(10)    +0.001(24)
    swiss_roll_2x1           -0.012(9)     -0.008(16)    -0.043(40)
    dense_2x2                -0.004(7)     -0.002(10)    -0.005(92)
    dense_3x3                +0.006(8)     +0.009(12)    +0.005(87)
    dense_5x5                +0.007(13)    +0.018(18)    +0.033(32)
    dense_25x25              +0.015(17)    +0.001(56)    -0.004(46)
    dense_50x50              -0.003(40)    +0.058(59)    +0.014(86)
    sparse_2x2               +0.002(11)    +0.015(22)    -0.015(38)
    sparse_3x3               +0.008(12)    +0.017(17)    +0.030(36)
    sparse_5x5               -0.006(12)    -0.001(20)    +0.033(38)
    sparse_25x25             -0.010(18)    +0.007(64)    -0.006(51)
    student_2x2_dof1         +0.007(9)     +0.004(13)    +0.015(69)
    student_2x2_dof2         +0.002(6)     +0.001(9)     +0.027(151)
    student_3x3_dof2         -0.001(8)     +0.001(12)    +0.004(27)
    student_3x3_dof3         -0.003(7)     +0.003(10)    +0.012(23)
    student_5x5_dof2         -0.018(9)     -0.021(16)    +0.010(30)
    student_5x5_dof3         -0.000(8)     +0.009(15)    +0.000(27)
    normal_cdf_3x3           +0.001(12)    -0.005(17)    -0.003(39)
    normal_cdf_5x5           +0.007(12)    +0.014(25)    +0.048(38)
    normal_cdf_25x25         -0.005(23)    +0.001(64)    +0.046(54)
    half_cube_3x3            -0.008(11)    -0.009(17)    -0.000(37)
    half_cube_5x5            -0.016(12)    -0.012(19)    -0.050(38)
    half_cube_25x25          +0.015(26)    +0.009(73)    +0.040(51)
    spiral_3x3               +0.002(26)    -0.015(50)    -0.172(193)
    spiral_5x5               -0.017(37)    -0.016(59)    -0.060(155)
    spiral_25x25             -0.015(20)    -0.077(52)    -0.237(64)
    spiral_normal_cdf_3x3    +0.011(22)    -0.036(35)    -0.152(122)
    spiral_normal_cdf_5x5    -0.024(27)    -0.027(47)    -0.136(210)
    spiral_normal_cdf_25x25  -0.052(24)    -0.188(167)   -0.078(99)
    asinh_student_2x2_dof1   +0.006(9)     +0.014(13)    -0.035(30)
    asinh_student_3x3_dof2   +0.002(8)     -0.008(14)    -0.006(51)
    asinh_student_5x5_dof2   -0.014(9)     -0.016(16)    -0.000(38)

    mean absolute error      0.0093(15)    0.0188(49)    0.0386(81)
      entropy_difference     0.024(12)     0.441(416)    0.131(55)
      growth_difference      0.025(11)     0.429(410)    0.161(64)
      score_difference (*)   0.014(4)      0.060(47)     0.042(10)
      gaussian               0.164(32)     0.165(31)     0.173(31)
      cca                    0.154(28)
    within 0.1 nats          100.0 %       97.5 %        90.0 %
    within two errors        92.5(4.2) %   95.0(3.5) %   95.0(3.5) %
    seconds a task           38(4)         30(3)         13(2)

(*) where x was not found other than Gaussian and lengths tell nothing: 25, 24 and 25 tasks.

InfoNCE and MINE, 10,000 samples, --config.seed=2027: 0.099 and 0.110; KSG, seed 2030: 0.244.
Best published: 0.060, 0.063, 0.092. Aimed at: 0.012, 0.018, 0.045.
Predicted: of (10) 0.010, 0.015 and 0.044 at 10,000, 5,000 and 1,000 samples, before it was seen; of (11) 0.011, 0.018
and 0.046. Of (11) two numbers were measured again with the present commit, since the form measured took unmixed
coordinates by two standard errors in place of three, and scored them coordinate by coordinate, which tore a Student law
apart: student_5x5_dof2 at 5,000 samples (-0.162(135) before) and spiral_3x3 at 1,000 (-0.175(161)). Twelve
Gaussian and two spiral_5x5 had been unmixed for a gain of rounding alone, a linear map, and stand as they were
measured. What is missed are spirals at few samples, in 25 dimensions most of all: D[X] is found there, D[X|Y] is not.
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
