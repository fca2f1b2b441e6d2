"""Likelihood of scikit-learn's 8x8 digits in bits a dimension: 17 levels.

    python -m experiments.warm_start --config=configs/warm_start/digits.py \
        --workdir=runs/warm_start_digits

Two CPU cores, an hour beside other work; three seeds, 299 held-out digits: 1.806 +- 0.013 bits a
dimension from a cold start, 1.832 +- 0.013 from a warm one, 2.244 +- 0.014 without the grid. The
table is in docs/likelihood.md.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            # of every draw: initial values, data order, noise; not of what is held out
            seed=0,
            num_seeds=3,  # systems of each model
            num_devices=0,  # 0: all of them
            systems_at_once=0,  # that share a program; 1: one after another; 0: 1 on CPUs, else all
            methods=("cold", "warm", "plain"),  # which of `models` are trained
            models=dict(
                # head: what the network gives, logits or logistics of the values, or v alone
                # bins: noise of the start, in distances of neighbouring values
                # schedule: how noise levels are drawn in training: uniform, alpha2, vp_time,
                # straight_time, or learned: variance, entropy
                cold=dict(head="logits", bins=0.17, schedule="variance"),
                warm=dict(head="logits", bins=1.65, schedule="variance"),
                plain=dict(head="v", bins=0.17, schedule="variance"),
            ),
            data=dict(
                name="digits",  # or file, text, or an image set of TensorFlow Datasets
                dir="",  # of prepared TFDS data
                path="",  # of a file: .npy, .npz or a table; of a text, "" for generated sentences
                length=64,  # characters of a window of text
                cache_dir="",  # where decoded TFDS images are kept for the next run; "": nowhere
                test_fraction=0.1667,  # of digits and of a file without a test array
                # n: measure on n training examples, kept from training, instead of the test set
                validation=0,
            ),
            model=dict(
                network="unet",  # or mlp, for vectors; sequence, for texts
                features=(32, 64),  # channels of each resolution; one width of other networks
                blocks=1,  # of the network; of the U-Net at each resolution
                attention=(),  # unet: sides of the feature maps at which it attends; (): once
                dropout=0.3,  # share of the numbers inside each block
                precision="float32",  # unet: or bfloat16, for its products
                # what the network sees: the noisy numbers, or the code that each of them leads one to
                # expect by itself; heads other than v
                sees="noisy",
                fourier=(),  # of code grid: exponents n of waves sin, cos(2^n pi x) beside x
                code="grid",  # where values stand: grid, one_hot or bits
                low=-8.0,  # the smallest log signal-to-noise ratio
            ),
            num_updates=500,
            batch_size=128,  # over all devices
            learning_rate=2e-3,  # its peak, after the warm-up; it falls to 0 like a cosine
            warmup=100,
            clip_norm=0.0,  # 0: do not clip
            average_decay=0.999,  # of the parameters that are evaluated
            updates_per_dispatch=100,
            save_every=500,  # updates; a multiple of updates_per_dispatch, as is the next
            evaluate_every=100,  # held-out curves; 0: never
            eval=dict(
                num_examples=0,  # 0: the whole test split
                monitor=150,  # examples of the curves
                draws=64,  # noise levels of each example
                batch_size=100,  # examples at a time: the memory of measuring
                samples=25,  # draws of x for a figure; 0: none
                sampler_steps=250,
            ),
            metrics_extras=(),  # "tensorboard", "wandb"
        )
    )
