"""Bad input at the command line ends in one line, which names the culprit and the remedy."""

import subprocess
import sys

import numpy as np
import pytest
from commands import ROOT, arguments, assert_refused

from diffenc.errors import InputError
from experiments import kelly
from experiments.arguments import load_config
from experiments.diffusion_encoder import __main__ as diffusion_encoder
from experiments.guidance import __main__ as guidance
from experiments.mutual_information import __main__ as mutual_information
from experiments.neural_entropy import __main__ as neural_entropy
from experiments.posteriors import __main__ as posteriors

# ml_collections reads a config file by a method that newer Pythons discourage.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


@pytest.mark.parametrize(
    "config", [["--config=configs/diffusion_encoder/digits.py"], ["--config", "no/such.py"]]
)
def test_a_section_is_no_field_and_the_file_may_follow_a_space(
    command, tmp_path, monkeypatch, config
):
    monkeypatch.chdir(ROOT)
    words = (
        ("'em' is a section", "--config.em.FIELD")
        if len(config) == 1
        else ("no/such.py does not exist",)
    )
    assert_refused(command([*config, f"--workdir={tmp_path}", "--config.em=3"]), *words)


@pytest.mark.parametrize(
    "module, config, field",
    [
        (diffusion_encoder, "kelly/race", "batch_size"),
        (posteriors, "diffusion_encoder/digits", "num_seeds"),
        (neural_entropy, "speed_limit/gaussian_mixture", "batch_size"),
        (mutual_information, "kelly/tower", "data.path"),
        (kelly, "guidance/joint_gaussian", "case"),
        (guidance, "kelly/race", "dim_x"),
    ],
)
def test_the_config_of_another_experiment_is_refused(tmp_path, module, config, field):
    with pytest.raises(InputError, match=f"field {field}"):
        module.run(load_config(f"{ROOT}/configs/{config}.py"), tmp_path)


def test_the_module_itself_says_what_is_wrong_in_one_line(tmp_path):
    """By the module that is imported soonest: all of them end with the same call."""
    given = [f"--config={ROOT}/configs/kelly/race.py", f"--workdir={tmp_path}/run"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.kelly", *given, "--config.error=2.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert_refused((done.returncode, done.stdout, done.stderr), "error 2.0: give 2 or more")


def test_settings_want_their_prefix(command, tmp_path):
    refused = command([*arguments("digits", tmp_path / "run"), "--seed=1"])
    assert_refused(refused, "unknown flag '--seed=1'", "--config.seed=value")


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(em__langevin_stepz=3), ("'em.langevin_stepz'", "nearest: em.langevin_steps")),
        (dict(num_updates="many"), ("'num_updates'", "takes int", "'many'")),
        (dict(em__gamma=-1.0), ("em.gamma is -1.0", "above 0")),
        (dict(em__target="presure"), ("em.target is 'presure'", "nearest: pressure")),
        (dict(em__e_step="gibbs"), ("em.e_step is 'gibbs'", "importance, langevin, persistent")),
        (dict(em__proposal="foo"), ("em.proposal is 'foo'", "gaussian, prior")),
        (dict(em__kernel="hmc"), ("em.kernel is 'hmc'", "importance does not read", "kernel=mala")),
        (dict(em__e_step="langevin", em__proposals=3), ("em.proposals is 3", "langevin does not")),
        (
            dict(em__e_step="persistent", em__sampler_steps=3),
            ("sampler_steps is 3", "does not read"),
        ),
        (dict(em__proposal="foo"), ("em.proposal is 'foo'", "gaussian, prior")),
        (dict(model__decoder="poisson"), ("model.decoder", "bernoulli, diffusion, gaussian")),
        (dict(model__decoder="diffusion"), ("model.decoder", "experiments.diffusion_decoder")),
        (dict(num_updates=5), ("num_updates is 5", "updates_per_dispatch 2", "give")),
        (
            dict(batch_size=6, num_devices=4),
            ("batch size 6 does not divide over 4 devices", "multiple of 4"),
        ),
        (dict(num_devices=9), ("num_devices is 9", "from 1 to 4")),
        (
            dict(data__name="mnist", data__dir="/nowhere/tfds"),
            ("/nowhere/tfds does not exist", "pip install"),
        ),
        (dict(data__name="no_such_data"), ("no data set is called 'no_such_data'",)),
        (dict(data__name="file"), ("needs a path",)),
        (dict(data__test_fraction=2.0), ("config field data.test_fraction is 2.0", "between 0")),
        (dict(data__path="x.npy"), ("data.path is given", "data.name is 'digits'")),
        (dict(em__average_decay=2.0), ("em.average_decay is 2.0", "[0, 1)")),
        (dict(model__residual_bound=-1.0), ("model.residual_bound is -1.0", "above 0")),
        (dict(data__name="file", data__path="/nowhere/x.npy"), ("/nowhere/x.npy does not exist",)),
        (dict(metrics_extras=("fax",)), ("'fax'", "tensorboard")),
    ],
)
def test_bad_settings_end_in_one_line(command, tmp_path, changes, words):
    assert_refused(
        command(arguments("digits", tmp_path / "run", baseline=False, **changes)), *words
    )


def with_value(value):
    x = np.random.default_rng(0).normal(size=(150, 5))
    x[3, 1] = value
    return x


@pytest.mark.parametrize(
    "x, words",
    [
        (with_value(np.nan), ("1 values that are NaN", "(3, 1)")),
        (np.full((150, 5), 3.0), ("3.0 everywhere", "data that vary")),
        (np.ones(150), ("shape (150,)", "[n, d] vectors")),
        (with_value(0.0)[:20], ("20 examples", "at least 100")),
        (with_value(0.0), ("real-valued", "--config.model.decoder=gaussian")),
    ],
)
def test_bad_data_end_in_one_line(command, tmp_path, x, words):
    np.save(tmp_path / "mine.npy", x)
    given = arguments(
        "digits", tmp_path / "run", data__name="file", data__path=tmp_path / "mine.npy"
    )
    assert_refused(command(given), *words)


def test_a_command_line_without_its_parts(command, tmp_path):
    given = arguments("digits", tmp_path / "run")
    assert_refused(command(given[1:2]), "give both --config", "--workdir")
    assert_refused(command(given[:1]), "give both --config", "--workdir")
    assert_refused(command(given[1:]), "give --config=configs/EXPERIMENT/CASE.py, too")
    assert_refused(command([*given, "em.gamma=1"]), "'em.gamma=1'", "--config.field=value")
    assert_refused(command([*given, "--wrokdir=x"]), "wrokdir")
    assert_refused(
        command(["--config=configs/none.py", *given[1:2]]), "configs/none.py does not exist"
    )


def test_a_config_file_that_does_not_run_is_named(command, tmp_path):
    path = tmp_path / "mine.py"
    for text, words in (
        ("def get_config(:", "mine.py"),
        ("x = 1", "mine.py"),
        ("import nothing_such", "nothing_such"),
    ):
        path.write_text(text)
        assert_refused(command([f"--config={path}", f"--workdir={tmp_path / 'run'}"]), words)


def test_a_workdir_that_cannot_be_made(command, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(
        command(arguments("digits", tmp_path / "file" / "run")),
        "cannot be made",
        "give another --workdir",
    )
