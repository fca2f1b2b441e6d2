"""experiments.benchmarks.clean_samples and .whole_estimates: draws that stay the same, informations
that are known otherwise, and which notes are false."""

import jax
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information.benchmark import laws
from diffenc.information.results import remarks
from diffenc.keys import rng_of
from experiments.benchmarks import clean_samples, whole_estimates
from experiments.benchmarks.clean_samples import RELATIONS, information, information_of_labels
from experiments.benchmarks.whole_estimates import NOTES, Answer, false_notes

every_relation = pytest.mark.parametrize("name", RELATIONS)
ENTROPY = -np.sum(np.log([0.3, 0.3, 0.4]) * [0.3, 0.3, 0.4])
DRAWN = {  # x[0, 0] and y[:2, 0] of the sets 0, 5, ... of 200 rows, whose margin of y is heavy
    "none": (-0.1321048632913019, -6.207823322867004, -0.7819100702825412),
    "line": (-1.324358995628145, -3.9588793878826647, -0.7874874903260096),
    "wave": (-0.7250246402444398, -1.7618124282931877, -2.166116672009434),
    "spread": (0.7835450741214877, -1.061099451027469, -0.5879760281956267),
    "sharp": (1.2036751014877107, 3.2343935421059262, 0.026112365326324594),
}


@every_relation
def test_draws_stay_the_same(name):
    """Sets that the notebook names by their index are those that it describes."""
    index = 5 * list(RELATIONS).index(name)
    x, y = clean_samples.draw(np.random.default_rng(index), index)
    assert clean_samples.relation_of(index) == name and len(x) == 200
    assert (x[0, 0], *y[:2, 0]) == pytest.approx(DRAWN[name], rel=1e-12)


def test_information_has_its_closed_form_where_the_pair_is_normal():
    assert information("none") == pytest.approx(0, abs=1e-9)
    assert information("line") == pytest.approx(-0.5 * np.log(1 - 0.8**2), abs=1e-9)
    assert information("sharp") == pytest.approx(0.5 * np.log(1 + 0.05**-2), abs=1e-9)
    assert information_of_labels("none") == pytest.approx(0, abs=1e-12)


@every_relation
def test_labels_tell_no_more_than_numbers_nor_than_they_are(name):
    bound = min(information(name), ENTROPY)
    assert 0 < information_of_labels(name) < bound or name == "none"


@pytest.mark.parametrize("name", ["wave", "spread"])
def test_information_is_the_mean_of_the_exact_pointwise_information(name):
    mean, scale = RELATIONS[name]
    law = laws.channel(1, lambda x: x[:, 0], mean, scale)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 1))
    y = mean(x) + scale(x) * rng.standard_normal(x.shape)
    found = Estimate.of(law.pointwise(x, y))
    assert abs(found.mean - information(name)) < 3 * found.stderr < 0.03


@every_relation
def test_information_of_labels_is_that_of_counts(name):
    """Cells of x lose a little, and chance adds half of their number over that of the rows."""
    mean, scale = RELATIONS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal(400_000)
    y = mean(x) + scale(x) * rng.standard_normal(len(x))
    cells = np.searchsorted(np.quantile(x, np.arange(1, 200) / 200), x)
    table = np.zeros((200, 3))
    np.add.at(table, (cells, clean_samples.labels_of(y[:, None])), 1 / len(x))
    inside = table > 0
    independent = table.sum(axis=1, keepdims=True) * table.sum(axis=0)
    found = np.sum(table[inside] * np.log(table[inside] / independent[inside]))
    found -= 199 * 2 / (2 * len(x))
    # The pointwise information of labels scatters by less than 1 nat.
    error = len(x) ** -0.5
    truth = information_of_labels(name)
    assert 0.98 * truth - 3 * error < found < truth + 3 * error


def test_the_censored_law_has_its_information():
    """It is that of the normal pair less what is lost of y below 0."""
    law = clean_samples.Censored()
    x, y = law.sample(jax.random.key(0), 200_000)
    values = law.pointwise(x, y)
    # E p(x) p(y) / p(x, y) = 1 is the exact check of a density.
    shuffled = np.exp(law.pointwise(x, np.random.default_rng(1).permutation(y)))
    assert abs(shuffled.mean() - 1) < 4 * shuffled.std() / len(shuffled) ** 0.5
    assert 0 < values.mean() < -0.5 * np.log(1 - law.correlation**2)


def answer(truth, mean, stderr, note, index=6):
    """Set 6 is a wave."""
    return Answer(index, 200, 3, 1, truth, mean, stderr, ENTROPY, [note])


@pytest.mark.parametrize(
    "name, truth, mean, stderr, is_false",
    [
        ("refused", 3.0, None, None, True),
        ("unbounded", 3.0, 3.0, 0.1, True),
        ("recurring_rows", 3.0, 3.0, 0.1, True),
        ("turns", 3.0, 3.0, 0.1, True),
        ("beyond_limits", 1.0, 1.05, 0.05, False),
        ("beyond_limits", 0.5, 1.05, 0.05, True),
        ("beyond_limits", 0.5, 0.9, 0.4, False),
        ("columns_alone", 0.5, 0.4, 0.1, False),
        ("columns_alone", 0.5, 0.2, 0.1, True),
        ("by_neighbours", 0.5, 0.6, 0.1, False),
        ("by_neighbours", 0.5, 0.8, 0.1, True),
        ("doubted", 0.5, 0.4, 0.1, False),
        ("doubted", 0.5, 0.6, 0.1, True),
        ("doubted", 0.5, 0.2, 0.1, True),
        ("weighed", 0.5, 0.4, 0.1, False),
        ("weighed", 0.5, 0.2, 0.1, True),
    ],
)
def test_a_note_is_false_where_the_truth_says_so(name, truth, mean, stderr, is_false):
    said = answer(truth, mean, stderr, f"so: {NOTES[name].words}")
    assert false_notes(said) == ([name] if is_false else [])
    assert not false_notes(said._replace(notes=[remarks.EXCHANGED]))


@pytest.mark.parametrize("name", ["columns_alone", "by_neighbours", "doubted"])
def test_where_there_is_nothing_no_note_may_say_that_there_is_more(name):
    assert false_notes(answer(0.0, -0.01, 0.1, NOTES[name].words, index=0)) == [name]


def test_labels_that_are_told_to_be_far_below_zero_must_have_no_information():
    (note,) = remarks.limits(Estimate(-0.3, 0.1), ENTROPY)
    assert not false_notes(answer(0.1, -0.3, 0.1, note))
    assert false_notes(answer(0.3, -0.3, 0.1, note)) == ["beyond_limits"]


def test_misses_are_counted_apart_where_they_are_warned_of(capsys):
    warned = remarks.nothing_detected(200, 9, 0.05)
    answers = [
        answer(0.5, 0.5, 0.1, warned),
        answer(0.5, 0.1, 0.1, warned),
        answer(0.5, 0.9, 0.1, remarks.EXCHANGED),
        answer(0.5, 0.9, 0.1, remarks.UNBOUNDED),
    ]
    rows = {row.name: row for row in whole_estimates.summarize(answers)}
    assert rows["estimates.coverage"].value == rows["estimates.misses_warned"].value == 0.25
    assert rows["estimates.misses"].value == 0.5
    assert rows["unbounded.said"].value == rows["unbounded.false_alarms"].value == 0.25
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("with a warning") for line in lines] == [True, False, False]
    assert "0.90 ± 0.10 of 0.500; unbounded (false); missed without a warning" in lines[2]


def test_a_refusal_of_a_clean_set_is_a_false_alarm(monkeypatch):
    def refuse(x, y, seed, order):
        raise InputError("y is a function of x")

    monkeypatch.setattr(whole_estimates.estimates, "mutual_information", refuse)
    refused = whole_estimates.answer(0, 9)
    assert refused.is_missed and false_notes(refused) == ["refused"]
    assert "not finite of 0.143; refused (false); missed" in whole_estimates.describe(refused)


def test_answers_that_a_workdir_has_are_not_made_again(tmp_path, monkeypatch):
    def answer_of(seed, index):
        asked.append(index)
        notes = [remarks.EXCHANGED] if index else []
        return Answer(index, 200, 3, 1, 0.5, None if index else 0.4, 0.1, None, notes)

    asked = []
    monkeypatch.setattr(whole_estimates, "answer", answer_of)
    counted = []
    for count in (2, 3):
        answers = whole_estimates.answer_all(0, count, tmp_path, counted.append)
    assert asked == [0, 1, 2] and counted == [1, 2, 3]
    assert answers == [answer_of(0, index) for index in range(3)]


def test_an_answer_knows_its_truth(monkeypatch):
    """Sets 9 and 10 are of a scale that x tells, by labels and by numbers."""
    asked = []

    def estimate(x, y, seed, order):
        asked.append((x, y))
        return whole_estimates.estimates.Measurement(
            "I(X;Y)",
            Estimate(0.1, 0.1),
            {"label_entropy": Estimate(ENTROPY, None)},
            {},
            (),
            None,
            None,
        )

    monkeypatch.setattr(whole_estimates.estimates, "mutual_information", estimate)
    of_labels, of_numbers = (whole_estimates.answer(0, index) for index in (9, 10))
    assert of_labels.truth == information_of_labels("spread") and of_labels.entropy == ENTROPY
    assert of_numbers.truth == information("spread") and of_numbers.entropy is None
    x, labels = asked[0]
    assert len(labels) == of_labels.rows == 200 and np.bincount(labels).tolist() == [60, 60, 80]
    drawn = clean_samples.draw(rng_of(0, "estimate", 9), 15)
    assert np.array_equal(x, drawn[0]) and (of_labels.dim_x, of_labels.dim_y) == (x.shape[1], 1)
    assert of_numbers.rows == len(asked[1][1]) == 500
