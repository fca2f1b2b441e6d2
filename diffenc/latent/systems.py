"""The models that experiments train side by side: one decoder, many ways to infer its latent.

langevin      diffusion encoder, alternating EM with Markov chains started at the encoder (arXiv
              2605.13399)
persistent    the same with chains that go on where each example was left
importance    the same with importance-resampled proposals in place of chains
wake_sleep    diffusion encoder trained on dreams (arXiv 2401.02739)
vae, iwae, flow_vae     reparameterized bounds with a Gaussian encoder, K samples, a coupling flow
"""

import functools

import jax
import jax.numpy as jnp

from diffenc import training
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.latent import baselines, bounds, chains, decoders, em, toys, whitening
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import MLP, ConditionalDenoiser, Coupling

ALTERNATING = ("langevin", "persistent", "importance")
METHODS = (*ALTERNATING, "wake_sleep", "vae", "iwae", "flow_vae")


class System:
    """A model to train: its encoder and decoder, the state it starts from, its update, and the
    sampler_steps at which its encoder is measured."""

    def __init__(
        self, encoder, decoder, params, optimizer, update, sampler_steps, settings=None, z=None
    ):
        self.encoder, self.decoder, self.update, self.settings = encoder, decoder, update, settings
        self.sampler_steps = sampler_steps
        chain = chains.ChainState.create(settings, z) if settings else None
        self.state = training.TrainState.create(params, optimizer, chain)

    @property
    def is_persistent(self) -> bool:
        """Whether its batches are (x, index of each example)."""
        return self.settings is not None and self.settings.e_step == "persistent"


def make(
    method: str, config, decoder, data_dim: int, num_examples: int, seed: int, *names
) -> System:
    """The system of that method; those of one seed and of the same names start from the same
    decoder.

    config: see configs/diffusion_encoder; wake_sleep, iwae and flow_vae read config.rivals too."""
    model = config.model
    diffuses = method in (*ALTERNATING, "wake_sleep")
    learning_rate = (
        config.learning_rate if diffuses else config.baseline_learning_rate or config.learning_rate
    )
    optimizer = training.make_optimizer(
        learning_rate, config.num_updates, config.warmup, config.clip_norm or None
    )
    settings, z, decay = None, None, config.em.average_decay
    if diffuses:
        e_step = method if method in ALTERNATING else "langevin"
        settings = em.Settings(**(config.em.to_dict() | dict(e_step=e_step)))
        network = ConditionalDenoiser(
            model.latent_dim,
            tuple(model.embed_features),
            tuple(model.features),
            model.residual_bound,
            model.octaves,
        )
        encoder = DiffusionEncoder(
            network,
            model.reference,
            model.newton_steps,
            model.pressure,
            decoder,
            config.em.gamma,
            model.landmarks,
        )
        make_update = baselines.make_wake_sleep_update if method == "wake_sleep" else em.make_update
        update = make_update(encoder, decoder, settings, optimizer)
        if method == "persistent":
            z = jax.random.normal(key_of(seed, "chains", *names), (num_examples, model.latent_dim))
    elif method == "flow_vae":
        encoder = baselines.FlowEncoder(Coupling(model.latent_dim, tuple(model.embed_features)))
        update = baselines.make_importance_weighted_update(encoder, decoder, optimizer, 1, decay)
    else:
        encoder = baselines.GaussianEncoder(MLP(tuple(model.embed_features), 2 * model.latent_dim))
        if method == "vae":
            update = baselines.make_vae_update(encoder, decoder, optimizer, config.em.gamma, decay)
        else:
            samples = config.rivals.iwae_samples
            update = baselines.make_importance_weighted_update(
                encoder, decoder, optimizer, samples, decay
            )
    params = {
        "encoder": encoder.init(key_of(seed, "encoder", *names), jnp.zeros((1, data_dim))),
        "decoder": decoder.init(key_of(seed, "decoder", *names), model.latent_dim),
    }
    return System(
        encoder, decoder, params, optimizer, update, config.eval.sampler_steps, settings, z
    )


def with_index(make_x, key, rows):
    """The batch of a persistent system, (x, index of each example), from (rows, indices)."""
    return make_x(key, rows[0]), rows[1]


# ------------------------------------------------------------------------------ held-out quantities


@functools.partial(jax.jit, static_argnames=("encoder", "decoder", "num_samples", "sampler_steps"))
def _terms(key, params, x, *, encoder, decoder, num_samples, sampler_steps):
    return bounds.terms(key, encoder, decoder, params, x, num_samples, sampler_steps)


def held_out_terms(system: System, params, key, x, num_samples: int, batch_size: int):
    """`likelihood.Terms` of every example of x [n, D], in bounded memory."""
    sizes = dict(num_samples=num_samples, sampler_steps=system.sampler_steps)
    fn = functools.partial(_terms, encoder=system.encoder, decoder=system.decoder, **sizes)
    return map_examples(lambda key, x: fn(key, params, x), key, x, batch_size)


# Jitted with encoder and decoder as static arguments: compiled once for all seeds.
@functools.partial(jax.jit, static_argnames=("encoder", "sampler_steps"))
def _own(key, params, x, *, encoder, sampler_steps):
    return encoder.sample(key, params, encoder.infer(params, x), sampler_steps)


def own_samples(system: System, params, key, x):
    """z ~ q(z|x) [batch, d]."""
    return _own(key, params, x, encoder=system.encoder, sampler_steps=system.sampler_steps)


@functools.partial(
    jax.jit, static_argnames=("encoder", "decoder", "sampler_steps", "num_steps", "gamma")
)
def _corrected(key, params, x, *, encoder, decoder, sampler_steps, num_steps, gamma):
    key_sample, key_chain = jax.random.split(key)
    context = encoder.infer(params, x)
    mean, factor = encoder.gaussian(context)
    y = whitening.solve(factor, encoder.sample(key_sample, params, context, sampler_steps) - mean)
    settings = em.Settings(kernel="mala", gamma=gamma)

    def log_density(x, z):
        return decoders.log_joint(decoder, params["decoder"], x, z, gamma)

    state = chains.ChainState.create(settings)
    return chains.run_chains(
        key_chain, log_density, x, y, (mean, factor), state, settings, num_steps
    ).z


def corrected_samples(system: System, params, config, key, x):
    """The encoder's samples after config.eval.langevin_steps steps of MALA towards the
    posterior."""
    sizes = dict(
        sampler_steps=system.sampler_steps,
        num_steps=config.eval.langevin_steps,
        gamma=config.em.gamma,
    )
    return _corrected(key, params, x, encoder=system.encoder, decoder=system.decoder, **sizes)


def reconstructions(system: System, params, config, key, x):
    """(z of the encoder's own, z after Langevin correction), each [n, d], and -log p(x|z) [n] of
    both: the difference is the amortization gap."""
    key_own, key_chain = jax.random.split(key)
    own = functools.partial(own_samples, system, params)
    chain = functools.partial(corrected_samples, system, params, config)
    samples = [
        map_examples(fn, key, x, config.eval.batch_size)
        for fn, key in ((own, key_own), (chain, key_chain))
    ]
    log_prob = jax.jit(lambda x, z: system.decoder.log_prob(params["decoder"], x, z))
    return samples, [-log_prob(x, z) for z in samples]


@functools.partial(
    jax.jit, static_argnames=("encoder", "decoder", "grid", "num_steps", "num_draws")
)
def _exact(key, params, x, *, encoder, decoder, grid, num_steps, num_draws):
    context = encoder.infer(params, x)

    def log_prob(z):
        return encoder.log_prob(params, context, z, num_steps)

    nll = -toys.log_marginal(decoder, grid, x, params["decoder"])
    kl = toys.posterior_kl_by_draws(key, decoder, grid, x, log_prob, num_draws, params["decoder"])
    return kl, nll


def exact(system: System, params, key, x, grid: toys.Grid, num_steps: int, num_draws: int):
    """The encoder against the exact posterior of its own decoder, known on the cells of a grid.

    Args:
        system: the model.
        params: its parameters.
        key: a random key, of the draws.
        x: data [n, D].
        grid: cells that hold all posteriors; of one or two dimensions.
        num_steps: steps of the flow by which an encoder gives the density of a latent.
        num_draws: exact draws of z for each x.

    Returns:
        KL(p(z|x) || q(z|x)) [n], estimated from those draws, and -log p(x) [n] by quadrature, in
        nats.
    """
    sizes = dict(grid=grid, num_steps=num_steps, num_draws=num_draws)
    fn = functools.partial(_exact, encoder=system.encoder, decoder=system.decoder, **sizes)
    return map_examples(lambda key, x: fn(key, params, x), key, x, 50)


def median(values) -> Estimate:
    """The median and its standard error, from the quartiles: dispatches that another process
    delayed do not count."""
    low, middle, high = jnp.percentile(jnp.asarray(values), jnp.array([25.0, 50.0, 75.0]))
    return Estimate(float(middle), float(1.25 * (high - low) / 1.35 / len(values) ** 0.5))
