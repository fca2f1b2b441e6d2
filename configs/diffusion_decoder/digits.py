"""Diffusion on both sides, on scikit-learn's 8x8 digits; d = 8.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/digits.py \
        --workdir=runs/diffusion_decoder_digits

Two CPU cores, about half an hour beside other work; three seeds, 299 held-out digits: the latent
holds 7.67 +- 0.06 nats and costs 0.72 +- 0.27 nats of -ELBO. Results are in
docs/diffusion-decoder.md.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            # of every draw: initial values, data order, noise; not of what is held out
            seed=0,
            num_seeds=3,  # systems of each method
            num_devices=0,  # 0: all of them
            systems_at_once=0,  # that share a program; 1: one after another; 0: 1 on CPUs, else all
            # the first is what the experiment is about; the others are its rivals and controls
            methods=(
                "diffusion_encoder",
                "gaussian_encoder",  # reparameterized through the denoising loss: a diffusion VAE
                "deterministic_encoder",  # as in a diffusion autoencoder; it has no rate
                "vae",  # a Gaussian decoder
                "without_latent",  # the decoder alone
            ),
            data=dict(
                name="digits",  # or file, or an image set of TensorFlow Datasets
                dir="",  # of prepared TFDS data
                path="",  # of a file: .npy, .npz or a table
                cache_dir="",  # where decoded TFDS images are kept for the next run; "": nowhere
                test_fraction=0.1667,  # of digits and of a file without a test array
                # n: measure on n training examples, kept from training, instead of the test set
                validation=0,
            ),
            model=dict(
                latent_dim=8,
                embed_channels=(),  # of convolutions by which encoders see images; (): none
                embed_features=(256, 256),  # of the dense layers after them
                features=(128, 128),  # of the encoder's denoiser, at every noise level
                residual_bound=5.0,  # of the denoiser's output
                decoder_features=(256, 256),  # of the VAE's Gaussian decoder
                activation="silu",  # of that decoder
            ),
            decoder=dict(
                network="mlp",  # or unet, for larger images
                features=(256,),  # the MLP's width; the U-Net's channels of each resolution
                blocks=2,  # of the MLP; of the U-Net at each resolution
                attention=(),  # unet: sides of the feature maps at which it attends
                rematerialize=False,  # unet: compute it again in the backward pass, for memory
                precision="float32",  # unet: or bfloat16, for its products
                low=-7.0,  # the smallest log signal-to-noise ratio
                high=7.0,  # the largest, at which x is read off
                split=0.0,  # z is seen below it; high: everywhere
                sees_above=True,  # z is seen above it, too, where no gradient moves it
                location=-1.0,  # where levels below the split are drawn most
                location_above=1.0,  # and those above it
                weighting="elbo",  # of levels in training; or sigmoid, for noised x in x's place
                weighting_bias=2.0,  # sigmoid: the level that weighs one half
                draws=4,  # levels for each example and side of the split
                perceptual_dim=0,  # so many of the latent's dimensions are seen above the split
                sampler_steps=25,  # of the flow that draws x
            ),
            em=dict(
                # How the posterior is sampled in training: encoder, its samples as they are;
                # importance, one of many weighted proposals; langevin, short chains.
                e_step="encoder",
                sampler_steps=1,  # of the encoder, which draws z in training
                kernel="ula",  # langevin: or mala, hmc
                langevin_steps=2,
                step_size=0.1,
                proposal="gaussian",
                proposals=10,
                proposal_width=1.3,
                smooth_targets=False,
                smooth_decoder=True,
                target="mixture",  # or denoising, pressure
                path_weight=0.0,
                gamma=0.1,  # weight of the rate
                rate=0.0,  # nats that the latent is to hold: gamma follows; 0: it stays
                draws=2,  # noise levels at which the encoder sees each pair (x, z)
                null_probability=0.1,  # of dropping x: trains the learned prior
                average_decay=0.999,  # of the parameters that are evaluated
            ),
            sweep=dict(gammas=(), splits=()),  # train at each of them; (): at the config's own
            num_updates=2000,
            first_updates=0,  # before them, in which encoders learn from a Gaussian decoder
            refit_updates=1000,  # of encoders at gamma = 1 while decoders rest; 0: none
            batch_size=128,  # over all devices
            accumulate=1,  # updates whose gradients make one step
            learning_rate=2e-3,  # its peak, after the warm-up; it falls to 0 like a cosine
            warmup=200,
            clip_norm=50.0,  # 0: do not clip
            updates_per_dispatch=100,
            save_every=1000,  # updates; a multiple of updates_per_dispatch, as is the next
            evaluate_every=500,  # held-out curves; 0: never
            eval=dict(
                num_examples=0,  # 0: the whole test split
                num_samples=32,  # draws of z and noise for each example
                sampler_steps=4,  # of the encoder whose density is measured
                mean_samples=16,  # draws whose mean is probed
                neighbours=5,
                frechet_samples=0,  # draws of x compared with held-out ones; 0: none
                classifier_updates=2000,  # of the classifier in whose features they are compared
                batch_size=300,  # held-out examples at a time: the memory of measuring
                peak_side=0,  # of matrices whose products tell a device's peak; 0: no such numbers
            ),
            metrics_extras=(),  # "tensorboard", "wandb"
        )
    )
