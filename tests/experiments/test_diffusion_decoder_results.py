"""Results of experiments.diffusion_decoder: how made-up numbers of methods are put together."""

import io
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from decoder_runs import make_config

from diffenc.estimate import Estimate, over_seeds
from diffenc.run.advance import dotted
from experiments import glossary
from experiments.diffusion_decoder import measures, results, usefulness
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.settings import Point, read_experiment
from experiments.diffusion_decoder.usefulness import Measured

N = 400
FIRST = "diffusion_encoder"
RIVAL = "gaussian_encoder"


def made_up(rates, distortions, num_seeds=1, noise=0.0, seed=0, gammas=None):
    """Places of both encoders {Name: Measured}: rates[method], distortions[method], a number for
    each gamma. Noise is of the examples and shared by all."""
    rng = np.random.default_rng(seed)
    shared = noise * rng.normal(size=(num_seeds, 2, N))
    measured = {}
    for method in rates:
        for gamma, rate, distortion in zip(
            gammas or (0.3, 0.1, 0.03), rates[method], distortions[method], strict=True
        ):
            for index in range(num_seeds):
                values = {
                    "distortion": distortion + shared[index, 0],
                    "rate": rate + shared[index, 1],
                }
                values["neg_elbo"] = values["rate"] + values["distortion"]
                name = Name(method, Point(gamma), index)
                measured[name] = Measured(values, {}, np.zeros((N, 2)))
    return measured


def saved(rates, distortions, **noise):
    """{gamma: (value, stderr)} of the nats that are saved."""
    rows = results.rate_saved(0, results.stack(made_up(rates, distortions, **noise)))
    assert all(row.unit == "nats" for row in rows)
    pattern = rf"{FIRST}\.gamma=(.*)\.rate_saved"
    return {float(re.fullmatch(pattern, row.name)[1]): row[1:3] for row in rows}


def test_the_rate_that_is_saved_is_read_off_the_rivals_frontier():
    """The rival's is 20 - 2 D between its places; beyond them nothing is said."""
    rival = ((4.0, 8.0, 12.0), (8.0, 6.0, 4.0))
    own = ((2.0, 6.0, 14.0), (7.0, 5.0, 3.9))
    rates = {FIRST: own[0], RIVAL: rival[0]}
    distortions = {FIRST: own[1], RIVAL: rival[1]}
    exact = saved(rates, distortions)
    assert exact == {0.3: pytest.approx((4.0, 0.0)), 0.1: pytest.approx((4.0, 0.0))}
    # The noise that both share moves all places of a frontier of slope -2 alike: nothing is left.
    noisy = saved(rates, distortions, noise=0.1, num_seeds=2)
    assert noisy == {0.3: pytest.approx((4.0, 0.0)), 0.1: pytest.approx((4.0, 0.0))}
    distortions[FIRST] = (8.1, 3.9, 4.0)
    assert set(saved(rates, distortions)) == {0.03}, "the ends themselves are on the frontier"


def test_the_error_of_the_rate_that_is_saved_is_that_of_the_examples_and_of_the_seeds():
    """Of the rates of one encoder alone, whose mean is taken off a constant."""
    rates = {FIRST: (6.0,) * 3, RIVAL: (4.0, 8.0, 12.0)}
    distortions = {FIRST: (5.0,) * 3, RIVAL: (8.0, 6.0, 4.0)}
    rng = np.random.default_rng(1)
    measured = made_up(rates, distortions, num_seeds=2)
    for seed in range(2):
        own = measured[Name(FIRST, Point(0.3), seed)].values
        own["rate"] = own["rate"] + rng.normal(size=N)
    own = np.stack([measured[Name(FIRST, Point(0.3), seed)].values["rate"] for seed in range(2)])
    row = results.rate_saved(0, results.stack(measured))[0]
    assert row.value == pytest.approx(10 - own.mean())
    # A resample takes each seed twice (its examples alone scatter) or both once.
    means = own.mean(axis=1)
    variance = np.mean(
        [own[list(pair)].mean(axis=0).var() for pair in ((0, 0), (0, 1), (1, 1), (0, 1))]
    )
    expected = np.sqrt(variance / N + (means[0] - means[1]) ** 2 / 8)
    assert abs(row.stderr / expected - 1) < NUM_SIGMAS / np.sqrt(2 * 200)


def test_a_place_that_another_of_less_rate_surpasses_is_not_on_the_frontier():
    """In whatever order places come."""
    rates = {FIRST: (3.0, 5.0, 6.0), RIVAL: (12.0, 4.0, 8.0)}
    distortions = {FIRST: (7.0, 6.0, 5.0), RIVAL: (4.0, 8.0, 9.0)}
    values = {gamma: value for gamma, (value, _) in saved(rates, distortions).items()}
    assert values == pytest.approx({0.3: 3.0, 0.1: 3.0, 0.03: 4.0})


def test_one_place_is_no_frontier():
    measured = made_up({FIRST: (3.0,), RIVAL: (4.0,)}, {FIRST: (5.0,), RIVAL: (5.0,)}, gammas=(1,))
    assert results.rate_saved(0, results.stack(measured)) == []


def test_methods_are_compared_in_pairs():
    """The error is that of the difference: noise that both have falls out, other noise stays."""
    rng = np.random.default_rng(0)
    rival = 10 + rng.normal(size=(3, N))
    own = rival - 2 + 0.01 * rng.normal(size=(3, N))
    stacked = {
        (FIRST, Point()): {"rate": own, "neg_elbo": own},
        (RIVAL, Point()): {"rate": rival, "neg_elbo": rival},
        (FIRST, Point(0.1)): {"rate": own},
    }
    rows = {row.name: row for row in results.against_rival(stacked)}
    assert list(rows) == [f"{FIRST}.{name}_below_{RIVAL}" for name in ("rate", "neg_elbo")]
    row = rows[f"{FIRST}.rate_below_{RIVAL}"]
    assert (row.value, row.stderr) == over_seeds(rival - own)
    assert abs(row.value - 2) < NUM_SIGMAS * row.stderr < 0.01


def test_seeds_are_combined():
    assert results.combine([Estimate(2.0, 0.3)]) == (2.0, 0.3)
    mean, stderr = results.combine([Estimate(1.0, 0.3), Estimate(3.0, 0.5)])
    assert mean == 2.0
    # the same examples: 0.4; two seeds that differ by 2: sqrt(2) / sqrt(2)
    assert stderr == pytest.approx(np.hypot(0.4, 1.0))


def test_a_latent_costs_what_the_bound_rises_above_that_without_one_at_the_same_split():
    def of(value, **others):
        values = {name: np.full(N, number) for name, number in others.items()}
        return Measured({"neg_elbo": np.full(N, value)} | values, {}, np.zeros((N, 2)))

    measured = {
        Name(FIRST, Point(0.1, -2.0), 0): of(104.0, refit_neg_elbo=102.0),
        Name(FIRST, Point(0.1, 0.0), 0): of(105.0),
        Name(RIVAL, Point(0.1, 3.0), 0): of(106.0),
        Name("vae", Point(), 0): of(150.0),
        Name("without_latent", Point(None, -2.0), 0): of(101.0),
        Name("without_latent", Point(None, 0.0), 0): of(103.0),
    }
    stacked = results.stack(measured)
    costs = {
        place: {name: values[name].mean() for name in values if name.endswith("latent_cost")}
        for place, values in stacked.items()
    }
    assert costs == {
        (FIRST, Point(0.1, -2.0)): {"latent_cost": 3.0, "refit_latent_cost": 1.0},
        (FIRST, Point(0.1, 0.0)): {"latent_cost": 2.0},
        (RIVAL, Point(0.1, 3.0)): {},  # no control at its split
        ("vae", Point()): {},
        ("without_latent", Point(None, -2.0)): {},
        ("without_latent", Point(None, 0.0)): {},
    }
    alone = {
        Name(FIRST, Point(0.1), 0): of(104.0),
        Name("without_latent", Point(), 0): of(101.0),
    }
    np.testing.assert_array_equal(results.stack(alone)[FIRST, Point(0.1)]["latent_cost"], 3.0)


def test_a_sweep_has_its_places_in_the_names_and_two_latents_in_the_table():
    rates = {FIRST: (2.0, 6.0), RIVAL: (4.0, 8.0)}
    distortions = {FIRST: (7.0, 6.5), RIVAL: (8.0, 6.0)}
    measured = made_up(rates, distortions, num_seeds=2, noise=0.1, gammas=(0.3, 0.1))
    scalars = {"semantic_information": Estimate(1.5, 0.1), "frechet": Estimate(3.0, 0.2)}
    measured = {name: one._replace(scalars=scalars) for name, one in measured.items()}
    experiment = read_experiment(make_config(sweep__gammas=(0.3, 0.1), num_seeds=2))
    rows = results.summarize(experiment, measured)
    names = {row.name for row in rows}
    assert len(names) == len(rows) and not glossary.unexplained("diffusion_decoder", rows)
    for place in ("gamma=0.3", "gamma=0.1"):
        for quantity in ("rate", "rate_saved", "frechet", "semantic_information"):
            assert f"{FIRST}.{place}.{quantity}" in names
        assert f"{FIRST}.{place}.rate_below_{RIVAL}" in names
        assert f"{RIVAL}.{place}.rate_saved" not in names
    units = {row.name: row.unit for row in rows}
    assert units[f"{FIRST}.gamma=0.3.frechet"] == "squared distance"

    values = {"rate": np.arange(N) / N}
    alone = {Name(FIRST, Point(), 0): Measured(values, scalars, np.zeros((N, 2)))}
    rows = results.summarize(read_experiment(make_config()), alone)
    named = {row.name: row for row in rows}
    assert named["semantic.label_information"][1:3] == (1.5, 0.1)
    with redirect_stdout(io.StringIO()) as printed:
        results.print_methods("mine", rows)
    line = next(line for line in printed.getvalue().splitlines() if "semantic" in line)
    assert "1.50" in line


def test_updates_are_timed_at_every_place():
    names = [Name(method, Point(gamma), 0) for method in (FIRST, RIVAL) for gamma in (0.3, 0.1)]
    names += [Name(FIRST, Point(0.3), 1), Name("vae", Point(), 0)]
    metrics = [
        {f"{dotted(name.key)}.ms_per_update": 1000.0 if step == 0 else 1.0 + index + name.seed}
        for step in range(4)
        for index, name in enumerate(names)
    ]
    rows = {row.name: row for row in results.update_times(metrics, dict.fromkeys(names))}
    assert {name: row.value for name, row in rows.items()} == {
        f"{FIRST}.gamma=0.3.update_time": 1.0,
        f"{FIRST}.gamma=0.3.update_time_ratio": 1 / 3,
        f"{FIRST}.gamma=0.1.update_time": 2.0,
        f"{FIRST}.gamma=0.1.update_time_ratio": 1 / 2,
        f"{RIVAL}.gamma=0.3.update_time": 3.0,
        f"{RIVAL}.gamma=0.1.update_time": 4.0,
        "vae.update_time": 6.0,
    }
    assert not glossary.unexplained("diffusion_decoder", list(rows.values()))


def test_errors_by_other_latents_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3))
    decoded = rng.normal(1.0, 2.0, size=(7, 3))
    pairs = [np.sum((x[i] - decoded[j]) ** 2) for i in range(7) for j in range(7) if i != j]
    np.testing.assert_allclose(usefulness.other_errors(x, decoded).mean(), np.mean(pairs))


def test_the_error_of_errors_by_other_latents_counts_both_parts_of_an_example():
    """Of (x_i - x_j)^2 with x ~ N(0, 1) the mean over all pairs is twice the sample variance, and
    has the variance 8 / (n - 1). What the scatter gives is short of that by 1 / (n - 1) of it. Of n
    errors, each by the latent of the example before, the scatter would give 8 / n, and the variance
    is 12 / n: neighbours share an example."""
    n = 100
    x = np.random.default_rng(0).normal(size=(2000, n, 1))
    values = np.stack([usefulness.other_errors(one, one) for one in x])
    variance = 8 / (n - 1)
    means = values.mean(axis=1)
    assert_mean(means, 2.0)
    assert_mean((means - 2) ** 2, variance, scale=variance)
    estimated = np.var(values, axis=1, ddof=1) / n
    assert_mean(estimated, variance * (n - 2) / (n - 1), scale=variance)


def test_a_latent_that_says_nothing_does_not_spread():
    """Means of 16 draws of q(z|x) = N(0, 1) have variance 1 / 16 each, and no covariance."""
    rng = np.random.default_rng(0)
    count = 2000
    centre = np.stack([np.zeros(count), rng.normal(size=count)], axis=1)
    first = centre + rng.normal(size=(count, 2)) / 4
    second = centre + rng.normal(size=(count, 2)) / 4
    nothing, something = measures.spread(first, second)
    assert first[:, 0].var() > measures.ACTIVE
    assert abs(nothing) < NUM_SIGMAS / 16 / np.sqrt(count) < measures.ACTIVE
    # the variance of a b is 1 + (1 + 1 / 16)^2 where cov(a, b) = 1
    error = np.sqrt((1 + (17 / 16) ** 2) / count)
    assert abs(something - 1) < NUM_SIGMAS * error
