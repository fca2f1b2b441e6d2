"""The alternating, EM-inspired update of a diffusion encoder and its decoder (arXiv 2605.13399).

    F(q, phi) = E_q[log p_phi(x|z)] - gamma KL(q(z|x) || N(0, I))
    best q:     q*(z|x) ~ p(z) p_phi(x|z)^(1/gamma)

    E-step   z ~ q*(z|x), by Markov chains or by weighted proposals (`e_steps`)
    theta    by denoising of the pairs (x, z) (`encoder_loss`)
    M-step   phi by the gradient of log p_phi(x|z) on the same pairs

No gradient flows through the sampler. Everything is a pure function; nothing here knows of devices
or files.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from diffenc.errors import check, check_choice, check_fraction, check_least, check_positive
from diffenc.latent import bottleneck, proposals
from diffenc.latent.chains import KERNELS
from diffenc.latent.decoders import about_latent, check_exact, check_gradient, log_prob_pairs
from diffenc.latent.e_steps import E_STEPS, PosteriorSample, e_step
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.encoder_loss import curvature_draw, encoder_loss
from diffenc.latent.whitening import pull
from diffenc.training import TrainState

TARGETS = ("denoising", "pressure", "mixture")
# Fields of `Settings` that chains alone read, and proposals alone.
OF_CHAINS = ("kernel", "langevin_steps", "step_size", "leapfrog_steps")
OF_PROPOSALS = ("proposal", "proposals", "proposal_width", "smooth_targets", "smooth_decoder")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Choices of the alternating update.

    Raises InputError for an unknown choice or a number out of range. `unread` lists the fields that
    an E-step does not read.

    Attributes:
        e_step: how the posterior is sampled: "importance" (one of many weighted proposals),
            "langevin" (short Markov chains that start at the encoder's samples), "persistent"
            (chains that go on where the last visit to the example left them) or "encoder" (the
            encoder's samples as they are).
        kernel: the transition of the chains: "mala", "ula" (unadjusted) or "hmc".
        langevin_steps: steps of a chain in each update.
        step_size: the first step size of the chains, in squared posterior widths. MALA and HMC
            adapt it; ULA keeps it.
        leapfrog_steps: gradients of one HMC step.
        sampler_steps: Heun steps of the encoder that draws where the chains of "langevin" start,
            or the samples of "encoder".
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
        rate: nats that the latent is to hold, for a diffusion decoder: gamma is then only where
            training starts, and follows it (`bottleneck`). None leaves gamma as it is.
        draws: noise levels at which the denoiser sees each pair (x, z).
        null_probability: share of the pairs that train the null branch, the learned prior.
        average_decay: decay of the moving average of the parameters.
    """

    e_step: str = "importance"
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
    rate: float | None = None
    draws: int = 8
    null_probability: float = 0.1
    average_decay: float = 0.999

    def __post_init__(self):
        check_choice("e_step", self.e_step, E_STEPS)
        check_choice("kernel", self.kernel, KERNELS)
        check_choice("proposal", self.proposal, proposals.KINDS)
        check_choice("target", self.target, TARGETS)
        holds = self.e_step != "encoder" or self.target != "denoising"
        remedy = "samples of the encoder hold no news of the posterior: give mixture or pressure"
        check(holds, "target", self.target, remedy)
        check_least(self, 1, "leapfrog_steps", "sampler_steps", "proposals", "draws")
        check_least(self, 0, "langevin_steps", "path_weight")
        check_positive(self, "step_size", "proposal_width", "gamma", "rate")
        check_fraction(self, "null_probability", "average_decay")

    def unread(self) -> tuple[str, ...]:
        """List the fields that this e_step, with this kernel or proposal, does not read."""
        if self.e_step == "encoder":
            return (*OF_PROPOSALS, *OF_CHAINS)
        if self.e_step == "importance":
            width = () if self.proposal == "gaussian" else ("proposal_width",)
            return (*OF_CHAINS, "sampler_steps", *width)
        leapfrog = () if self.kernel == "hmc" else ("leapfrog_steps",)
        sampler = () if self.e_step == "langevin" else ("sampler_steps",)
        return (*OF_PROPOSALS, *leapfrog, *sampler)


def m_step_loss(decoder, params, observation, sample: PosteriorSample) -> jax.Array:
    """Evaluate -E log p(x|z) of the posterior samples, of which the decoder takes the gradient.

    Where there are weighted proposals, all of them are used. That is the expected value over the
    choice among them, and its gradient has less variance.

    Args:
        decoder: p(x|z).
        params: of the decoder.
        observation: of x.
        sample: of the posterior of each x.

    Returns:
        The mean over the batch [], in nats.
    """
    if sample.proposals is None:
        return -decoder.log_prob(params, observation, sample.z).mean()
    z = sample.proposals.z
    if z.shape[1] == 1 < len(sample.z):
        log_prob = log_prob_pairs(decoder, params, observation, z[:, 0])
    else:
        log_prob = jax.vmap(lambda z: decoder.log_prob(params, observation, z))(z)
    return -jnp.sum(jnp.exp(sample.proposals.log_weight) * log_prob, axis=0).mean()


def m_step(
    key, decoder, params, observation, sample: PosteriorSample, gamma, settings: Settings
) -> tuple[jax.Array, Any, PosteriorSample, jax.Array | None]:
    """Evaluate the M-step's loss and its gradient, and what else one evaluation gives.

    Where the E-step left out grad log q* at its samples, the same pass gives it: log q* contains
    the log p(x|z) of the loss. For a small gamma this gradient holds `bottleneck.aggregate_slope`.
    Where the loss is that of the samples alone, the curvature is drawn at the same z, and a decoder
    with `log_prob_and_probe` is then evaluated once for both: the draw costs one more backward
    pass, of activations and not of parameters.

    Args:
        key: of the curvature.
        decoder: p(x|z).
        params: of the decoder.
        observation: of x.
        sample: of the posterior of each x.
        gamma: the temperature of q*.
        settings: read is smooth_decoder.

    Returns:
        The loss [] in nats, its gradient in the parameters, the samples with their gradient, and
        the s of `curvature_draw` [batch, d]; None for a decoder that is to draw it by itself.
    """
    used = sample if settings.smooth_decoder else sample._replace(proposals=None)
    is_probed = used.proposals is None and hasattr(decoder, "log_prob_and_probe")

    def look(params, z):
        if is_probed:
            log_prob, probe = decoder.log_prob_and_probe(key, params, observation, z)
            return -log_prob.mean(), probe
        return m_step_loss(decoder, params, observation, used._replace(z=z)), jnp.zeros(())

    (loss, _), pull_back = jax.vjp(look, params, sample.z)
    one = jnp.ones(())
    zero = jnp.zeros(())
    grads, loss_slope = pull_back((one, zero))
    dream = pull_back((zero, one))[1] / jnp.sqrt(gamma) if is_probed else None
    if sample.gradient is None:
        slope = -len(sample.z) / gamma * loss_slope - sample.z  # the loss is the mean of all rows
        slope -= bottleneck.aggregate_slope(sample.z, gamma)
        sample = sample._replace(gradient=pull(sample.frame.factor, slope))
    return loss, grads, sample, dream


def make_update(
    encoder: DiffusionEncoder, decoder, settings: Settings, optimizer: optax.GradientTransformation
):
    """Make one alternating update, `(state, key, batch) -> (state, metrics)`.

    Args:
        encoder: the encoder.
        decoder: the decoder; an E-step and its M-step see the same observation of x.
        settings: see `Settings`.
        optimizer: of both networks; params = {"encoder", "decoder"}.

    Returns:
        The update. Its batch is x [batch, ...]; for persistent chains (x, index of each example).

    Raises:
        InputError: for persistent chains with a Metropolis step and a decoder that is not exact.
            Such a chain would be accepted or rejected by values of different observations. For
            proposals or a Metropolis step, and a decoder of which a gradient leaves out what its
            values depend on, see `decoders.check_gradient`.
    """
    if settings.e_step == "importance":
        check_gradient(decoder, "em.e_step=importance")
    if settings.e_step in ("langevin", "persistent") and KERNELS[settings.kernel] is not None:
        check_gradient(decoder, f"em.kernel={settings.kernel}")
    if settings.e_step == "persistent" and KERNELS[settings.kernel] is not None:
        check_exact(
            decoder, f"em.e_step=persistent with em.kernel={settings.kernel} (ula does not)"
        )

    def update(state: TrainState, key: jax.Array, batch):
        x, index = batch if settings.e_step == "persistent" else (batch, None)
        key_e_step, key_dream, key_loss, key_observe, key_observe_dream = jax.random.split(key, 5)
        params = state.params
        observation = decoder.observe(key_observe, x)
        about_z = about_latent(decoder, observation)
        gamma = bottleneck.gamma(settings, state.carried.bottleneck)
        sample, acceptance, carried = e_step(
            key_e_step, encoder, decoder, params, state.carried, x, about_z, settings, index
        )
        loss, decoder_grads, sample, dream = m_step(
            key_dream, decoder, params["decoder"], observation, sample, gamma, settings
        )
        if dream is None:
            dream = curvature_draw(
                key_dream,
                decoder,
                params["decoder"],
                about_z,
                sample.z,
                gamma,
                key_observe_dream,
            )
        encoder_grads, metrics = jax.grad(encoder_loss, has_aux=True)(
            params["encoder"], params["decoder"], key_loss, encoder, x, sample, dream, settings
        )
        grads = {"encoder": encoder_grads, "decoder": decoder_grads}
        if carried.bottleneck is not None:
            narrow = bottleneck.follow(carried.bottleneck, settings, metrics["rate"], sample.z)
            carried = carried.replace(bottleneck=narrow)
            metrics["gamma"] = jnp.asarray(gamma)
        state = state.replace(carried=carried)
        state = state.apply_gradients(grads, optimizer, settings.average_decay)
        assert sample.gradient is not None, "the M-step gives it"
        metrics |= {
            "decoder_loss": loss,
            "acceptance": acceptance,
            "step_size": jnp.exp(carried.log_step),
            "gradient_second_moment": jnp.mean(sample.gradient**2),
            "latent_second_moment": jnp.mean(sample.z**2),
        }
        return state, metrics

    return update
