"""experiments.apply writes what `diffenc.load` gives, and bad input ends in one line."""

import json

import numpy as np
import pandas as pd
import pytest
from workdirs import DIM, draw, make_truth, make_workdir

from diffenc import models
from experiments import apply


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    make_workdir(workdir)
    return workdir


@pytest.fixture(scope="module")
def x():
    return draw(make_truth(), 1, 20)


def test_it_gives_what_load_gives(workdir, x, tmp_path, capsys):
    np.save(tmp_path / "x.npy", x)
    command = [f"--workdir={workdir}", f"--input={tmp_path / 'x.npy'}", "--samples=5", "--seed=2"]
    apply.main([*command, f"--output={tmp_path / 'out.npz'}"])
    stdout = capsys.readouterr().out
    for words in (
        "diffusion_encoder of",
        "after 4 of 4 updates",
        "encoding 20/20",
        "decoding 20/20",
        "scoring 20/20",
        "lower bound of log p(x)",
        "log_prob_ess",
        "written to",
    ):
        assert words in stdout
    trained = models.load(workdir)
    bound = trained.log_prob(x, samples=5, seed=2)
    expected = {
        "z": trained.encode(x, seed=2),
        "reconstruction": trained.reconstruct(x, seed=2),
        "log_prob": bound.values,
        "log_prob_stderr": bound.stderr,
        "log_prob_ess": bound.ess,
        "log_prob_folds": bound.folds,
    }
    with np.load(tmp_path / "out.npz") as output:
        assert set(output.files) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(output[name], values)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npz", "x.npy"]


def test_tables_archives_and_parts(workdir, x, tmp_path):
    names = ",".join(f"c{i}" for i in range(DIM))
    rows = "\n".join(",".join(repr(float(value)) for value in row) for row in x)
    (tmp_path / "x.csv").write_text(f"{names}\n{rows}\n")
    np.savez(tmp_path / "x.npz", test=x, train=x[:3])
    for name, more in (("x.csv", []), ("x.npz", ["--array=test"])):
        output = tmp_path / f"{name}.out.npz"
        command = [f"--workdir={workdir}", f"--input={tmp_path / name}", f"--output={output}"]
        apply.main([*command, "--what=encode", "--system=vae", *more])
        with np.load(output) as arrays:
            assert arrays.files == ["z"]
            np.testing.assert_array_equal(arrays["z"], models.load(workdir, "vae").encode(x))
        apply.main([*command, "--what=reconstruct, encode", "--overwrite", *more])
        with np.load(output) as arrays:
            assert sorted(arrays.files) == ["reconstruction", "z"]


def test_the_columns_of_a_table_are_found_by_their_names(x, tmp_path, capsys):
    make_workdir(tmp_path)
    names = [f"c{i}" for i in range(DIM)]
    content = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(content | {"columns": names}))
    table = pd.DataFrame(x, columns=names)[names[::-1]]
    table.to_csv(tmp_path / "x.csv", index=False)
    table.drop(columns="c2").to_csv(tmp_path / "less.csv", index=False)
    command = [f"--workdir={tmp_path}", f"--output={tmp_path / 'out.npz'}", "--what=encode"]
    apply.main([*command, f"--input={tmp_path / 'x.csv'}"])
    with np.load(tmp_path / "out.npz") as output:
        np.testing.assert_array_equal(output["z"], models.load(tmp_path).encode(x))
    with pytest.raises(SystemExit):
        apply.main([*command, f"--input={tmp_path / 'less.csv'}", "--overwrite"])
    assert "and the model was trained on c0, c1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"workdir": "none"}, "none does not exist"),
        ({"input": "none.npy"}, "none.npy does not exist"),
        ({"input": "x.mat"}, "x.mat is not .npy, .npz"),
        ({"array": "y"}, "has no array 'y': give one of x by --array"),
        ({"input": "nan.npy"}, "x has 1 values that are NaN"),
        ({"input": "wide.npy"}, r"x has shape (20, 7), not that of its model: give [n, 6]"),
        ({"output": "there.npz"}, "there.npz exists: give another name, or --overwrite"),
        ({"output": "out.npy"}, "give the name of an .npz file"),
        ({"output": "no/out.npz"}, "does not exist: make it first"),
        ({"what": "encode,dream"}, "--what is 'dream': choose one of encode"),
        ({"system": "vea"}, "'vea': choose one of diffusion_encoder, vae"),
        ({"samples": "1"}, "--samples is 1: give 2 or more"),
        ({"samples": "many"}, "argument --samples: invalid int value"),
        ({"smaples": "3"}, "unrecognized arguments: --smaples=3"),
    ],
)
def test_bad_input_is_one_line(workdir, x, tmp_path, monkeypatch, capsys, changes, words):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", x)
    np.save("wide.npy", np.zeros((20, 7)))
    np.save("nan.npy", np.where(np.arange(DIM)[None] + np.arange(20)[:, None] == 0, np.nan, x))
    np.savez("there.npz", x=x)
    fields = {"workdir": workdir, "input": "x.npy", "output": "out.npz"} | changes
    with pytest.raises(SystemExit) as end:
        apply.main([f"--{name}={value}" for name, value in fields.items()])
    assert end.value.code == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: ") and stderr.count("\n") == 1 and words in stderr
    assert not (tmp_path / "out.npz").exists()
    with np.load("there.npz") as untouched:
        np.testing.assert_array_equal(untouched["x"], x)


def test_nothing_is_computed_for_an_output_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    def refuse(directory):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(apply.files, "check_writable", refuse)
    np.savez(tmp_path / "x.npz", x=np.zeros((2, DIM)))
    given = ["--workdir=none", f"--input={tmp_path / 'x.npz'}", "--overwrite"]
    for output, words in (("out", "cannot be written (PermissionError: "), ("x", "is the input")):
        with pytest.raises(SystemExit):
            apply.main([*given, f"--output={tmp_path / output}.npz"])
        assert words in capsys.readouterr().err
