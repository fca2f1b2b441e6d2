"""The glossary: its page, names that it explains, and names that nothing writes any more. Every
results.json of the tests is held to it by `tests/conftest.py`."""

import re
from pathlib import Path

import pytest

from diffenc.run.tables import Result
from experiments import glossary

ROOT = Path(__file__).resolve().parents[2]
ROWS = {
    ("diffusion_encoder", "vae.nll", "nats"): "<system>.nll",
    ("posteriors", "ring.flow_vae.posterior_kl", "nats"): "<case>.<method>.posterior_kl",
    ("posteriors", "ring.best_gaussian.posterior_kl", "nats"): "<case>.best_gaussian.posterior_kl",
    ("posteriors", "mnist.vae.nll_above_iwae", "nats"): "<case>.<method>.nll_above_<first>",
    ("neural_entropy", "vpx.D9.kelly_growth", "nats"): "<case>.kelly_growth",
    ("neural_entropy", "coverage_growth", "within 2 errors, of 800"): "coverage_growth",
    ("speed_limit", "vp.D3.gaussian.w2_squared", "squared length"): (
        "<process>.D<dim>.gaussian.w2_squared"
    ),
    ("mutual_information", "uniform_noise_0.1.ksg", "nats"): "<samples>.ksg",
    ("mutual_information", "benchmark.within_0.1", "of tasks"): "benchmark.within_0.1",
    ("mutual_information", "benchmark.score_difference.within_0.1", "of tasks, of 22 tasks"): (
        "benchmark.<estimator>.within_0.1"
    ),
    ("labels", "mnist.lambda=-2.label_information", "nats"): (
        "<dataset>.lambda=<level>.label_information"
    ),
    ("guidance", "w=0.5.injected", "nats"): "w=<weight>.injected",
    ("kelly", "tower.1024.sum", "nats"): "tower.<levels>.sum",
    ("warm_start", "cold.bits_per_dim", "bits/dim"): "<model>.bits_per_dim",
    ("warm_start", "uniform.bits_per_dim", "bits/dim"): "uniform.bits_per_dim",
    ("warm_start", "uniform.bins=0.17.it_nll", "bits/dim"): "<family>.bins=<bins>.it_nll",
    ("warm_start", "kraft.informed.bins=3", ""): "kraft.<decoder>.bins=<bins>",
    ("warm_start", "kraft.it_nll.bins=3", ""): "kraft.it_nll.bins=<bins>",
    ("benchmarks", "mixture.vp.D9.limit_share", "% of the limit"): "<program>.limit_share",
    ("benchmarks", "encoder.steps4.loss", "nats"): "<sampler>.steps<steps>.loss",
    ("benchmarks.groups", "posteriors.ring.vae.size3.gain", "of one after another"): "<group>.gain",
    ("benchmarks.entropy_training", "plain.seconds_to_0.1_percent", "s"): (
        "<loop>.seconds_to_<share>_percent"
    ),
}


def test_the_page_is_written_from_the_glossary():
    assert glossary.PAGE.read_text() == glossary.page(), "run python -m experiments.glossary"


@pytest.mark.parametrize(("experiment", "name", "unit"), ROWS)
def test_a_name_has_one_entry(experiment, name, unit):
    assert glossary.entries_of(experiment, name, unit) == [ROWS[experiment, name, unit]]


def test_what_the_glossary_lacks_is_named():
    rows = [Result("vae.nll", 1.0), Result("vae.nll", 1.0, unit="bits"), Result("gan.nll", 1.0)]
    assert glossary.unexplained("diffusion_encoder", rows) == ["vae.nll [bits]", "gan.nll [nats]"]


@pytest.mark.parametrize("experiment", glossary.GLOSSARY)
def test_every_entry_is_of_a_name_that_the_experiment_writes(experiment):
    """Its longest part that stands for itself is in the sources, where names are made."""
    sources = [
        *(ROOT / "experiments").rglob("*.py"),
        ROOT / "diffenc/information/benchmark/rivals.py",
    ]
    text = "\n".join(path.read_text() for path in sources if path.name != "glossary.py")
    for name in glossary.GLOSSARY[experiment]:
        part = max(re.split(r"<\w+>|\.|=|_above", name), key=len).strip("_")
        assert part in text, name


def test_every_experiment_with_results_has_its_glossary():
    writers = {
        str(path.relative_to(ROOT / "experiments").with_suffix(""))
        for path in (ROOT / "experiments").rglob("*.py")
        if "write_results(" in path.read_text()
    }
    names = {writer.removesuffix("/__main__").replace("/", ".") for writer in writers}
    assert names == set(glossary.GLOSSARY)
