"""The value function and the score of known densities obey their equations; wrong ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.diffusion.value import (
    divergence,
    hamiltonian,
    hjb_residual,
    random_signs,
    score_residual,
    value_of,
)
from diffenc.errors import InputError

PROCESSES = [VPLinear(), VPx(), VPCosine(), StraightLine(), SubVP(), VE(0.01, 50.0)]


def make_mixture():
    means = np.array([[1.5, 0.0], [-1.0, 1.0], [0.0, -1.8]])
    roots = np.array([[[0.5, 0.0], [0.2, 0.3]], [[0.7, 0.0], [-0.5, 0.7]], [[0.9, 0.0], [0, 0.9]]])
    covs = np.einsum("kij,klj->kil", roots, roots)
    return GaussianMixture(*map(jnp.asarray, (np.log([0.2, 0.5, 0.3]), means, covs)))


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_a_mixture_obeys_the_equations_to_rounding_and_a_wrong_density_does_not(process):
    with jax.enable_x64(True):
        mixture = make_mixture()
        t = np.linspace(0.02, 0.95, 12)
        width = np.hypot(process.alpha(t), process.sigma(t))
        x = 2 * width[:, None] * np.random.default_rng(0).normal(size=(t.size, 2))

        @jax.jit
        def residuals(scale):
            def value(x, t):
                return scale * value_of(mixture, process)(x, t)

            def score(x, t):
                return scale * mixture.score(process, x, t)

            energy = hamiltonian(score, process, x, t)
            return (
                hjb_residual(value, process, x, t),
                score_residual(score, process, x, t),
                energy,
            )

        of_value, of_score, energy = residuals(1.0)
        assert np.max(np.abs(of_value)) < 1e-12
        assert np.max(np.abs(of_score)) < 1e-12
        wrong_value, wrong_score, _ = residuals(1.1)
        assert np.max(np.abs(wrong_value)) > 0.1
        assert np.max(np.abs(wrong_score)) > 0.1

        # The Hamiltonian is dV/dw at fixed x/alpha, by differences of fourth order.
        log_snr = process.log_snr(t)
        step = 1e-3

        @jax.jit
        def at(shift):
            when = process.time(log_snr + shift)
            alpha = process.alpha(when)
            moved = x * (alpha / process.alpha(t))[:, None]
            return value_of(mixture, process)(moved, when) - 2 * jnp.log(alpha)

        slope = (8 * (at(step) - at(-step)) - at(2 * step) + at(-2 * step)) / (12 * step)
        np.testing.assert_allclose(-np.exp(-log_snr) * energy, slope, rtol=1e-8, atol=1e-9)


def test_probes_are_unbiased():
    process = VPLinear()
    mixture = make_mixture()
    x = jnp.tile(jnp.array([[0.4, -0.7]]), (4000, 1))
    t = jnp.full(len(x), 0.2)

    @jax.jit
    def residuals(key):
        probes = random_signs(key, 1, x)

        def wrong(x, t):
            return mixture.score(process, x, t) + jnp.sin(2 * x + x[:, ::-1])

        def wrong_value(x, t):
            return value_of(mixture, process)(x, t) + jnp.prod(jnp.sin(2 * x), axis=1)

        return [
            (
                hjb_residual(wrong_value, process, x, t, probes=probes),
                score_residual(wrong, process, x, t, probes),
                hamiltonian(wrong, process, x, t, probes),
            )
            for probes in (probes, None)
        ]

    drawn, exact = residuals(jax.random.key(0))
    for values, truth in zip(drawn, exact, strict=True):
        assert np.std(values) > 0  # the probes do vary
        assert_mean(values, np.asarray(truth)[0])


def test_the_divergence_is_that_of_any_shape():
    x = np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2) / 24

    def field(x):
        return x**3 + x.sum(axis=(1, 2, 3), keepdims=True)

    expected = np.sum(3 * np.asarray(x) ** 2 + 1, axis=(1, 2, 3))
    found = jax.jit(lambda x: divergence(field, x))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_no_probe_is_refused():
    with pytest.raises(InputError, match="num_probes is 0"):
        random_signs(jax.random.key(0), 0, jnp.zeros((2, 2)))
