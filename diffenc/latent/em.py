"""The alternating, EM-inspired update of a diffusion encoder and its decoder (arXiv 2605.13399).

    F(q, phi) = E_q[log p_phi(x|z)] - gamma KL(q(z|x) || N(0, I)),   best q: q*(z|x) ~ p(z) p_phi(x|z)^(1/gamma)

    E-step   z ~ q_theta(z|x) (warm start), then Markov-chain steps towards q*; theta by denoising on the pairs (x, z)
    M-step   phi by the gradient of log p_phi(x|z) on the same pairs

No gradient flows through the sampler. Everything is a pure function; nothing here knows of devices
or files.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jax.scipy.linalg import solve_triangular

from diffenc.diffusion import noise_levels
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import check_choice, check_fraction, check_least, check_positive
from diffenc.latent import proposals, targets
from diffenc.latent.chains import KERNELS, Chain, ChainState, is_lost, run_chains
from diffenc.latent.decoders import log_joint, log_prob_pairs
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.proposals import Proposals
from diffenc.latent.whitening import apply, pull, solve, trusted
from diffenc.networks.mlp import Context
from diffenc.training import TrainState

TARGETS = ("denoising", "pressure", "mixture")
E_STEPS = ("langevin", "importance", "persistent")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Choices of the alternating update.

    Which fields an E-step reads is told by `unread`. Raises InputError for an unknown choice or a
    number out of range; messages call the fields `em.<field>`, as the configs do.

    Attributes:
        e_step: how the posterior is sampled: "importance" (one of many weighted proposals),
            "langevin" (short Markov chains that start at the encoder's samples) or "persistent"
            (chains that go on where the last visit to the example left them).
        kernel: the transition of the chains: "mala", "ula" (unadjusted) or "hmc".
        langevin_steps: steps of a chain in each update.
        step_size: the first step size of the chains, in squared posterior widths. MALA and HMC
            adapt it; ULA keeps it.
        leapfrog_steps: gradients of one HMC step.
        sampler_steps: Heun steps of the encoder that draws where the chains of "langevin" start.
        proposal: where proposals come from: "gaussian" (the encoder's Gaussian fit), "prior"
            (N(0, I), for each example by itself) or "shared" (N(0, I), the same draws for the whole
            batch).
        proposals: number of proposals for each example.
        proposal_width: width of the "gaussian" proposals in widths of the Gaussian fit. Above 1
            the weights are less uneven when the posterior is wider than the fit.
        smooth_decoder: whether the M-step averages over all weighted proposals instead of using the
            one that was chosen. It costs as many gradients of the decoder.
        smooth_targets: whether the denoiser's targets are averaged over all proposals, too.
        target: the regression target of the denoiser: "denoising" (v_D), "pressure" (v_P) or
            "mixture" (the combination of least variance), see `targets`.
        path_weight: weight of `targets.path_error` beside the likelihood-weighted loss.
        gamma: weight of the rate in F. 1 is maximum likelihood.
        draws: noise levels at which the denoiser sees each pair (x, z).
        null_probability: share of the pairs that train the null branch, the learned prior.
        average_decay: decay of the moving average of the parameters.
    """

    e_step: str = "langevin"
    kernel: str = "mala"
    langevin_steps: int = 2
    step_size: float = 0.1
    leapfrog_steps: int = 3
    sampler_steps: int = 1
    proposal: str = "gaussian"
    proposals: int = 10
    proposal_width: float = 1.3
    smooth_decoder: bool = True
    smooth_targets: bool = False
    target: str = "mixture"
    path_weight: float = 0.0
    gamma: float = 1.0
    draws: int = 8
    null_probability: float = 0.1
    average_decay: float = 0.999

    def __post_init__(self):
        check_choice("em.e_step", self.e_step, E_STEPS)
        check_choice("em.kernel", self.kernel, KERNELS)
        check_choice("em.proposal", self.proposal, proposals.KINDS)
        check_choice("em.target", self.target, TARGETS)
        for name in ("leapfrog_steps", "sampler_steps", "proposals", "draws"):
            check_least(f"em.{name}", getattr(self, name), 1)
        for name in ("langevin_steps", "path_weight"):
            check_least(f"em.{name}", getattr(self, name), 0)
        for name in ("step_size", "proposal_width", "gamma"):
            check_positive(f"em.{name}", getattr(self, name))
        check_fraction("em.null_probability", self.null_probability)
        check_fraction("em.average_decay", self.average_decay)

    def unread(self) -> tuple[str, ...]:
        """The names of the fields that this e_step, with this kernel or proposal, does not read."""
        of_chains = ("kernel", "langevin_steps", "step_size")
        smooth = ("smooth_targets", "smooth_decoder")
        of_proposals = ("proposal", "proposals", "proposal_width", *smooth)
        leapfrog = () if self.kernel == "hmc" else ("leapfrog_steps",)
        if self.e_step == "importance":
            width = () if self.proposal == "gaussian" else ("proposal_width",)
            return (*of_chains, "leapfrog_steps", "sampler_steps", *width)
        sampler = () if self.e_step == "langevin" else ("sampler_steps",)
        return (*of_proposals, *leapfrog, *sampler)


def e_step(
    key,
    encoder: DiffusionEncoder,
    decoder,
    params,
    state: ChainState,
    x,
    settings: Settings,
    index=None,
):
    """Posterior samples for x [batch, D] as a `Chain`, to which `encoder_loss` fits the encoder; by
    settings.e_step:

    langevin     drawn from the encoder, then Markov-chain steps
    persistent   Markov-chain steps from where each example's chain was left; index [batch] of
                 examples. Bits that are drawn anew at each visit move the posterior that a chain is
                 to follow
    importance   one of `proposals` draws, chosen by its weight (sampling importance resampling,
                 Rubin 1987), in place of chains: by settings.proposal from the encoder's Gaussian
                 fit, its factor times proposal_width; or from the prior, which sees every mode,
                 also those that a chain cannot reach, and serves in few dimensions: for each
                 example by itself, or the same draws for the whole batch (see proposals.share)

    Chains that would start lost (`is_lost`) start at the Gaussian's mean.
    """
    key_start, key_chain = jax.random.split(key)
    context = encoder.infer(params, x)
    mean, factor = encoder.gaussian(context)

    def log_density(x, z):
        return log_joint(decoder, params["decoder"], x, z, settings.gamma)

    if settings.e_step == "importance":
        if settings.proposal == "shared":

            def pairs(z):
                return log_prob_pairs(decoder, params["decoder"], x, z) / settings.gamma

            found = proposals.share(key_start, pairs, mean.shape[-1], settings.proposals)
            if settings.smooth_targets:
                found = found._replace(gradient=slopes(pairs, found.z[:, 0]))
            return resample(key_chain, log_density, x, (mean, factor), state, found)
        wide = settings.proposal_width * factor
        z, log_q = proposals.propose(key_start, mean, wide, settings.proposal, settings.proposals)
        found = proposals.weigh(log_density, x, z, log_q)
        return resample(
            key_chain, log_density, x, (mean, factor), state, found, settings.smooth_targets
        )
    if settings.e_step == "persistent":
        y = solve(factor, state.z[index] - mean)
    else:
        y = encoder.sample_whitened(key_start, params, context, settings.sampler_steps)
        y = y if encoder.reference == "posterior" else solve(factor, y - mean)
    y = jnp.where(is_lost(log_density, x, mean, factor, y)[:, None], 0.0, y)
    chain = run_chains(
        key_chain, log_density, x, y, (mean, factor), state, settings, settings.langevin_steps
    )
    if settings.e_step == "persistent":
        # A batch across two epochs may hold an example twice: its first chain is kept, whatever the
        # hardware.
        first = jnp.argmax(index[:, None] == index[None, :], axis=1)
        chain = chain._replace(state=chain.state.replace(z=state.z.at[index].set(chain.z[first])))
    return chain


def slopes(log_prob_pairs, z):
    """grad_z of log p(z) + log_prob_pairs(z) at every pair [K, batch, d], z [K, d], one tangent at
    a time."""

    def along(tangent):
        return jax.jvp(log_prob_pairs, (z,), (jnp.broadcast_to(tangent, z.shape),))[1]

    columns = jax.vmap(along, out_axes=-1)(jnp.eye(z.shape[-1])[:, None])
    return columns - z[:, None]


def resample(
    key, log_density, x, gaussian, state: ChainState, found: Proposals, keep_gradients=False
) -> Chain:
    """For each x one of its proposals, chosen by weight, as a chain's end; `acceptance` is the
    effective share of them. With keep_gradients the proposals have theirs too, at a gradient
    each."""
    mean, factor = gaussian

    def slope(z):
        return jax.grad(lambda z: log_density(x, z).sum())(z)

    if keep_gradients:
        found = found._replace(gradient=jax.vmap(slope)(found.z))
    z = proposals.choose(key, found)
    share = proposals.effective_share(found.log_weight).mean()
    return Chain(z, mean, solve(factor, z - mean), pull(factor, slope(z)), share, state, found)


def m_step_loss(decoder, params, x, chain: Chain) -> jax.Array:
    """-E log p(x|z) of the E-step's sample; of all its weighted proposals where there are any,
    which is the expected value of the former over the choice among them, and a gradient of less
    variance."""
    if chain.proposals is None:
        return -decoder.log_prob(params, x, chain.z).mean()
    z = chain.proposals.z
    if z.shape[1] == 1 < len(x):
        log_prob = log_prob_pairs(decoder, params, x, z[:, 0])
    else:
        log_prob = jax.vmap(lambda z: decoder.log_prob(params, x, z))(z)
    return -jnp.sum(jnp.exp(chain.proposals.log_weight) * log_prob, axis=0).mean()


def dream_gradient(key: jax.Array, decoder, params, z: jax.Array, gamma: float) -> jax.Array:
    """s = d/dz log p(x'|z) / sqrt(gamma) [batch, d] of a dream x' ~ p(x'|z): E[s s^T] is the Fisher
    information.

    I + E[s s^T] is the precision of q* near z. Unlike the second moment of grad log q* at the
    chain's end (by Stein's identity the precision too, but of finished chains only), it does not
    grow with the distance still to go, so a lagging encoder is not told that its posterior is
    narrow.
    """
    dream = jax.lax.stop_gradient(decoder.sample(key, params, z))
    return jax.grad(lambda z: decoder.log_prob(params, dream, z).sum())(z) / jnp.sqrt(gamma)


def gaussian_loss(context: Context, newton: jax.Array, dream: jax.Array) -> jax.Array:
    """What fits the Gaussian N(m, C), C = W W^T, per example: least at C = (I + E[s s^T | x])^-1, m
    = E[z + C g | x].

    1/2 tr[C (I + s s^T)] - 1/2 log det C for W; for m, 1/2 |W^-1 (newton - m)|^2 with W held fixed,
    where newton = z + C grad log q*(z) is one Newton step from the sample towards the mode. The
    denoiser never moves m or W: two parts of a network that can carry the same offset would hand it
    back and forth.
    """
    log_det = jnp.log(jnp.diagonal(context.factor, axis1=-2, axis2=-1)).sum(axis=-1)
    trace = jnp.sum(context.factor**2, axis=(-2, -1)) + jnp.sum(
        pull(context.factor, dream) ** 2, axis=-1
    )
    factor = jax.lax.stop_gradient(context.factor)
    error = newton - context.mean
    return 0.5 * trace - log_det + 0.5 * jnp.sum(solve(factor, error) ** 2, axis=-1)


def encoder_loss(
    encoder_params, decoder_params, key, encoder: DiffusionEncoder, x, chain: Chain, dream, settings
):
    """Likelihood-weighted denoising of the E-step's pairs (x, z), and the fit of the Gaussian:
    (loss, metrics).

    Each pair is used at `draws` stratified noise levels; a share `null_probability` of them trains
    the null branch, by plain denoising.
    """
    key_null, key_level, key_eps = jax.random.split(key, 3)
    is_null = jax.random.bernoulli(key_null, settings.null_probability, chain.z.shape[:1])
    params = {"encoder": encoder_params, "decoder": decoder_params}
    context = encoder.embed(params, x, is_null)
    frozen = jax.lax.stop_gradient(context)
    gradient = trusted(chain.gradient, 2 * encoder.network.residual_bound)
    fit = gaussian_loss(context, apply(chain.z, frozen.factor, gradient), dream)
    context = context.replace(
        mean=jnp.where(is_null[:, None], 0.0, chain.mean), factor=frozen.factor
    )
    if encoder.reference == "posterior":
        y, width = chain.y, jnp.ones_like(chain.y)
    else:
        y, width = chain.z, jnp.sqrt(jnp.sum(frozen.factor**2, axis=-1))
        gradient = solve(jnp.swapaxes(frozen.factor, -2, -1), gradient, lower=False)
    y = jnp.where(is_null[:, None], chain.z, y)
    log_width = jnp.log(width).mean(axis=-1)
    # KL(q || prior) = KL(q || reference) + E[log reference - log prior]
    excess = 0.5 * jnp.sum(chain.z**2 - y**2, axis=-1)

    quantities = (context, y, gradient, width, log_width, is_null)
    context, y, gradient, width, log_width, null = jax.tree.map(
        lambda a: jnp.repeat(a, settings.draws, axis=0), quantities
    )
    uniform = noise_levels.stratified_uniform(key_level, null.shape)
    draw_levels = (
        noise_levels.with_angles if settings.path_weight else noise_levels.truncated_logistic
    )
    log_snr, density = draw_levels(uniform, -2 * log_width)
    alpha, sigma = alpha_sigma(log_snr)
    alpha_, sigma_ = alpha[:, None], sigma[:, None]
    eps = jax.random.normal(key_eps, y.shape)

    y_t = alpha_ * y + sigma_ * eps
    if settings.smooth_targets and chain.proposals is not None:
        y, eps, gradient = smooth_targets(
            encoder, frozen, chain, y_t, alpha, sigma, (y, eps, gradient), null
        )

    c = {
        "denoising": jnp.zeros_like(y),
        "pressure": jnp.ones_like(y),
        "mixture": targets.mixture_weight(width, alpha_, sigma_),
    }[settings.target]
    c = jnp.where(null[:, None], 0.0, c)
    target = c * targets.pressure_target(y, gradient, sigma_) + (1 - c) * targets.denoising_target(
        y, eps, alpha_, sigma_
    )
    v = encoder.velocity(params, context, y_t, log_snr)
    error = targets.weighted_error(v, target, alpha, density)
    if settings.path_weight:
        error += settings.path_weight * targets.path_error(v, target, alpha, sigma, density)
    entropy = targets.neural_entropy_draw(v, alpha, density)
    excess = jnp.repeat(excess, settings.draws, axis=0)
    rate = entropy + excess - encoder.log_volume(context)

    def mean_where(seen, a):
        return jnp.where(seen, a, 0.0).sum() / jnp.maximum(seen.sum(), 1)

    metrics = {
        "encoder_loss": mean_where(~null, error),
        "rate": mean_where(~null, rate),
        "neural_entropy": mean_where(~null, entropy),
        "precision": mean_where(~is_null, 1 + jnp.mean(dream**2, axis=-1)),
    }
    return error.mean() + jnp.where(is_null, 0.0, fit).mean(), metrics


def invert(factor: jax.Array) -> jax.Array:
    """The inverse of one lower-triangular factor [d, d]."""
    return solve_triangular(factor, jnp.eye(factor.shape[-1]), lower=True)


def smooth_targets(encoder, frozen: Context, chain: Chain, y_t, alpha, sigma, single, null):
    """`smoothed` in the encoder's coordinates, for rows [batch * draws]; where null holds, `single`
    as it is."""
    z, log_weight, gradient = chain.proposals
    bound = 2 * encoder.network.residual_bound
    gradient = jax.vmap(lambda gradient: trusted(pull(frozen.factor, gradient), bound))(gradient)
    inverse = jax.vmap(invert)(
        frozen.factor
    )  # of one factor for many proposals: products, not solves
    if encoder.reference == "posterior":
        z = jnp.einsum("bij,kbj->kbi", inverse, z - chain.mean[None])
    else:
        gradient = jnp.einsum("bji,kbj->kbi", inverse, gradient)
    rows = (gradient.shape[1], -1)
    found = proposals.smoothed(
        Proposals(z, log_weight, gradient),
        y_t.reshape(*rows, z.shape[-1]),
        alpha.reshape(rows),
        sigma.reshape(rows),
    )
    return tuple(
        jnp.where(null[:, None], old, new.reshape(old.shape))
        for old, new in zip(single, found, strict=True)
    )


def make_update(
    encoder: DiffusionEncoder, decoder, settings: Settings, optimizer: optax.GradientTransformation
):
    """One alternating update `(state, key, x) -> (state, metrics)`; params = {"encoder",
    "decoder"}.

    For persistent chains the batch is (x, index of each example) in place of x.
    """

    def update(state: TrainState, key: jax.Array, batch):
        x, index = batch if settings.e_step == "persistent" else (batch, None)
        key_chain, key_dream, key_loss = jax.random.split(key, 3)
        params = state.params
        chain = e_step(key_chain, encoder, decoder, params, state.chain, x, settings, index)
        dream = dream_gradient(key_dream, decoder, params["decoder"], chain.z, settings.gamma)

        encoder_grads, metrics = jax.grad(encoder_loss, has_aux=True)(
            params["encoder"], params["decoder"], key_loss, encoder, x, chain, dream, settings
        )
        if not settings.smooth_decoder:
            chain = chain._replace(proposals=None)
        decoder_loss, decoder_grads = jax.value_and_grad(
            lambda p: m_step_loss(decoder, p, x, chain)
        )(params["decoder"])
        grads = {"encoder": encoder_grads, "decoder": decoder_grads}
        state = state.replace(chain=chain.state).apply_gradients(
            grads, optimizer, settings.average_decay
        )
        metrics |= {
            "decoder_loss": decoder_loss,
            "acceptance": chain.acceptance,
            "step_size": jnp.exp(chain.state.log_step),
            "gradient_second_moment": jnp.mean(chain.gradient**2),
            "latent_second_moment": jnp.mean(chain.z**2),
        }
        return state, metrics

    return update
