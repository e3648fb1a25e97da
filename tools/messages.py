"""The texts that are to be translated, found in the source, and the catalogue brought up to date with them.

    python tools/messages.py        # add what is missing, drop what is gone; then translate, then compile_messages.py

Python is read as a syntax tree and templates by their tags: no gettext programs are needed.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
BACKEND = ROOT / "backend"
CATALOGUE = BACKEND / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
MARKERS = {"_", "gettext", "gettext_lazy", "gettext_noop"}
TRANSLATE_TAG = re.compile(r"""\{%\s*(?:translate|trans)\s+(?P<quote>["'])(?P<text>.*?)(?P=quote)[^%]*%\}""")
BLOCK_TAG = re.compile(r"\{%\s*blocktrans(?:late)?\b")


def messages() -> dict[str, list[str]]:
    """Every text, with the files that say it."""
    found: dict[str, list[str]] = {}
    for path in sorted(BACKEND.rglob("*")):
        for text in texts_in(path):
            places = found.setdefault(text, [])
            place = path.relative_to(ROOT).as_posix()
            if place not in places:
                places.append(place)
    return found


def texts_in(path: Path) -> Iterator[str]:
    # Migrations repeat the models' texts as they once were.
    if path.suffix == ".py" and "migrations" not in path.parts:
        yield from texts_in_python(path.read_text(encoding="utf-8"))
    elif path.suffix == ".html":
        yield from texts_in_template(path)


def texts_in_python(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and name_of(node.func) in MARKERS and node.args:
            text = node.args[0]
            if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
                raise ValueError(f"line {node.lineno}: only a literal text can be translated")
            yield text.value


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def texts_in_template(path: Path) -> Iterator[str]:
    source = path.read_text(encoding="utf-8")
    if BLOCK_TAG.search(source):
        raise ValueError(f"{path.name}: blocktranslate is not read by this tool; use translate")
    for match in TRANSLATE_TAG.finditer(source):
        yield match["text"]


def update(catalogue: polib.POFile, found: dict[str, list[str]]) -> tuple[int, int]:
    """Add and drop entries, in the order of the texts; how many of each."""
    kept = {entry.msgid: entry for entry in catalogue}
    added = [text for text in found if text not in kept]
    dropped = [text for text in kept if text not in found]
    catalogue.clear()
    for text in sorted(found):
        entry = kept.get(text) or polib.POEntry(msgid=text, msgstr="")
        entry.occurrences = [(place, "") for place in found[text]]
        catalogue.append(entry)
    return len(added), len(dropped)


def main() -> None:
    catalogue = polib.pofile(str(CATALOGUE), wrapwidth=110)
    added, dropped = update(catalogue, messages())
    catalogue.save()
    empty = [entry.msgid for entry in catalogue if not entry.msgstr]
    print(f"{added} added, {dropped} dropped, {len(empty)} to translate")
    for text in empty:
        print(f"  {text}")


if __name__ == "__main__":
    main()
