"""The file of Alipay's bill: a zip with a table in GBK.

The names in the zip are GBK, without the flag that says so. The table is the entry ``…业务明细.csv``; beside it lies
a summary, ``…业务明细(汇总).csv``. The file is not signed and may come over plain http, so whatever it says, little
memory is used: the zip's list of entries, each line and the whole are bounded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from backend.payments.providers.base import BillUnreadable

LARGEST_TABLE = 4 * 1024**3
"""Bytes, unpacked: some 20 million rows."""

LONGEST_LINE = 64 * 1024
"""Bytes that are kept in wait for a line's end. A row is some 250."""

_PIECE = 64 * 1024
_LARGEST_READ = 256 * 1024
_TABLE = "业务明细.csv"


def read_lines(file: BinaryIO, progress: Callable[[int, int], None] | None = None) -> Iterator[list[str]]:
    """The lines of the table in the zip ``file``, some hundreds at a time, without their line ends (a CR may stay).

    ``progress`` hears the bytes read and the bytes there are, unpacked, after each such block. Raises BillUnreadable.
    """
    with _broken_zip():
        archive = ZipFile(_SmallReads(file), metadata_encoding="gbk")
        table = _find_table(archive)
        entry = archive.open(table)
    read = lines = 0
    with archive, entry:
        for block in _blocks(entry):
            yield _decode(block, lines).split("\n")
            lines += block.count(b"\n") + 1
            read = min(read + len(block) + 1, table.file_size)
            if progress:
                progress(read, table.file_size)


def _find_table(archive: ZipFile) -> ZipInfo:
    found = [entry for entry in archive.infolist() if entry.filename.endswith(_TABLE)]
    if len(found) != 1:
        raise BillUnreadable(f"the zip has {len(found)} tables of trades, not one")
    if found[0].compress_type not in {ZIP_STORED, ZIP_DEFLATED}:  # others unpack without bounds
        raise BillUnreadable("the table is packed in a way that bills are not")
    if found[0].file_size > LARGEST_TABLE:  # zipfile unpacks no more than this number says
        raise BillUnreadable("the table is too large")
    return found[0]


def _blocks(entry: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, without the last one's end."""
    rest = b""
    while piece := _read(entry):
        whole, end, rest = (rest + piece).rpartition(b"\n")  # no letter of GBK has this byte in it
        if end:
            yield whole
        if len(rest) > LONGEST_LINE:
            raise BillUnreadable("a line is too long")
    if rest:
        yield rest


def _read(entry: IO[bytes]) -> bytes:
    with _broken_zip():
        return entry.read(_PIECE)


def _decode(block: bytes, lines_before: int) -> str:
    try:
        return block.decode("gb18030")
    except UnicodeDecodeError as error:
        line = lines_before + block.count(b"\n", 0, error.start) + 1
        raise BillUnreadable(f"line {line}: not GBK") from error


@contextmanager
def _broken_zip() -> Iterator[None]:
    try:
        yield
    except BillUnreadable:
        raise
    except Exception as error:  # of a broken zip a dozen kinds come out of zipfile
        raise BillUnreadable(f"the zip is broken: {type(error).__name__}") from error


class _SmallReads:
    """The file as zipfile reads it. Its list of entries would be read as one, of whatever size the file says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _LARGEST_READ:
            raise BillUnreadable("the zip's list of entries is too long")
        return self._file.read(size)
