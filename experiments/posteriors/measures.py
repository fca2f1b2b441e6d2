"""What `experiments.posteriors` measures beyond bounds: divergence from exact posteriors, folds,
annealed likelihood.

Each function returns {quantity: one value per example [n]}; `case` is a `posteriors.Case`, `system`
a `systems.System`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.latent import annealing, decoders, em, systems, toys, whitening
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.run import parallel


def monitor(config, cases, models, state, step) -> dict[str, float]:
    """For the curves over updates and seconds: the importance bound (10 samples) of the first 500
    held-out examples, and the standard error of its distance from that of the first method and seed
    of the case."""
    state, scalars, first = parallel.local(state), {}, {}
    key = key_of(config.seed, "monitor", step)
    for name, system in models.items():
        case = cases[name.split(".")[0]]
        params, x = state[name].averages, case.held_out[:500]
        nll = systems.held_out_terms(system, params, key, x, 10, config.eval.batch_size).nll
        scalars[f"{name}.held_out_nll"] = Estimate.of(nll).mean
        if case.name in first:
            scalars[f"{name}.held_out_nll_stderr"] = Estimate.of(nll - first[case.name]).stderr
        first.setdefault(case.name, nll)
    return scalars


def grid_divergence(config, case, system, params, key) -> dict[str, np.ndarray]:
    """KL(p(z|x) || q(z|x)) from exact draws of the grid posterior of every held-out example [n],
    and q's mass by quadrature for the first config.eval.grid_examples: other than one, it says that
    the discrete flow folds the space, and the divergence is short by its logarithm.
    """
    num_steps, num_draws = config.eval.grid_sampler_steps, config.eval.grid_draws
    kl, _ = systems.exact(system, params, key, case.held_out, case.grid, num_steps, num_draws)
    fixed = dict(encoder=system.encoder, grid=case.grid, num_steps=num_steps)
    few = case.held_out[: config.eval.grid_examples]
    mass = map_examples(lambda key, x: _mass(params, x, **fixed), None, few, 4)
    return {"posterior_kl": kl, "mass": mass}


# Jitted with the encoder as a static argument: compiled once for all seeds.
@functools.partial(jax.jit, static_argnames=("encoder", "grid", "num_steps"))
def _mass(params, x, *, encoder, grid, num_steps):
    return toys.encoder_log_prob(encoder, params, grid, x, num_steps)[1]


def folds(config, system, params, key, x) -> dict[str, np.ndarray]:
    """Whether a draw for each of the first 500 examples folded the space: such draws belie the
    encoder's density."""
    if not isinstance(system.encoder, DiffusionEncoder):
        return {}
    of_batch = functools.partial(_folds, encoder=system.encoder, num_steps=system.sampler_steps)
    found = map_examples(
        lambda key, x: of_batch(key, params, x), key, x[:500], config.eval.batch_size
    )
    return {"folds": found.astype(float)}


@functools.partial(jax.jit, static_argnames=("encoder", "num_steps"))
def _folds(key, params, x, *, encoder, num_steps):
    return encoder.folds(key, params, encoder.infer(params, x), num_steps)


def near_mode(
    key, decoder, params, x, gaussian, rounds: int = 2, num_steps: int = 10, num_dreams: int = 128
):
    """A Gaussian at the posterior's mode next to that of `gaussian`: (mean [batch, d], factor
    [batch, d, d]).

    Newton steps of the mean, then the precision of the prior and of the decoder's Fisher
    information there. An encoder may fail on images simulated from the prior, which it has not
    seen: chains of all methods start equally well.
    """
    mean, factor = gaussian
    eye = jnp.eye(mean.shape[-1])
    for key_round in jax.random.split(key, rounds):
        mean = whitening.newton(
            lambda z: decoders.log_joint(decoder, params, x, z), mean, factor, num_steps
        )
        keys = jax.random.split(key_round, num_dreams)
        slope = jax.vmap(lambda key, z=mean: em.dream_gradient(key, decoder, params, z, 1.0))(keys)
        precision = eye[None] + jnp.einsum("kbi,kbj->bij", slope, slope) / num_dreams
        factor = jnp.linalg.cholesky(jnp.linalg.inv(precision))
    return mean, factor


def annealed(config, case, system, params, key) -> dict[str, np.ndarray]:
    """-log p(x) of held-out examples by annealed importance sampling (a bound), and both bounds of
    log p(x) on data simulated from the model, where the truth lies between them."""
    settings = annealing.Settings(
        num_temperatures=config.eval.ais_temperatures, num_chains=config.eval.ais_chains
    )
    key_z, key_x, key_start, key_tune, key_held, key_sandwich = jax.random.split(key, 6)
    z = jax.random.normal(key_z, (config.eval.ais_simulated, case.config.model.latent_dim))
    simulated = case.decoder.sample(key_x, params["decoder"], z)

    log_joint = annealing.make_log_joint(case.decoder, params["decoder"])

    def gaussian(x):  # annealing likes a start that is too wide better than one that is too narrow
        guess = system.encoder.gaussian(system.encoder.infer(params, x))
        mean, factor = near_mode(
            jax.random.clone(key_start), case.decoder, params["decoder"], x, guess
        )
        return mean, 1.5 * factor

    def forward(key, x, start):
        return annealing.forward(key, log_joint, x, start, log_steps, settings)[0]

    def sandwich(key, pair):
        key_forward, key_reverse = jax.random.split(key)
        x, z = pair[:, : simulated.shape[1]], pair[:, simulated.shape[1] :]
        start = gaussian(x)
        log_w = forward(key_forward, x, start)
        back = annealing.reverse(key_reverse, log_joint, x, z, start, log_steps, settings)[0]
        return annealing.lower(log_w), annealing.upper(back, log_w)

    x = jnp.asarray(case.held_out[: config.eval.ais_examples])
    log_steps = jax.jit(lambda key, x: annealing.tune(key, log_joint, x, gaussian(x), settings))(
        key_tune, x[:50]
    )
    pairs = np.concatenate([simulated, z], axis=1)
    lower, upper = map_examples(jax.jit(sandwich), key_sandwich, pairs, 50)
    nll = -map_examples(
        jax.jit(lambda key, x: annealing.lower(forward(key, x, gaussian(x)))),
        key_held,
        np.asarray(x),
        50,
    )
    return {"ais_nll": nll, "ais_lower": lower, "ais_upper": upper, "ais_gap": upper - lower}
