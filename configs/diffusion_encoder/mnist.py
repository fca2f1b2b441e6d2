"""MNIST, binarized anew at every visit; d = 8, decoder 256-256 tanh.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/mnist.py --workdir=runs/mnist \
        --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA
"""

from configs.diffusion_encoder import digits


def get_config():
    config = digits.get_config()
    config.data.name = "mnist"
    config.model.update(latent_dim=8, embed_features=(512, 512), features=(256, 256))
    config.num_updates = 12000
    config.save_every = 1000
    config.evaluate_every = 500
    config.eval.update(num_examples=2000, num_samples=100, batch_size=250)
    return config
