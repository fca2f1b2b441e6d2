"""Gaussian mixtures of 3, 6 and 9 dimensions under three processes, three seeds: every number has
its truth.

    python -m experiments.neural_entropy --config=configs/neural_entropy/gaussian_mixture.py --workdir=runs/entropy

One CPU core, 16 minutes (12.6 of processor time), 27 trainings. Nats, held out, means over three
seeds, each with a mixture of its own; S_tot by the integral over lambda, and its truth by
densities; ratios are on the same draws, their errors those of examples and seeds together:

                       S_tot         (truth)      gap L_EM          S_NN / S_tot           G / S_tot
    vp             3      1.705(3)      1.700     0.0227(38)     0.985(17)          0.986(4)
                   6      3.143(7)      3.134     0.0608(62)     0.990(5)           0.981(4)
                   9      5.858(11)     5.866     0.1357(93)     0.990(1)           0.977(4)
    vpx            3    333.0(1.2)    331.3       0.0228(39)     0.99997(32)        0.99992(2)
                   6    584.5(1.6)    582.8       0.0611(57)     1.00024(19)        0.99989(1)
                   9    789.5(1.9)    789.1       0.1331(101)     0.99975(45)        0.99983(2)
    straight_line  3    332.4(1.2)    330.7       0.0229(39)     0.99982(41)        0.99992(2)
                   6    583.4(1.6)    581.7       0.0614(58)     1.00003(24)        0.99989(1)
                   9    788.1(1.8)    787.6       0.1380(96)     0.99978(33)        0.99983(2)

Published for kappa = 0.1 (arXiv 2409.03817, mixtures of the same kind, without a reference): S_NN /
S_tot = 0.97, 0.92, 0.85. The like-for-like rows start from nothing, plain v-prediction with the
same network and budget (--config.processes='("vpx",)' --config.reference=equilibrium
--config.output=v; errors with the spread over the three seeds):

    vpx            3    332.6(1.2)    331.3       0.207(20)         0.9971(6)          0.99940(8)
                   6    584.1(1.6)    582.8       1.31(17)          0.9945(7)          0.99781(14)
                   9    789.1(1.9)    789.1       2.90(14)          0.9924(12)         0.99634(27)

S_NN counts the whole model, the Gaussian reference included, which of a narrow process holds nearly
all the entropy before any training (s_reference): with a reference compare the gap. It is the same
for all three processes, as it must be, since what the network has to learn does not depend on
kappa. The growth G itself (1.692(12), 3.095(17), 5.711(23) for vp) needs no exact score and has the
noise of the examples; G / S_tot is measured against the growth of the exact score on the same
draws.

What the reference holds, and what training adds (the same checkpoints, measured again; errors with
the spread over seeds; the gap before and after training, and the share of it that was closed):

                       S_ref / S_tot      gap [nats]                    learned
    vp            3   0.6902 +- 0.0777   0.525 -> 0.0227 +- 0.0038   0.956 +- 0.002
    vp            6   0.6844 +- 0.0158   0.993 -> 0.0608 +- 0.0062   0.939 +- 0.005
    vp            9   0.6586 +- 0.0333   1.961 -> 0.1357 +- 0.0093   0.930 +- 0.003
    vpx           3   0.9986 +- 0.0008   0.526 -> 0.0228 +- 0.0039   0.956 +- 0.002
    vpx           6   0.9982 +- 0.0003   0.993 -> 0.0611 +- 0.0057   0.939 +- 0.005
    vpx           9   0.9976 +- 0.0006   1.962 -> 0.1331 +- 0.0101   0.932 +- 0.003
    straight_line 3   0.9986 +- 0.0007   0.526 -> 0.0229 +- 0.0039   0.956 +- 0.003
    straight_line 6   0.9982 +- 0.0003   0.993 -> 0.0614 +- 0.0058   0.938 +- 0.005
    straight_line 9   0.9976 +- 0.0006   1.961 -> 0.1380 +- 0.0096   0.929 +- 0.003

The moving equilibrium of sub-VP and the flat one of VE (--config.processes='("sub_vp","ve")', 18
trainings; errors of ratios and shares with the spread over seeds; early_share is what is produced
before t = 0.1 of 1, exact in brackets):

                       S_tot        (truth)   gap L_EM         S_NN / S_tot     G / S_tot        early_share
    sub_vp        3     14.50(5)     14.43    0.0241(41)       0.9981(18)       0.9981(4)        0.776(3) [0.775]
                  6     25.51(6)     25.44    0.0640(57)       0.9988(2)        0.9973(3)        0.772(8) [0.771]
                  9     35.91(7)     35.92    0.1371(92)       0.9982(13)       0.9961(5)        0.743(6) [0.742]
    ve            3     11.567(24)   11.538   0.0224(35)       0.9984(15)       0.9981(5)        0.00011(2) [0.00010]
                  6     23.654(34)   23.613   0.0605(62)       1.0007(9)        0.9975(4)        0.00008(1) [0.00009]
                  9     37.501(44)   37.455   0.1366(89)       1.0009(14)       0.9966(3)        0.000118(4) [0.000134]

The gap, what the network has to learn, is that of the other processes. Predicted (arXiv
2409.03817): entropy is produced near the data. That depends on the process's clock: before t = 0.1
sub-VP produces three quarters of it and VP on digits as much (passes.py), vpx (like-for-like,
above) 0.0871(4), 0.0873(4), 0.0877(4) [0.0870, 0.0869, 0.0868], and VE, which then has not left
widths far below the data's own, next to nothing. Against lambda no clock is left: see
figures/rates.png.

Coverage: of 800 estimates (eight trained networks, 100 of each, 1,000 fresh samples each), 95.0 %
of G and 95.0 % of S_NN had the truth of their network within two standard errors; 95.4 +- 0.7 % is
expected. That of G is S_tot by densities less L_EM, that of S_NN its mean; L_EM and this mean by
50,000 other samples, at uniform noise levels. With --config.processes='("vp","vpx")'
--config.dimensions='(3,)' --config.num_seeds=4 --config.num_updates=1000
--config.model.features='(128,64)' --config.batch_size=256 --config.eval.repetitions=100
--config.eval.num_examples=2000: L_EM = 0.071 +- 0.013 and 0.071 +- 0.016 nats. (1,000 samples
hardly tell G from S_tot there; tests/test_neural_entropy.py has a network that is more than ten
standard errors away from it.)
"""

from ml_collections import ConfigDict


def get_config():
    config = common()
    config.update(
        processes=("vp", "vpx", "straight_line"),
        dimensions=(3, 6, 9),
        # means uniform in a box of that side, widths uniform between std_min and std_max; all: the
        # size N = 0 means
        mixture=dict(components=5, side=4.0, std_min=0.5, std_max=1.0, all=100_000),
        model=dict(features=(512, 256)),
        eval=dict(
            repetitions=20
        ),  # of growth and S_NN of each network, to see how often their errors cover
    )
    return config


def common() -> ConfigDict:
    """The fields of mixtures and of images; either adds its own, and has none of the other's."""
    return ConfigDict(
        dict(
            seed=0,
            num_seeds=3,  # each with a mixture, samples and a start of its own
            num_devices=0,  # 0: all
            sweep="dimension",  # what cases differ in: 'dimension' of a mixture, or 'samples' of each data set
            samples=(8192,),  # training examples, 0 for all
            t_min=1e-3,  # entropy is counted from t_min to t = 1 (straight line: 0.999)
            reference="moments",  # what the network need not learn: 'moments', 'isotropic', or 'equilibrium' (nothing)
            output="residual",  # or 'v' (diffenc.diffusion.denoiser)
            model=dict(),
            batch_size=512,
            draws=1,  # noise levels of each example in an update
            num_updates=3000,
            max_epochs=0,  # a case rests once it has seen its samples so often; 0: never, and never beyond num_updates
            updates_per_dispatch=100,
            learning_rate=3e-3,
            warmup=200,
            clip_norm=1.0,
            average_decay=0.999,
            save_every=1000,
            evaluate_every=300,
            metrics_extras=(),
            eval=dict(
                num_examples=10_000,  # held out
                monitor=1000,  # of them for the curves over training and over noise levels
                num_levels=8,
                batch_size=2000,
            ),
        )
    )
