"""Configs of experiments.diffusion_decoder with tiny settings, whose runs share their programs."""

from pathlib import Path

from experiments.arguments import load_config

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "diffusion_decoder"
TINY = {
    "num_devices": 1,
    "num_seeds": 1,
    "num_updates": 6,
    "refit_updates": 4,
    "updates_per_dispatch": 2,
    "save_every": 2,
    "evaluate_every": 6,
    "batch_size": 8,
    "warmup": 1,
    "model.latent_dim": 2,
    "model.embed_features": (8,),
    "model.features": (8,),
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
    "eval.batch_size": 64,  # fewer than there are of anything: one shape for all
}


def make_config(name="digits", **changes):
    """A config with tiny settings and these changes (dots written as two underscores)."""
    config = load_config(f"{CONFIGS / name}.py")
    fields = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(fields)
    return config
