"""Command lines of experiments.diffusion_encoder with tiny settings; what a refusal looks like."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs" / "diffusion_encoder"
TINY = {
    "num_devices": 1,
    "num_updates": 4,
    "updates_per_dispatch": 2,
    "save_every": 2,
    "evaluate_every": 2,
    "batch_size": 8,
    "model.embed_features": (8,),
    "model.features": (8,),
    "em.draws": 1,
    "eval.num_examples": 20,
    "eval.batch_size": 12,
    "eval.num_samples": 2,
    "eval.sampler_steps": 2,
    "eval.langevin_steps": 2,
}


def arguments(name, workdir, **changes):
    """The command line of a config with tiny settings and these changes (dots written as two
    underscores)."""
    settings = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    overrides = [f"--config.{key}={value}" for key, value in settings.items()]
    return [f"--config={CONFIGS / name}.py", f"--workdir={workdir}", *overrides]


def assert_refused(outcome, *words):
    """Exit status 2 and one line on stderr that begins `error:` and holds every word."""
    status, _, stderr = outcome
    assert status == 2, stderr
    lines = [line for line in stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: "), stderr
    for word in words:
        assert word in lines[0]
