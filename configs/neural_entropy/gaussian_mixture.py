"""Gaussian mixtures of 3, 6 and 9 dimensions under three processes, three seeds: every number has its truth.

python -m experiments.neural_entropy --config=configs/neural_entropy/gaussian_mixture.py --workdir=runs/entropy
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            num_seeds=3,  # each with a mixture, samples and a start of its own
            num_devices=0,  # 0: all
            sweep="dimension",  # what cases differ in: 'dimension' of a mixture, or 'samples' of each data set
            processes=("vp", "vpx", "straight_line"),
            dimensions=(3, 6, 9),
            datasets=("mixture",),  # for sweep='samples': 'mixture', 'digits', or an image data set of TFDS
            samples=(8192,),  # training examples, 0 for all
            # means uniform in a box of that side, widths uniform between std_min and std_max; all: the size N = 0 means
            mixture=dict(components=5, side=4.0, std_min=0.5, std_max=1.0, all=100_000),
            data=dict(dir="", cache_dir="", test_fraction=0.1667),
            t_min=1e-3,  # entropy is counted from t_min to t = 1 (straight line: 0.999)
            reference="moments",  # what the network need not learn: 'moments', 'isotropic', or 'equilibrium' (nothing)
            output="residual",  # or 'v' (diffenc.denoiser)
            model=dict(features=(512, 256), channels=(32, 64), dtype="float32"),
            batch_size=512,
            draws=1,  # noise levels of each example in an update
            num_updates=3000,
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
                repetitions=20,  # of an estimate of S_tot from `monitor` samples, to see how often its error covers
                batch_size=2000,
                images=20,  # to be generated
                sampler_steps=50,
            ),
        )
    )
