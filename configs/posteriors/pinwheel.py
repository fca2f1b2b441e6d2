"""The pinwheel: as toys.py, but its four twisted arms take a denoiser longer to learn.

    python -m experiments.posteriors --config=configs/posteriors/pinwheel.py --workdir=runs/pinwheel

KL(exact posterior || encoder) in nats, 500 held-out x (best Gaussian 0.944 +- 0.018, goal 0.02):

    12,000 updates, --config.num_seeds=1, four minutes on one CPU core
        --config.seed=0, 1, 2                 0.0159 +- 0.0015, 0.0183 +- 0.0016, 0.0163 +- 0.0015
    12,000 updates, three seeds, one data set  0.0159 +- 0.0010   (eleven minutes, one CPU core)
    3,000 updates, three seeds                0.0383 +- 0.0025 (flow_vae 1893 +- 1886)

At seed 0 the bound on -log p(x) with 32 samples is 1.987 (truth 1.988) and -ELBO 2.012 +- 0.036;
the mass of q on the grid is 1.0017 +- 0.0013. The flow misses arms. What was tried before:
docs/notebook/posteriors_toys.md.
"""

from configs.posteriors import toys


def get_config():
    config = toys.get_config()
    config.toys = ("pinwheel",)
    config.methods = ("importance",)
    config.num_updates = 12000
    config.batch_size = 256
    config.save_every = 3000
    return config
