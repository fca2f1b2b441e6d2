"""An undisturbed run, and one that was killed in its sixth epoch, to be copied and damaged."""

import shutil
from typing import NamedTuple

import numpy as np
import pytest
import small_run
from processes import FOLDER, Fault, Run

from experiments.arguments import load_config


class Undisturbed(NamedTuple):
    """The data of all runs, and what the undisturbed one ended with."""

    data: str
    outcome: tuple


def outcome_of(workdir):
    return small_run.outcome(load_config(str(FOLDER / "small_config.py")), workdir)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    data = folder / "data.npy"
    np.save(data, np.random.default_rng(0).normal(size=(150, small_run.DIM)))
    done = Run(folder / "run", data).wait()
    assert done.status == 0, done.text
    outcome = outcome_of(folder / "run")
    assert outcome[0] == 120 and len(outcome[2]) == 25
    return Undisturbed(str(data), outcome)


@pytest.fixture(scope="session")
def interrupted(undisturbed, tmp_path_factory):
    """A workdir whose newest checkpoint is that of update 60, killed as the next one was whole."""
    workdir = tmp_path_factory.mktemp("interrupted") / "run"
    fault = Fault(kill_renaming="checkpoints/70")
    killed = Run(workdir, undisturbed.data, fault).wait()
    assert killed.status == -9, killed.text
    return workdir


@pytest.fixture
def workdir(interrupted, tmp_path):
    """A copy of the interrupted run, for one test."""
    return shutil.copytree(interrupted, tmp_path / "run")


@pytest.fixture
def check_end(undisturbed):
    """Assert that a workdir ends bit for bit as the undisturbed run did."""

    def check(workdir):
        assert outcome_of(workdir) == undisturbed.outcome

    return check
