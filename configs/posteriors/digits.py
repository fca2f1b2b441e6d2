"""scikit-learn's digits, d = 4: encoders of every kind with one decoder.

    python -m experiments.posteriors --config=configs/posteriors/digits.py \
        --workdir=runs/posteriors_digits

One of two CPU cores that others shared, 27 minutes of training, seed 0, commit beba706 or before:
nll of importance 22.17 +- 0.23 nats; all but wake_sleep lie within 0.2 nats of it, and differ more
in their -ELBO. The table is in docs/posteriors.md.
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
            systems_at_once=0,  # that share a program; 1: one after another; 0: 1 on CPUs, else all
            rivals=dict(iwae_samples=10),
        )
    )
    # Of "importance". Proposals no wider than the Gaussian fit, of the decoder's curvature at the
    # mode, miss the posterior's tails; a factor of 1.3 raised their bound by 0.3 (d = 8) and 0.5
    # nats (d = 16): see docs/notebook/posteriors.md.
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
