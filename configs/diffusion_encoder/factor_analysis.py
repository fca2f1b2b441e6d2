"""The exact test: factor analysis, whose maximum likelihood and posteriors have closed forms.

    python -m experiments.diffusion_encoder \
        --config=configs/diffusion_encoder/factor_analysis.py --workdir=runs/fa

The data are x = W z + mu + tau noise (D = 10, d = 2, N = 2,000, tau = 0.5), the decoder is linear.
The alternation must reach both. Seeds 0, 1 and 2, each with data of its own, after keys came from
names; nats, errors over examples and seeds: gap 0.0005 +- 0.0007 (goal 0.003; VAE 0.0254 +-
0.0086), KL(q || posterior) 0.00001 +- 0.00010 (goal 0.01; VAE 0.0317 +- 0.0107). Other runs are in
docs/notebook/diffusion-encoder.md.
"""

from configs.diffusion_encoder import digits


def get_config():
    config = digits.get_config()
    config.data.name = "factor_analysis"
    config.model.update(
        latent_dim=2,
        decoder="gaussian",
        noise="one",
        decoder_features=(),
        embed_features=(64, 64),
        features=(64, 64),
    )
    config.em.e_step = "langevin"  # whose chains suffice for Gaussian posteriors
    config.num_updates = 5000
    config.learning_rate = 5e-3
    config.eval.update(num_samples=64)
    return config
