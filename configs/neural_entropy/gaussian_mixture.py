"""Gaussian mixtures of 3, 6 and 9 dimensions under three processes: every number has its truth.

    python -m experiments.neural_entropy \
        --config=configs/neural_entropy/gaussian_mixture.py --workdir=runs/entropy

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

What the reference holds, what training adds, the moving equilibria and the coverage:
docs/notebook/gaussian_mixtures.md.
"""

from ml_collections import ConfigDict


def get_config():
    config = common()
    config.update(
        processes=("vp", "vpx", "straight_line"),
        dimensions=(3, 6, 9),
        mixture=dict(
            components=5,
            side=4.0,  # of the box in which means are uniform
            std_min=0.5,  # widths are uniform between these
            std_max=1.0,
            all=100_000,  # the size that N = 0 stands for
        ),
        model=dict(features=(512, 256)),
        eval=dict(repetitions=20),  # of growth and S_NN of each network: do their errors cover?
    )
    return config


def common() -> ConfigDict:
    """The fields of mixtures and of images; either adds its own, and has none of the other's."""
    return ConfigDict(
        dict(
            seed=0,
            num_seeds=3,  # each with a mixture, samples and a start of its own
            num_devices=0,  # 0: all
            sweep="dimension",  # cases differ in it: 'dimension', or 'samples' of each data set
            samples=(8192,),  # training examples, 0 for all
            t_min=1e-3,  # entropy is counted from t_min to t = 1 (straight line: 0.999)
            reference="moments",  # not to be learned: 'moments', 'isotropic', 'equilibrium'
            output="residual",  # or 'v' (diffenc.diffusion.denoiser)
            model=dict(),
            batch_size=512,
            draws=1,  # noise levels of each example in an update
            num_updates=3000,
            max_epochs=0,  # a case stands still once it has seen its samples so often; 0: never
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
