"""Who may import whom, read from the imports themselves, including those inside functions; and that importing computes
nothing."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALONE = (
    "processes",
    "noise_levels",
    "whitening",
    "networks",
    "parallel",
    "information_tasks",
)
LAW = {
    **{room: set() for room in ALONE},
    "analytic": {"processes", "noise_levels"},
    "parameterization": {"processes"},
    "samplers": {"processes"},
    "guidance": {"processes", "noise_levels"},
    "losses": {"processes", "parameterization"},
    "decoders": {"processes", "parameterization", "samplers", "losses", "networks"},
    "denoiser": {"processes", "noise_levels", "analytic", "losses"},
    "toys": {"decoders", "analytic"},
    "encoder": {"processes", "parameterization", "samplers", "losses", "networks", "decoders", "whitening"},
    "estimators": {
        "processes",
        "noise_levels",
        "analytic",
        "samplers",
        "parameterization",
        "decoders",
        "whitening",
        "networks",
    },
    "proposals": {"decoders", "whitening"},
    "chains": {"proposals", "whitening"},
    "em": {"encoder", "decoders", "losses", "estimators", "training", "networks", "whitening", "proposals", "chains"},
    "baselines": {"em", "chains", "encoder", "decoders", "losses", "estimators", "networks", "training", "whitening"},
    "training": set(),
    "files": {"parallel"},
    "data": {"files"},
    "checkpoints": {"files", "parallel"},
    "reporting": {"files", "parallel"},
    "loop": {"training", "checkpoints", "reporting", "data"},
    "errors": set(),
    "keys": set(),
    "__init__": set(),
}
FILES = sorted((ROOT / "diffenc").rglob("*.py"))


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


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "diffenc").parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    ours = {module.split(".")[1] for module in imported_modules(path) if module.startswith("diffenc.")}
    return {room for room in ours if room in LAW} - {"errors", "keys", room_of(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_file_keeps_the_law(path):
    room = room_of(path)
    assert room in LAW, f"{room} has no place in the import law: give it one here"
    assert rooms_imported(path) <= LAW[room]
    outside = {module.split(".")[0] for module in imported_modules(path)}
    assert not outside & {"ml_collections", "experiments", "configs"}, "config stops at the experiments"
    assert not outside & {"tensorflow", "clu", "torch"}
    if room != "networks":
        assert not any(module.startswith("flax.linen") for module in imported_modules(path))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_config_imports_ml_collections_and_configs_only(path):
    assert {module.split(".")[0] for module in imported_modules(path)} <= {"ml_collections", "configs"}


IMPORT_ALL = """
import importlib, sys
from jax._src import xla_bridge
for module in sys.argv[1:]:
    importlib.import_module(module)
    assert not xla_bridge.backends_are_initialized(), f"importing {module} computes with jax"
"""


def test_no_import_computes():
    """`jax.distributed.initialize` refuses to join the hosts of a run once any array has been made."""
    paths = [path.relative_to(ROOT) for room in ("diffenc", "experiments", "configs") for path in ROOT.glob(f"{room}/**/*.py")]
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    ended = subprocess.run([sys.executable, "-c", IMPORT_ALL, *modules], cwd=ROOT, capture_output=True, text=True)
    assert len(modules) > 80 and ended.returncode == 0, ended.stderr


IMPORT_WHILE_TRACING = """
from types import SimpleNamespace
import jax
import jax.numpy as jnp
from diffenc import chains

def log_density_at(y):
    init, _ = chains.make_kernel(SimpleNamespace(kernel="mala"))
    return init(lambda y: -jnp.sum(y**2), y).logdensity

with jax.checking_leaks():
    assert jax.jit(log_density_at)(jnp.ones(2)) == -2.0
"""


def test_blackjax_may_be_imported_while_jax_traces():
    """Its import computes; a constant made while jax traces would be a tracer, which breaks whatever uses it later."""
    ended = subprocess.run([sys.executable, "-c", IMPORT_WHILE_TRACING], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_the_law_is_a_tree_without_a_cycle():
    assert list(TopologicalSorter(LAW).static_order())


def test_the_reader_sees_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr("test_imports.ROOT", tmp_path)
    path = tmp_path / "diffenc" / "networks" / "unet.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import diffenc.em\nfrom diffenc import data\nfrom ..losses import f\ndef g():\n    import diffenc.loop as h\n"
    )
    assert rooms_imported(path) == {"em", "data", "losses", "loop"}
