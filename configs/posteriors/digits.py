"""scikit-learn's digits, encoders of every kind with one decoder.

    python -m experiments.posteriors --config=configs/posteriors/digits.py \
        --workdir=runs/posteriors_digits

One of two CPU cores that others shared, 27 minutes of training, seed 0, all held-out images, 64
samples, AIS of 200 (nats; folds 0, persistent 0.3 %, whose numbers are therefore no strict bounds):

                  nll            above importance   -ELBO    gap             ess    train_nll
    importance    22.17 +- .23                      22.47    0.21 +- .12    39.4   21.83
    langevin      22.21           0.04 +- .05       22.50    0.15 +- .12    38.3   21.92
    persistent    22.34           0.17 +- .07       22.99    0.91 +- .14    28.5   22.13
    wake_sleep    23.48           1.31 +- .12       23.74    0.38 +- .12    49.2   23.54
    vae           22.29           0.12 +- .06       22.68    0.54 +- .13    35.7   22.17
    iwae          22.05          -0.12 +- .06       24.06    3.03 +- .23    17.7   21.73
    flow_vae      22.20           0.03 +- .05       22.48    0.39 +- .13    40.3   22.06

AIS above importance: langevin 0.03 +- .07, persistent 0.29 +- .09, wake_sleep 1.39 +- .15, vae 0.13
+- .08, iwae -0.08 +- .08, flow_vae 0.07 +- .07. Milliseconds of an update, in the order of the
table: 45.9, 30.2, 26.5, 21.3, 5.4, 28.1, 22.7.

AIS gaps on simulated images: persistent 0.93 +- .22, iwae 0.23 +- .15, the others below 0.1, so AIS
decides nothing of these two. All but wake_sleep lie within 0.2 nats of importance, and differ more
in their -ELBO.
"""

from ml_collections import ConfigDict

from configs.diffusion_encoder import digits

METHODS = ("importance", "langevin", "persistent", "wake_sleep", "vae", "iwae", "flow_vae")


def get_config():
    return posteriors_of(digits.get_config())


def posteriors_of(config):
    """The configuration of a data set's diffusion encoder, with the fields of the comparison."""
    config.update(
        dict(
            toys=(),
            # any of METHODS, and the names of variants; differences are from the first
            methods=METHODS,
            # What a method, or a variant of one (method="langevin", say), changes of the rest.
            # Wake-sleep is the published scheme: a network alone, denoising from N(0, I), at a rate
            # of its own.
            variants=ConfigDict(
                dict(
                    wake_sleep=dict(
                        learning_rate=1e-3,
                        model=dict(
                            reference="prior", newton_steps=0, pressure=False, residual_bound=20.0
                        ),
                        em=dict(target="denoising", sampler_steps=8, path_weight=1.0),
                        eval=dict(sampler_steps=16),
                    )
                )
            ),
            num_seeds=1,
            rivals=dict(iwae_samples=10),
        )
    )
    # Of "importance". Proposals no wider than the Gaussian fit, of the decoder's curvature at the
    # mode, miss the posterior's tails; a factor of 1.3 raised their bound by 0.3 (d = 8) and 0.5
    # nats (d = 16): see mnist16.py.
    config.em.update(smooth_decoder=True, proposal_width=1.3)
    del config.em.e_step  # each method has its own
    config.eval.update(
        # annealed importance sampling: of so many held-out examples; 0: none
        ais_examples=200,
        # and of so many simulated ones, whose likelihood is bounded from both sides
        ais_simulated=200,
        ais_temperatures=100,
        ais_chains=4,
        grid_draws=32,  # the rest is of toys: exact draws for each held-out example
        grid_sampler_steps=32,  # of the encoder whose density is measured there
        grid_examples=0,  # for so many of them the density's mass on the whole grid
    )
    return config
