"""Growth of time and memory with sizes, and what updates exchange between devices.

    python -m experiments.benchmarks.growth --config=configs/benchmarks/growth.py \
        --workdir=runs/growth

One core beside one other program, six and a half minutes, commit cc3b12b. Results are in
docs/benchmarks.md.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        dict(
            turns=5,
            estimates=3,  # turns of each estimate of information
            least_seconds=0.05,  # a program of less is run several times in a turn
            fitted=3,  # how many of the largest sizes are fitted
            devices=(1, 2, 4, 8),  # virtual ones, over which an update is compiled; (): none
            # each program's own sizes, of which a sweep moves one
            encoder_update=dict(batch=128, latent_dim=8, width=256, chain_steps=2, proposals=0),
            unet_update=dict(batch=8, side=16, width=16, attends=0),
            attending_unet_update=dict(batch=4, side=16, width=8, attends=1),
            mlp_update=dict(batch=256, dim=16, width=256, depth=3),
            sampling=dict(steps=16, draws=1024, width=128),
            encoding=dict(examples=1024, steps=4, width=64),
            bound=dict(samples=4, width=64),
            annealing=dict(chains=4, temperatures=16, width=64),
            information=dict(rows=1000, columns=1),
            order=dict(examples=100000),
            checkpoint=dict(parameters=100000),
            # ascending sizes, three or more; () leaves a sweep out
            sweeps=dict(
                encoder_update=dict(
                    batch=(128, 512, 2048),
                    latent_dim=(8, 32, 128),
                    width=(256, 512, 1024),
                    chain_steps=(2, 16, 128),
                    proposals=(10, 40, 160),
                ),
                unet_update=dict(side=(16, 32, 64), width=(16, 32, 64)),
                attending_unet_update=dict(side=(32, 64, 96)),
                mlp_update=dict(width=(512, 1024, 2048), dim=(1024, 4096, 16384)),
                sampling=dict(steps=(8, 64, 512), draws=(256, 2048, 16384)),
                encoding=dict(examples=(512, 2048, 8192), steps=(4, 32, 256)),
                bound=dict(samples=(2, 16, 128)),
                annealing=dict(chains=(4, 32, 256), temperatures=(16, 128, 1024)),
                information=dict(rows=(1000, 2000, 4000), columns=(1, 2, 4)),
                order=dict(examples=(10**5, 10**6, 10**7)),
                checkpoint=dict(parameters=(10**5, 10**6, 10**7)),
            ),
            # of the estimates: short, and as many rounds whatever the data tell
            estimator=dict(
                denoiser=dict(width=32, rounds=4, patience=4),
                mixture=dict(rounds=4, patience=4),
                flow=dict(width=32, rounds=2, patience=2),
            ),
        )
    )
