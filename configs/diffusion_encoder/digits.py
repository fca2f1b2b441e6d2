"""A diffusion encoder and a VAE on scikit-learn's 8x8 digits, binarized anew at every visit; d = 4.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/digits.py \
        --workdir=runs/digits

Two CPU cores, about a minute; seed 0, 299 held-out digits, nats, commit beba706 or before: nll
22.17 +- 0.23, and the VAE's 0.12 +- 0.06 above. Results are in docs/diffusion-encoder.md, the
choice of learning rates in docs/notebook/diffusion-encoder.md.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            # of every draw: initial values, data order, noise; not of what is held out
            seed=0,
            num_devices=0,  # 0: all of them
            data=dict(
                name="digits",  # or factor_analysis, file, or an image set of TensorFlow Datasets
                dir="",  # of prepared TFDS data
                path="",  # of a file: .npy, .npz or a table
                cache_dir="",  # where decoded TFDS images are kept for the next run; "": nowhere
                test_fraction=0.1667,  # of digits and of a file without a test array
                # n: measure on n training examples, kept from training, instead of the test set
                validation=0,
                values="auto",  # what numbers in [0, 1] of a file are: or chances (of bits), reals
            ),
            model=dict(
                latent_dim=4,
                decoder="bernoulli",  # or gaussian
                # of a gaussian decoder, a learned scale: one, or one for each column; auto: for
                # each of vectors, one of images
                noise="auto",
                decoder_features=(256, 256),  # its hidden layers
                activation="tanh",  # of the decoder; or silu, relu, gelu, softplus
                embed_features=(256, 256),  # what the encoder (and the VAE's) sees of x
                features=(128, 128),  # of the denoiser, at every noise level
                # where the diffusion starts: posterior, a learned Gaussian; or prior, N(0, I)
                reference="posterior",
                # up the decoder's log posterior, from the mean that the network gives; 0: none
                newton_steps=1,
                # the denoiser starts from the decoder's gradient where it guesses z, or from 0
                pressure=True,
                residual_bound=5.0,  # of the denoiser's output
                # latents whose posterior weights the network sees beside x: for d <= 3
                landmarks=0,
                octaves=0,  # Fourier features of the latent that the denoiser sees
            ),
            em=dict(
                # How the posterior is sampled in training: importance, one of many weighted
                # proposals; langevin, short chains that start at the encoder; persistent, chains
                # that go on from visit to visit. A field that the choice does not read may not be
                # changed.
                e_step="importance",
                # importance: proposals from the encoder's Gaussian fit; or from N(0, I), for each
                # example by itself (prior) or for the whole batch (shared), which see all modes in
                # few dimensions
                proposal="gaussian",
                proposals=10,  # so many for each example
                proposal_width=1.3,  # of the proposals, in widths of the Gaussian fit
                # the denoiser learns from all proposals, not from the chosen one
                smooth_targets=False,
                # and so does the decoder, at as many gradients
                smooth_decoder=True,
                kernel="mala",  # langevin and persistent: mala, ula or hmc
                langevin_steps=2,  # of the chains, a batch at a time
                # of the chain at the start, in squared posterior widths; ula keeps it
                step_size=0.1,
                leapfrog_steps=3,  # hmc only
                sampler_steps=1,  # langevin only: of the encoder where chains start
                target="mixture",  # or denoising, pressure
                # of the loss's error along the sampler's path; see targets.path_error
                path_weight=0.0,
                gamma=1.0,  # bottleneck weight; 1: maximum likelihood
                draws=2,  # noise levels at which the denoiser sees each pair (x, z)
                null_probability=0.1,  # of dropping x: trains the learned prior
                average_decay=0.999,  # of the parameters that are evaluated
            ),
            baseline=True,  # train a VAE beside it
            num_updates=6000,
            batch_size=128,  # over all devices
            learning_rate=2e-3,  # its peak, after the warm-up; it falls to 0 like a cosine
            baseline_learning_rate=5e-3,  # of the VAE; 0: the same
            # updates in which E-step and decoder find each other; without it they can run away
            warmup=1000,
            clip_norm=50.0,  # 0: do not clip
            # in one compiled loop; between two of them a run can be stopped
            updates_per_dispatch=100,
            save_every=1000,  # updates; a multiple of updates_per_dispatch, as is the next
            evaluate_every=500,  # held-out curves; 0: never
            eval=dict(
                num_examples=0,  # 0: the whole test split
                num_samples=64,  # K of the importance bound
                sampler_steps=4,  # of the encoder whose density is measured
                langevin_steps=100,  # after which a sample counts as the posterior's
                # d = 2: n exact posterior draws for each example, for KL(exact || encoder)
                grid_draws=0,
                batch_size=300,  # held-out examples at a time: the memory of measuring
            ),
            metrics_extras=(),  # "tensorboard", "wandb"
        )
    )
