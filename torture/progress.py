"""What a run says while it goes on: one moving line on a terminal, plain lines in a log."""

import sys
import time

from tqdm import tqdm

from torture.evidence import Record

EVERY = 30.0
"""Seconds between two plain lines about one trial that goes on."""


class Progress:
    def __init__(self, records: dict[str, Record]) -> None:
        self.records = records
        self.began = time.monotonic()
        quiet = not sys.stderr.isatty()
        self.bar = tqdm(total=len(records), disable=quiet, bar_format="{l_bar}{bar}| {elapsed} {postfix}")
        self._said: dict[str, float] = {}
        self._going: dict[str, str] = {}

    def case_done(self, name: str, case: int) -> None:
        record = self.records[name]
        self._going[name] = f"{name} {case:,}/{record.target:,}"
        self._draw()

    def batch_done(self, record: Record) -> None:
        self._going.pop(record.trial, None)
        self._draw()
        quiet = time.monotonic() - self._said.get(record.trial, 0) < EVERY
        if self.bar.disable and quiet and not record.is_over:
            return
        self._said[record.trial] = time.monotonic()
        if self.bar.disable or record.is_over:
            self.say(self.line(record))

    def line(self, record: Record) -> str:
        elapsed = time.monotonic() - self.began
        if record.missing:
            return f"{elapsed:6.0f} s  {record.trial:<8} not run here: {record.missing}"
        found = f"{len(record.violations)} VIOLATIONS" if record.violations else "nothing wrong"
        figures = f"{record.next:,} of {record.target:,} {record.unit}"
        return f"{elapsed:6.0f} s  {record.trial:<8} {figures}, {record.seconds:.0f} s: {found}"

    def say(self, text: str) -> None:
        if self.bar.disable:
            print(text, flush=True)
        else:
            self.bar.write(text)

    def close(self) -> None:
        self.bar.close()

    def _draw(self) -> None:
        self.bar.n = round(sum(record.share for record in self.records.values()), 2)
        self.bar.set_postfix_str(", ".join(self._going.values()), refresh=False)
        self.bar.update(0)
