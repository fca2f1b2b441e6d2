"""Decoders p_phi(x|z), and the joint density that they define with the prior N(0, I).

A decoder is a frozen dataclass of pure functions of its parameters. It is asked in two steps:

    observation = decoder.observe(key, x)
    decoder.log_prob(params, observation, z)      [batch], in nats, summed over the data dimensions

`log_prob` is a deterministic function of z for its observation. `decoder.is_exact` tells what its
value is. If True, it is log p(x|z), and the observation is x itself. If False, `observe` adds to x
whatever noise is needed, and the value is a draw of a lower bound of log p(x|z). One observation
then serves as a likelihood of its own, but values of different observations cannot be compared.
Whatever would compare them calls `check_exact` first.

A decoder also has `init(key, latent_dim)`, `mean(params, z)` and `sample(key, params, z)`. It may
have `log_prob_pairs`, see below; `about_latent(observation)`, which drops from an observation what
does not depend on z, so that an E-step need not compute it; `curvature_draw`, and with it
`log_prob_and_probe`, see `em`; `bound`, the decoder to report where `log_prob` is weighted.

Shapes: x [batch, ...], flattened here to [batch, D]; z [batch, d]; means and samples [batch, D]. An
observation is an array or a tree of arrays with one row for each example.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import init
from diffenc.errors import InputError, check_choice
from diffenc.networks import MLP

KINDS = ("bernoulli", "gaussian")
# Of a column, in units of x, in which data are standardized.
LEAST_TAU = 1e-3
FACTORS = 16  # 2^16 and its square are far from the largest number
ACTIVATIONS = ("tanh", "silu", "relu", "gelu", "softplus")


@dataclasses.dataclass(frozen=True)
class Bernoulli:
    """Independent bits: p(x|z) = prod_i sigmoid((2 x_i - 1) logit_i(z)), x in {0, 1}.

    Attributes:
        network: z [batch, d] -> logits [batch, D].
    """

    network: MLP
    is_exact = True

    def init(self, key: jax.Array, latent_dim: int):
        """Make the parameters of the network."""
        return init(self.network, key, np.zeros((1, latent_dim), np.float32))

    def observe(self, key: jax.Array | None, x: jax.Array) -> jax.Array:
        """Return x: the likelihood is exact, and nothing is drawn."""
        return x

    def log_prob(self, params, observation: jax.Array, z: jax.Array) -> jax.Array:
        """Evaluate log p(x|z).

        Args:
            params: of the network.
            observation: x [batch, ...].
            z: latents [batch, d].

        Returns:
            [batch], in nats.
        """
        logits = self.network.apply(params, z)
        return jnp.sum(_flat(observation) * logits, axis=-1) - _softplus_sum(logits)

    def log_prob_pairs(self, params, observation: jax.Array, z: jax.Array) -> jax.Array:
        """Evaluate log p(x_i|z_k) of every pair; the network sees each z once.

        Args:
            params: of the network.
            observation: x [batch, ...].
            z: latents [K, d].

        Returns:
            [K, batch], in nats.
        """
        logits = self.network.apply(params, z)
        return logits @ _flat(observation).T - _softplus_sum(logits)[:, None]

    def mean(self, params, z: jax.Array) -> jax.Array:
        """Compute E[x|z] [batch, D], the probabilities of ones."""
        return jax.nn.sigmoid(self.network.apply(params, z))

    def sample(self, key: jax.Array, params, z: jax.Array) -> jax.Array:
        """Draw x ~ p(x|z) [batch, D], in {0., 1.}."""
        return jax.random.bernoulli(key, self.mean(params, z)).astype(z.dtype)


def log_tau_of_columns(params) -> jax.Array:
    """Compute log tau [D] of a `Gaussian` that has one for each dimension."""
    return 0.5 * jnp.logaddexp(2 * params["log_tau"], 2 * np.log(LEAST_TAU))


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """x = network(z) + tau noise: log N(x; network(z), diag(tau^2)), with a learned scale tau.

    A network without hidden layers makes this factor analysis; with one tau for all dimensions,
    that with isotropic noise (probabilistic PCA).

    Attributes:
        network: z [batch, d] -> mean [batch, D].
        has_columns: whether every dimension has a tau of its own, with tau^2 = exp(2 log_tau) +
            `LEAST_TAU`^2: a column of a few values could else have a density without limit.
        log_volume: x may be data in other units; this is the log of the volume of the data that is
            one of x. It is subtracted, so that the density is that of the data.
    """

    network: MLP
    log_volume: float = 0.0
    has_columns: bool = False
    is_exact = True

    def init(self, key: jax.Array, latent_dim: int):
        """Make the parameters: those of the network, and log tau = 0."""
        shape = (self.network.num_outputs,) if self.has_columns else ()
        return {
            "network": init(self.network, key, np.zeros((1, latent_dim), np.float32)),
            "log_tau": jnp.zeros(shape),
        }

    def observe(self, key: jax.Array | None, x: jax.Array) -> jax.Array:
        """Return x: the likelihood is exact, and nothing is drawn."""
        return x

    def log_prob(self, params, observation: jax.Array, z: jax.Array) -> jax.Array:
        """Evaluate log p(x|z).

        Args:
            params: of the network, and log tau.
            observation: x [batch, ...].
            z: latents [batch, d].

        Returns:
            [batch], in nats.
        """
        x = _flat(observation)
        log_tau = self.log_tau(params)
        error = (x - self.mean(params, z)) * jnp.exp(-log_tau)
        log_scale = jnp.mean(log_tau) + 0.5 * np.log(2 * np.pi)
        return -0.5 * jnp.sum(error**2, axis=-1) - (x.shape[-1] * log_scale + self.log_volume)

    def mean(self, params, z: jax.Array) -> jax.Array:
        """Compute E[x|z] [batch, D]."""
        return self.network.apply(params["network"], z)

    def sample(self, key: jax.Array, params, z: jax.Array) -> jax.Array:
        """Draw x ~ p(x|z) [batch, D]."""
        mean = self.mean(params, z)
        return mean + jnp.exp(self.log_tau(params)) * jax.random.normal(key, mean.shape)

    def log_tau(self, params) -> jax.Array:
        """Compute log tau, of one number or [1, D]."""
        if not self.has_columns:
            return params["log_tau"]
        return log_tau_of_columns(params)[None]


def make(
    kind: str, data_dim: int, features: tuple[int, ...] = (), activation: str = "tanh"
) -> Bernoulli | Gaussian:
    """Make a decoder whose network is an MLP.

    Args:
        kind: "bernoulli" or "gaussian".
        data_dim: number of data dimensions D.
        features: widths of the hidden layers; none makes it linear.
        activation: a name of `ACTIVATIONS`.

    Returns:
        The decoder.

    Raises:
        InputError: for an unknown kind or activation.
    """
    check_choice("decoder", kind, KINDS)
    check_choice("activation", activation, ACTIVATIONS)
    network = MLP(tuple(features), data_dim, getattr(jax.nn, activation))
    return {"bernoulli": Bernoulli, "gaussian": Gaussian}[kind](network)


def check_exact(decoder, purpose: str) -> None:
    """Raise an InputError, which names the purpose, unless the decoder's likelihood is exact."""
    if not decoder.is_exact:
        raise InputError(
            f"the decoder {type(decoder).__name__} gives draws of a bound of log p(x|z): "
            f"{purpose} needs log p(x|z) itself, use an exact decoder such as bernoulli or gaussian"
        )


def check_gradient(decoder, purpose: str) -> None:
    """Raise an InputError, which names the purpose, unless `log_prob` has its values' gradient."""
    if getattr(decoder, "has_constants", False):
        raise InputError(
            f"{purpose} weighs latents by values of the likelihood, which above the split depend "
            "on coordinates that may not be moved from there: with two latents and "
            "decoder.sees_above=True give em.e_step=encoder, or chains with em.kernel=ula"
        )


def log_prior(z: jax.Array) -> jax.Array:
    """Evaluate log N(z; 0, I) [batch], in nats."""
    return -0.5 * jnp.sum(z**2, axis=-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi)


def log_joint(decoder, params, observation, z: jax.Array, gamma: float = 1.0) -> jax.Array:
    """Evaluate log p(z) + (1/gamma) log p(x|z), the tempered posterior up to a constant.

    See arXiv 2605.13399.

    Args:
        decoder: p(x|z).
        params: of the decoder.
        observation: of x, with one row for each z.
        z: latents [batch, d].
        gamma: the temperature; 1 gives log p(x, z).

    Returns:
        [batch], in nats.
    """
    return log_prior(z) + decoder.log_prob(params, observation, z) / gamma


def log_prob_pairs(decoder, params, observation, z: jax.Array) -> jax.Array:
    """Evaluate log p(x_i|z_k) of every pair, by the decoder's own `log_prob_pairs` if it has one.

    Args:
        decoder: p(x|z).
        params: of the decoder.
        observation: of x, one row for each of the `batch` examples.
        z: latents [K, d].

    Returns:
        [K, batch], in nats.
    """
    if hasattr(decoder, "log_prob_pairs"):
        return decoder.log_prob_pairs(params, observation, z)

    def of_example(row):
        def for_every_z(leaf):
            return jnp.broadcast_to(leaf[None], (len(z), *leaf.shape))

        return decoder.log_prob(params, jax.tree.map(for_every_z, row), z)

    return jax.vmap(of_example, out_axes=1)(observation)


def about_latent(decoder, observation):
    """Drop what does not depend on z from an observation, if the decoder can.

    `log_prob` then moves by a constant of each example.
    """
    if hasattr(decoder, "about_latent"):
        return decoder.about_latent(observation)
    return observation


def bound_of(decoder):
    """Give the decoder to measure: one whose `log_prob` is not weighted, as training's may be."""
    return getattr(decoder, "bound", decoder)


@jax.custom_jvp
def _softplus_sum(a: jax.Array) -> jax.Array:
    """Compute sum_i log(1 + exp(a_i)) over the last axis, [..., D] -> [...].

    A logarithm is the larger part of a softplus. Each of these is of a product of `FACTORS` numbers
    in (1, 2]. The gradient is the sigmoid alone; JAX's own asks for the value, and for one more
    exponential.
    """
    factors = 1.0 + jnp.exp(-jnp.abs(a))
    missing = -a.shape[-1] % FACTORS
    factors = jnp.pad(factors, [(0, 0)] * (a.ndim - 1) + [(0, missing)], constant_values=1.0)
    products = factors.reshape(*a.shape[:-1], FACTORS, -1).prod(axis=-2)
    return jnp.maximum(a, 0.0).sum(axis=-1) + jnp.log(products).sum(axis=-1)


@_softplus_sum.defjvp
def _softplus_sum_jvp(primals, tangents):
    (a,) = primals
    (tangent,) = tangents
    return _softplus_sum(a), jnp.sum(jax.nn.sigmoid(a) * tangent, axis=-1)


def _flat(x: jax.Array) -> jax.Array:
    """[batch, ...] -> [batch, D]."""
    return x.reshape(x.shape[0], -1)
