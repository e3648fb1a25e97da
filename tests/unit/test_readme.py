"""What the pages for people name is what there is: settings, commands, files, figures."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
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


def here(folder: Path, **programs: str) -> dict[str, str]:
    """A PATH with these programs, each of which prints a line, and with what a shell script needs."""
    folder.mkdir()
    for name in ("bash", "sed", "dirname"):
        (folder / name).symlink_to(shutil.which(name))
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\necho {line}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


NEEDS = "it needs Node.js 20.19 or newer, with npm"


@pytest.mark.parametrize(
    ("programs", "why"),
    [
        ({"node": "v20.19.0", "npm": "10.8.2"}, ""),
        ({"node": "v22.1.0", "npm": "10.8.2"}, ""),
        ({"node": "v20.18.3", "npm": "10.8.2"}, f"{NEEDS}, and Node.js here is 20.18.3"),
        ({"node": "v18.20.4", "npm": "10.8.2"}, f"{NEEDS}, and Node.js here is 18.20.4"),
        ({"node": "v24.2.0"}, f"{NEEDS}, and there is no npm here"),
        ({"npm": "10.8.2"}, NEEDS),
    ],
)
def test_an_old_node_is_said_to_be_too_old(tmp_path, programs, why):
    """By the one rule of the package, which the pages repeat."""
    done = subprocess.run(
        [ROOT / "tools" / "new_node.sh"], env=here(tmp_path / "bin", **programs), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (1 if why else 0, why, "")


def test_the_pages_ask_for_the_node_of_the_package():
    asked = json.loads((ROOT / "frontend" / "package.json").read_text())["engines"]["node"].removeprefix(">=")
    assert asked in NEEDS
    for page in ("README.md", "README.zh-CN.md", "frontend/README.md"):
        assert re.findall(r"Node(?:\.js)? ([0-9.]+[0-9])", (ROOT / page).read_text()) == [asked]


def test_without_a_new_node_the_storefront_is_left_out_with_a_sentence(tmp_path):
    env = here(tmp_path / "bin", node="v20.18.3", npm="10.8.2")
    done = subprocess.run([ROOT / "tools" / "storefront.sh"], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"The storefront is not built: {NEEDS}, and Node.js here is 20.18.3. The backend runs without it.\n"
    )


def measured(row: str) -> list[Decimal]:
    """The figures of a row of docs/performance.md that has this name only once."""
    [cells] = re.findall(
        rf"^\| {re.escape(row)} \|(.*)\|$", (ROOT / "docs" / "performance.md").read_text(), re.MULTILINE
    )
    return [Decimal(cell.strip()) for cell in cells.split("|")]


def ratios(over: list[Decimal], under: list[Decimal], rounding: str) -> list[str]:
    cent = Decimal("0.01")
    return [str((a / b).quantize(cent, rounding)) for a, b in zip(over, under, strict=True)]


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_a_readmes_figures_of_speed_are_those_of_the_page_never_rounded_in_our_favour(readme):
    ours, node = measured("ours"), measured("Node, Fastify, Mercurius JIT (given)")
    [bullet] = re.findall(r"^- .*\[docs/performance\.md\](.*\n(?:  .*\n)+)", (ROOT / readme).read_text(), re.MULTILINE)
    assert re.findall(r"\d\.\d\d", bullet) == [
        *ratios(measured("tutorial, measured here"), ours, ROUND_FLOOR),
        *ratios(measured("FastAPI, Strawberry, asyncpg (given)"), ours, ROUND_FLOOR),
        *ratios(ours, node, ROUND_CEILING),
        str(measured("ours, live stream")[-1]),
        str(measured("Node, live stream (estimate)")[-1]),
    ]
