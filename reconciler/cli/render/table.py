"""Plain tables: columns as wide as they must be, nothing drawn around them."""

from collections.abc import Iterable, Sequence

from reconciler.cli.render.escape import cells, pad
from reconciler.cli.render.style import PLAIN, Style


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, style: Style = PLAIN) -> str:
    """Cells must be escaped already. The last column is not padded."""
    body = [tuple(row) for row in rows]
    widths = [max(cells(row[i]) for row in (tuple(head), *body)) for i in range(len(head))]
    lines = [style(_line(head, widths), "bold"), *(_line(row, widths) for row in body)]
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [pad(cell, width) for cell, width in zip(row, widths, strict=True)]
    return "  ".join(padded).rstrip()
