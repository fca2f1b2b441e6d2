"""Every config of configs/: it names its own command, its experiment takes it, and each of its
fields is read."""

import ast
import dataclasses
import functools
import importlib.util
import re
from pathlib import Path

import pytest
from checks import record_reads
from ml_collections import ConfigDict

from diffenc.latent import em
from experiments import command_line
from experiments.arguments import load_config

ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "configs").glob("*/*.py"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in PATHS]
SETTINGS = {  # sections that are read whole
    "em": {field.name for field in dataclasses.fields(em.Settings)},
}
UNREAD = {}  # of a config: its fields that its experiment has no use for


def fields_of(config, prefix="") -> list[str]:
    """The dotted names of a config's leaves."""
    names = []
    for name, value in config.items():
        if isinstance(value, ConfigDict) and len(value):
            names += fields_of(value, f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
    return names


def module_of(path) -> str:
    """The experiment in whose folder a config stands, which its docstring's command names."""
    text = ast.get_docstring(ast.parse(path.read_text()))
    commands = re.findall(r"python -m (experiments\.[\w.]+)\s+(?:\\\s+)?--config=(\S+)", text)
    assert commands, f"{path} does not tell its command"
    module, config = commands[0]
    assert config == str(path.relative_to(ROOT)), "the command is that of another config"
    assert module.split(".")[1] == path.parent.name, "a config runs the experiment of its folder"
    folder = ROOT / module.replace(".", "/")
    return f"{module}.__main__" if folder.is_dir() else module


@functools.cache
def reads_of(module: str) -> frozenset[tuple[str, str]]:
    """(owner, name) of each owner.name in the source of a module; (a.)b.name counts as (b, name),
    and name of any variable as ("", name)."""
    reads = set()
    for node in ast.walk(ast.parse(Path(importlib.import_module(module).__file__).read_text())):
        if isinstance(node, ast.Attribute):
            owner = node.value
            reads.add((owner.attr if isinstance(owner, ast.Attribute) else "", node.attr))
    return frozenset(reads)


@functools.cache
def modules_of(module: str) -> frozenset[str]:
    """An experiment and all experiments that it imports."""
    modules, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in modules or name in ("experiments", "experiments.command_line"):
            continue
        try:
            path = importlib.import_module(name).__file__
        except ModuleNotFoundError:  # a name in a module, no module
            continue
        if path is None:  # a folder without a file of its own
            continue
        modules.add(name)
        for node in ast.walk(ast.parse(Path(path).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("experiments"):
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return frozenset(modules)


def is_read(field: str, modules) -> bool:
    """Whether some module has section.name, or name of a variable where the section is read as
    well."""
    if field.startswith("variants."):  # variants.NAME.FIELD stands for FIELD
        field = field.split(".", 2)[2]
        if field == "method":
            return True
    if field.startswith("estimator."):  # Settings.from_dict refuses a name that it does not read
        return True
    *sections, name = field.split(".")
    section = sections[-1] if sections else ""
    if name in SETTINGS.get(section, ()):
        return True
    for module in modules:
        reads = reads_of(module)
        if (section, name) in reads:
            return True
        if ("", name) in reads and any(read == section for _, read in reads):
            return True
    return False


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_config_is_taken_by_its_experiment_and_each_field_is_read(path, tmp_path, monkeypatch):
    module = module_of(path)
    config = load_config(str(path))
    config.lock()
    reads = record_reads(monkeypatch, config)
    taken = []
    monkeypatch.setattr(
        command_line, "is_complete", lambda config, workdir: taken.append(config) or True
    )
    if config.get("data", {}).get("path", None) == "" and not config.get("tasks", True):
        config.tasks = ("normal_1x1",)  # wants a file
    importlib.import_module(module).run(
        config, tmp_path
    )  # checks the settings, then finds the run complete
    assert taken == [config] and not list(tmp_path.iterdir())
    modules = modules_of(module)
    unread = {field for field in fields_of(config) if not is_read(field, modules)} - reads
    assert unread == UNREAD.get(f"{path.parent.name}/{path.stem}", set())
    schedule = {
        name: config[name]
        for name in ("num_updates", "save_every", "evaluate_every")
        if name in config
    }
    for name, updates in schedule.items():
        assert updates % config.updates_per_dispatch == 0, name
    if "batch_size" in config:
        assert config.batch_size % 4 == 0  # on one, two and four devices


def test_the_commands_of_the_documentation_run_every_config():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text() for page in pages)
    commands = re.findall(r"python -m (\S+) --config=(\S+)", text)
    assert all(importlib.util.find_spec(module) for module, _ in commands)
    assert {config for _, config in commands} == {str(path.relative_to(ROOT)) for path in PATHS}
    for module, config in commands:
        assert module == module_of(ROOT / config).removesuffix(".__main__")
