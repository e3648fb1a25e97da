"""What the pages for people name is what there is: settings, commands, files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[A-Z]+(_[A-Z]+)*")
SETTINGS = ROOT / "backend" / "settings.py"
NO_SETTING = {"DJANGO_SETTINGS_MODULE"}


def calls(file: Path) -> Iterator[tuple[str, str]]:
    """What is called, or looked into, with a name in capitals; and that name."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]) if NAME.fullmatch(name):
                yield ast.unparse(called), name
            case ast.Subscript(value=looked_into, slice=ast.Constant(value=str(name)), ctx=ast.Load()):
                yield f"{ast.unparse(looked_into)}[]", name


def reads_the_environment(called: str, file: Path) -> bool:
    """In the settings ``required(…)`` and the like do, too."""
    if file == SETTINGS and called.isidentifier():
        return True
    return called.startswith(("env.", "os.getenv")) or "environ" in called


def names_read() -> set[str]:
    """From the environment, by what a shop runs."""
    files = [path for folder in ("backend", "tools") for path in (ROOT / folder).rglob("*.py")]
    found = ((file, called, name) for file in files for called, name in calls(file))
    return {name for file, called, name in found if reads_the_environment(called, file)}


def test_the_example_lists_every_setting_and_no_other():
    listed = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == names_read() - NO_SETTING


def test_make_bench_runs_every_bench_of_its_readme():
    """But for those that make the page of the others."""
    named = re.findall(r"^\| `(bench\.\w+)", (ROOT / "bench" / "README.md").read_text(), re.MULTILINE)
    recipe = re.search(r"^bench:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert set(re.findall(r"-m (bench\.\w+)", recipe)) == set(named) - {"bench.page", "bench.plots"}


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "bench" / "README.md"]
OURS = "backend|tools|tests|torture|bench|deploy|docs|alipay_simulator|frontend"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_no_file_that_is_not_there(page):
    text = page.read_text()
    named = re.findall(rf"`((?:{OURS})/[\w./-]+)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if not link.startswith("http")]
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing + [link for link in linked if not (page.parent / link).exists()] == []
