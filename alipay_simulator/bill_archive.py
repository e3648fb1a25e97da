"""A bill's zip: two files in GBK whose names are GBK too, without the flag that says names are UTF-8 (protocol 5.6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import TextIOWrapper
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from .bill_entries import Entry
from .bill_sheets import Sheet
from .clock import BEIJING

UTF8_NAME = 0x800


class GbkInfo(ZipInfo):
    """An entry whose name is written in GBK; `zipfile` would write UTF-8 and say so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 (zipfile's name)
        return self.filename.encode("gbk"), self.flag_bits & ~UTF8_NAME


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with the files. `cut`: the detail ends in the middle of its last row."""

    encoding: str = "gbk"
    footer: bool = True
    cut: bool = False


def write_archive(file: IO[bytes], sheet: Sheet, entries: Iterator[Entry], flaws: Flaws) -> None:
    """Write the zip as the entries come. The summary is last: by then everything has been counted."""
    stem = f"{sheet.account}_{sheet.period.name}_{sheet.noun}明细"
    written_at = datetime.fromtimestamp(sheet.exported_at, BEIJING).timetuple()[:6]
    contents = {f"{stem}.csv": _detail(sheet, entries, flaws), f"{stem}(汇总).csv": sheet.summary()}
    with ZipFile(file, "w") as archive:
        for name, lines in contents.items():
            info = GbkInfo(name, written_at)
            info.compress_type = ZIP_DEFLATED
            # What GBK has no character for becomes a question mark.
            with TextIOWrapper(archive.open(info, "w"), flaws.encoding, errors="replace", newline="") as text:
                text.writelines(lines)


def _detail(sheet: Sheet, entries: Iterator[Entry], flaws: Flaws) -> Iterator[str]:
    if flaws.cut:
        yield from _halved(sheet.detail(entries))
        return
    yield from sheet.detail(entries)
    if flaws.footer:
        yield from sheet.footer()


def _halved(lines: Iterator[str]) -> Iterator[str]:
    last = next(lines)
    for line in lines:
        yield last
        last = line
    yield last[: len(last) // 2]
