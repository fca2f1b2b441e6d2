"""Summaries of experiments.neural_entropy: errors that cover, what is between pixels, laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS
from entropy_runs import load_cases, make_config, make_measure
from jax.flatten_util import ravel_pytree

from diffenc.diffusion import entropy_quadrature
from diffenc.diffusion.entropy_quadrature import total_entropy
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VPLinear
from diffenc.estimate import Estimate
from diffenc.keys import generator
from diffenc.run import tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.neural_entropy import cases as neural_entropy_cases
from experiments.neural_entropy import coverage
from experiments.neural_entropy import results as neural_entropy_results
from experiments.neural_entropy.settings import Evaluation

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


def test_the_early_share_of_shared_examples_has_their_error_once():
    """Three seeds that say the same of the same examples are no better than one."""
    x = np.random.default_rng(0).normal(size=(500, 2))
    seed = {"s_nn": 2 + x[:, 0], "s_nn_early": 1 + 0.3 * x[:, 0] + 0.2 * x[:, 1]}
    one, three = (neural_entropy_results.early_share("a", [seed] * n, False, True) for n in (1, 3))
    assert three[1:3] == pytest.approx(one[1:3])
    assert one.stderr == pytest.approx(
        np.sqrt(0.2**2 + 0.2**2) / 2 / 500**0.5, rel=0.1
    )  # (early - 1/2 s_nn) / 2


def test_coverage_counts_what_lies_within_two_errors():
    """With a measure whose law is known: 95.4 % of the intervals hold its mean, and none a number
    far away."""
    sizes = dict(eval__repetitions=300, eval__monitor=1000)
    config = make_config("neural_entropy/gaussian_mixture", **sizes)
    settings = command_line.read(Evaluation, config, "eval")
    model = (None, None, Gaussian(jnp.zeros(2), jnp.eye(2)))

    def measure(key, params, reference, density, x):
        draws = generator(key).normal(size=(3, len(x)))
        gap = 1.0 + 0.1 * draws[2]
        return {"kelly_growth": 3.0 + draws[0], "s_nn": 7.0 + draws[1], "em_gap": gap}

    def covered(key, total):
        inside = coverage.coverage(key, model, total, measure, measure, settings)
        return {name: coverage.coverage_result(name, hits) for name, hits in inside.items()}

    results = covered(jax.random.key(0), Estimate(4.0, 0.0))  # growth is S_tot less the gap
    for result in results.values():
        assert abs(result.value - result.truth) < NUM_SIGMAS * result.stderr
        assert result.stderr < 0.02
    far = covered(jax.random.key(1), Estimate(3.0, 0.0))
    assert far["coverage_growth"].value == 0 and far["coverage_s_nn"].value > 0.9


@pytest.mark.slow
def test_growth_and_s_nn_cover_the_truth_of_a_bad_network_and_not_that_of_a_good_one():
    """A network moved at random is far from the exact score, and its errors cover all the same."""
    config = make_config(
        "neural_entropy/gaussian_mixture",
        processes=("vp",),
        dimensions=(2,),
        samples=(200,),
        num_seeds=1,
        eval__num_examples=2000,
        eval__repetitions=200,
        eval__monitor=500,
        eval__batch_size=500,
    )
    (case,) = load_cases(config)
    params = case.model.init(jax.random.key(0), jnp.asarray(case.train[0][:1]))
    flat, unravel = ravel_pytree(params)
    moved = unravel(flat + 0.5 * jax.random.normal(jax.random.key(1), flat.shape))
    density = case.density_of(0)
    model = (moved, case.references[0], density)
    measure = make_measure(config, case)
    levels = log_snr_range(case.process, *case.times)
    measure_truth = make_measure(config, case, Uniform(*levels))
    values = total_entropy(jax.random.key(2), density, case.process, 100_000, *case.times)
    total = Estimate.of(values)
    both = (measure, measure_truth)
    inside = coverage.coverage(
        jax.random.key(3), model, total, *both, command_line.read(Evaluation, config, "eval")
    )
    for name, hits in inside.items():
        result = coverage.coverage_result(name, hits)
        assert abs(result.value - result.truth) < NUM_SIGMAS * result.stderr, name
        assert result.stderr < 0.02
    one = measure(jax.random.key(4), *model, case.test[0])
    for quantity in ("kelly_growth", "s_nn"):  # S_tot itself is out of reach
        estimate = Estimate.of(one[quantity])
        assert abs(estimate.mean - total.mean) > 10 * estimate.stderr


def test_what_two_equal_pixels_have_between_them():
    """Images of two pixels, equal, 0 or 255 with shares 3/4 and 1/4: each by itself is a bit of
    that law."""
    process, times = VPLinear(), (1e-3, 1.0)
    bits = np.random.default_rng(0).permutation(np.repeat([0, 255], [3000, 1000])).astype(np.uint8)
    train = np.stack([bits, bits], axis=1).reshape(-1, 1, 2, 1)
    case = neural_entropy_cases.Case(
        "d.N4000", "d", "d", 4000, process, times, *(None,) * 3, [train], [train], 255.0
    )
    growth = Result("d.N4000.kelly_growth", 10.0, 0.3)
    alone, bound = neural_entropy_results.between_pixels({"d.N4000": case}, [growth])
    levels = log_snr_range(process, *times)
    less, one, more = (
        float(
            entropy_quadrature.coordinate_entropy(
                process, np.array([0.0, 1.0]), jnp.array([[1 - p, p]]), *levels
            )[0]
        )
        for p in (0.24, 0.25, 0.26)
    )
    assert alone.value == pytest.approx(2 * one, rel=1e-5)
    shares_error = (
        np.std([block.mean() / 255 for block in np.array_split(bits, 10)], ddof=1) / 10**0.5
    )
    assert alone.stderr == pytest.approx(
        abs(more - less) / 0.01 * shares_error, rel=0.02
    )  # the delta method
    assert bound.value == pytest.approx(10 - 2 * one, rel=1e-5)
    assert bound.stderr == pytest.approx(np.hypot(0.3, alone.stderr))
    np.testing.assert_allclose(
        neural_entropy_results.pixel_map(case), np.full((1, 2, 1), one), rtol=1e-5
    )


def test_the_law_in_log_n_is_found():
    cases = {
        f"d.N{n}": neural_entropy_cases.Case(f"d.N{n}", "d", "d", n, *(None,) * 7)
        for n in (100, 1000, 10_000)
    }
    results = [tables.Result(f"d.N{n}.s_nn", 3.0 + 2.0 * np.log(n)) for n in (100, 1000, 10_000)]
    results += [tables.Result(f"d.N{n}.kelly_growth", n) for n in (100, 1000, 10_000)]
    law = {result.name: result for result in neural_entropy_results.log_laws(cases, results)}
    assert law["d.log_law.slope"].value == pytest.approx(2.0) and law[
        "d.log_law.intercept"
    ].value == pytest.approx(3.0)
    assert law["d.log_law.slope"].stderr == pytest.approx(0.0, abs=1e-6)
