"""Alternating EM: the precision of dreams, what the losses are least at, and what one update
changes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checks import assert_mean, assert_moments

from diffenc import training
from diffenc.diffusion.analytic import FactorAnalysis, Gaussian
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.latent import chains, decoders, e_steps, em, encoder_loss, proposals, whitening
from diffenc.latent.e_steps import PosteriorSample
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.proposals import Proposals
from diffenc.latent.whitening import Frame
from diffenc.networks import ConditionalDenoiser
from diffenc.networks.mlp import Context

MODEL = FactorAnalysis(
    jnp.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]]), jnp.array([0.1, 0.0, -0.2]), jnp.array(0.6)
)
X = jnp.array([[0.9, -1.4, 0.8]])
DECODER = decoders.make("gaussian", 3)
ENCODER = DiffusionEncoder(ConditionalDenoiser(latent_dim=2, embed_features=(16,), features=(16,)))


def decoder_params(model):
    """The parameters that make DECODER this factor analysis."""
    dense = {"kernel": model.weight.T, "bias": model.mean}
    return {"network": {"params": {"Dense_0": dense}}, "log_tau": jnp.log(model.noise_std)}


def learned_model(params):
    """The factor analysis that parameters of DECODER are."""
    dense = params["network"]["params"]["Dense_0"]
    return FactorAnalysis(dense["kernel"].T, dense["bias"], jnp.exp(params["log_tau"]))


def log_density(gamma):
    return lambda x, z: decoders.log_joint(DECODER, decoder_params(MODEL), x, z, gamma)


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_dreams_measure_the_precision_of_the_posterior(gamma):
    z = jax.random.normal(jax.random.key(0), (8000, 2))
    draw = jax.jit(em.dream_gradient, static_argnums=(1, 4))
    s = draw(jax.random.key(1), DECODER, decoder_params(MODEL), z, gamma)
    precision = jnp.linalg.inv(MODEL.posterior(X, gamma)[1])
    assert_mean(s, 0.0)
    assert_mean(s[:, :, None] * s[:, None, :], precision - jnp.eye(2))


def test_the_gaussian_loss_is_least_at_the_covariance_and_the_mean_of_newton_steps():
    """Over lower-triangular factors, with E[s s^T] known exactly: the gradient vanishes at C = (I +
    E s s^T)^-1."""
    with jax.enable_x64(True):
        s = jnp.array([[1.5, 0.3], [-1.5, -0.3], [0.4, -2.0], [-0.4, 2.0]])
        newton = jnp.array([[1.0, 0.0], [2.0, -1.0], [0.5, 0.3], [0.5, -0.1]])
        cov = jnp.linalg.inv(jnp.eye(2) + s.T @ s / 4)

        def loss(mean, entries):
            factor = jnp.zeros((2, 2)).at[jnp.tril_indices(2)].set(entries)
            context = Context(
                s,
                s[:, 0] > 0,
                jnp.tile(mean[None], (4, 1)),
                jnp.tile(factor[None], (4, 1, 1)),
                (),
                (),
            )
            return encoder_loss.gaussian_loss(context, newton, s).mean()

        best = newton.mean(axis=0), jnp.linalg.cholesky(cov)[jnp.tril_indices(2)]
        for gradient in jax.jit(jax.grad(loss, argnums=(0, 1)))(*best):
            np.testing.assert_allclose(gradient, 0.0, atol=1e-12)
        for argument in (0, 1):
            assert np.linalg.eigvalsh(jax.jit(jax.hessian(loss, argnums=argument))(*best)).min() > 0


def make_state(optimizer, settings, decoder=DECODER):
    key_encoder, key_decoder = jax.random.split(jax.random.key(0))
    params = {
        "encoder": jax.jit(ENCODER.init)(key_encoder, X),
        "decoder": decoder.init(key_decoder, 2),
    }
    return training.TrainState.create(params, optimizer, chains.ChainState.create(settings))


def test_an_update_descends_the_gradients_at_its_own_pairs():
    """With plain descent of rate one the parameters change by the gradient at fixed z: none passes
    the chain."""
    settings, optimizer = em.Settings(draws=2), optax.sgd(1.0)
    state, x = make_state(optimizer, settings), MODEL.sample(jax.random.key(1), 12)[0]
    new, metrics = jax.jit(em.make_update(ENCODER, DECODER, settings, optimizer))(
        state, jax.random.key(2), x
    )

    @jax.jit
    def by_hand(state):
        key_chain, key_dream, key_loss = jax.random.split(jax.random.key(2), 3)
        params = state.params
        outcome = em.e_step(key_chain, ENCODER, DECODER, params, state.carried, x, x, settings)
        z = outcome.sample.z
        dream = em.dream_gradient(key_dream, DECODER, params["decoder"], z, settings.gamma)
        # As numbers, cut off from the parameters they came from.
        outcome, dream = jax.lax.stop_gradient((outcome, dream))
        sample = outcome.sample

        def loss(params):
            encoder_loss, _ = em.encoder_loss(
                params["encoder"],
                state.params["decoder"],
                key_loss,
                ENCODER,
                x,
                sample,
                dream,
                settings,
            )
            return encoder_loss - DECODER.log_prob(params["decoder"], x, sample.z).mean()

        return outcome, jax.grad(loss)(params)

    outcome, grads = by_hand(state)
    expected = jax.tree.map(lambda p, g: p - g, state.params, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), new.params, expected
    )
    kernel = grads["encoder"]["params"]["output"]["kernel"]
    assert np.abs(kernel).max() > 1e-4

    assert new.step == 1
    assert new.carried.log_step == outcome.carried.log_step != state.carried.log_step
    mix = jax.tree.map(lambda old, p: 0.1 * old + 0.9 * p, state.averages, new.params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), new.averages, mix
    )
    np.testing.assert_allclose(metrics["acceptance"], outcome.acceptance, rtol=1e-5)
    assert {
        "encoder_loss",
        "rate",
        "neural_entropy",
        "precision",
        "decoder_loss",
        "step_size",
    } <= metrics.keys()
    assert all(np.isfinite(value) and value.shape == () for value in metrics.values())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_null_rows_train_the_null_branch_alone(share):
    settings = em.Settings(null_probability=share, draws=2)
    params = jax.jit(ENCODER.init)(jax.random.key(0), X)
    x = MODEL.sample(jax.random.key(1), 8)[0]
    z = jax.random.normal(jax.random.key(2), (8, 2))
    sample = PosteriorSample(z, Frame(0 * z, jnp.tile(jnp.eye(2), (8, 1, 1))), z, -z - 1.0)
    grads, metrics = jax.jit(jax.grad(em.encoder_loss, has_aux=True), static_argnums=(3, 7))(
        params, None, jax.random.key(3), ENCODER, x, sample, z, settings
    )
    grads = grads["params"]
    for name in ("mean_head", "width_head", "shear_head"):
        assert (np.abs(grads[name]["bias"]).max() == 0) == (share == 1)
    assert np.abs(grads["output"]["bias"]).max() > 0
    assert (
        np.abs(grads["embed_layers_0"]["kernel"]).max() == 0
    )  # output layers are zero: nothing reaches x yet
    assert (metrics["precision"] == 0) == (share == 1)


@pytest.mark.parametrize(
    "reference, target",
    [
        ("posterior", "mixture"),
        ("posterior", "pressure"),
        ("posterior", "denoising"),
        ("prior", "mixture"),
    ],
)
def test_the_exact_gaussian_has_its_rate_and_no_loss_where_the_network_holds_none(
    reference, target
):
    """Pairs from a Gaussian posterior: the encoder that holds it as reference has nothing left to
    regress."""
    encoder = DiffusionEncoder(ENCODER.network, reference)
    params = jax.jit(encoder.init)(jax.random.key(0), X)
    for name, bias in {
        "mean_head": [0.7, -1.2],
        "width_head": [-0.6, -0.2],
        "shear_head": [0.8],
    }.items():
        params["params"][name]["bias"] = jnp.array(bias)
    context = jax.jit(encoder.embed)({"encoder": params}, X)
    mean, factor = context.mean, context.factor[0]
    y = jax.random.normal(jax.random.key(1), (4000, 2))
    z, cov = mean + y @ factor.T, factor @ factor.T
    frame = Frame(jnp.tile(mean, (len(z), 1)), jnp.tile(factor, (len(z), 1, 1)))
    sample = PosteriorSample(z, frame, y, -y)
    loss = jax.jit(em.encoder_loss, static_argnums=(3, 7))
    settings = em.Settings(target=target, null_probability=0.0)
    _, metrics = loss(
        params, None, jax.random.key(2), encoder, jnp.tile(X, (len(z), 1)), sample, z, settings
    )
    assert (metrics["encoder_loss"] < 1e-8) == (reference == "posterior" and target != "denoising")
    if reference == "posterior":
        assert metrics["neural_entropy"] == 0.0
        log_ratio = Gaussian(mean[0], cov).log_prob(z) - decoders.log_prior(z)
        np.testing.assert_allclose(
            metrics["rate"], log_ratio.mean(), rtol=1e-4
        )  # the rate of these very draws


def test_smoothed_targets_are_in_the_coordinates_of_the_reference():
    """Proposals from the reference itself, of equal weight: y + grad log posterior is zero for
    each, and in mean."""
    params = jax.jit(ENCODER.init)(jax.random.key(0), X)
    for name, bias in {
        "mean_head": [0.7, -1.2],
        "width_head": [-0.6, -0.2],
        "shear_head": [0.8],
    }.items():
        params["params"][name]["bias"] = jnp.array(bias)
    n = 200
    context = jax.jit(ENCODER.embed)({"encoder": params}, jnp.tile(X, (n, 1)))
    y = jax.random.normal(jax.random.key(1), (3, n, 2))
    z = jax.vmap(whitening.apply, (None, None, 0))(context.mean, context.factor, y)
    slope = jax.vmap(
        lambda y: whitening.solve(jnp.swapaxes(context.factor, 1, 2), -y, lower=False)
    )(y)
    weighted = Proposals(z, jnp.full((3, n), -jnp.log(3.0)), slope)
    frame = Frame(context.mean, context.factor)
    sample = PosteriorSample(z[0], frame, y[0], -y[0], weighted)
    loss = jax.jit(em.encoder_loss, static_argnums=(3, 7))
    values = {}
    for target in ("mixture", "denoising"):
        settings = em.Settings(target=target, null_probability=0.0, draws=2, smooth_targets=True)
        _, metrics = loss(
            params, None, jax.random.key(2), ENCODER, jnp.tile(X, (n, 1)), sample, z[0], settings
        )
        values[target] = metrics["encoder_loss"]
    assert values["mixture"] < 1e-6 < 1e-2 < values["denoising"]


def test_the_alternation_raises_the_closed_form_likelihood():
    settings, optimizer = em.Settings(draws=2), optax.adam(1e-2)
    x = MODEL.sample(jax.random.key(1), 400)[0]
    run = training.scan_updates(
        em.make_update(ENCODER, DECODER, settings, optimizer), lambda key, rows: rows
    )
    best = FactorAnalysis.maximum_likelihood(np.asarray(x), 2).log_prob(x).mean()
    gap = jax.jit(lambda params: best - learned_model(params["decoder"]).log_prob(x).mean())
    state, rows = make_state(optimizer, settings), np.random.default_rng(0)
    gaps = [gap(state.params)]
    for _ in range(4):
        state, _ = run(state, jax.random.key(2), x, rows.integers(0, 400, (75, 40)))
        gaps.append(gap(state.params))
    assert min(gaps) > -1e-4  # nothing is above maximum likelihood
    assert gaps[1] < 0.5 * gaps[0] and gaps[2] < gaps[1] and max(gaps[3:]) < 0.05


@pytest.mark.parametrize("proposal, count", [("gaussian", 300), ("prior", 1000)])
def test_importance_resampling_draws_from_the_posterior(proposal, count):
    """Many proposals from a Gaussian that is somewhat off: the bias is O(1/proposals), below the
    standard error."""
    x, (mean, cov) = jnp.tile(X, (3000, 1)), MODEL.posterior(X)
    factor = 1.3 * jnp.tile(jnp.linalg.cholesky(cov), (3000, 1, 1))
    wide = Frame(jnp.tile(mean + 0.1, (3000, 1)), factor)

    @jax.jit
    def draw():
        z, log_q = proposals.propose(jax.random.key(0), wide, proposal, count)
        weighted = proposals.weigh(log_density(1.0), x, z, log_q)
        return e_steps.resample(jax.random.key(1), log_density(1.0), x, wide, weighted)

    sample = draw()
    assert_moments(sample.z, mean, cov)
    gradient = jnp.einsum("bij,bi->bj", factor, -(sample.z - mean) @ jnp.linalg.inv(cov))
    np.testing.assert_allclose(sample.gradient, gradient, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        sample.z, wide.mean + jnp.einsum("bij,bj->bi", factor, sample.y), rtol=1e-4, atol=1e-5
    )
    share = proposals.effective_share(sample.proposals.log_weight).mean()
    assert (0.5 if proposal == "gaussian" else 0.02) < share < 1


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_the_width_of_the_proposals_does_not_move_what_is_chosen(width):
    """The encoder's Gaussian made the exact posterior: of proposals as wide as this all weights are
    equal."""
    x, (mean, cov) = jnp.tile(X, (3000, 1)), MODEL.posterior(X)
    params = {
        "encoder": jax.jit(ENCODER.init)(jax.random.key(0), X),
        "decoder": decoder_params(MODEL),
    }

    class Exact(DiffusionEncoder):
        def gaussian(self, context):
            factor = jnp.tile(jnp.linalg.cholesky(cov), (3000, 1, 1))
            return Frame(jnp.tile(mean, (3000, 1)), factor)

    def draw():
        settings = em.Settings(e_step="importance", proposals=100, proposal_width=width)
        state = chains.ChainState.create(settings)
        return em.e_step(
            jax.random.key(1), Exact(ENCODER.network), DECODER, params, state, x, x, settings
        )

    outcome = jax.jit(draw)()
    assert_moments(outcome.sample.z, mean, cov)
    spread = outcome.sample.proposals.z.std(axis=(0, 1)) / jnp.sqrt(jnp.diagonal(cov))
    np.testing.assert_allclose(
        spread, width, rtol=4 * 0.0013
    )  # of 300,000 draws: four standard errors
    assert (outcome.acceptance > 0.999) == (width == 1.0)  # the effective share of the proposals


def weighted_proposals(num_examples, num_proposals=5):
    keys = jax.random.split(jax.random.key(0), 3)
    z, gradient = (jax.random.normal(key, (num_proposals, num_examples, 2)) for key in keys[:2])
    log_weight = jax.nn.log_softmax(
        jax.random.normal(keys[2], (num_proposals, num_examples)), axis=0
    )
    return Proposals(z, log_weight, gradient)


@pytest.mark.parametrize("log_snr", [-2.0, 0.0, 2.0])
def test_smoothed_targets_are_those_of_the_choice_with_less_variance(log_snr):
    n = 4000
    found = jax.tree.map(lambda a: jnp.repeat(a, n, axis=1), weighted_proposals(1))
    alpha, sigma = (jnp.full((n, 1), a) for a in alpha_sigma(jnp.float32(log_snr)))
    choice = jax.random.categorical(jax.random.key(1), found.log_weight, axis=0)
    y, gradient = (
        jnp.take_along_axis(a, choice[None, :, None], axis=0)[0] for a in (found.z, found.gradient)
    )
    eps = jax.random.normal(jax.random.key(2), y.shape)
    y_t = alpha * y + sigma * eps
    smooth_targets = jax.jit(proposals.smoothed)(found, y_t[:, None], alpha, sigma)
    for single, smooth in zip((y, eps, gradient), smooth_targets, strict=True):
        error = single - smooth[:, 0]
        for feature in (jnp.ones_like(y_t), y_t, y_t**2, jnp.sin(3 * y_t)):  # one conditional mean
            assert_mean(error * feature, 0.0)
        assert np.all(single.var(axis=0) > 1.01 * smooth[:, 0].var(axis=0))


def test_the_m_step_averages_over_the_choice_among_the_proposals():
    x = MODEL.sample(jax.random.key(1), 6)[0]
    weighted = weighted_proposals(6)
    params = decoder_params(MODEL)

    def loss(params, sample):
        return em.m_step_loss(DECODER, params, x, sample)

    def of_choice(k):  # every example takes its k-th proposal, as often as its weight says
        def of_example(x, z, weight):
            chosen = PosteriorSample(z[None], None, None, None)
            return weight * em.m_step_loss(DECODER, params, x[None], chosen)

        return jax.vmap(of_example)(x, weighted.z[k], jnp.exp(weighted.log_weight[k])).mean()

    averaged = jax.jit(loss)(params, PosteriorSample(weighted.z[0], None, None, None, weighted))
    np.testing.assert_allclose(
        averaged, sum(jax.jit(of_choice, static_argnums=0)(k) for k in range(5)), rtol=1e-5
    )


def test_persistent_chains_go_on_where_each_example_was_left():
    settings = em.Settings(e_step="persistent", draws=2, step_size=0.01, langevin_steps=2)
    optimizer = optax.sgd(0.0)
    x = MODEL.sample(jax.random.key(1), 6)[0]
    left = 1.0 + 0.3 * jax.random.normal(jax.random.key(3), (6, 2))
    left = left.at[1].set(50.0)  # where no posterior is: this chain starts anew
    state = make_state(optimizer, settings).replace(
        carried=chains.ChainState.create(settings, left)
    )
    index = jnp.array([4, 1, 4])  # an epoch ended within the batch: the first of two chains is kept
    new, metrics = jax.jit(em.make_update(ENCODER, DECODER, settings, optimizer))(
        state, jax.random.key(2), (x[index], index)
    )
    moved = np.linalg.norm(new.carried.z - left, axis=1) > 0
    np.testing.assert_array_equal(moved, [False, True, False, False, True, False])
    assert (
        np.linalg.norm(new.carried.z[4] - left[4]) < 1.0
    )  # two steps of variance .02 in units of the width, 1 at most
    assert np.linalg.norm(new.carried.z[1]) < 10
    sample, _, _ = jax.jit(em.e_step, static_argnums=(1, 2, 7))(
        jax.random.split(jax.random.key(2), 3)[0],
        ENCODER,
        DECODER,
        state.params,
        state.carried,
        x[index],
        x[index],
        settings,
        index,
    )
    np.testing.assert_allclose(new.carried.z[4], sample.z[0], rtol=1e-5)
    assert np.abs(sample.z[0] - sample.z[2]).max() > 0
    assert metrics["latent_second_moment"] < 100


OTHER = dict(
    kernel="ula",
    langevin_steps=3,
    step_size=0.2,
    leapfrog_steps=5,
    sampler_steps=3,
    proposal="prior",
    proposals=7,
    proposal_width=2.0,
    smooth_decoder=False,
    smooth_targets=True,
)


E_STEPS = (
    dict(e_step="importance"),
    dict(e_step="langevin", kernel="hmc"),
    dict(e_step="persistent"),
)


@pytest.mark.parametrize("choice", E_STEPS)
def test_an_update_is_the_same_program_whatever_the_fields_that_go_unread(choice):
    """And another one for any of the rest, so that no field of an E-step is without effect."""
    encoder = DiffusionEncoder(
        ENCODER.network
    )  # without the decoder's answers, which take long to trace
    x, index = jnp.tile(X, (4, 1)), jnp.arange(4)
    batch = (x, index) if choice["e_step"] == "persistent" else x

    def program(**changes):
        settings, optimizer = em.Settings(**(choice | changes)), optax.sgd(0.0)
        state = make_state(optimizer, settings)
        state = state.replace(carried=chains.ChainState.create(settings, jnp.zeros((4, 2))))
        update = em.make_update(encoder, DECODER, settings, optimizer)
        start = 0.0 if "step_size" in settings.unread() else float(state.carried.log_step)
        return str(jax.make_jaxpr(update)(state, jax.random.key(2), batch)), start

    unread = em.Settings(**choice).unread()
    usual = program()
    assert program(**{field: OTHER[field] for field in unread}) == usual
    for field in set(OTHER) - set(unread):
        assert program(**{field: OTHER[field]}) != usual, field
