"""The pinwheel: as toys.py, but its four twisted arms take a denoiser longer to learn.

    python -m experiments.posteriors --config=configs/posteriors/pinwheel.py --workdir=runs/pinwheel

KL(exact posterior || encoder) in nats, three seeds, 500 held-out x; 5 minutes on one of two shared CPU cores:
importance 0.0383 +- 0.0025 (best Gaussian 0.944 +- 0.018; flow_vae 1893 +- 1886: it misses arms). The goal, 0.02, is
not reached. The bound on -log p(x) with 32 samples is 1.988, and so is the truth; -ELBO 2.051 +- 0.037. What was tried
stands in toys.py.
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
