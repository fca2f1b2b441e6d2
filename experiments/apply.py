"""Use a trained run on data of your own: encode, reconstruct and score them, or draw new ones.

    python -m experiments.apply --workdir=RUN --input=x.npy --output=out.npz

RUN is the workdir of experiments.diffusion_encoder, experiments.diffusion_decoder,
experiments.posteriors or experiments.warm_start, whose models have no latents. The input is an .npy
or .npz file or a table (.csv, .tsv, .txt, .parquet), in the units and the shape of the data that
the run was trained on. The output holds one array for each word of --what, and those beside it:

    encode         z: one draw z ~ q(z|x) for each example
    reconstruct    reconstruction: E[x|z] of these z; a diffusion decoder draws x ~ p(x|z)
    log_prob       log_prob: a lower bound of log p(x); log_prob_stderr, its error over draws of z;
                   log_prob_ess, the effective number of the draws (NaN for a diffusion decoder,
                   whose bound has no weights); log_prob_folds, whose mean should be below a per
                   cent, see `trained_model.LogProb`. Of experiments.warm_start: log_prob of whole
                   numbers, log_prob_stderr, and bits_per_dim, the same as bits for each number
    sample         sample: as many draws x from the model as the input has examples

From Python the same is `diffenc.load(RUN)`, see `diffenc.trained_model` and
`diffenc.grid_runs`.
"""

import argparse
import logging
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
from etils import epath

from diffenc import compilation, models
from diffenc.diffusion import likelihood
from diffenc.errors import InputError, check, check_choice, describe
from diffenc.estimate import Estimate
from diffenc.grid_runs import TrainedGrid
from diffenc.run import data, examples, files, records, tables
from diffenc.run.tables import Result
from diffenc.trained_model import LogProb, Trained

OF_LATENTS = ("encode", "reconstruct")
WHAT = (*OF_LATENTS, "log_prob", "sample")


@dataclass(frozen=True)
class Request:
    """What the command line asks for. Raises InputError for an impossible value.

    Attributes:
        workdir: of the trained run.
        input: the file of the data.
        output: the .npz file to write.
        what: words of `WHAT`; None is all that the model has but "sample".
        array: name of the array of an .npz file that holds the data.
        system: of the run; None is its first.
        seed: of all draws.
        samples: K of the bound of log p(x).
        batch_size: examples at a time.
        overwrite: whether an output that exists is replaced.
    """

    workdir: str
    input: str
    output: str
    what: tuple[str, ...] | None
    array: str
    system: str | None
    seed: int
    samples: int
    batch_size: int
    overwrite: bool

    def __post_init__(self):
        for word in self.what or ():
            check_choice("--what", word, WHAT)
        check(self.seed >= 0, "--seed", self.seed, "give 0 or more")
        check(self.samples >= 2, "--samples", self.samples, "give 2 or more")
        check(self.batch_size >= 1, "--batch_size", self.batch_size, "give 1 or more")
        output = epath.Path(self.output)
        if output.suffix != ".npz":
            raise InputError(f"--output is {output}: give the name of an .npz file")
        if files.absolute(output) == files.absolute(self.input):
            raise InputError(f"--output {output} is the input: give another name")
        if output.exists() and not self.overwrite:
            raise InputError(f"--output {output} exists: give another name, or --overwrite")
        directory = files.absolute(output).parent
        if not directory.is_dir():
            raise InputError(f"the directory of --output {output} does not exist: make it first")
        try:
            files.check_writable(directory)
        except OSError as error:
            raise InputError(
                f"--output {output} cannot be written ({describe(error)}): give another name"
            ) from error


class _Parser(argparse.ArgumentParser):
    """Complains in one line, as all of the command line does."""

    def error(self, message):
        raise InputError(f"{message}: see --help")


def parse(arguments: list[str]) -> Request:
    """Read the command line; raises an InputError for one that cannot be understood."""
    parser = _Parser(
        prog="python -m experiments.apply",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--workdir", required=True, help="of a trained run")
    parser.add_argument("--input", required=True, help="file of the data")
    parser.add_argument("--output", required=True, help=".npz file to write")
    parser.add_argument("--what", default=None, help="of these, with commas between")
    parser.add_argument("--array", default="x", help="of an .npz file, the one of the data (x)")
    parser.add_argument("--system", default=None, help="such as vae; the run's first by default")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (0)")
    parser.add_argument("--samples", type=int, default=100, help="K of log_prob's bound (100)")
    parser.add_argument("--batch_size", type=int, default=256, help="examples at a time (256)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    values = vars(parser.parse_args(arguments))
    if values["what"] is not None:
        words = [word.strip() for word in values["what"].split(",")]
        values["what"] = tuple(dict.fromkeys(words))
    return Request(**values)


def read_input(path: str, name: str, columns: tuple[str, ...]) -> np.ndarray:
    """Read the array of a person's file that holds the data.

    Args:
        path: of the file.
        name: of the array, where there are several.
        columns: the names of the dimensions that the model was trained on, if they had any.

    Raises:
        InputError: there is no such file, no such array in it, or a table that lacks a column.
    """
    _, arrays, given = data.read_file(path)
    if name not in arrays:
        raise InputError(
            f"{path} has no array {name!r}: give one of {', '.join(sorted(arrays))} by --array"
        )
    if not given or name != "x":
        return arrays[name]
    return np.asarray(examples.in_order(pd.DataFrame(arrays[name], columns=list(given)), columns))


def choose(trained: Trained | TrainedGrid, what: tuple[str, ...] | None) -> tuple[str, ...]:
    """Say what is computed; raise an InputError for what the model does not have.

    Args:
        trained: the model.
        what: what is asked for; None is all that the model has but samples.
    """
    if not isinstance(trained, TrainedGrid):
        return what or (*OF_LATENTS, "log_prob")
    for word in what or ():
        remedy = f"{trained.name} has no latents, give log_prob or sample"
        check(word not in OF_LATENTS, "--what", repr(word), remedy)
    return what or ("log_prob",)


def apply(
    trained: Trained | TrainedGrid, x: np.ndarray, request: Request
) -> tuple[dict, list[Result]]:
    """Compute what is asked for.

    Args:
        trained: the model.
        x: the data.
        request: what is asked for.

    Returns:
        The arrays of the output by name, and rows of the table.
    """
    arrays = {}
    rows = []
    count = len(x) if x.ndim else 0
    seed = request.seed
    what = choose(trained, request.what)
    if "encode" in what or "reconstruct" in what:
        assert isinstance(trained, Trained), "others have no latents, see `choose`"
        with records.progress(count, description="encoding") as show:
            z = trained.encode(x, seed, progress=show)
        if "encode" in what:
            arrays["z"] = z
            squares = np.mean(np.square(z), axis=1)
            rows.append(Result("z^2 of a dimension", *_estimate(squares), unit=""))
    if "reconstruct" in what:
        assert isinstance(trained, Trained), "others have no latents, see `choose`"
        with records.progress(count, description="decoding") as show:
            arrays["reconstruction"] = trained.decode(z, seed, progress=show)
        error = arrays["reconstruction"].reshape(count, -1) - x.reshape(count, -1).astype(float)
        squares = np.mean(np.square(error), axis=1)
        rows.append(Result("squared error of a dimension", *_estimate(squares), unit="units^2"))
    if "log_prob" in what:
        with records.progress(count, description="scoring") as show:
            bound = trained.log_prob(x, request.samples, seed, progress=show)
        arrays["log_prob"] = bound.values
        arrays["log_prob_stderr"] = bound.stderr
        rows.append(Result("log_prob", *_estimate(bound.values), unit="nats"))
        if isinstance(trained, TrainedGrid):
            arrays["bits_per_dim"] = likelihood.bits_per_dim(-bound.values, trained.dim)
            rows.append(Result("bits_per_dim", *_estimate(arrays["bits_per_dim"]), unit="bits"))
        if isinstance(bound, LogProb):
            arrays["log_prob_ess"] = bound.ess
            arrays["log_prob_folds"] = bound.folds
            if np.isfinite(bound.ess).all():
                rows.append(Result("log_prob_ess", *_estimate(bound.ess), unit="samples"))
            rows.append(Result("log_prob_folds", *_estimate(bound.folds), unit=""))
        print(f"log_prob: {bound.bound}")
    if "sample" in what:
        arrays["sample"] = trained.sample(count, seed)
    return arrays, rows


def _estimate(values: np.ndarray) -> tuple[float, float | None]:
    """Return the mean over examples and its standard error; None for a single example."""
    return Estimate.of(values) if len(values) > 1 else (float(values[0]), None)


def run(request: Request) -> None:
    """Load the run and the data, compute, write the output, and print a table."""
    trained = models.load(request.workdir, request.system, request.batch_size)
    x = read_input(request.input, request.array, trained.columns)
    print(
        f"{trained.name} of {request.workdir} after {trained.updates} of {trained.num_updates} "
        f"updates; x {list(x.shape)} {x.dtype}"
    )
    arrays, rows = apply(trained, x, request)

    def write(temporary):
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    try:
        files.write(request.output, write)
    except OSError as error:  # such as a full disk
        raise InputError(
            f"--output {request.output} cannot be written ({describe(error)}): give another name"
        ) from error
    tables.print_table(rows, title=f"{len(x)} examples: mean over them ± standard error")
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
    print(f"written to {request.output}: {shapes}")


def main(arguments: list[str]) -> None:
    """Run the command line; bad input ends in one line and exit status 2."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        request = parse(arguments)
        with compilation.cache():
            run(request)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
