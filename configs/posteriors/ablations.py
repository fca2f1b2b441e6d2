"""MNIST, d = 8: what each part of the encoder is worth, one change at a time.

    python -m experiments.posteriors --config=configs/posteriors/ablations.py \
        --workdir=runs/ablations --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

Importance, 4,000 updates, seed 0, 500 test images, 50 samples, 50 minutes of one of two CPU cores;
nll and -ELBO above the first row, paired, nats; ms: of an update:

                                          nll          -ELBO         gap            ess    ms
    importance (nll 100.0 +- 1.4)                                      .79 +- .15   21.4    84
    wide                                .58 +- .23    .55 +- .25       .67 +- .17   20.7   111
    deep                                .37 +- .18    .35 +- .19       .85 +- .17   21.3    85
    no_pressure                         .71 +- .21   3.53 +- .25      5.39 +- .33    8.2    81
    no_newton                          1.74 +- .27   1.75 +- .28       .88 +- .16   20.5    82
    prior                              2.42 +- .29  11.54 +- .36     15.67 +- .61    3.5    77
    denoising                           .60 +- .22    .76 +- .22       .88 +- .18   17.2    80
    smooth_targets                      .29 +- .17    .30 +- .19       .75 +- .16   20.2    97
  tried and left out of the code again:
    replay                              .21 +- .25    .23 +- .26       .87 +- .18   20.6   186
    open gate                           .72 +- .22    .73 +- .23       .83 +- .16   19.9    83
    prior, plain output                5.62 +- .44  12.38 +- .56     10.77 +- .58    3.6    74
    uniform lambda                      .40 +- .19    .43 +- .20       .52 +- .17   20.2    84

no_pressure: without the decoder's gradient. prior: the network alone, diffusion from N(0, I).
replay: 3 more updates of the encoder, on the last eight batches of (x, z). open gate: that of the
gradient held at 1. plain output: not in units of the width; 54 % of its draws fold the space.
uniform lambda: no importance sampling of noise levels.

Predicted: capacity or more updates of the encoder close the gap. Measured: neither does, within
errors; what does is the decoder's gradient (5.4 without it), and the Newton step gains likelihood.
One seed, and the same run on another day moves by half a nat. That scatter of the first row is
shared by all rows: differences below .7 say little.

The metric of the posterior by itself (--config.num_seeds=3
--config.methods="('plain_posterior','plain_prior')"): a network alone, without the decoder's two
answers, at a rate and sampler steps that suit it, once diffusing in the coordinates of the fitted
Gaussian and once from N(0, I); three seeds, errors over images and seeds:

                       nll            -ELBO          gap           ess    ms
    plain_posterior   105.6 +- 1.5   109.0 +- 1.6   5.67 +- .42   7.9    50
    plain_prior       105.4 +- 1.5   111.5 +- 1.6   9.69 +- .74   5.1    51
    paired             -.27 +- .32    2.59 +- .26

So the metric is worth four nats of the gap and 2.6 of -ELBO, and nothing to the decoder. (.2 +- .2
% of plain_prior's draws fold, so its bounds are not strict.)
"""

from configs.posteriors import mnist

PLAIN = dict(
    newton_steps=0, pressure=False, residual_bound=100.0
)  # the network alone: none of the decoder's answers
SLOW = dict(learning_rate=2e-3, em=dict(sampler_steps=4))  # at 5e-3 it runs away
VARIANTS = dict(
    wide=dict(model=dict(embed_features=(1024, 1024))),
    deep=dict(model=dict(embed_features=(512, 512, 512))),
    no_pressure=dict(model=dict(pressure=False)),
    no_newton=dict(model=dict(newton_steps=0)),
    prior=dict(model=PLAIN | dict(reference="prior")),
    plain_posterior=dict(model=PLAIN, **SLOW),
    plain_prior=dict(model=PLAIN | dict(reference="prior"), **SLOW),
    denoising=dict(em=dict(target="denoising")),
    smooth_targets=dict(em=dict(smooth_targets=True)),
)


def get_config():
    config = mnist.get_config()
    config.variants = {
        name: dict(method="importance", **changes) for name, changes in VARIANTS.items()
    }
    config.methods = ("importance", *VARIANTS)
    config.num_updates = 4000
    config.evaluate_every = 0
    config.eval.update(num_examples=500, num_samples=50, ais_examples=0)
    return config
