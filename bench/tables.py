"""Tables of figures, the same for a terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

Cells = Sequence[str]


@dataclass(frozen=True)
class Table:
    """A title, a line that says what is counted, the columns' heads (the first is the rows'), and the rows."""

    title: str
    about: str
    columns: Cells
    rows: Sequence[Cells]

    def text(self) -> str:
        widths = [max(len(row[place]) for row in (self.columns, *self.rows)) for place in range(len(self.columns))]
        lines = [self.title, *filter(None, [self.about]), ""]
        for row in (self.columns, *self.rows):
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            lines.append("   ".join(cells).rstrip())
        return "\n".join([*lines, ""])

    def markdown(self) -> str:
        ruler = ["---", *["---:"] * (len(self.columns) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (self.columns, ruler, *self.rows)]
        return "\n".join([f"### {self.title}", "", *([self.about, ""] if self.about else []), *lines, ""])


def ms(value: float) -> str:
    """Milliseconds, with as many places as mean something."""
    return f"{value:.2f}" if value < 20 else f"{value:.1f}"


def row(title: str, *cells: str) -> None:
    """A row of a table whose rows are printed as they come."""
    print(f"{title:<26}" + "".join(f"{cell:>12}" for cell in cells))
