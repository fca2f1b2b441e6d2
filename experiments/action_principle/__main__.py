"""The action principle: score matching as optimal control (arXiv 2310.04490), seen and measured.

    python -m experiments.action_principle \
        --config=configs/action_principle/mixture.py --workdir=DIR

The config's `task` says which part is run; each has its module:

mixture: the value function and its paths, the parabola of the action, and guidance beside a tilted
law, for known densities. residual: how far a trained score is from being any score, by noise level.
family: one network of digits in the coordinates of every process. learn: a control by its action
alone, beside the score. sampling: unnormalized densities by such a control, and by annealing.
"""

from collections.abc import Callable

from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import check_choice
from diffenc.run import parallel, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.action_principle import family, learn, mixture, residual, sampling

# Each takes the config and the workdir, draws its figures, and gives the results, or None where
# the run was complete already.
TASKS: dict[str, Callable[[ConfigDict, Path], list[Result] | None]] = {
    "learn": learn.run,
    "mixture": mixture.run,
    "residual": residual.run,
    "sampling": sampling.run,
    "family": family.run,
}
DIVIDED = ("residual", "family")  # those that train over all devices


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole task; again, it continues, or prints the results of the finished run."""
    task = command_line.read_field(config, "task", str)
    check_choice("config field task", task, TASKS)
    if task not in DIVIDED:
        parallel.check_alone(f"experiments.action_principle with task={task}")
    rows = TASKS[task](config, workdir)
    if rows is not None:
        tables.write_results(workdir, rows)
        tables.print_table(rows, title=f"the action principle: {task}")
        print(f"figures: {workdir / 'figures'}")


if __name__ == "__main__":
    command_line.main(run)
