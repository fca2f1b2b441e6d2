"""experiments.diffusion_encoder from its command line: every config runs, kills leave no trace."""

import json
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_distinct_keys, record_keys
from commands import CONFIGS, ROOT, TINY, arguments, assert_refused
from ml_collections import ConfigDict

from diffenc import models
from diffenc.estimate import map_examples
from diffenc.keys import key_of
from diffenc.latent import held_out
from diffenc.run import checkpoints, data, parallel, records, sessions, tables
from experiments.arguments import load_config
from experiments.diffusion_encoder import __main__ as diffusion_encoder
from experiments.diffusion_encoder import exact, examples, figures, settings

# ml_collections reads a config file by a method that newer Pythons discourage.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

SMALL_DEMO = dict(
    model__decoder_features=(8,), model__landmarks=8, em__proposals=8, eval__grid_draws=2
)


def without_times(results):
    return [result for result in results if "update_time" not in result.name]


def check_output(workdir, systems=("diffusion_encoder", "vae"), steps=(0, 2, 4), kept=("2", "4")):
    """Every promised file is there and readable, and nothing else is."""
    rows = json.loads((workdir / "results.json").read_text())
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows)
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    for system in systems:
        for quantity in ("neg_elbo", "nll", "rate", "distortion", "ess"):
            row = rows[names.index(f"{system}.{quantity}")]
            assert np.isfinite(row["value"]) and row["stderr"] > 0
    assert [line["step"] for line in records.read_metrics(workdir)] == list(steps)
    figures = sorted((workdir / "figures").iterdir())
    assert {"latent_map.png", "rate_distortion.png", "reconstructions.png", "training.png"} <= {
        f.name for f in figures
    }
    assert all(
        figure.read_bytes().startswith(b"\x89PNG") and figure.stat().st_size > 5000
        for figure in figures
    )
    assert {path.name for path in workdir.iterdir()} == {
        "checkpoints",
        "config.json",
        "figures",
        "metrics.jsonl",
        "model.json",
        "results.json",
        "run.json",
    }
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == list(kept)


def test_the_demo_runs_and_is_complete(command, tmp_path, monkeypatch):
    """One whole run serves all of these, whichever worker gets it."""
    finished = tmp_path / "finished" / "run"
    finished.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    asked = record_keys(monkeypatch)
    status, stdout, stderr = command(arguments("demo", finished, **SMALL_DEMO))
    assert status == 0 and stderr == ""
    assert_distinct_keys(asked)
    assert "digits: held-out results" in stdout and f"figures: {finished / 'figures'}" in stdout
    check_output(finished)
    assert (finished / "figures" / "samples.png").exists()
    assert (finished / "figures" / "posteriors.png").stat().st_size > 20_000
    named = {result.name: result for result in tables.read_results(finished)}
    for quantity in ("posterior_kl", "exact_nll"):
        of_encoder = named[f"diffusion_encoder.{quantity}"]
        of_vae = named[f"vae.{quantity}"]
        below = named[f"diffusion_encoder.{quantity}_below_vae"]
        assert abs(of_vae.value - of_encoder.value - below.value) < 1e-4
        assert of_encoder.stderr > 0 and of_vae.stderr > 0
    assert named["diffusion_encoder.posterior_kl"].truth == 0
    assert not list(elsewhere.iterdir()), "nothing is written outside the workdir"

    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    status, again, stderr = command(arguments("demo", finished, **SMALL_DEMO))
    assert status == 0 and stderr == ""
    assert again.startswith(f"the run in {finished} is complete; its results:")
    assert [line for line in again.splitlines() if "nll" in line] == [
        line for line in stdout.splitlines() if "nll" in line
    ]
    assert before == {
        path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()
    }

    outcome = command(arguments("demo", finished, **SMALL_DEMO, em__gamma=0.5))
    assert_refused(outcome, "em.gamma: 1.0 in the workdir, 0.5 given", "give another workdir")
    outcome = command(arguments("demo", finished, **SMALL_DEMO, num_updates=8))
    assert_refused(outcome, "num_updates: 4 in the workdir, 8 given", "falls to zero")


def check_loaded(workdir):
    """Latents of the run loaded are its own, bit for bit."""
    config = ConfigDict(json.loads((workdir / "config.json").read_text()))
    experiment = settings.read_experiment(config)
    dataset, _ = diffusion_encoder.load(experiment)
    systems = diffusion_encoder.make_systems(experiment, dataset)
    with checkpoints.open(workdir / "checkpoints") as store:
        _, states = store.restore({name: system.state for name, system in systems.items()})
    system, params = systems["diffusion_encoder"], states["diffusion_encoder"].averages
    bits = np.asarray(dataset.test[:8] >= 8, np.float32)

    def own(key, x):
        return held_out.own_samples(key, system, params, x)

    with jax.default_matmul_precision("highest"):
        z = map_examples(own, key_of(3, "encode"), bits, 8)
    loaded = models.load(workdir, batch_size=8)
    np.testing.assert_array_equal(loaded.encode(16 * bits, seed=3), z)


@pytest.mark.parametrize("shape, num_panels", [((6,), 3), ((2, 3, 1), 6)])
def test_posteriors_of_vectors_stand_without_images(tmp_path, monkeypatch, shape, num_panels):
    drawn = []
    monkeypatch.setattr(figures.figures, "save", lambda fig, *names: drawn.append(fig))
    x = np.random.default_rng(0).uniform(size=(5, *shape))
    dataset = data.Dataset("mine", x, x, None, None, None)
    grid = np.asarray(exact.GRID.points()).reshape(200, 200, 2)
    density = np.exp(-np.square(grid).sum(axis=-1) / 2) / (2 * np.pi)
    picture = exact.Picture(np.ones(3), np.stack([density] * 3), np.ones((3, 4, 2)))
    of_system = {"diffusion_encoder": picture}
    figures.posteriors(tmp_path, dataset, x, exact.Pictures(np.arange(3), of_system))
    assert len(drawn[0].axes) == num_panels
    assert [ax.get_title() for ax in drawn[0].axes[-3:]] == ["KL = 1.00 nats"] * 3


def go_on(command, finished, workdir, **changes):
    """Copy a finished run, take its last checkpoint and its results away, and let it go on with
    these changes; return the results of both."""
    shutil.copytree(finished, workdir)
    (workdir / "results.json").unlink()
    shutil.rmtree(workdir / "checkpoints" / "4")
    status, stdout, stderr = command(arguments("demo", workdir, **(SMALL_DEMO | changes)))
    assert status == 0 and stderr == "" and "continuing from update 2 of 4" in stdout
    ends = [without_times(tables.read_results(path)) for path in (finished, workdir)]
    assert [row.name for row in ends[0]] == [row.name for row in ends[1]]
    return ends


@pytest.mark.slow
def test_a_run_goes_on_as_it_was_and_other_devices_and_batches_move_it_by_rounding_alone(
    command, tmp_path, monkeypatch
):
    finished = tmp_path / "finished"
    assert command(arguments("demo", finished, **SMALL_DEMO))[0] == 0
    check_loaded(finished)
    for drawn in ("draw", "posteriors"):  # of the same results
        monkeypatch.setattr(diffusion_encoder.figures, drawn, lambda *arguments: None)
    cache = tmp_path / "cache"
    changes = dict(data__cache_dir=cache, save_every=4, evaluate_every=0)  # what changes no result
    ends = go_on(command, finished, tmp_path / "going_on", **changes)
    assert ends[0] == ends[1]
    stored = json.loads((tmp_path / "going_on" / "config.json").read_text())
    assert stored["save_every"] == 4 and stored["data"]["cache_dir"] == str(cache)
    changes = dict(num_devices=2, eval__batch_size=7)
    ends = go_on(command, finished, tmp_path / "run", **changes)
    for one, other in zip(*ends, strict=True):
        for field in ("value", "stderr"):
            np.testing.assert_allclose(
                getattr(one, field), getattr(other, field), rtol=1e-4, atol=1e-4
            )


@pytest.mark.optimized
@pytest.mark.slow
def test_the_demo_tells_the_encoders_apart(command, tmp_path):
    """The claim of the README, one seed at a third of the updates: four standard errors apart."""
    changes = {
        "num_updates": 600,
        "save_every": 600,
        "evaluate_every": 0,
        "eval.num_examples": 300,
        "eval.num_samples": 2,
        "eval.grid_draws": 8,
    }
    overrides = [f"--config.{key}={value}" for key, value in changes.items()]
    status, _, _ = command([f"--config={CONFIGS / 'demo'}.py", f"--workdir={tmp_path}", *overrides])
    assert status == 0
    named = {result.name: result for result in tables.read_results(tmp_path)}
    below = named["diffusion_encoder.posterior_kl_below_vae"]
    assert below.value > 4 * below.stderr and below.stderr < 0.1
    assert named["diffusion_encoder.posterior_kl"].value < 0.2


@pytest.mark.slow
def test_mnist_runs(command, tmp_path, mnist_dir):
    given = arguments(
        "mnist",
        tmp_path / "run",
        baseline=False,
        model__decoder_features=(8,),
        data__dir=mnist_dir,
        data__cache_dir=tmp_path / "cache",
    )
    status, _, stderr = command(given)
    assert status == 0 and stderr == ""
    check_output(tmp_path / "run", systems=("diffusion_encoder",))


@pytest.mark.slow
def test_a_users_file_of_real_vectors_runs_with_one_latent(command, tmp_path):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(size=(150, 5)))
    given = arguments(
        "digits",
        tmp_path / "run",
        baseline=False,
        data__name="file",
        data__path=tmp_path / "mine.npy",
        model__decoder="gaussian",
        model__decoder_features=(8,),
        model__latent_dim=1,
        evaluate_every=0,
    )
    status, stdout, stderr = command(given)
    assert status == 0 and stderr == ""
    assert "mine: held-out results" in stdout


@pytest.mark.slow
def test_factor_analysis_runs_and_a_killed_run_of_it_ends_as_one_that_was_not(command, tmp_path):
    """kill -9 of a process in the middle, then the same command: state and results equal bit for
    bit."""
    longer = dict(baseline=False, num_updates=300, save_every=20, evaluate_every=100)
    straight, killed = (
        arguments("factor_analysis", tmp_path / name, **longer) for name in ("straight", "killed")
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.diffusion_encoder", *killed],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    saved, patience = tmp_path / "killed" / "checkpoints", time.monotonic() + 600
    while process.poll() is None and time.monotonic() < patience:
        if any(path.name.isdigit() for path in saved.glob("*")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait() == -signal.SIGKILL
    reached = int(records.read_metrics(tmp_path / "killed")[-1]["step"])
    assert 20 <= reached < 300 and not (tmp_path / "killed" / "results.json").exists()
    assert models.load(tmp_path / "killed").updates >= 20, "an unfinished run can be used"
    lock = json.loads((tmp_path / "killed" / "run.lock").read_text())
    assert lock["pid"] == process.pid, "it is left behind, and taken from the dead"

    status, stdout, _ = command(killed)
    assert status == 0 and "continuing from update" in stdout
    status, _, stderr = command(straight)
    assert status == 0 and stderr == ""
    ends = []
    for name in ("straight", "killed"):
        config = load_config(str(CONFIGS / "factor_analysis.py"))
        config.update_from_flattened_dict(TINY | longer)
        experiment = settings.read_experiment(config)
        dataset, _ = diffusion_encoder.load(experiment)
        systems = diffusion_encoder.make_systems(experiment, dataset)
        example = parallel.replicate(
            parallel.data_mesh(1), {key: system.state for key, system in systems.items()}
        )
        with checkpoints.open(tmp_path / name / "checkpoints") as kept:
            step, state = kept.restore(example)
        assert step == 300
        ends.append(jax.device_get(state))
    jax.tree.map(np.testing.assert_array_equal, *ends)
    results = [
        without_times(tables.read_results(tmp_path / name)) for name in ("straight", "killed")
    ]
    assert results[0] == results[1]
    lines = [records.read_metrics(tmp_path / name) for name in ("straight", "killed")]
    timeless = [
        [{key: line[key] for key in line if "ms_per" not in key} for line in log] for log in lines
    ]
    assert timeless[0] == timeless[1]

    check_output(tmp_path / "straight", ("diffusion_encoder",), range(0, 301, 2), ("280", "300"))
    work = sessions.read(tmp_path / "killed")
    assert [one["status"] for one in work] == ["failed", "complete"]
    assert work[0]["pid"] == process.pid and work[1]["seconds"] > 0
    named = {result.name: result for result in results[0]}
    assert (
        named["diffusion_encoder.ml_gap"].value > 0 and named["diffusion_encoder.ml_gap"].truth == 0
    )
    divergence = named["diffusion_encoder.posterior_kl"]
    assert divergence.value > -NUM_SIGMAS * divergence.stderr and divergence.truth == 0
    assert not any(name.startswith("vae") for name in named)
    assert (tmp_path / "straight" / "figures" / "ml_gap.png").exists()


@pytest.mark.parametrize("name", [path.stem for path in sorted(CONFIGS.glob("*.py"))])
def test_a_config_passes_its_own_checks_and_tells_its_command(name):
    config = load_config(str(CONFIGS / f"{name}.py"))
    settings.read_experiment(config)
    for field in ("num_updates", "save_every", "evaluate_every"):
        assert config[field] % config.updates_per_dispatch == 0
    assert config.batch_size % 4 == 0
    text = (CONFIGS / f"{name}.py").read_text()
    assert f"--config=configs/diffusion_encoder/{name}.py" in text


def test_held_out_bits_are_drawn_once_and_training_bits_anew():
    config = load_config(str(CONFIGS / "digits.py"))
    experiment = settings.read_experiment(config)
    dataset, _ = diffusion_encoder.load(experiment)
    prepare = examples.make_scaling(experiment.model.decoder, dataset).prepare
    first = examples.observe(config.seed, prepare, dataset.test)
    second = examples.observe(config.seed, prepare, dataset.test)
    np.testing.assert_array_equal(first, second)
    assert set(np.unique(first)) == {0.0, 1.0} and first.shape == dataset.test.shape
    rows = jax.numpy.asarray(dataset.train[:8])
    assert not np.array_equal(prepare(jax.random.key(0), rows), prepare(jax.random.key(1), rows))
    keys = jax.random.split(jax.random.key(2), 300)
    bits = jax.jit(jax.vmap(lambda key: data.binarize(key, rows, 16.0)))(keys).mean(axis=0)
    p = dataset.train[:8] / 16
    assert np.all(np.abs(bits - p) <= 5 * np.sqrt(p * (1 - p) / 300))
