"""MNIST, binarized anew at every visit, d = 8: encoders of every kind with one decoder.

    python -m experiments.posteriors --config=configs/posteriors/mnist.py \
        --workdir=runs/posteriors_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

All seven methods, 24,000 updates, two hours of one of two CPU cores and 20 minutes to judge, seed
0, first 1,000 test images (--config.eval.num_examples=1000 --config.eval.ais_examples=300; nats;
nll by 100 samples, train_nll on 1,000 training images, ms: of an update):

                  nll            -ELBO          gap            ess   train_nll  folds  ms
    importance    95.29 +- .98    96.4 +- 1.0    1.30 +- .15   31.0   93.67     0      69
    langevin      95.85 +- .99    97.3 +- 1.0    1.49 +- .15   22.9   94.58     0.002  48
    persistent    99.1  +- 1.0   103.7 +- 1.1    7.33 +- .25    9.0   98.13     0.010  42
    wake_sleep   132.1  +- 1.4   137.1 +- 1.6    6.69 +- .65   22.9  132.4      0      35
    vae           97.5  +- 1.0   100.5 +- 1.1    4.16 +- .25   11.8   96.69            12
    iwae          96.8  +- 1.0   104.6 +- 1.1   11.65 +- .39    6.0   95.64            43
    flow_vae      97.1  +- 1.0    99.9 +- 1.1    4.06 +- .24   13.9   96.24            24

AIS with 200 temperatures and 4 chains, its gap on simulated images; the right half is above
importance, paired. With folds a number is no strict bound.

                  AIS nll        AIS gap           nll            -ELBO          AIS nll
    importance    96.0 +- 1.7    0.23 +- 0.10
    langevin      96.1 +- 1.7    0.63 +- 0.41       .56 +- .21     .87 +- .22      .04 +- .35
    persistent    99.8 +- 1.8    0.70 +- 0.22      3.82 +- .27    7.31 +- .31     3.82 +- .46
    wake_sleep   134.7 +- 2.5    0.03 +- 0.00     36.79 +- .73   40.71 +- .94    38.7  +- 1.3
    vae           97.8 +- 1.7    0.03 +- 0.00      2.25 +- .21    4.13 +- .25     1.77 +- .31
    iwae          96.6 +- 1.7    0.04 +- 0.01      1.55 +- .20    8.25 +- .30      .58 +- .31
    flow_vae      97.8 +- 1.7    0.03 +- 0.00      1.78 +- .20    3.54 +- .25     1.78 +- .34

On 1,000 test images AIS (same settings, fresh noise) gives importance 94.74 +- .95 and the IWAE .58
+- .18 above it, its gaps on simulated images .12 +- .03 and .05 +- .01.

What each part of the encoder is worth: ablations.py. Shorter runs, other proposals and what was
predicted: docs/notebook/posteriors_mnist.md.
"""

from configs.diffusion_encoder import mnist
from configs.posteriors.digits import posteriors_of


def get_config():
    config = posteriors_of(mnist.get_config())
    config.num_updates = 24000
    config.eval.update(ais_examples=1000, ais_temperatures=200)
    config.evaluate_every = 2000
    config.save_every = 2000
    return config
