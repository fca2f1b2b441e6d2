"""MNIST, binarized anew at every visit, d = 8: encoders of every kind with one decoder.

    python -m experiments.posteriors --config=configs/posteriors/mnist.py \
        --workdir=runs/posteriors_mnist --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

All seven methods, 24,000 updates, two hours of one of two CPU cores and 20 minutes to judge, seed
0, first 1,000 test images (--config.eval.num_examples=1000 --config.eval.ais_examples=300
--config.methods="('importance','vae','iwae', 'flow_vae','langevin','persistent','wake_sleep')";
nats; nll by 100 samples, train_nll on 1,000 training images, AIS with 200 temperatures and 4
chains, its gap on simulated images; ms: of an update):

                  nll            -ELBO          gap            ess   train_nll  AIS nll       AIS gap        folds  ms
    importance    95.29 +- .98    96.4 +- 1.0    1.30 +- .15   31.0   93.67      96.0 +- 1.7   0.23 +- 0.10   0      69
    langevin      95.85 +- .99    97.3 +- 1.0    1.49 +- .15   22.9   94.58      96.1 +- 1.7   0.63 +- 0.41   0.002  48
    persistent    99.1  +- 1.0   103.7 +- 1.1    7.33 +- .25    9.0   98.13      99.8 +- 1.8   0.70 +- 0.22   0.010  42
    wake_sleep   132.1  +- 1.4   137.1 +- 1.6    6.69 +- .65   22.9  132.4      134.7 +- 2.5   0.03 +- 0.00   0      35
    vae           97.5  +- 1.0   100.5 +- 1.1    4.16 +- .25   11.8   96.69      97.8 +- 1.7   0.03 +- 0.00          12
    iwae          96.8  +- 1.0   104.6 +- 1.1   11.65 +- .39    6.0   95.64      96.6 +- 1.7   0.04 +- 0.01          43
    flow_vae      97.1  +- 1.0    99.9 +- 1.1    4.06 +- .24   13.9   96.24      97.8 +- 1.7   0.03 +- 0.00          24

Paired over importance (nll; -ELBO; AIS): langevin .56 +- .21; .87 +- .22; .04 +- .35. persistent
3.82 +- .27; 7.31 +- .31; 3.82 +- .46. wake_sleep 36.79 +- .73; 40.71 +- .94; 38.7 +- 1.3. vae 2.25
+- .21; 4.13 +- .25; 1.77 +- .31. iwae 1.55 +- .20; 8.25 +- .30; .58 +- .31. flow_vae 1.78 +- .20;
3.54 +- .25; 1.78 +- .34. (With folds a number is no strict bound.) On 1,000 test images AIS (same
settings, fresh noise) gives importance 94.74 +- .95 and the IWAE .58 +- .18 above it, its gaps on
simulated images .12 +- .03 and .05 +- .01.

What each part of the encoder is worth: ablations.py.

12,000 updates on one CPU core, 27 minutes, seed 0, first 1,000 test images, AIS of 500
(--config.num_updates=12000 --config.methods="('importance','vae','iwae')"
--config.eval.num_examples=1000 --config.eval.ais_examples=500; nats; nll by 100 samples, train_nll
on 1,000 training images, AIS with 200 temperatures and 4 chains, its gap on simulated ones):

                  nll            -ELBO           gap            ess    train_nll  AIS nll        AIS gap        ms
    importance    96.07 +- .99    97.1  +- 1.0     1.21 +- .15   33.1   95.40      95.9 +- 1.3    0.15 +- 0.10   71.0
    vae           98.9  +- 1.0   101.7  +- 1.1     3.73 +- .20   11.1   98.54      98.3 +- 1.3    0.02 +- 0.00   12.7
    iwae          98.0  +- 1.0   105.4  +- 1.1    11.47 +- .36    6.0   97.65      97.1 +- 1.3    0.05 +- 0.01   45.0

Paired over importance: vae nll 2.85 +- .20, -ELBO 4.66 +- .22, AIS 2.42 +- .25; iwae nll 1.95 +-
.19, -ELBO 8.33 +- .26, AIS 1.16 +- .25. The same trained on an H200 (1.3, 0.3 and 0.5 ms an update
while it had the GPU to itself), judged on a CPU: importance nll 96.09, iwae 1.85 +- .20 above it,
by AIS 1.08 +- .24.

Wake-sleep's rate, on 1,000 held-out training images after 6,000 updates (H200): 1e-4, 3e-4, 1e-3,
3e-3 give nll 177.9 +- 1.4, 168.2 +- 1.5, 156.9 +- 1.6, 157.8 +- 1.7.

With --config.em.proposal_width=1 (1.3 now) and annealing from the encoder's Gaussian, 24,000
updates, 2,000 test images, AIS of 1,000 (mnist16.py tells why both changed):

                  nll            -ELBO           gap            ess    train_nll  AIS nll        AIS gap        ms
    importance    96.54 +- .67    97.56 +- .69    1.13 +- .12   32.9   94.42      95.27 +- .95   0.45 +- 0.09  54.7
    vae           98.14 +- .70   101.15 +- .74    4.12 +- .17   11.5   96.69      96.09 +- .96   0.04 +- 0.01   9.6
    iwae          97.34 +- .69   105.12 +- .77   12.01 +- .27    6.2   95.72      95.18 +- .94   0.13 +- 0.02  35.5

Paired over importance: vae nll 1.60 +- .15, -ELBO 3.58 +- .18, AIS 0.82 +- .18; iwae nll 0.80 +-
.14, AIS -0.09 +- .17.

Predicted, from 4,000 updates (below): a decoder that learns from all weighted proposals beats the
IWAE by more than half a nat. Measured: by the bound of 100 samples, yes; annealed importance
sampling does not tell the two decoders apart, and its own gap (0.45 and 0.13 nats on simulated
images) is of the size of the question. The bound on training images is lower than the IWAE's by
1.30, on test images by 0.80, unpaired: it suggests that half a nat more is learned by heart.

4,000 updates, 1,000 held-out training images (data.validation=2000), 50 samples, AIS of 300; the
decoder learns from all ten weighted proposals (em.smooth_decoder, the default here), or from one
chosen by weight:

                                nll            -ELBO         train_nll       AIS nll
    importance, all proposals    99.73 +- .99   100.39        101.30          99.4 +- 1.7
    importance, one             100.18 +- .99   100.88        101.81         100.2 +- 1.8
    iwae                        102.40 +- 1.02  108.69        104.12         101.1 +- 1.8

(the errors are mostly shared: the same images). Held-out images do no worse than training ones: no
sign of the overfitting at this length.
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
