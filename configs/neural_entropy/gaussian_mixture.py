"""Gaussian mixtures of 3, 6 and 9 dimensions under three processes: every number has its truth.

    python -m experiments.neural_entropy \
        --config=configs/neural_entropy/gaussian_mixture.py --workdir=runs/entropy

One CPU core, 16 minutes, 27 trainings, three seeds, commit beba706 or before: the gap L_EM of vpx
is 0.0228(39), 0.0611(57) and 0.1331(101) nats at D = 3, 6, 9. Without a reference
(--config.processes='("vpx",)' --config.reference=equilibrium --config.output=v) S_NN / S_tot is
0.9971(6), 0.9945(7) and 0.9924(12); published are 0.97, 0.92, 0.85 (arXiv 2409.03817). The tables
are in docs/neural-entropy.md; what the reference holds, moving equilibria and the coverage in
docs/notebook/neural-entropy.md.
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
            systems_at_once=0,  # that share a program; 1: one after another; 0: 1 on CPUs, else all
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
