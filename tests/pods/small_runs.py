"""Small runs of every experiment that trains over all devices, and their logged numbers."""

import json
from pathlib import Path

from hosts import TIME_LIMIT, started, statuses

SMALL = 0.02
TRAINING = {
    "num_updates": 6,
    "updates_per_dispatch": 2,
    "save_every": 4,
    "evaluate_every": 4,
    "batch_size": 8,
}
NETWORK = {"model.embed_features": (8,), "model.features": (8,)}
MEASURED = {
    "eval.num_examples": 20,
    "eval.num_samples": 2,
    "eval.sampler_steps": 2,
    "eval.langevin_steps": 2,
    "eval.batch_size": 20,
}
IMAGES = {
    **TRAINING,
    "model.channels": (8,),
    "eval.num_levels": 4,
    "eval.num_examples": 100,
    "eval.monitor": 20,
    "eval.batch_size": 20,
}
# name: (experiment, config, what differs from it)
RUNS = {
    "diffusion_encoder": (
        "diffusion_encoder",
        "diffusion_encoder/digits",
        {
            **TRAINING,
            **NETWORK,
            **MEASURED,
            "model.decoder_features": (8,),
            "em.proposals": 2,
            "em.draws": 1,
        },
    ),
    "posteriors": (
        "posteriors",
        "posteriors/toys",
        {
            **TRAINING,
            **NETWORK,
            **MEASURED,
            "toys": ("ring",),
            "methods": ("importance", "langevin", "flow_vae"),
            "num_seeds": 1,
            "em.langevin_steps": 1,
            "em.sampler_steps": 1,
            "em.proposals": 3,
            "em.draws": 1,
            "eval.grid_examples": 4,
            "eval.grid_sampler_steps": 2,
            "eval.grid_draws": 3,
            "eval.ais_simulated": 10,
            "eval.ais_temperatures": 2,
            "eval.ais_chains": 2,
        },
    ),
    "diffusion_decoder": (
        "diffusion_decoder",
        "diffusion_decoder/digits",
        {
            **TRAINING,
            **NETWORK,
            "methods": ("diffusion_encoder", "gaussian_encoder"),
            "num_seeds": 1,
            "refit_updates": 4,
            "warmup": 1,
            "model.latent_dim": 2,
            "model.decoder_features": (8,),
            "decoder.features": (8,),
            "decoder.blocks": 1,
            "decoder.draws": 1,
            "decoder.sampler_steps": 2,
            "em.draws": 1,
            "eval.num_samples": 1,
            "eval.sampler_steps": 1,
            "eval.mean_samples": 1,
            "eval.frechet_samples": 100,
            "eval.classifier_updates": 2,
            "eval.batch_size": 64,
        },
    ),
    "neural_entropy": (
        "neural_entropy",
        "neural_entropy/gaussian_mixture",
        {
            **TRAINING,
            "model.features": (8,),
            "processes": ("vp",),
            "dimensions": (3,),
            "num_seeds": 1,
            "samples": (200,),
            "eval.num_examples": 40,
            "eval.monitor": 20,
            "eval.num_levels": 4,
            "eval.repetitions": 2,
            "eval.batch_size": 20,
        },
    ),
    "labels": (
        "labels",
        "labels/digits",
        {
            **IMAGES,
            "posterior.features": (8,),
            "posterior.batch_size": 8,
            "posterior.num_updates": 4,
            "posterior.save_every": 4,
            "posterior.evaluate_every": 2,
            "posterior.num_levels": 4,
            "posterior.num_draws": 1,
            "posterior.num_examples": 100,
        },
    ),
    "guidance_images": (
        "guidance_images",
        "guidance_images/digits",
        {**IMAGES, "weights": (0.0, 2.0), "num_steps": 4, "num_samples": 100},
    ),
    "warm_start": (
        "warm_start",
        "warm_start/digits",
        {
            **TRAINING,
            "methods": ("cold", "plain"),
            "num_seeds": 1,
            "model.network": "mlp",
            "model.features": (8,),
            "model.blocks": 1,
            "warmup": 1,
            "eval.num_examples": 20,
            "eval.monitor": 20,
            "eval.draws": 8,
            "eval.batch_size": 20,
            "eval.samples": 4,
            "eval.sampler_steps": 2,
        },
    ),
    "action_principle residual": (
        "action_principle",
        "action_principle/residual",
        {
            **TRAINING,
            "model.features": (8,),
            "eval.num_examples": 60,
            "eval.num_levels": 4,
        },
    ),
    "action_principle family": (
        "action_principle",
        "action_principle/family",
        {
            **TRAINING,
            "model.features": (8,),
            "eval.num_examples": 2,
            "eval.num_steps": 100,
            "eval.num_samples": 40,
            "eval.sampler_steps": 30,
            "eval.etas": (0.0, 1.0),
            "eval.batch_size": 2,
            "eval.num_permutations": 999,
        },
    ),
}


def run(name: str, workdir: Path, num_processes: int) -> list[str]:
    """Run an experiment over processes that share a workdir; return what each of them printed."""
    experiment, config, changes = RUNS[name]
    words = ["-m", f"experiments.{experiment}"]
    words += [f"--config=configs/{config}.py", f"--workdir={workdir}"]
    words += [f"--config.{field}={value}" for field, value in changes.items()]
    return printed(words, workdir, num_processes)


def train(
    names, folder: Path, num_processes: int, num_devices: int, seconds: float = TIME_LIMIT
) -> None:
    """Train experiments one after another in the same processes; their files are in folder/NAME.

    Each process has `num_devices`, see `hosts.started`."""
    words = [str(Path(__file__).with_name("trainings.py")), str(folder), *names]
    printed(words, folder, num_processes, num_devices, seconds)


def printed(
    words: list[str], log: Path, num_processes: int, num_devices=None, seconds=TIME_LIMIT
) -> list[str]:
    """Run a command in each process to its end; return what each of them printed."""
    with started(words, log, num_processes, num_devices) as processes:
        ends = statuses(processes, seconds)
    indices = range(num_processes)
    assert ends == [0] * num_processes, [
        Path(f"{log}.{index}.err").read_text()[-3000:] for index in indices
    ]
    return [Path(f"{log}.{index}.log").read_text() for index in indices]


def lines_of(workdir: Path) -> list[dict]:
    return [json.loads(text) for text in (workdir / "metrics.jsonl").read_text().splitlines()]


def metrics_of(workdir: Path) -> list[dict[str, float]]:
    """The lines of every metrics.jsonl of a run without the times."""
    return [
        {name: value for name, value in line.items() if "ms_per" not in name}
        for path in sorted(workdir.rglob("metrics.jsonl"))
        for line in lines_of(path.parent)
    ]


def largest_difference(one: Path, other: Path) -> tuple[float, str]:
    """The largest relative difference of two runs' logged numbers, and the name of that number.

    Numbers below `SMALL` count as that large: they are differences of two of order one."""
    differences = []
    for line_of_one, line in zip(metrics_of(one), metrics_of(other), strict=True):
        assert line_of_one.keys() == line.keys()
        for name, value in line_of_one.items():
            differences.append((abs(line[name] - value) / max(abs(value), SMALL), name))
    return max(differences)
