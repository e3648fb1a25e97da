"""Compile every django.po under backend/locale to the django.mo beside it; the same text gives the same bytes.

python tools/compile_messages.py [--check]      # --check: write nothing, exit 1 when a .mo is not current
"""

import sys
from pathlib import Path

import polib

LOCALE = Path(__file__).resolve().parent.parent / "backend" / "locale"


def catalogues() -> list[Path]:
    return sorted(LOCALE.glob("*/LC_MESSAGES/*.po"))


def compiled(po: Path) -> bytes:
    """polib sorts the entries and writes no time of its own."""
    data: bytes = polib.pofile(str(po)).to_binary()
    return data


def is_current(po: Path) -> bool:
    mo = po.with_suffix(".mo")
    return mo.exists() and mo.read_bytes() == compiled(po)


def main() -> int:
    stale = [po for po in catalogues() if not is_current(po)]
    for po in stale:
        print(f"{po.relative_to(LOCALE.parent.parent).with_suffix('.mo').as_posix()} is not current")
        if "--check" not in sys.argv:
            po.with_suffix(".mo").write_bytes(compiled(po))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
