"""The pinwheel: as toys.py, but its four twisted arms take a denoiser longer to learn.

    python -m experiments.posteriors --config=configs/posteriors/pinwheel.py --workdir=runs/pinwheel

One CPU core, eleven minutes, three seeds, commit beba706 or before: KL(exact posterior || encoder)
0.0159 +- 0.0010 nats (goal 0.02; best Gaussian 0.944 +- 0.018). Results are in docs/posteriors.md,
what was tried before in docs/notebook/posteriors.md.
"""

from configs.posteriors import toys


def get_config():
    config = toys.get_config()
    config.toys = ("pinwheel",)
    config.methods = ("importance",)
    config.em.update(langevin_steps=2, sampler_steps=1)  # their defaults: no chains here
    config.num_updates = 12000
    config.batch_size = 256
    config.save_every = 3000
    return config
