"""experiments.mutual_information: a user's files, tasks with truth, resumption, the promised names,
and bad input."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS

import diffenc
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import estimates
from diffenc.information.benchmark import beyond, pairs, rivals, tasks
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation.assembly import assemble
from diffenc.information.results import remarks
from diffenc.information.samples.rows import notes as notes_of_rows
from diffenc.information.settings import Settings
from diffenc.information.training.divergence import Divergence
from diffenc.keys import key_of
from diffenc.run import provenance, records, tables
from experiments import command_line
from experiments.arguments import load_config
from experiments.mutual_information import __main__ as mutual_information
from experiments.mutual_information import figures, measures, samples
from experiments.mutual_information.results import FORMS, Record, notes

CONFIGS = "configs/mutual_information"
TINY = {
    "estimator.denoiser.width": 16,
    "estimator.denoiser.batch_size": 32,
    "estimator.denoiser.draws": 2,
    "estimator.denoiser.updates": 20,
    "estimator.denoiser.rounds": 2,
    "estimator.mixture.updates": 20,
    "estimator.mixture.rounds": 2,
    "estimator.judge.parts": 3,
    "estimator.flow.rounds": 2,
    "estimator.flow.updates": 10,
    "estimator.flow.width": 16,
    "estimator.flow.steps": 4,
    "num_samples": 1000,
}
FIVE = ("bimodal_1x1", "uniform_noise_0.1", "dense_3x3", "student_2x2_dof1", "spiral_3x3")
TASK = pairs.dense(2, 2, 0.6)  # of the shape of tests/information, whose programs serve here


def make_config(name, **changes):
    config = load_config(f"{CONFIGS}/{name}.py")
    config.update_from_flattened_dict(
        TINY | {key.replace("__", "."): value for key, value in changes.items()}
    )
    return config


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def values_of(workdir):
    rows = json.loads((workdir / "results.json").read_text())
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


def test_samples_of_ones_own(tmp_path, capsys):
    x, y = TASK.sample(jax.random.key(0), 1000)
    workdir = tmp_path / "run"
    workdir.mkdir()
    config = make_config("data", data__path=save(tmp_path / "xy.npz", x=x, y=y))
    mutual_information.run(config, workdir)
    row = values_of(workdir)["data.mutual_information"]
    assert (
        abs(row["value"] - TASK.information) < NUM_SIGMAS * row["stderr"] and row["truth"] is None
    )
    assert {path.name for path in workdir.iterdir()} <= {
        "config.json",
        "metrics.jsonl",
        "results.json",
        "figures",
    }
    estimate = diffenc.mutual_information(x, y, settings=config.estimator.to_dict())
    assert [row["value"], row["stderr"]] == list(estimate.estimate)  # digit for digit
    for name, part in estimate.parts.items():
        row_of_part = values_of(workdir)[f"data.{name}"]
        assert [row_of_part["value"], row_of_part["stderr"]] == list(part)
    names = {*FORMS[1:], "ksg", "seconds"}
    assert {f"data.{name}" for name in names} < set(values_of(workdir))
    parts = {
        part: values_of(workdir).get(f"data.{part}", {"value": 0})
        for part in ("conditional", "marginal")
    }
    made_of = values_of(workdir)["data.regression"]["value"] + parts["conditional"]["value"]
    assert row["value"] == pytest.approx(made_of - parts["marginal"]["value"])
    told = capsys.readouterr().out
    forms = [
        values_of(workdir)[f"data.{form}_difference"]["value"] for form in ("entropy", "growth")
    ]
    nothing = forms[0] == forms[1]  # nothing was added to the regression
    assert nothing == (remarks.NOTHING_DETECTED in told)
    mutual_information.run(config, workdir)
    assert "is complete" in capsys.readouterr().out
    save(tmp_path / "xy.npz", x=x, y=y[::-1])  # other samples by the same name
    with pytest.raises(
        InputError, match="the data file is not the one that the run in .* began with"
    ):
        mutual_information.run(config, workdir)
    assert values_of(workdir)["data.mutual_information"] == row


def test_a_table_gives_the_arrays_that_were_written_to_it(tmp_path):
    x, y = TASK.sample(jax.random.key(0), 1000)
    table = np.concatenate([x, y], axis=1)
    csv = tmp_path / "table.csv"
    csv.write_text(
        "a, b,c,d\n" + "\n".join(",".join(map(repr, map(float, row))) for row in table) + "\n"
    )
    columns = dict(data__path=str(csv), data__x_columns=("a", "b"), data__y_columns=("c", "d"))
    loaded = samples.load_samples(mutual_information.parse(make_config("data", **columns)).data)
    np.testing.assert_array_equal(loaded.x, x)
    np.testing.assert_array_equal(loaded.y, y)


def test_all_pairs_of_columns_of_a_table_with_their_tests(tmp_path, capsys):
    x, y = TASK.sample(jax.random.key(0), 1000)
    csv = tmp_path / "table.csv"
    rows = zip(x[:, 0], y[:, 0], 2 * x[:, 0], strict=True)
    csv.write_text("a,b 1,twice\n" + "\n".join(",".join(map(repr, map(float, r))) for r in rows))
    config = make_config("matrix", data__path=str(csv), permutations=99)
    mutual_information.run(config, tmp_path / "run")
    values = values_of(tmp_path / "run")
    assert set(values) == {
        f"{pair}.{quantity}"
        for pair in ("a.b 1", "b 1.twice")
        for quantity in ("mutual_information", "p_value")
    }
    single = diffenc.mutual_information(
        x[:, 0], y[:, 0], settings=config.estimator.to_dict(), name="a.b 1"
    )
    row = values["a.b 1.mutual_information"]
    assert [row["value"], row["stderr"]] == list(single.estimate)
    assert values["a.b 1.p_value"]["value"] == single.test(99).p_value == 0.01
    out = capsys.readouterr().out
    assert "a, twice: no estimate, since y column 'twice' is a function of x column 'a'" in out
    assert (tmp_path / "run" / "figures" / "matrix.png").exists()
    for changes, words in (
        (dict(data__path=str(csv), data__columns=("a",)), "two columns or more"),
        (dict(data__path=str(csv), data__columns=("a", "c")), "no column 'c'"),
        (dict(data__path=str(tmp_path / "none.csv")), "does not exist"),
        (dict(data__path=str(csv), permutations=5), "permutations is 5: give a whole number of 19"),
        (dict(data__path=str(csv), permutations=-1), "19 or more, or 0 for no test"),
        (dict(data__path=save(tmp_path / "y.npz", y=x)), "save one array x"),
        (dict(), "data.path is empty"),
    ):
        with pytest.raises(InputError, match=words):
            mutual_information.run(make_config("matrix", **changes), tmp_path / "other")


def test_what_is_said_of_rows_from_the_shell(tmp_path):
    walks = np.cumsum(np.random.default_rng(0).normal(size=(2, 1000)), axis=1)
    subject = np.repeat(np.arange(50), 20)
    path = save(tmp_path / "xy.npz", x=walks[0], y=walks[1], subject=subject)

    def load(**changes):
        return samples.load_samples(
            mutual_information.parse(make_config("data", data__path=path, **changes)).data
        )

    with pytest.raises(InputError, match="say --config.data.order=exchangeable"):
        load()
    assert load(data__order="exchangeable").order == "exchangeable"
    grouped = load(data__groups_column="subject")
    np.testing.assert_array_equal(grouped.groups, subject)
    with pytest.raises(InputError, match="x, y, subject, but no subjects"):
        load(data__groups_column="subjects")
    csv = tmp_path / "table.csv"
    lines = zip(*walks, subject, strict=True)
    csv.write_text("x,y,subject\n" + "".join(f"{x},{y},s{s}\n" for x, y, s in lines))
    columns = dict(data__x_columns=("x",), data__y_columns=("y",))
    path = str(csv)
    assert load(data__groups_column="subject", **columns).groups[-1] == "s49"
    with pytest.raises(InputError, match="has no column 'subjects'"):
        load(data__groups_column="subjects", **columns)
    csv.write_text(csv.read_text().replace("s7\n", "\n", 1))
    with pytest.raises(InputError, match="column 'subject', line 142 is empty: name the group"):
        load(data__groups_column="subject", **columns)
    sentences = notes_of_rows({"repeated": 5.0, "rows": 300.0}) + [remarks.EXCHANGED]
    assert notes(Record("data", {"data.notes": sentences}))[0].startswith("5 of 300 rows repeat")
    assert len(notes(Record("a_task", {"a_task.notes": sentences}))) == 1


def test_tasks_with_truth_are_resumed_one_by_one(tmp_path, monkeypatch):
    config = make_config("benchmark", tasks=("normal_1x1", "normal_cdf_1x1"), rivals=("cca", "ksg"))
    measured, measure = [], mutual_information.measure

    def stopped_at_the_second(seed, name, *arguments):
        measured.append(name)
        if measured == ["normal_1x1", "normal_cdf_1x1"]:
            raise KeyboardInterrupt
        return measure(seed, name, *arguments)

    monkeypatch.setattr(mutual_information, "measure", stopped_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        mutual_information.run(config, tmp_path)
    assert len(records.read_metrics(tmp_path)) == 1
    mutual_information.run(config, tmp_path)
    assert measured == ["normal_1x1", "normal_cdf_1x1", "normal_cdf_1x1"]
    rows = values_of(tmp_path)
    for name, task in tasks.benchmark().items():
        if name in config.tasks:
            for estimator in (*FORMS, "oracle", "cca", "ksg"):
                row = rows[f"{name}.{estimator}"]
                assert row["truth"] == pytest.approx(task.information) and row["stderr"] > 0
            row = rows[f"{name}.diffusion"]
            assert row["stderr"] < 0.1
            assert abs(row["value"] - task.information) < NUM_SIGMAS * row["stderr"]
    errors = [
        abs(rows[f"{name}.ksg"]["value"] - rows[f"{name}.ksg"]["truth"]) for name in config.tasks
    ]
    assert rows["benchmark.ksg.mean_absolute_error"]["value"] == pytest.approx(np.mean(errors))
    assert {
        "benchmark.mean_absolute_error",
        "benchmark.mean_error",
        "benchmark.oracle.mean_absolute_error",
        "benchmark.within_0.1",
        "benchmark.coverage_2se",
    } < set(rows)
    assert (tmp_path / "figures" / "truth_against_estimate.png").exists()


@pytest.mark.optimized
@pytest.mark.slow
def test_error_and_coverage_of_five_of_the_forty_tasks(tmp_path):
    """One of each kind, with the settings of the benchmark, at 3,000 samples in place of 10,000."""
    config = load_config(f"{CONFIGS}/benchmark.py")
    config.update(tasks=FIVE, rivals=(), num_samples=3000)
    mutual_information.run(config, tmp_path)
    rows = values_of(tmp_path)
    found = [rows[f"{task}.diffusion"] for task in FIVE]
    errors = np.array([abs(row["value"] - row["truth"]) for row in found])
    stderr = np.array([row["stderr"] for row in found])
    assert errors.mean() < 0.03
    assert np.all(errors < NUM_SIGMAS * stderr) and np.all(stderr < 0.1)
    assert np.sum(errors < 2 * stderr) >= 4  # all but one but for a chance of 2 %
    for task in FIVE:
        for form in ("entropy_difference", "growth_difference", "score_difference"):
            row = rows.get(f"{task}.{form}")  # a form that needs a Gaussian x has no row
            if row and row["value"] is not None:
                error = abs(row["value"] - rows[f"{task}.diffusion"]["truth"])
                assert error < NUM_SIGMAS * row["stderr"], (task, form)
    assert all(f"{task}.entropy_difference" in rows for task in FIVE)
    estimate = rows["student_2x2_dof1.diffusion"]
    unseen = estimate["truth"] - rows["student_2x2_dof1.gaussian"]["value"]
    assert abs(unseen) > 0.05 > estimate["stderr"]  # by correlations, whatever the tails


def test_the_configs_name_tasks_that_exist():
    assert set(make_config("benchmark").tasks) == set(tasks.benchmark())
    for name in ("benchmark", "joint_gaussian", "beyond"):
        experiment = mutual_information.parse(make_config(name))
        assert set(experiment.tasks) <= set(samples.known_tasks())


def test_the_halves_of_the_tasks_beyond_have_names():
    assert mutual_information.parse(make_config("beyond")).tasks == beyond.CHOOSE
    changed = make_config("beyond", tasks=("report", "normal_1x1"))
    assert mutual_information.parse(changed).tasks == (*beyond.REPORT, "normal_1x1")
    with pytest.raises(InputError, match="give every task once"):
        mutual_information.parse(make_config("beyond", tasks=("choose", "choice_3x1")))


def test_samples_of_a_task_come_with_their_oracle():
    drawn = samples.draw_samples(0, "spiral_3x3", 2000)
    assert drawn.are_numbers and drawn.oracle.stderr < 0.05
    assert abs(drawn.oracle.mean - drawn.truth) < NUM_SIGMAS * drawn.oracle.stderr
    assert not samples.draw_samples(0, "choice_3x1", 200).are_numbers


def test_the_config_has_every_setting_with_its_default():
    section = load_config(f"{CONFIGS}/data.py").estimator.to_dict()
    assert section == dataclasses.asdict(Settings())
    config = make_config("benchmark")
    config.estimator.flow.rounds = 0
    assert mutual_information.parse(config).estimator.flow.rounds == 0


def test_the_config_of_another_experiment_is_refused(tmp_path):
    config = load_config("configs/kelly/race.py")
    with pytest.raises(InputError, match="data.path"):
        mutual_information.run(config, tmp_path / "run")


@pytest.mark.parametrize("name", ["cca", "ksg"])
def test_rivals_know_a_bivariate_normal(name):
    task = pairs.bivariate(0.75)
    x, y = task.sample(jax.random.key(1), 4000)
    estimate = rivals.RIVALS[name](jax.random.key(2), x, y)
    assert abs(estimate.mean - task.information) < NUM_SIGMAS * estimate.stderr


@pytest.mark.optimized
@pytest.mark.slow
@pytest.mark.parametrize("name", ["infonce", "mine"])
def test_critics_know_a_bivariate_normal(name):
    task = pairs.bivariate(0.75)
    x, y = task.sample(jax.random.key(1), 10_000)
    estimate = rivals.RIVALS[name](jax.random.key(2), x, y)
    assert (
        abs(estimate.mean - task.information) < NUM_SIGMAS * estimate.stderr + 0.02
    )  # bounds from below


X = np.random.default_rng(0).normal(size=(300, 2))


@pytest.mark.parametrize(
    "arrays, changes, words",
    [
        (dict(x=X), {}, "no y: save x and y"),
        (dict(x=X, y=X[:200, 0]), {}, "rows differ in number"),
        (dict(x=X, y=np.ones(300)), {}, "y column 0 is constant"),
        (
            dict(x=X, y=np.array(["3.5", "4"] * 150)),
            {},
            "numbers as text.*they are codes: --config.data.labels=yes",
        ),
        (
            dict(x=X, y=np.where(np.arange(300) == 5, np.nan, X[:, 1])),
            {},
            "y column 0 is not finite in row 5",
        ),
        (dict(x=X[:50], y=X[:50, 0] ** 2), {}, "50 rows are too few"),
        (dict(x=X, y=np.float64(1.0)), {}, "y has shape ..: give"),
        (dict(x=X[:0], y=X[:0, 0]), {}, "x has shape .0, 2.: give"),
        (dict(x=X, y=X[::-1] * 1j), {}, "y has type complex128"),
        (dict(x=X, y=X[::-1] * 1e200), {}, "y column 0 has values too large"),
        (
            dict(x=np.stack([*X.T, X.sum(axis=1)], axis=1), y=X[::-1, 0]),
            {},
            "x column 2 repeats the columns before it",
        ),
        (
            dict(x=np.random.default_rng(1).normal(size=(100, 24)), y=X[:100, 0]),
            {},
            "25 columns are too many for 100",
        ),
        (dict(x=X, y=np.arange(300) // 295), {}, "label 1 of y column 0 has 5"),
        (dict(x=X, y=np.zeros(300, int)), {"data__labels": "yes"}, "all labels are 0"),
        (dict(x=X[:, 0], y=np.cos(3 * X[:, 0])), {}, "y column 0 is a function of x"),
        (dict(x=X, y=X[:, 0] + 1), {"data__labels": "yes"}, "label .* has 1 of the 10"),
        (dict(x=X, y=X[::-1]), {"data__codes": ("z",)}, "name 'z', which is no column"),
        (dict(x=X, y=X[::-1]), {"rivals": ("ksgg",)}, "rivals is 'ksgg'"),
        (
            dict(x=X, y=X[::-1]),
            {"estimator__denoiser__draws": 0},
            "field estimator.denoiser.draws is 0: give 1 or more",
        ),
        (dict(x=X, y=X[::-1]), {"data__labels": "maybe"}, "data.labels is 'maybe'"),
    ],
)
def test_bad_samples_leave_one_line_and_no_results(tmp_path, arrays, changes, words):
    config = make_config("data", data__path=save(tmp_path / "xy.npz", **arrays), **changes)
    with pytest.raises(InputError, match=words):
        mutual_information.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("marginal, words", [(None, "one column"), (0.0, "nothing found")])
def test_a_figure_of_parts_says_why_one_is_empty(tmp_path, monkeypatch, marginal, words):
    drawn = []
    monkeypatch.setattr(figures.figures, "save", lambda figure, *_: drawn.append(figure))
    line = {"a.conditional.mean": 0.1, "a.conditional.density.0": 0.2, "a.regression.density.0": 1}
    line |= {} if marginal is None else {"a.marginal.mean": marginal}
    figures.density(tmp_path, [Record("a", line)], 2)
    texts = [[text.get_text() for text in ax.texts] for ax in drawn[0].axes]
    assert texts[:2] == [[], []] and words in texts[2][0]


def test_a_table_of_counts_has_no_figures_and_names_none(tmp_path, capsys):
    codes = np.arange(300) % 3
    path = save(tmp_path / "xy.npz", x=np.roll(codes, 1)[X[:, 0].argsort()], y=codes)
    mutual_information.run(make_config("data", data__path=path), tmp_path / "run")
    assert (tmp_path / "run" / "results.json").exists()
    assert not (tmp_path / "run" / "figures").exists()
    said = capsys.readouterr().out
    assert "figures:" not in said
    assert "estimates 1/1" in said and "updates" not in said, "no network is trained"


def test_a_finished_run_needs_no_samples(tmp_path, capsys):
    path = save(tmp_path / "xy.npz", x=X, y=X[::-1])
    config, workdir = make_config("data", data__path=path), tmp_path / "run"
    command_line.is_complete(config, workdir)  # leaves the config, as a run does
    tables.write_results(workdir, [tables.Result("data.mutual_information", 1.0, 0.1)])
    (tmp_path / "xy.npz").unlink()
    mutual_information.run(config, workdir)
    assert "is complete" in capsys.readouterr().out
    (workdir / "results.json").unlink()
    (workdir / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match="xy.npz does not exist"):  # an unfinished one does
        mutual_information.run(config, workdir)


def test_a_workdir_made_without_the_digest_of_its_data_is_taken(tmp_path):
    config = make_config("data", data__path=save(tmp_path / "xy.npz", x=X, y=X[::-1]))
    workdir = tmp_path / "run"
    provenance.check_config(workdir, config.to_dict())
    (workdir / "metrics.jsonl").write_text("")
    assert not command_line.is_complete(config, workdir)
    save(tmp_path / "xy.npz", x=X, y=X)
    with pytest.raises(InputError, match="the data file is not the one"):  # it is known from now on
        command_line.is_complete(config, workdir)


def test_every_use_has_a_key_of_its_own(monkeypatch):
    """Over seeds, tasks (also with names of the same letters) and rivals: samples, estimator,
    rivals."""
    seen = []

    def rival(key, x, y):
        seen.append(tuple(np.asarray(jax.random.key_data(key)).ravel().tolist()))
        return Estimate(0.0, 1.0)

    def estimator(key, x, y, settings, tell, clusters=None):
        rival(key, x, y)
        zeros = [*[np.zeros(300)] * 4, *[np.zeros(1)] * 2]
        nothing = Divergence(0.0, 0.0, *zeros, np.arange(2.0), 0.0, 0.0, 0)
        share = GaussianPart(0.0, np.arange(300.0))
        result = assemble(share, np.arange(300), 1, nothing, None)
        return result._replace(regression_density=np.zeros(0))

    monkeypatch.setattr(estimates.measures, "mutual_information", estimator)
    monkeypatch.setattr(measures, "RIVALS", {"cca": rival, "ksg": rival})
    for seed in range(3):
        for name in ("sparse_2x3", "sparse_3x2"):
            seen.append(
                tuple(np.asarray(jax.random.key_data(key_of(seed, "samples", name))).tolist())
            )
            drawn = samples.Samples(X, X[::-1], None)
            measures.measure(seed, name, drawn, Settings(), ("cca", "ksg"), print)
    assert len(seen) == 3 * 2 * 4 and len(set(seen)) == len(seen)


def test_bad_files_are_named(tmp_path):
    csv = tmp_path / "t.csv"
    csv.write_text("height,weight\n1,2\n3,x\n")
    text = tmp_path / "t.doc"
    text.write_text("1 2")
    broken = tmp_path / "t.npz"
    broken.write_text("no zip")
    (empty := tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", X)
    (array := tmp_path / "array.npz").write_bytes((tmp_path / "array.npy").read_bytes())
    np.savez_compressed(tmp_path / "torn.npz", x=X, y=X)
    content = bytearray((torn := tmp_path / "torn.npz").read_bytes())
    content[80:400] = bytes(320)
    torn.write_bytes(bytes(content))
    sheets = {}
    for name, content in {
        "nothing": b"",
        "binary": bytes(range(256)),
        "header": b"a,b\n",
        "twice": b"a,a,b\n1,2,3\n",
        "blank": b"a,b\n\n\n1,2\n\n3,x\n",
        "mark": b"\xef\xbb\xbfa,b\n1,y\n2,3\n",
        "semicolons": b"a;b\n1,5;2\n1;x\n",
        "nan": b"a,b\n1,2\n3,nan\n",
    }.items():
        (tmp_path / f"{name}.csv").write_bytes(content)
        sheets[name] = dict(
            data__path=str(tmp_path / f"{name}.csv"), data__x_columns=("a",), data__y_columns=("b",)
        )
    for changes, words in (
        (dict(data__path=str(empty)), "cannot be read"),
        (dict(data__path=str(array)), "cannot be read"),
        (dict(data__path=str(torn)), "is damaged"),
        (sheets["nothing"], "has 0 of two lines"),
        (sheets["binary"], "cannot be read as text"),
        (sheets["header"], "has 1 of two lines"),
        (sheets["twice"], "has 2 columns 'a'"),
        (sheets["blank"], "column 'b', line 6 holds 'x'"),
        (sheets["mark"], "column 'b', line 2 holds 'y'"),
        (sheets["semicolons"], "column 'b', line 3 holds 'x'"),
        (sheets["nan"], "column 'b', line 3 holds 'nan'"),
        (dict(data__path=str(tmp_path)), "is a directory"),
        (dict(tasks=("normal_1x1",), num_samples=50), "num_samples is 50"),
        (dict(data__path=str(tmp_path / "none.npz")), "does not exist"),
        (dict(data__path=str(text)), "is .doc"),
        (dict(data__path=str(broken)), "cannot be read"),
        (dict(data__path=str(csv)), "x_columns is empty"),
        (
            dict(data__path=str(csv), data__x_columns=("hight",), data__y_columns=("weight",)),
            "nearest: height",
        ),
        (
            dict(data__path=str(csv), data__x_columns=("height",), data__y_columns=("weight",)),
            "line 3 holds 'x'",
        ),
        (dict(), "data.path is empty"),
        (dict(tasks=("normal_1x2",)), "nearest: normal_1x1"),
    ):
        with pytest.raises(InputError, match=words) as raised:
            mutual_information.run(make_config("data", **changes), tmp_path / "run")
        assert "\n" not in str(raised.value)
