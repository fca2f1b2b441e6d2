"""experiments.diffusion_decoder: one tiny run of every method, looked at from all sides; two
latents in a sweep; files of vectors and of colour images."""

import io
import json
import shutil
from contextlib import redirect_stdout

import numpy as np
import pytest
from checks import assert_distinct_keys, record_keys
from decoder_runs import make_config

from diffenc import models
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.run import records, tables
from experiments import glossary
from experiments.diffusion_decoder import __main__ as diffusion_decoder
from experiments.diffusion_decoder import probes
from experiments.diffusion_decoder.settings import BOTTLENECKED, METHODS

CURVES = {"rate_distortion.png", "shuffle.png", "training.png"}
IMAGES = {"reconstructions.png", "interpolations.png", "samples.png"}
ERRORS = ("mean_error", "other_mean_error", "mean_reconstruction_ratio")
DRAWN = ("own_error", "other_error", "round_trip_error", "reconstruction_ratio", "round_trip_ratio")
PROBES = ("knn_accuracy", "logistic_accuracy")
OF_MEAN = ("knn_accuracy_of_mean", "logistic_accuracy_of_mean", "active_dimensions")
JUDGED = ("frechet", "frechet_floor")
BOUND = ("rate", "distortion", "neg_elbo")
PARTS = ("prior", "below", "above", "reconstruction", "dequantization")
REFIT = ("refit_rate", "refit_distortion", "refit_neg_elbo", "refit_latent_cost", "latent_cost")
LATENT = (*ERRORS, *PROBES, *OF_MEAN, *JUDGED)
RISE = ("shuffle_rise", *(f"lambda={level}.shuffle_rise" for level in (-6, -4, -2, 0, 2, 4)))
QUANTITIES = {
    "diffusion_encoder": (*BOUND, *PARTS, *REFIT, *LATENT, *DRAWN, *RISE, "rate_of_learned_prior"),
    "gaussian_encoder": (*BOUND, *PARTS, *REFIT, *LATENT, *DRAWN, *RISE),
    "deterministic_encoder": ("distortion", *PARTS, *LATENT, *DRAWN, *RISE),
    "vae": (*BOUND, *LATENT),
    "without_latent": ("distortion", "neg_elbo", *PARTS, *JUDGED),
    "pca": (*ERRORS, *PROBES),
}


def train(workdir, **changes):
    """Run the experiment; returns what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        diffusion_decoder.run(make_config(**changes), workdir)
    return printed.getvalue()


every_method = pytest.mark.slow  # all methods take a minute of compiling


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a run of all methods, what it printed, and the keys that it asked for."""
    workdir = tmp_path_factory.mktemp("diffusion_decoder") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        asked = record_keys(monkeypatch)
        printed = train(workdir)
    return workdir, printed, asked


def check_files(workdir):
    assert {path.name for path in workdir.iterdir()} == {
        "checkpoints",
        "config.json",
        "figures",
        "metrics.jsonl",
        "model.json",
        "refit",
        "results.json",
    }
    assert {path.name for path in (workdir / "refit").iterdir()} == {"checkpoints", "metrics.jsonl"}
    figures = list((workdir / "figures").iterdir())
    assert {figure.name for figure in figures} == CURVES | IMAGES
    for figure in figures:
        assert figure.read_bytes().startswith(b"\x89PNG") and figure.stat().st_size > 5000
    assert [line["step"] for line in records.read_metrics(workdir)] == [0, 2, 4, 6]
    assert [line["step"] for line in records.read_metrics(workdir / "refit")] == [2, 4]
    for directory, last in ((workdir, "6"), (workdir / "refit", "4")):
        assert (directory / "checkpoints" / last).is_dir()


def test_one_method_alone_has_its_files_and_is_loaded(tmp_path):
    workdir = tmp_path / "run"
    train(workdir, methods=("diffusion_encoder",), eval__frechet_samples=0)
    check_files(workdir)
    rows = tables.read_results(workdir)
    expected = (*BOUND, *PARTS, *ERRORS, *PROBES, *OF_MEAN, *DRAWN, *RISE, "refit_neg_elbo")
    assert {f"diffusion_encoder.{name}" for name in expected} < {row.name for row in rows}
    assert all(np.isfinite(row.value) for row in rows)
    assert train(workdir, methods=("diffusion_encoder",), eval__frechet_samples=0).startswith(
        f"the run in {workdir} is complete; its results:"
    )
    z = models.load(workdir).encode(np.zeros((64, 8, 8), np.uint8))
    assert z.shape == (64, 2) and np.isfinite(z).all()


@every_method
def test_every_promised_file_is_there_and_no_other(finished):
    check_files(finished[0])


@every_method
def test_every_method_has_the_quantities_that_it_can_have(finished):
    rows = json.loads((finished[0] / "results.json").read_text())
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows)
    named = {row["name"]: row for row in rows}
    expected = {f"{method}.{name}" for method in QUANTITIES for name in QUANTITIES[method]}
    expected |= {f"{method}.update_time" for method in METHODS}
    expected |= {
        f"diffusion_encoder.{name}_below_gaussian_encoder" for name in (*BOUND, "refit_neg_elbo")
    }
    expected |= {
        f"diffusion_encoder.{probe}_accuracy_of_mean_above_gaussian_encoder"
        for probe in ("knn", "logistic")
    }
    expected.add("diffusion_encoder.update_time_ratio")
    assert len(named) == len(rows) and set(named) == expected
    assert not glossary.unexplained("diffusion_decoder", tables.read_results(finished[0]))
    exact = ("active_dimensions", ".reconstruction", ".dequantization")
    for name, row in named.items():
        assert np.isfinite(row["value"]) and row["truth"] is None
        assert row["stderr"] > 0 or name.endswith(exact)


@every_method
def test_results_go_together(finished):
    value = {row.name: row.value for row in tables.read_results(finished[0])}
    for method in (*BOTTLENECKED, "vae"):
        parts = value[f"{method}.rate"] + value[f"{method}.distortion"]
        assert value[f"{method}.neg_elbo"] == pytest.approx(parts, rel=1e-5)
    for method in set(METHODS) - {"vae"}:
        total = sum(value[f"{method}.{part}"] for part in PARTS)
        assert value[f"{method}.distortion"] == pytest.approx(total, rel=1e-5)
    bound = value["without_latent.neg_elbo"]
    assert value["without_latent.distortion"] == bound
    for method in BOTTLENECKED:
        cost = value[f"{method}.neg_elbo"] - bound
        assert value[f"{method}.latent_cost"] == pytest.approx(cost, rel=1e-3)
        refit_cost = value[f"{method}.refit_neg_elbo"] - bound
        assert value[f"{method}.refit_latent_cost"] == pytest.approx(refit_cost, rel=1e-3)
        ratio = value[f"{method}.own_error"] / value[f"{method}.other_error"]
        assert value[f"{method}.reconstruction_ratio"] == pytest.approx(ratio, rel=1e-5)


@every_method
def test_costs_are_printed_before_training_and_results_at_the_end(finished):
    lines = finished[1].splitlines()
    for line, method in zip(lines, METHODS, strict=False):
        assert line.startswith(f"{method.replace('_', ' ')}: ")
        assert " parameters, state " in line and "FLOP an update, " in line
        assert line.endswith(" of temporary memory")
    table = finished[1].split("digits (nats; update_time in ms)")[1]
    for method in QUANTITIES:
        assert method in table
    assert lines[-1] == f"figures: {finished[0] / 'figures'}"


@every_method
def test_purposes_have_keys_of_their_own(finished):
    assert_distinct_keys(finished[2])


@every_method
def test_systems_of_a_run_are_trained_alike_and_start_alike(finished):
    """With one decoder of one noise, which says nothing yet; gamma is 1 where they are refitted."""
    assert models.load(finished[0]).systems == tuple(f"{method}.0" for method in METHODS)
    first = records.read_metrics(finished[0])[0]
    names = [f"{method}.0.held_out_distortion" for method in BOTTLENECKED]
    assert first[names[0]] == first[names[1]]
    for line in records.read_metrics(finished[0] / "refit"):
        systems = {name.rsplit(".", 1)[0] for name in line if "." in name}
        assert systems == {f"{method}.0" for method in BOTTLENECKED}
        assert all(line[f"{system}.gamma"] == pytest.approx(1.0) for system in systems)


@every_method
def test_a_second_call_says_that_the_run_is_complete(finished):
    workdir = finished[0]
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    assert train(workdir).startswith(f"the run in {workdir} is complete; its results:")
    after = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    assert before == after
    with pytest.raises(InputError, match="refit_updates: 4 in the workdir, 2 given"):
        train(workdir, refit_updates=2)


@pytest.mark.slow
def test_a_run_that_was_stopped_in_both_stages_ends_as_one_that_was_not(
    finished, tmp_path, monkeypatch
):
    stopped = tmp_path / "run"
    shutil.copytree(finished[0], stopped)
    (stopped / "results.json").unlink()
    shutil.rmtree(stopped / "checkpoints" / "6")
    shutil.rmtree(stopped / "refit" / "checkpoints" / "4")
    monkeypatch.setattr(diffusion_decoder.pictures, "make_pictures", lambda *arguments: {})
    monkeypatch.setattr(diffusion_decoder.figures, "draw", lambda *arguments: None)
    printed = train(stopped)
    assert "continuing from update 4 of 6" in printed and "continuing from update 2 of 4" in printed
    ends = [
        [row for row in tables.read_results(path) if "update_time" not in row.name]
        for path in (finished[0], stopped)
    ]
    assert ends[0] == ends[1]


@pytest.mark.slow
def test_a_run_that_was_stopped_in_its_first_phase_ends_as_one_that_was_not(tmp_path, monkeypatch):
    """Levels are weighted, and the use of the device is told, too."""
    monkeypatch.setattr(diffusion_decoder.pictures, "make_pictures", lambda *arguments: {})
    monkeypatch.setattr(diffusion_decoder.figures, "draw", lambda *arguments: None)
    changes = dict(
        methods=("diffusion_encoder",),
        first_updates=4,
        refit_updates=0,
        evaluate_every=0,
        eval__frechet_samples=0,
        eval__peak_side=16,
        decoder__weighting="sigmoid",
    )
    whole = tmp_path / "whole"
    stopped = tmp_path / "stopped"
    train(whole, **changes)
    shutil.copytree(whole, stopped)
    (stopped / "results.json").unlink()
    shutil.rmtree(stopped / "checkpoints")
    shutil.rmtree(stopped / "first" / "checkpoints" / "4")
    assert "continuing from update 2 of 4" in train(stopped, **changes)
    used = ("update_time", "throughput", "peak_share", "matrix_peak")
    ends = []
    for path in (whole, stopped):
        rows = tables.read_results(path)
        assert {row.name.split(".")[1] for row in rows} >= set(used)
        ends.append([row for row in rows if not row.name.endswith(used)])
    assert ends[0] == ends[1]


@every_method
def test_a_loaded_run_is_used(finished):
    trained = models.load(finished[0])
    n = 64  # as many as were measured at a time, by programs that serve again
    x = np.random.default_rng(0).integers(0, 17, (n, 8, 8)).astype(np.uint8)
    z = trained.encode(x, seed=3)
    assert z.shape == (n, 2)
    decoded = trained.decode(z, seed=3)
    assert decoded.shape == (n, 8, 8, 1) and 0 <= decoded.min() and decoded.max() <= 16
    np.testing.assert_array_equal(trained.reconstruct(x, seed=3), decoded)
    assert trained.sample(3).shape == (3, 8, 8, 1)
    bound = trained.log_prob(x, samples=2)
    assert np.isfinite(bound.values).all() and (bound.values < 0).all()
    with pytest.raises(InputError, match="x has shape .*, not that of its model: give") as raised:
        trained.encode(np.zeros((5, 8, 8, 3)))
    assert "\n" not in str(raised.value)
    vae = models.load(finished[0], "vae.0")
    assert vae.decode(z).shape == (n, 8, 8, 1)
    np.testing.assert_array_equal(vae._observe(x[..., None], 3), trained._observe(x[..., None], 3))
    assert "log p(x) in nats" in vae.log_prob(x, samples=2).bound


@pytest.mark.slow
def test_two_latents_in_a_sweep(tmp_path, monkeypatch):
    """Each place has what both latents say of the label; and is found by its name."""
    asked = []

    def informed(seed, z, labels):
        asked.append(z.shape)
        return Estimate(float(len(asked)), 0.1)

    monkeypatch.setattr(probes, "label_information", informed)
    changes = dict(
        methods=("diffusion_encoder", "without_latent"),
        decoder__perceptual_dim=1,
        sweep__gammas=(0.3, 0.1),
        sweep__splits=(0.0,),
        num_updates=2,
        refit_updates=0,
        evaluate_every=0,
    )
    train(tmp_path, **changes)
    assert not (tmp_path / "refit").exists()
    assert {path.name for path in (tmp_path / "figures").iterdir()} == CURVES | IMAGES | {
        "swaps.png"
    }
    assert asked == 4 * [(1797, 1)]
    named = {row.name: row.value for row in tables.read_results(tmp_path)}
    places = [f"diffusion_encoder.gamma={gamma}.split=0" for gamma in (0.3, 0.1)]
    for index, place in enumerate(places):
        assert named[f"{place}.semantic_information"] == 1 + 2 * index
        assert named[f"{place}.perceptual_information"] == 2 + 2 * index
        assert np.isfinite(named[f"{place}.latent_cost"])
    assert "without_latent.split=0.neg_elbo" in named
    assert not any("frechet" in name for name in named)
    trained = models.load(tmp_path, f"{places[1]}.0")
    assert trained.encode(np.zeros((1, 8, 8, 1))).shape == (1, 2)


@pytest.mark.slow
def test_vectors_without_labels_are_measured_without_probes(tmp_path):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(size=(200, 5)))
    file = dict(data__name="file", data__path=str(tmp_path / "mine.npy"))
    changes = dict(methods=("diffusion_encoder", "vae"), em__e_step="persistent", em__rate=3.0)
    train(tmp_path / "run", **file, **changes)
    names = {row.name for row in tables.read_results(tmp_path / "run")}
    assert "pca.mean_error" in names and "diffusion_encoder.rate" in names
    assert not any("accuracy" in name or "frechet" in name for name in names)
    assert {path.name for path in (tmp_path / "run" / "figures").iterdir()} == CURVES
    gammas = [
        line["diffusion_encoder.0.gamma"] for line in records.read_metrics(tmp_path / "run")[1:]
    ]
    assert len(set(gammas)) == 3, "gamma follows the rate"


@pytest.mark.slow
def test_colour_images_by_a_unet(tmp_path):
    """As the config of CIFAR-10 has it, on two devices."""
    x = np.random.default_rng(0).integers(0, 256, size=(150, 8, 8, 3)).astype(np.uint8)
    np.save(tmp_path / "mine.npy", x)
    changes = dict(
        data__name="file",
        data__path=str(tmp_path / "mine.npy"),
        decoder__network="unet",
        decoder__features=(8, 16),
        decoder__attention=(8,),
        decoder__precision="bfloat16",
        decoder__rematerialize=True,
        model__embed_channels=(4,),
        methods=("diffusion_encoder",),
        num_devices=2,
        num_updates=2,
        accumulate=2,
        refit_updates=0,
        evaluate_every=0,
        eval__batch_size=8,  # fewer than are shown: one shape for all
    )
    train(tmp_path / "run", **changes)
    figures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert figures == CURVES | IMAGES
    trained = models.load(tmp_path / "run")
    assert trained.reconstruct(x[:8]).shape == (8, 8, 8, 3)
    with pytest.raises(
        InputError, match=r"x has shape \(5, 8, 8, 1\), not that of its model: give"
    ):
        trained.encode(np.zeros((5, 8, 8, 1)))
