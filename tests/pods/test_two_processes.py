"""Two real processes that find each other on the loopback, as hosts do, give what one gives.

Each has two virtual devices, and they add up over Gloo; the run that they are compared with has
four devices in one process. They are slow because two processes on CPUs compile everything anew.
"""

from pathlib import Path

import numpy as np
import pytest
from small_runs import lines_of, metrics_of, run

from diffenc.run import tables

pytestmark = pytest.mark.slow

# Some results are small differences of two numbers of order one, each rounded once.
ROUNDING = 2 * float(np.finfo(np.float32).eps)

COMPARED = ("diffusion_encoder", "neural_entropy")


def files_of(workdir: Path) -> list[str]:
    """The names of all files but those of checkpoints."""
    paths = [path.relative_to(workdir) for path in workdir.rglob("*")]
    return sorted(str(path) for path in paths if "checkpoints" not in path.parts)


def results_of(workdir: Path) -> dict[str, list[float]]:
    """[value, standard error] of each result that is not a time."""
    return {
        result.name: [result.value, result.stderr or 0.0]
        for result in tables.read_results(workdir)
        if "update_time" not in result.name
    }


@pytest.fixture(scope="module", params=COMPARED)
def runs(request, tmp_path_factory):
    """Workdirs of the same run in one process and in two, and what the two printed."""
    folder = tmp_path_factory.mktemp(request.param)
    run(request.param, folder / "one", 1)
    printed = run(request.param, folder / "two", 2)
    return folder / "one", folder / "two", printed


def test_two_processes_give_the_numbers_of_one(runs):
    one, two, _ = runs
    assert [line["step"] for line in lines_of(two)] == [0, 2, 4, 6], "each line is written once"
    for line_of_one, line_of_two in zip(metrics_of(one), metrics_of(two), strict=True):
        assert line_of_one.keys() == line_of_two.keys()
        for name, value in line_of_one.items():
            np.testing.assert_allclose(line_of_two[name], value, rtol=1e-5, err_msg=name)
    results_of_one, results_of_two = results_of(one), results_of(two)
    assert results_of_one.keys() == results_of_two.keys()
    for name, values in results_of_one.items():
        np.testing.assert_allclose(
            results_of_two[name], values, rtol=1e-5, atol=ROUNDING, err_msg=name
        )


def test_the_first_process_alone_writes_and_prints(runs):
    one, two, printed = runs
    assert files_of(one) == files_of(two)
    assert "standard error" in printed[0] and "figures: " in printed[0]
    lines = printed[1].splitlines()
    # C++ prints how many peers it has found, from several threads.
    assert [line for line in lines if "peer ranks" not in line and line] == []
