"""README and docs: every fenced block of Python runs, and every command names a config and fields
that exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from absl import flags

from diffenc.information.samples import inputs
from diffenc.information.settings import Settings
from experiments.arguments import define_flags

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# A block that needs a trained run, or hours, stands below <!-- not run: why -->.
BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"python -m (experiments\.[\w.]+)((?:[^\S\n]*(?:\\\n)?[^\S\n]*--[^\n`\\]+)+)")
TINY = Settings.from_dict(  # a snippet shows the defaults; here they are quick
    {
        "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
        "mixture": {"updates": 20, "rounds": 2},
        "flow": {"rounds": 0},
        "judge": {"parts": 3},
    }
)


def snippets_of(text: str) -> list[str]:
    """The blocks of Python of a page that are to run."""
    return [code for mark, code in BLOCK.findall(text) if not mark]


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """(module, arguments) of each command of a page that has a config."""
    commands = [
        (module, shlex.split(arguments.replace("\\\n", " ")))
        for module, arguments in COMMAND.findall(text)
    ]
    return [command for command in commands if any("--config=" in one for one in command[1])]


def test_the_reader_of_pages_sees_blocks_and_commands():
    text = (
        "```python\na = 1\n```\n<!-- not run: needs a run -->\n```python\nb\n```\n"
        "`python -m experiments.kelly --config=a.py`\n```\n"
        "python -m experiments.kelly --config=b.py \\\n    --config.x=\"('a', 'b')\" --workdir=c\n"
        "python -m experiments.apply --workdir=c\n```\n"
    )
    assert snippets_of(text) == ["a = 1\n"]
    assert commands_of(text) == [
        ("experiments.kelly", ["--config=a.py"]),
        ("experiments.kelly", ["--config=b.py", "--config.x=('a', 'b')", "--workdir=c"]),
    ]
    text = "\n".join(page.read_text() for page in PAGES)
    assert len(snippets_of(text)) >= 3 and len(commands_of(text)) >= 30


WITH_PYTHON = [
    # a page that trains takes half a minute
    pytest.param(page, marks=pytest.mark.slow) if page.stem == "trained-runs" else page
    for page in PAGES
    if snippets_of(page.read_text())
]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "DEFAULTS", TINY)
    names = {}
    for code in snippets_of(page.read_text()):
        exec(compile(code, str(page), "exec"), names)


# ml_collections imports a config in a manner that Python will drop.
LOADS_MODULE = "ignore:the load_module:DeprecationWarning"
WITH_COMMANDS = [page for page in PAGES if commands_of(page.read_text())]


@pytest.mark.filterwarnings(LOADS_MODULE)
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_name_configs_and_fields_that_exist(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for module, arguments in commands_of(page.read_text()):
        assert importlib.util.find_spec(module), module
        values = flags.FlagValues()
        arguments = [module, *arguments]
        config_flag, _ = define_flags(values, arguments)
        assert values(arguments) == [module], f"{arguments} has arguments that are no flags"
        case = Path(values["config"].config_filename)
        assert case.parts[:2] == ("configs", module.split(".")[1]) and config_flag.value
