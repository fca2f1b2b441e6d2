"""The estimate of networks and the bracket by laws of the classes, weighed by their errors."""

import numpy as np
import pytest

from diffenc.information.comparisons.class_mixture import ClassMixture
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation.assembly import assemble
from diffenc.information.estimation.label_bracket import weigh
from diffenc.information.results import remarks
from diffenc.information.training.divergence import Divergence

N = 1000
WAVE = np.resize([-1.0, 1.0], N)


def of_networks(mean, conditional=0.0, doubt=0.0, marginal=0.0, doubt_of_x=0.0):
    """An estimate with these divergences; its regression is what is left of the mean."""
    zeros = np.zeros(N)
    edges = np.array([-7.0, 0.0, 10.0])

    def divergence(value, error):
        strata = [np.zeros(2)] * 2
        return Divergence(value, error, zeros + value, *[zeros] * 3, *strata, edges, 0.0, 0.0, 1)

    regression = mean - conditional + marginal
    return assemble(
        GaussianPart(regression, regression + 0.3 * WAVE),
        np.arange(N).reshape(2, -1),
        1,
        divergence(conditional, doubt),
        divergence(marginal, doubt_of_x),
    )


def of_laws(mean, systematic=0.01, by_means=None, entropy=1.5, gain=0.0):
    by_means = mean if by_means is None else by_means
    return ClassMixture(mean, systematic, mean + 0.2 * WAVE, entropy, by_means, mean, gain)


def assert_consistent(result):
    squares = np.sum(np.square(list(result.errors.values())))
    assert squares == pytest.approx(result.estimate.stderr**2, rel=1e-6)
    assert result.pointwise.mean() == pytest.approx(result.estimate.mean)


def test_what_networks_miss_of_x_counts_for_nothing():
    result = weigh(of_networks(1.4, doubt_of_x=0.05), of_laws(1.0))
    assert result.mixture_weight == 1.0 and result.estimate.mean == pytest.approx(1.0)
    assert result.estimate.stderr == pytest.approx(np.hypot(0.01, 0.2 / N**0.5), rel=1e-2)
    assert_consistent(result)
    (note,) = remarks.of_resolution(result, [["x"], ["y"]])
    assert note.startswith("the estimate is by normal laws of the classes")


def test_networks_that_posteriors_contradict_count_for_nothing():
    """They missed a part of D[X|L]: the truth lies between the posteriors and the entropy."""
    laws = of_laws(1.1, by_means=0.0)._replace(by_shapes=0.0)
    networks = of_networks(1.05, conditional=1.05, doubt=0.01)
    assert weigh(networks, laws).estimate.mean == pytest.approx(1.1, abs=0.05)
    result = weigh(networks, laws._replace(posterior="a logistic regression of the classes"))
    assert result.mixture_weight == 1.0
    assert result.estimate.mean == pytest.approx(1.3)  # up to an entropy of 1.5
    assert result.estimate.stderr > 0.2
    assert_consistent(result)
    (note,) = remarks.of_resolution(result, [["x"], ["y"]])
    assert note.startswith("the estimate is by a logistic regression of the classes")
    above = of_networks(1.2, conditional=1.2, doubt=0.01)
    inside = weigh(above, laws._replace(posterior="a logistic regression of the classes"))
    assert 1.1 <= inside.estimate.mean <= 1.2


def test_estimates_that_agree_are_weighed_by_their_systematic_errors():
    result = weigh(of_networks(1.04, doubt_of_x=0.03), of_laws(1.0))
    assert result.mixture_weight == pytest.approx(0.9)
    assert result.estimate.mean == pytest.approx(1.004)
    even = weigh(of_networks(1.0, doubt_of_x=0.01), of_laws(1.0))
    assert even.mixture_weight == pytest.approx(0.5) and not remarks.of_resolution(even, [[], []])
    assert_consistent(result)


def test_the_bracket_is_as_wide_as_classes_are_from_their_laws():
    """Its middle counts little beside networks that are surer, and is below the entropy."""
    before = of_networks(1.1, conditional=0.4, doubt_of_x=0.02)
    result = weigh(before, of_laws(1.0))
    assert result.mixture_weight < 0.02 and abs(result.estimate.mean - 1.1) < 0.01
    unsure = of_networks(2.0, conditional=4.0, doubt=3.0, marginal=3.0, doubt_of_x=3.0)
    result = weigh(unsure, of_laws(1.4))
    assert 1.4 < result.estimate.mean <= 1.5 and result.estimate.stderr < 0.2
    assert_consistent(result)


def test_what_covariances_explain_networks_need_not_find():
    before = of_networks(1.2, conditional=2.0, doubt=0.5, marginal=1.0, doubt_of_x=0.5)
    wide = weigh(before, of_laws(0.9, by_means=0.45))
    narrow = weigh(before, of_laws(0.9, by_means=0.45, gain=2.4))
    # Half of the way from 0.9 to the entropy, 0.3, weighs 0.85.
    assert wide.estimate.stderr > 0.25 and narrow.estimate.stderr < 0.15
    assert abs(narrow.estimate.mean - 0.9) < 0.05
    assert_consistent(narrow)


def test_what_covariances_of_classes_tell_makes_the_bracket_narrow():
    before = of_networks(1.3, conditional=0.5, marginal=0.1, doubt_of_x=0.5)
    wide = weigh(before, of_laws(0.9))
    narrow = weigh(before, of_laws(0.9, by_means=0.45))
    assert narrow.estimate.stderr < wide.estimate.stderr
    assert narrow.estimate.mean < 1.0 < wide.estimate.mean
    assert_consistent(narrow)
