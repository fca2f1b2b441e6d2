"""README and docs: their links, their length, and figures that say what they show."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
FIGURE = re.compile(r"^!\[[^\]]+\]\([^)]+\)\n\n(.)", re.MULTILINE)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def anchors_of(page: Path) -> set[str]:
    """The names under which the headings of a page can be linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@every_page
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text()):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors_of(path), f"{target}#{anchor}"


@every_page
def test_a_page_begins_with_a_title_and_what_it_is_about(page):
    title, empty, text = page.read_text().split("\n", 2)
    assert title.startswith("# ") and not empty and text[0] not in "#|!-"


@every_page
def test_a_figure_has_a_caption(page):
    text = page.read_text()
    assert len(re.findall(r"^!\[", text, re.MULTILINE)) == FIGURE.findall(text).count("*")


def test_the_readme_is_read_at_once():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_map_of_information_names_every_file_once_in_its_folder():
    page = (ROOT / "docs/information.md").read_text()
    rows = re.findall(r"^\| \**`?([\w/.]+|at the top|for all of these)`?\** \|", page, re.MULTILINE)
    folder = None
    named = []
    for name in rows:
        if name.endswith(".py") and folder is not None:
            named.append(folder + name)
        elif name in ("at the top", "for all of these"):
            folder = ""
        elif name.endswith("/"):
            folder = name
    files = (ROOT / "diffenc/information").rglob("*.py")
    assert sorted(named) == sorted(
        str(path.relative_to(ROOT / "diffenc/information")) for path in files
    )
