"""Mutual information of samples in nats, with its error: of a user's own, or of tasks whose truth
is known.

    python -m experiments.mutual_information --config=configs/mutual_information/data.py \
        --config.data.path=xy.npz --workdir=DIR
    python -m experiments.mutual_information --config=configs/mutual_information/benchmark.py --workdir=DIR

Images and their labels: experiments.labels. Task by task: a run that was stopped goes on with the task it was at. One set of settings
serves every task.
"""

import csv
import difflib
import functools
import time
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import checks, growth, measures, tasks
from diffenc.information.rivals import RIVALS
from diffenc.keys import key_of
from diffenc.run import reporting
from diffenc.run.reporting import Result
from experiments import command_line
from experiments.mutual_information import figures

FORMS = ("diffusion", "entropy_difference", "growth_difference", "score_difference", "gaussian")
LABELS = ("auto", "yes", "no")


class Task(NamedTuple):
    """Samples x [N, dim_x], y [N, dim_y] or labels [N], and their information where it is known."""

    x: np.ndarray
    y: np.ndarray
    labels: bool
    truth: float | None


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished
    run."""
    check(config)
    if (workdir / "results.json").exists() and command_line.is_complete(config, workdir):
        return
    names = ["data"] if config.data.path else list(config.tasks)
    load = {name: lambda name=name: sample(config, name) for name in names}
    if config.data.path:
        own = load_samples(config)  # bad samples are refused before anything is written
        load = {"data": lambda: own}
    if command_line.is_complete(config, workdir):
        return
    done = len(reporting.read_metrics(workdir))
    settings = estimator_settings(config)
    most = (
        settings.mixture_rounds * settings.mixture_updates + settings.max_rounds * settings.updates
    )
    # two divergences, each of two fits, either way round
    total = 8 * most + settings.flow_rounds * settings.flow_updates
    with (
        reporting.MetricsWriter(
            workdir, resume_step=done, extras=tuple(config.metrics_extras)
        ) as writer,
        reporting.progress(len(names) * total, done * total, "updates", at_most=True) as show,
    ):
        for index, name in enumerate(names[done:], start=done):
            before, last = index * total, 0

            def tell(
                stage, updates, value, index=index, name=name
            ):  # every fit counts from 0 again
                nonlocal before, last
                before, last = before + (last if updates <= last else 0), updates
                show(
                    min(before + last, (index + 1) * total - 1), f"{name}: {stage} {value:.3f} nats"
                )

            writer.write(index + 1, **measure(config, name, load[name](), tell))
        show(len(names) * total)
    lines = reporting.read_metrics(workdir)
    results = summarize(config, names, lines)
    figures.draw(workdir, config, names, lines)
    reporting.write_results(workdir, results)
    reporting.print_table(results, title="mutual information")
    for name, line in zip(names, lines, strict=True):
        if not any(line.get(f"{name}.{part}.updates") for part in ("conditional", "marginal")):
            print(
                f"{name}: the denoisers found nothing beyond a Gaussian residual of the regression"
            )
        if name == "data" and line["data.y_diffused"]:
            print("data: the X of D[X|Y] and D[X], whose networks these are, is y here")
        if line[f"{name}.unbounded"]:
            print(
                f"{name}: information still grows at the finest resolution: infinite, or sharper than the samples show"
            )
    print(f"figures: {workdir / 'figures'}")


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
    command_line.check_not_negative(config, "seed")
    positive = (
        "width",
        "batch_size",
        "draws",
        "updates",
        "max_rounds",
        "judge_parts",
        "learning_rate",
    )
    positive += (
        "components",
        "mixture_batch",
        "mixture_updates",
        "mixture_rounds",
        "flow_width",
        "flow_updates",
    )
    command_line.check_positive(config, *(f"estimator.{field}" for field in positive))
    command_line.check_not_negative(config, "estimator.flow_rounds")
    command_line.check_choice("data.labels", config.data.labels, LABELS)
    for name in config.rivals:
        command_line.check_choice("rivals", name, RIVALS)
    if config.data.path:
        return
    if config.num_samples < 100:
        raise InputError(f"config field num_samples is {config.num_samples}: give 100 or more")
    if not config.tasks:
        raise InputError(
            "config field data.path is empty: give an .npz file with arrays x and y, or a .csv file"
        )
    for name in config.tasks:
        command_line.check_choice("tasks", name, known_tasks())
    if len(set(config.tasks)) < len(config.tasks):
        raise InputError(f"config field tasks is {tuple(config.tasks)}: give every task once")


def estimator_settings(config: ConfigDict) -> growth.Settings:
    return growth.Settings(**config.estimator.to_dict())


# ------------------------------------------------------------------------------------------ samples


@functools.cache
def known_tasks() -> dict:
    """Tasks whose information is known, by name. Made when asked for, because making them computes
    with jax."""
    return tasks.benchmark() | {
        "joint_gaussian_25x15": tasks.linear_channel(jax.random.key(0)),
        "gaussian_80x80": tasks.high_information(80, 80.0),
    }


def sample(config: ConfigDict, name: str) -> Task:
    """num_samples pairs of a task, a function of the seed and the task's name."""
    task = known_tasks()[name]
    x, y = task.sample(key_of(config.seed, "samples", name), config.num_samples)
    return Task(x, y, False, task.information)


def load_samples(config: ConfigDict) -> Task:
    """x and y of data.path: arrays of an .npz file, or columns of a .csv file by their names in its
    first line."""
    path, settings = Path(config.data.path), config.data
    if not path.is_file():
        told = "is a directory" if path.is_dir() else "does not exist"
        raise InputError(f"data file {path} {told}: give --config.data.path an .npz or .csv file")
    if path.suffix == ".npz":
        x, y = _read_npz(path)
    elif path.suffix == ".csv":
        x, y = _read_csv(path, settings.x_columns, settings.y_columns)
    else:
        raise InputError(
            f"data file {path} is {path.suffix or 'without ending'}: give .npz or .csv"
        )
    if len(x) != len(y):
        raise InputError(
            f"rows differ in number (x has {len(x)}, y has {len(y)}): give one y for each x"
        )
    labels = _are_labels(y, settings.labels)
    if labels:
        y = y.reshape(len(y)).astype(np.int64)
        checks.check_labels(x, y)
    else:
        checks.check_no_function(*checks.check(x, y))
    return Task(x, y, labels, None)


def _read_npz(path):
    if not zipfile.is_zipfile(path):  # numpy would read a single array by another name, or nothing
        raise InputError(
            f"{path} cannot be read, it is damaged or no archive of arrays: save it with numpy.savez"
        )
    try:
        with np.load(path) as arrays:
            given = {name: arrays[name] for name in ("x", "y") if name in arrays}
            names = ", ".join(arrays) or "none"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read ({' '.join(str(error).split())}): save it with numpy.savez"
        ) from error
    for name in ("x", "y"):
        if name not in given:
            raise InputError(f"{path} has arrays {names}, but no {name}: save x and y")
    for name, array in given.items():
        if array.ndim not in (1, 2) or not array.size:
            raise InputError(f"{path}: {name} has shape {array.shape}: give [N] or [N, dim]")
    return given["x"], given["y"]


def _read_csv(path, x_names, y_names):
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as text ({error}): save it as comma-separated values"
        ) from error
    if len(rows) < 2:
        raise InputError(f"{path} has {len(rows)} lines: give a line of names and rows of numbers")
    header, rows = [name.strip() for name in rows[0][1]], rows[1:]
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"{path} is separated by semicolons: separate its columns by commas")
    for field, names in (("x_columns", x_names), ("y_columns", y_names)):
        if not names:
            raise InputError(
                f"config field data.{field} is empty: give names of columns, of {', '.join(header)}"
            )
        for name in names:
            if name not in header:
                near = difflib.get_close_matches(name, header, n=1) or [", ".join(header)]
                raise InputError(
                    f"{path} has no column {name!r} (nearest: {near[0]}): correct data.{field}"
                )
            if header.count(name) > 1:
                raise InputError(
                    f"{path} has {header.count(name)} columns {name!r}: give every column its own name"
                )

    def column(name):
        index, values = header.index(name), np.empty(len(rows))
        for row, (line, cells) in enumerate(rows):
            cell = cells[index] if index < len(cells) else ""
            try:
                values[row] = float(cell)
            except ValueError as error:
                raise InputError(
                    f"{path} column {name!r}, line {line} holds {cell!r}: give a number"
                ) from error
            if not np.isfinite(values[row]):
                raise InputError(
                    f"{path} column {name!r}, line {line} holds {cell!r}: drop or repair such lines"
                )
        return values

    return tuple(np.stack([column(name) for name in names], axis=1) for names in (x_names, y_names))


def _are_labels(y, choice) -> bool:
    """Whether y is one column of labels; whole numbers given as floats are refused unless
    data.labels says what they are."""
    one = (
        np.asarray(y).size == len(y) and np.issubdtype(y.dtype, np.number) and np.isfinite(y).all()
    )
    whole = bool(one and np.all(y == np.round(y)))
    if choice != "auto":
        if choice == "yes" and not whole:
            raise InputError(
                "y is not one column of whole numbers: give labels, or --config.data.labels=no"
            )
        return choice == "yes"
    count = len(np.unique(y)) if whole else 0
    few = 1 < count <= max(2, min(50, len(y) // 10))
    if few and not np.issubdtype(y.dtype, np.integer):
        raise InputError(
            f"y holds {count} whole numbers as floats: say --config.data.labels=yes (labels) or no (amounts)"
        )
    return few


# ------------------------------------------------------------------------------------- measurements


def measure(config: ConfigDict, name: str, task: Task, tell) -> dict[str, float]:
    """Every number of a task under `<task>.<estimator>`, its error under `....stderr`, and the
    density over lambda."""
    key = key_of(config.seed, "estimate", name)
    began = time.perf_counter()
    estimate = measures.label_information if task.labels else measures.mutual_information
    result = estimate(key, task.x, task.y, estimator_settings(config), tell)
    seconds = time.perf_counter() - began
    numbers = {}
    values = (result.estimate, *(getattr(result, form) for form in FORMS[1:]))
    if task.labels:
        share = np.unique(task.y, return_counts=True)[1] / len(task.y)
        numbers = {f"{name}.label_entropy": -np.sum(share * np.log(share))}
    numbers |= {
        f"{name}.truth": task.truth,
        f"{name}.seconds": seconds,
        f"{name}.unbounded": float(result.unbounded),
    }
    for form, value in zip(FORMS, values, strict=True):
        if value is not None:
            numbers |= {f"{name}.{form}": value.mean, f"{name}.{form}.stderr": value.stderr}
    numbers |= {
        f"{name}.regression": result.regression.mean,
        f"{name}.regression.stderr": result.regression.stderr,
    }
    numbers |= {f"{name}.shape": result.shape, f"{name}.y_diffused": float(result.diffused == "y")}
    for part in ("conditional", "marginal"):
        divergence = getattr(result, part)
        if divergence is not None:
            numbers |= {
                f"{name}.{part}.{field}": getattr(divergence, field)
                for field in ("mean", "value", "earlier")
            }
            numbers |= {
                f"{name}.{part}.systematic": divergence.systematic,
                f"{name}.{part}.stderr": float(
                    np.hypot(Estimate.of(divergence.pointwise).stderr, divergence.systematic)
                ),
                f"{name}.{part}.updates": divergence.updates,
            }
            numbers |= {
                f"{name}.{part}.density.{k}": value for k, value in enumerate(divergence.density)
            }
            numbers |= {
                f"{name}.{part}.density.{k}.stderr": v
                for k, v in enumerate(divergence.density_stderr)
            }
    numbers |= {
        f"{name}.regression.density.{k}": value for k, value in enumerate(result.regression_density)
    }
    for rival in config.rivals if not task.labels else ():
        rival_key = key_of(config.seed, "rival", rival, name)
        y = task.y.astype(float).reshape(len(task.y), -1)
        began = time.perf_counter()
        value = RIVALS[rival](rival_key, task.x.reshape(len(task.x), -1), y)
        numbers |= {f"{name}.{rival}": value.mean, f"{name}.{rival}.stderr": value.stderr}
        numbers |= {f"{name}.{rival}.seconds": time.perf_counter() - began}
    return numbers


def summarize(config: ConfigDict, names, lines) -> list[Result]:
    """Results of all tasks, and over those whose truth is known the errors of every estimator."""
    results, estimators = [], (*FORMS, *config.rivals)
    for name, line in zip(names, lines, strict=True):
        for estimator in (estimator for estimator in estimators if f"{name}.{estimator}" in line):
            shown = (
                "mutual_information" if (name, estimator) == ("data", "diffusion") else estimator
            )
            value, stderr = (line[f"{name}.{estimator}{end}"] for end in ("", ".stderr"))
            endless = line[f"{name}.unbounded"] and line[f"{name}.truth"] is None
            if (
                endless and estimator in FORMS[:4]
            ):  # of known tasks the number is shown, as it is scored below
                value = stderr = None
            results.append(Result(f"{name}.{shown}", value, stderr, truth=line[f"{name}.truth"]))
        if name == "data" and not line["data.unbounded"]:  # what the estimate is made of
            results.append(
                Result("data.regression", line["data.regression"], line["data.regression.stderr"])
            )
            parts = {part: line.get(f"data.{part}.mean") for part in ("conditional", "marginal")}
            stderr = {part: line.get(f"data.{part}.stderr") for part in parts}
            results += [
                Result(f"data.{part}", parts[part], stderr[part])
                for part in parts
                if parts[part] is not None
            ]
        if f"{name}.label_entropy" in line:
            results.append(Result(f"{name}.label_entropy", line[f"{name}.label_entropy"], None))
        results.append(Result(f"{name}.seconds", line[f"{name}.seconds"], None, "s"))
    known = [
        (name, line)
        for name, line in zip(names, lines, strict=True)
        if line[f"{name}.truth"] is not None
    ]
    if len(known) >= 2:
        for estimator in estimators:
            prefix = "benchmark" if estimator == "diffusion" else f"benchmark.{estimator}"
            results += scores(prefix, estimator, known)
        seconds = np.array([line[f"{name}.seconds"] for name, line in known])
        results.append(
            Result(
                "benchmark.seconds",
                seconds.mean(),
                seconds.std(ddof=1) / len(seconds) ** 0.5,
                "s a task",
            )
        )
    return results


def scores(prefix: str, estimator: str, known) -> list[Result]:
    """Mean absolute error, share of tasks within 0.1 nats, and share of truths within two standard
    errors."""
    count = len(known)
    known = [(name, line) for name, line in known if line.get(f"{name}.{estimator}") is not None]
    if len(known) < 2:
        return []
    of_tasks = "" if len(known) == count else f", of {len(known)} tasks"
    error = np.array([line[f"{name}.{estimator}"] - line[f"{name}.truth"] for name, line in known])
    stderr = np.array([line[f"{name}.{estimator}.stderr"] for name, line in known])

    def result(name, values, unit):
        return Result(f"{prefix}.{name}", *Estimate.of(values), unit + of_tasks)

    return [
        result("mean_absolute_error", np.abs(error), "nats"),
        result("within_0.1", np.abs(error) <= 0.1, "of tasks"),
        result("coverage_2se", np.abs(error) <= 2 * stderr, "of tasks"),
    ]


if __name__ == "__main__":
    command_line.main(run)
