"""Who may import whom, read from the imports themselves, including those inside functions; and that
importing computes nothing."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# By folder of diffenc, or file at its top: which of the others it may import.
BASE = {"errors", "keys", "estimate", "compilation"}
LAW = {
    "errors": set(),
    "keys": set(),
    "compilation": set(),
    "xla_flags": set(),
    "estimate": {"errors"},
    "training": {"errors"},
    "networks": {"errors", "diffusion.parameterization"},
    "diffusion": BASE,
    "information": BASE | {"networks", "diffusion.noise_levels", "diffusion.parameterization"},
    "latent": BASE | {"training", "networks", "diffusion"},
    "run": {"errors", "keys", "estimate", "training"},
    "batches": {"compilation", "estimate"},
    "grid_models": {"errors", "diffusion", "networks"},
    "grid_runs": {"errors", "keys", "training", "diffusion", "run", "batches", "grid_models"},
    "storage": {"errors", "latent", "run", "grid_runs"},
    "units": {"latent", "run"},
    "trained_model": {"errors", "keys", "latent", "run", "batches", "units"},
    "models": {"errors", "run", "storage", "grid_runs", "trained_model"},
    "__init__": {"xla_flags", "errors", "information", "models"},  # the latter when asked for
}
# By room of diffenc/information, from the ground up, or file at its top: which of the others it may
# import.
GROUND = {"settings", "clusters"}
WITHOUT_NETWORKS = GROUND | {"coordinates", "regressions"}
ESTIMATION = WITHOUT_NETWORKS | {"training", "comparisons"}
QUANTITIES = ESTIMATION | {"codes", "samples", "estimation"}
RESULTS = QUANTITIES | {"quantities"}
ROOMS_OF_INFORMATION = {
    "settings": set(),
    "clusters": set(),
    "coordinates": {"clusters"},
    "regressions": {"clusters", "coordinates"},
    "codes": {"clusters"},
    "samples": WITHOUT_NETWORKS | {"codes"},
    "training": WITHOUT_NETWORKS,
    "comparisons": {"clusters", "coordinates", "codes"},
    "estimation": ESTIMATION,
    "quantities": QUANTITIES,
    "results": RESULTS,
    "conditional_estimates": RESULTS | {"results"},
    "estimates": RESULTS | {"results", "conditional_estimates"},
    "matrix": RESULTS | {"results", "estimates"},
    "benchmark": {"coordinates", "comparisons"},
}
# Which other experiments an experiment may import; all may import diffenc and
# experiments.command_line.
BETWEEN_EXPERIMENTS = {
    "command_line": {"arguments", "field_types"},
    "posteriors": {"diffusion_encoder"},
    "glossary": {
        "glossary_action",
        "glossary_benchmarks",
        "glossary_latent",
        "glossary_likelihood",
    },
    "glossary_benchmarks": {"glossary_growth"},
    "glossary_action": {"glossary_latent"},
    "glossary_likelihood": {"glossary_latent"},
    "diffusion_decoder": {"diffusion_encoder"},
    "guidance_images": {"labels"},
    "speed_limit": {"neural_entropy"},
    "action_principle": {"neural_entropy"},
    "benchmarks": {  # every experiment that trains
        "action_principle",
        "diffusion_decoder",
        "diffusion_encoder",
        "labels",
        "mutual_information",
        "neural_entropy",
        "posteriors",
        "warm_start",
    },
}
FILES = sorted((ROOT / "diffenc").rglob("*.py"))
INFORMATION = "diffenc/information"


def imported_modules(path: Path) -> set[str]:
    """Every module a file imports, in full; `from a import b` counts as both a and a.b."""
    modules = set()
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            modules |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return modules


def room_of(path: Path, top: str = "diffenc") -> str:
    """The folder of a file, or the file itself where it stands at the top."""
    return path.relative_to(ROOT / top).parts[0].removesuffix(".py")


def rooms_imported(path: Path, top: str = "diffenc") -> set[str]:
    """The rooms that a file imports from, and what it takes of them: {"run", "run.loop"}."""
    package = top.replace("/", ".") + "."
    parts = [
        module.removeprefix(package).split(".")
        for module in imported_modules(path)
        if module.startswith(package)
    ]
    return {".".join(names[:depth]) for names in parts for depth in (1, 2) if len(names) >= depth}


def is_allowed(module: str, allowed: set[str]) -> bool:
    """Whether a room, or a module of one, is in the list, which may name either."""
    return (
        module.split(".")[0] in allowed
        or module in allowed
        or any(name.startswith(f"{module}.") for name in allowed)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_file_keeps_the_law(path):
    room = room_of(path)
    assert room in LAW, f"{room} has no place in the import law: give it one here"
    for module in rooms_imported(path):
        assert module.split(".")[0] == room or is_allowed(module, LAW[room]), (
            f"{room} may not import {module}"
        )
    outside = {module.split(".")[0] for module in imported_modules(path)}
    assert not outside & {"ml_collections", "experiments", "configs"}, (
        "config stops at the experiments"
    )
    assert not outside & {"tensorflow", "clu", "torch"}
    if room != "networks":
        assert not any(module.startswith("flax.linen") for module in imported_modules(path))


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if room_of(path) == "information"],
    ids=lambda path: str(path.relative_to(ROOT / INFORMATION)),
)
def test_a_file_of_information_imports_only_rooms_below_its_own(path):
    room = room_of(path, INFORMATION)
    assert room in ROOMS_OF_INFORMATION, f"{room} has no place in the order: give it one here"
    others = {module.split(".")[0] for module in rooms_imported(path, INFORMATION)} - {room}
    assert others <= ROOMS_OF_INFORMATION[room], (
        f"{room} may not import {others - ROOMS_OF_INFORMATION[room]}"
    )


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "experiments").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_an_experiment_imports_another_only_where_it_is_listed(path):
    room = room_of(path, "experiments")
    others = {module.split(".")[0] for module in rooms_imported(path, "experiments")} - {
        room,
        "command_line",
    }
    assert others <= BETWEEN_EXPERIMENTS.get(room, set())


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_config_imports_ml_collections_and_configs_only(path):
    assert {module.split(".")[0] for module in imported_modules(path)} <= {
        "ml_collections",
        "configs",
    }


IMPORT_FREELY = """
import gc
import sys
import diffenc
assert not {"jax", "numpy", "pandas"} & set(sys.modules), "import diffenc is not free"
assert {"mutual_information", "load"} <= set(dir(diffenc)) >= set(diffenc.__all__)
diffenc.mutual_information
assert not {"pandas", "sklearn", "scipy.stats"} & set(sys.modules), "not needed by every estimate"
assert gc.isenabled()
gc.disable()
diffenc.entropy
assert not gc.isenabled(), "who turns the collector off finds it off"
"""

IMPORT_ALL = """
import importlib, sys
from jax._src import xla_bridge
for module in sys.argv[1:]:
    importlib.import_module(module)
    assert not xla_bridge.backends_are_initialized(), f"importing {module} computes with jax"
"""


IMPORT_WHILE_TRACING = """
from types import SimpleNamespace
import jax
import jax.numpy as jnp
from diffenc.latent import chains

def log_density_at(y):
    make_state, _ = chains.make_kernel(SimpleNamespace(kernel="mala"))
    return make_state(y, -jnp.sum(y**2), -2 * y).logdensity

with jax.checking_leaks():
    assert jax.jit(log_density_at)(jnp.ones(2)) == -2.0
"""


def test_import_is_free_none_computes_and_blackjax_may_be_imported_while_jax_traces():
    """Names of diffenc are imported when they are asked for. `jax.distributed.initialize` refuses
    to join the hosts of a run once any array has been made. The import of blackjax computes, and is
    left for later; a constant made while jax traces would be a tracer, which breaks whatever uses
    it later."""
    folders = ("diffenc", "experiments", "configs")
    paths = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_FREELY + IMPORT_ALL + IMPORT_WHILE_TRACING, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert len(modules) > 130 and ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("law", [LAW, ROOMS_OF_INFORMATION], ids=["diffenc", "information"])
def test_the_law_is_a_tree_without_a_cycle(law):
    rooms = {room: {name.split(".")[0] for name in allowed} for room, allowed in law.items()}
    assert list(TopologicalSorter(rooms).static_order())


def test_the_reader_sees_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr("test_imports.ROOT", tmp_path)
    path = tmp_path / "diffenc" / "networks" / "unet.py"
    path.parent.mkdir(parents=True)
    lines = (
        "import diffenc.latent.em",
        "from diffenc.run import data",
        "from ..diffusion.samplers import f",
        "def g():",
        "    import diffenc.run.loop as h",
    )
    path.write_text("\n".join(lines))
    modules = {"latent.em", "run.data", "diffusion.samplers", "run.loop"}
    assert rooms_imported(path) == modules | {"latent", "run", "diffusion"}
    assert rooms_imported(path, "diffenc/run") == {"data", "loop"}
