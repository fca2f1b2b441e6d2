"""The exact test: data from x = W z + mu + tau noise (D = 10, d = 2, N = 2,000, tau = 0.5) and a linear decoder.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/factor_analysis.py --workdir=runs/fa

Maximum likelihood and posterior are known in closed form; the alternation must reach both.
"""

from configs.diffusion_encoder import digits


def get_config():
    config = digits.get_config()
    config.data.name = "factor_analysis"
    config.model.update(
        latent_dim=2, decoder="gaussian", decoder_features=(), embed_features=(64, 64), features=(64, 64)
    )
    config.num_updates = 5000
    config.learning_rate = 5e-3
    config.eval.update(num_samples=64)
    return config
