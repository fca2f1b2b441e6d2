"""A trained run as a model to be used: `load(workdir)`.

    trained = diffenc.load("runs/digits")
    z = trained.encode(x)

A run of experiments.diffusion_encoder, diffusion_decoder, posteriors or warm_start keeps what its
systems are made from in workdir/model.json and their parameters in workdir/checkpoints. Nothing
else is read: no data set, no config, no pickle.
"""

import os
from collections.abc import Hashable
from typing import Any

import jax

from diffenc import storage
from diffenc.errors import check, check_choice, check_whole
from diffenc.grid_runs import GridBlueprint, TrainedGrid
from diffenc.run import files
from diffenc.trained_model import Trained


def load(workdir, system: str | None = None, batch_size: int = 256) -> Trained | TrainedGrid:
    """Load a trained model from the directory of its run, with the averages of its parameters.

    A run that is still training, or was stopped, gives its newest checkpoint; `Trained.updates`
    says which. A damaged checkpoint is passed over with a warning in the log. Nothing in the
    directory is changed.

    Args:
        workdir: of a run of experiments.diffusion_encoder, experiments.diffusion_decoder,
            experiments.posteriors or experiments.warm_start; a path of a bucket is one too.
        system: which of the run's systems: "diffusion_encoder" or "vae", in experiments.posteriors
            "<case>.<method>.<seed>", in experiments.diffusion_decoder "<method>.<seed>", in
            experiments.warm_start "<model>.<seed>". None is the first; `Trained.systems` lists all.
        batch_size: the largest number of examples at a time: the memory of every method.

    Returns:
        The model: a `TrainedGrid` of a run of experiments.warm_start, which has no latents.

    Raises:
        InputError: this is no such run, it has no such system or no whole checkpoint, or a newer
            version wrote it.
    """
    check(isinstance(workdir, str | os.PathLike), "workdir", repr(workdir), "give that of a run")
    check_whole("batch_size", batch_size, 1)
    directory = files.absolute(workdir)
    run = storage.read(directory)
    labels = tuple(blueprint.label for blueprint in run.systems)
    label = labels[0] if system is None else system
    check_choice(f"system of {directory}", label, labels)
    blueprint = run.systems[labels.index(label)]
    with jax.enable_x64(False):  # whatever the caller has chosen, runs are of single precision
        outlines: dict[Hashable, Any] = {one.name: one.outline() for one in run.systems}
        step, states = storage.restore(directory, outlines)
    outline = outlines[blueprint.name]
    state = states[blueprint.name]
    if isinstance(blueprint, GridBlueprint):
        return TrainedGrid(
            label,
            labels,
            step,
            run.num_updates,
            blueprint.example_shape,
            blueprint.settings.size,
            batch_size,
            run.columns,
            blueprint.characters,
            outline.denoiser,
            state.averages,
            state.carried,
        )
    return Trained(
        label,
        labels,
        step,
        run.num_updates,
        blueprint.example_shape,
        outline.encoder.latent_dim,
        blueprint.max_value,
        batch_size,
        run.columns,
        blueprint,
        outline,
        state.averages,
    )
