"""What every experiment's update costs, against the limits of the machine.

    python -m experiments.benchmarks --config=configs/benchmarks/table.py --workdir=runs/benchmarks

Each section of `experiments` is a config of one experiment, made small where its data are small;
every field of it can be overridden. The table is in docs/benchmarks.md.
"""

from ml_collections import ConfigDict

from configs.action_principle import learn, sampling
from configs.diffusion_decoder import digits as decoder_digits
from configs.diffusion_encoder import mnist
from configs.guidance_images import digits as guidance_digits
from configs.labels import digits as labels_digits
from configs.mutual_information import benchmark as information
from configs.neural_entropy import digits as entropy_digits
from configs.neural_entropy import gaussian_mixture
from configs.posteriors import toys
from configs.warm_start import digits as warm_start_digits


def get_config():
    """Make the config."""
    experiments = dict(
        diffusion_encoder=mnist.get_config(),  # its sizes, on random bits
        posteriors=toys.get_config(),
        diffusion_decoder=decoder_digits.get_config(),
        mixture=gaussian_mixture.get_config(),
        images=entropy_digits.get_config(),
        labels=labels_digits.get_config(),
        guidance_images=guidance_digits.get_config(),
        warm_start=warm_start_digits.get_config(),
        action_learn=learn.get_config(),
        action_sampling=sampling.get_config(),
        mutual_information=information.get_config(),
        encoder=toys.get_config(),
        sampler=gaussian_mixture.get_config(),
    )
    experiments["posteriors"].update(
        toys=("ring",),
        num_seeds=1,
        methods=("importance", "langevin", "persistent", "wake_sleep", "vae", "iwae", "flow_vae"),
    )
    experiments["diffusion_decoder"].methods = ("diffusion_encoder", "gaussian_encoder", "vae")
    for name in ("diffusion_decoder", "warm_start", "mixture", "sampler"):
        experiments[name].num_seeds = 1
    for name in ("mixture", "sampler"):
        experiments[name].update(processes=("vp",), dimensions=(9,))
    experiments["images"].samples = (0,)
    experiments["warm_start"].methods = ("cold",)
    experiments["action_learn"].dimensions = (20,)
    experiments["action_sampling"].targets = ("double_well",)
    experiments["mutual_information"].tasks = ("student_5x5_dof2",)
    experiments["encoder"].toys = ("ring",)
    return ConfigDict(
        dict(
            benchmark=dict(
                rows=tuple(experiments),
                turns=7,
                turn_seconds=0.5,
                updates=10,  # in a call of a program
                steps=(1, 2, 4, 8, 16),  # of the encoder and of the sampler
                encoder_updates=600,  # of the encoder whose loss is measured
                draws=4000,  # samples by which the sampler's loss is measured
                peak_sides=(256, 768, 1024),  # of matrices; the fastest product counts
            ),
            experiments=experiments,
        )
    )
