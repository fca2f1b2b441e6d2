"""The pinwheel: as toys.py, but its four twisted arms take a denoiser longer to learn.

python -m experiments.posteriors --config=configs/posteriors/pinwheel.py --workdir=runs/pinwheel
"""

from configs.posteriors import toys


def get_config():
    config = toys.get_config()
    config.toys = ("pinwheel",)
    config.methods = ("importance", "flow_vae")
    config.num_updates = 3000
    config.batch_size = 256
    config.save_every = 3000
    return config
