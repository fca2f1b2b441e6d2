"""experiments.warm_start: one tiny run of a model that knows the grid and of a plain one, looked at
from all sides; it is loaded and used."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_distinct_keys, count_compilations, record_keys
from warm_start_runs import TINY, train

from diffenc import grid_models, models
from diffenc.diffusion import likelihood
from diffenc.errors import InputError
from diffenc.keys import key_of
from diffenc.run import data, records, tables
from experiments import apply, arguments, glossary
from experiments.warm_start import __main__ as warm_start
from experiments.warm_start.settings import read_experiment

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "configs" / "warm_start").glob("*.py"))
# Of each data set: the shape of an example, and how many values its numbers take.
KINDS = {
    "digits": ((8, 8, 1), 17),
    "mnist": ((28, 28, 1), 256),
    "fashion_mnist": ((28, 28, 1), 256),
    "cifar10": ((32, 32, 3), 256),
    "text": ((32, 1), 30),
}
TERMS = ("prior", "diffusion", "reconstruction")
QUANTITIES = (*TERMS, "bits_per_dim", "it_nll", "loss_variance", "update_time")
CONTROLS = ("uniform", "independent", "chow_liu", "gzip", "png")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a run, what it printed, and the keys that it asked for."""
    workdir = tmp_path_factory.mktemp("warm_start") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        asked = record_keys(monkeypatch)
        printed = train(workdir)
    return workdir, printed, asked


@pytest.fixture(scope="module")
def held_out():
    """What the run is measured on."""
    return data.load("digits").test[:20]


@pytest.fixture(scope="module")
def cold(finished):
    """The first model of the run, loaded."""
    return models.load(finished[0])


def values_of(workdir) -> dict[str, float]:
    return {row.name: row.value for row in tables.read_results(workdir)}


def test_every_promised_file_is_there_and_no_other(finished):
    workdir, printed, _ = finished
    assert {path.name for path in workdir.iterdir()} == {
        "checkpoints",
        "config.json",
        "figures",
        "metrics.jsonl",
        "model.json",
        "results.json",
    }
    figures = list((workdir / "figures").iterdir())
    names = {"terms.png", "training.png", "levels.png", "information.png", "samples.png"}
    assert {figure.name for figure in figures} == names
    for figure in figures:
        assert figure.read_bytes().startswith(b"\x89PNG") and figure.stat().st_size > 5000
    assert [line["step"] for line in records.read_metrics(workdir)] == [0, 2, 4, 6]
    lines = printed.splitlines()
    for line, model in zip(lines, TINY["methods"], strict=False):
        assert line.startswith(f"{model}: ") and line.endswith("of temporary memory")
    assert lines[-1] == f"figures: {workdir / 'figures'}"


def test_results_are_named_explained_and_finite(finished):
    rows = json.loads((finished[0] / "results.json").read_text())
    expected = {f"{model}.{name}" for model in TINY["methods"] for name in QUANTITIES}
    expected |= {f"{name}.bits_per_dim" for name in CONTROLS} | {"plain.bits_saved"}
    assert {row["name"] for row in rows} == expected and len(rows) == len(expected)
    assert not glossary.unexplained("warm_start", tables.read_results(finished[0]))
    for row in rows:
        assert np.isfinite(row["value"]) and row["truth"] is None
        assert row["stderr"] > 0 or row["name"] == "uniform.bits_per_dim"


def test_results_go_together(finished):
    """The bound is the sum of its terms. A network that has hardly learned codes numbers by
    themselves, if it knows the frequencies of their values; one that does not wastes more."""
    value = values_of(finished[0])
    for model in TINY["methods"]:
        total = sum(value[f"{model}.{term}"] for term in TERMS)
        assert value[f"{model}.bits_per_dim"] == pytest.approx(total, rel=1e-5)
    assert value["uniform.bits_per_dim"] == pytest.approx(np.log2(17))
    assert value["cold.bits_per_dim"] < value["plain.bits_per_dim"]


def test_purposes_have_keys_of_their_own(finished):
    assert_distinct_keys(finished[2])


def test_a_second_call_says_that_the_run_is_complete(finished):
    workdir = finished[0]
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    assert train(workdir).startswith(f"the run in {workdir} is complete; its results:")
    after = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    assert before == after


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(finished, tmp_path, monkeypatch):
    stopped = tmp_path / "run"
    shutil.copytree(finished[0], stopped)
    (stopped / "results.json").unlink()
    shutil.rmtree(stopped / "checkpoints" / "6")
    monkeypatch.setattr(warm_start.figures, "draw", lambda *arguments: None)
    monkeypatch.setattr(warm_start.controls, "measure", lambda *arguments: {})
    assert "continuing from update 4 of 6" in train(stopped)
    ends = [
        [row for row in tables.read_results(path) if row.name.split(".")[1] in (*TERMS, "it_nll")]
        for path in (finished[0], stopped)
    ]
    assert len(ends[0]) == 8 and ends[0] == ends[1]


def test_a_loaded_run_has_the_numbers_of_its_results(finished, held_out):
    """To rounding with the draws of the run, within the errors with others."""
    value = values_of(finished[0])
    for model in TINY["methods"]:
        trained = models.load(finished[0], f"{model}.0")
        assert trained.systems == ("cold.0", "plain.0")
        assert trained.updates == trained.num_updates == 6

        def terms(key, x, trained=trained):
            return grid_models.draw_terms(
                key, trained._params, trained._carried, x, denoiser=trained._denoiser, draws=8
            )

        drawn = trained._map(terms, key_of(0, "evaluation", 0), held_out, 8, None)
        same = likelihood.bits_per_dim(drawn.total.mean(dtype=np.float64), 64)
        assert value[f"{model}.bits_per_dim"] == pytest.approx(same, rel=1e-5)
        bound = trained.bits_per_dim(held_out, samples=64, seed=1)
        assert bound.values.shape == bound.stderr.shape == (20,)
        # The run has 8 draws of each example, an eighth of these.
        stderr = np.sqrt(9 * np.square(bound.stderr).sum()) / 20
        assert 0 < stderr < 0.06 * same
        assert abs(bound.values.mean() - same) < NUM_SIGMAS * stderr


def test_a_model_of_a_version_that_knew_one_input_alone_is_loaded(
    finished, cold, held_out, tmp_path
):
    old = tmp_path / "run"
    shutil.copytree(finished[0], old)
    content = json.loads((old / "model.json").read_text())
    for system in content["systems"]:
        assert system["settings"].pop("fourier") == []
        assert system["settings"].pop("sees") == "noisy"
    (old / "model.json").write_text(json.dumps(content))
    bits = models.load(old).bits_per_dim(held_out[:5])
    np.testing.assert_array_equal(bits.values, cold.bits_per_dim(held_out[:5]).values)


def test_a_loaded_run_is_used(finished, cold, held_out):
    assert cold.name == "cold.0" and cold.size == 17 and cold.dim == 64
    bound = cold.log_prob(held_out[:5], seed=3)
    assert bound.bound == "evidence lower bound of log P(x) in nats, 64 draws"
    bits = cold.bits_per_dim(held_out[:5], seed=3)
    np.testing.assert_allclose(-bound.values, bits.values * 64 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(bound.stderr, bits.stderr * 64 * np.log(2), rtol=1e-6)
    for same in (held_out[:5, ..., 0], held_out[:5].reshape(5, -1), held_out[:5].tolist()):
        np.testing.assert_array_equal(cold.log_prob(same, seed=3).values, bound.values)
    drawn = cold.sample(3, steps=2)
    assert drawn.shape == (3, 8, 8, 1) and drawn.dtype == np.int32
    assert drawn.min() >= 0 and drawn.max() <= 16 and drawn.std() > 1
    assert np.abs(cold.sample(3, seed=1, steps=2) - drawn).max() > 0
    np.testing.assert_array_equal(cold.sample(3, steps=2), drawn)
    again = models.load(finished[0])
    assert count_compilations(lambda: again.log_prob(held_out[5:11])) == 0
    counts = []
    models.load(finished[0], batch_size=4).log_prob(held_out[:5], progress=counts.append)
    assert counts == [4, 5]


@pytest.mark.parametrize(
    "x, words",
    [
        (np.full((2, 8, 8), 17), "17.*: give .*0 to 16"),
        (np.full((2, 8, 8), -1), "-1.*: give .*0 to 16"),
        (np.full((2, 8, 8), 0.5), "give whole numbers"),
        (np.full((2, 64), np.nan), "128 values that are NaN"),
        (np.zeros((2, 7, 7)), r"x has shape \(2, 7, 7\).* give \[n, 8, 8, 1\] or \[n, 8, 8\]"),
        (np.zeros((8, 8)), r"one example .*: give x\[None\]"),
        (np.zeros((0, 64)), "no examples"),
    ],
)
def test_a_loaded_run_refuses_what_the_data_cannot_be(cold, x, words):
    with pytest.raises(InputError, match=words) as raised:
        cold.bits_per_dim(x)
    assert "\n" not in str(raised.value)


def test_a_model_of_texts_takes_texts(cold):
    letters = "abcdefghijklmnopq"
    trained = dataclasses.replace(cold, example_shape=(3, 1), characters=letters)
    numbers = trained._observe(["abq", "qba"])
    np.testing.assert_array_equal(numbers[..., 0], [[0, 1, 16], [16, 1, 0]])
    np.testing.assert_array_equal(trained._observe(numbers), numbers)
    for texts, words in (
        (["abz"], "x has characters that the training text has not, 'z'"),
        (["abcd"], "x has shape"),
        (["abc", "ab"], "x has windows of lengths"),
    ):
        with pytest.raises(InputError, match=words):
            trained.log_prob(texts)


def test_the_shell_gives_what_load_gives(finished, cold, held_out, tmp_path, capsys):
    np.save(tmp_path / "x.npy", held_out[:5])
    command = [f"--workdir={finished[0]}", f"--input={tmp_path / 'x.npy'}", "--samples=64"]
    apply.main([*command, f"--output={tmp_path / 'out.npz'}"])
    bound = cold.log_prob(held_out[:5])
    assert bound.bound in capsys.readouterr().out
    with np.load(tmp_path / "out.npz") as output:
        assert set(output.files) == {"log_prob", "log_prob_stderr", "bits_per_dim"}
        np.testing.assert_array_equal(output["log_prob"], bound.values)
        bits = cold.bits_per_dim(held_out[:5]).values
        np.testing.assert_array_equal(output["bits_per_dim"], bits)
    with pytest.raises(SystemExit):
        apply.main([*command, f"--output={tmp_path / 'z.npz'}", "--what=encode"])
    words = "--what is 'encode': cold.0 has no latents, give log_prob or sample"
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"gaussian", "noise_families"}))
def test_the_models_of_every_config_can_be_made(name):
    experiment = read_experiment(arguments.load_config(f"{ROOT}/configs/warm_start/{name}.py"))
    shape, size = KINDS[experiment.data.name]
    for model, start in experiment.starts.items():
        denoiser = grid_models.make(experiment.model(model, size), shape)
        assert denoiser.head == start.head and denoiser.alphabet.size == size


@pytest.mark.slow
def test_gaussian_data_have_the_terms_of_their_closed_forms(tmp_path):
    config = arguments.load_config(f"{ROOT}/configs/warm_start/gaussian.py")
    config.num_examples = 200
    config.draws = 16
    config.highs = (2.0, 8.0)
    warm_start.run(config, tmp_path)
    rows = tables.read_results(tmp_path)
    assert not glossary.unexplained("warm_start", rows)
    for row in rows:
        if not row.name.endswith(("it_nll", "high=2.bound")):
            assert abs(row.value - row.truth) <= 5 * row.stderr + 1e-5 * abs(row.truth), row
    by_name = {row.name: row for row in rows}
    warm = by_name["high=2.bound"]
    assert warm.value > warm.truth + 5 * warm.stderr  # the start is noisy, and the bound pays
    assert (tmp_path / "figures" / "gaussian.png").exists()
