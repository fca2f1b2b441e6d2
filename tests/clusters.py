"""Two labelled clusters with exact scores, as a model of images of one pixel: what labels tell is
known in full."""

import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.processes import VPLinear


class TwoClusters:
    """x ~ N(+-2, 1) by its label, with exact scores, in place of a `Denoiser`."""

    process = VPLinear()

    def score_fn(self, params, reference, condition=None):
        def score(x, t):
            alpha = self.process.alpha(t)[:, None, None, None]
            if condition is None:
                return 2 * alpha * jnp.tanh(2 * alpha * x) - x
            return 2 * alpha * (2 * condition[:, None, None, None] - 1) - x

        return score


def sample_clusters():
    """(x [n, 1, 1, 1], labels [n], I(X;Y) by quadrature)."""
    rng = np.random.default_rng(0)
    labels = (np.arange(20_000) % 2).astype(np.int32)
    x = (4.0 * labels - 2 + rng.normal(size=len(labels))).astype(np.float32).reshape(-1, 1, 1, 1)
    return x, labels, information_up_to(np.inf)


def information_up_to(log_snr: float) -> float:
    """I(x_lambda; Y) by quadrature, where x_lambda ~ N(+-2 alpha, 1)."""
    shift = 2 / np.sqrt(1 + np.exp(-log_snr))
    grid = np.linspace(-12, 12, 20_001)
    weight = np.exp(-0.5 * np.square(grid - shift)) / np.sqrt(2 * np.pi)
    return float(np.log(2) - np.trapezoid(weight * np.logaddexp(0, -2 * shift * grid), grid))
