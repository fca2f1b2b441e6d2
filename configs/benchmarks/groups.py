"""Systems trained together, in one dispatch, against the same systems one after another.

    python -m experiments.benchmarks.groups --config=configs/benchmarks/groups.py \
        --workdir=runs/groups

Each section of `experiments` is a config of one experiment; its number of seeds is that of the
group. On two CPU cores the larger programs want --config.benchmark.updates=10. Results are in
docs/benchmarks.md.
"""

from ml_collections import ConfigDict

from configs.diffusion_decoder import digits as decoder_digits
from configs.neural_entropy import digits as entropy_digits
from configs.neural_entropy import gaussian_mixture
from configs.posteriors import toys
from configs.warm_start import digits as warm_start_digits


def get_config() -> ConfigDict:
    """Make the config."""
    experiments = dict(
        mixture=gaussian_mixture.get_config(),
        posteriors=toys.get_config(),
        diffusion_decoder=decoder_digits.get_config(),
        images=entropy_digits.get_config(),
        warm_start=warm_start_digits.get_config(),
    )
    experiments["mixture"].update(processes=("vp",), dimensions=(9,))
    experiments["posteriors"].update(
        toys=("ring",), methods=("vae", "importance", "langevin", "flow_vae")
    )
    experiments["diffusion_decoder"].methods = ("vae", "gaussian_encoder")
    experiments["images"].samples = (0,)
    experiments["warm_start"].methods = ("plain",)
    return ConfigDict(
        dict(
            benchmark=dict(
                rows=tuple(experiments),
                sizes=(3, 8),
                turns=7,
                turn_seconds=0.5,
                updates=100,  # of each system in a dispatch, as the experiments have it
            ),
            experiments=experiments,
        )
    )
