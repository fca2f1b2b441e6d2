"""What a label tells a small U-Net of scikit-learn's 8x8 digits, and guidance by it.

python -m experiments.guidance --config=configs/guidance/digits.py --workdir=runs/guidance_digits

2,000 updates (--config.num_updates=2000), seed 0, half of a CPU core or more, nine minutes; nats, 299 held-out images:
I(image; label) by entropies 2.36 +- .19, by growth 3.87 +- .14, by scores 4.06 +- .08, where the entropy of the labels,
2.317 +- .001, is the limit of the true one, and a classifier finds 2.227 +- .014 of it in held-out images. 300 chains
for every weight, 2 f(h) - f(2h) with 200 steps; W_2^2 to held-out images, in pixel^2, is .215 +- .028 for as many
training images; diversity is the variance within a label over that of held-out images:

    w      nats injected     label found by a classifier    W_2^2          diversity
    0        4.65 +- .22      1.85  +- .08                   .25 +- .04     .93 +- .03
    0.5      8.17 +- .30      2.22  +- .02                   .31 +- .04     .75 +- .03
    1       12.1  +- .4       2.282 +- .008                  .39 +- .04     .67 +- .03
    2       21.8  +- .6       2.295 +- .005                  .60 +- .04     .59 +- .02
    4       50.6  +- 1.2      2.296 +- .004                 1.07 +- .06     .60 +- .02
    8      134    +- 3        2.291 +- .002                 2.45 +- .11     .76 +- .04

Predicted: injected nats grow with w, their information saturates, the rest distorts. Measured: so it is, and w = 1/2 is
nearly enough for the label. The label acts between lambda = -2 and 5. Predicted too: the three forms agree. Measured:
growth and scores exceed what labels can tell, for s(x) is learned from the fifth of the examples that lose their label
and is the worse of the two networks (by 1.6 nats, if the label tells all).
"""

from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            num_devices=0,  # 0: all
            data=dict(name="digits", dir="", cache_dir="", test_fraction=0.1667),
            t_min=1e-3,
            model=dict(channels=(16, 32)),
            null_probability=0.2,  # how often a label is withheld in training
            batch_size=64,
            num_updates=3000,
            updates_per_dispatch=100,
            learning_rate=2e-3,
            warmup=200,
            clip_norm=1.0,
            average_decay=0.999,
            save_every=1000,
            evaluate_every=500,
            metrics_extras=(),
            weights=(0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
            num_steps=200,  # of a guided chain
            num_samples=300,  # for every weight
            eval=dict(num_examples=299, num_levels=32, batch_size=100),
        )
    )
