"""A simulation's report as one HTML file: no script, nothing loaded from elsewhere, readable without colours. Pure.

Names in it come from strangers: every text is escaped, in this file alone.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from blocker.simulate.changes import Change, Report, Status

_STYLE: Final = """
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: #111; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 2rem; width: 100% }
caption { text-align: left; font-weight: bold; padding: .5rem 0 }
th, td { border: 1px solid #666; padding: .3rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #eee } td.number, th.number { text-align: right; white-space: nowrap }
.alarm { border: 3px solid #a00; padding: .5rem 1rem }
@media print { body { max-width: none } }
"""  # noqa: E501
_CHANGES: Final = ("What", "Name", "App", "Group", "Before", "After", "Queries", "Clients", "First", "Last")
_NUMBERS: Final = frozenset(("Names", "Queries", "Clients", "Bad lines"))
SAID: Final = {
    Status.SAME: "Nothing would change for the queries in these logs.",
    Status.CHANGES: "Some names would be treated otherwise.",
    Status.VIOLATIONS: "Names that must resolve would be blocked. Do not roll this out.",
}


def page(report: Report) -> str:
    """Return the whole document."""
    alarm = ' class="alarm"' if report.status is Status.VIOLATIONS else ""
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<title>Simulation of a list change</title>\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Simulation of a list change</h1>\n"
        f"<p{alarm}><strong>{escape(SAID[report.status])}</strong></p>\n"
        f"<p>{report.queries:,} queries for {report.names:,} names by {report.clients:,} clients."
        f" Lists in force: {escape(report.old_digest)}. New lists: {escape(report.new_digest)}.</p>\n"
    ]
    if report.violations:
        header = ("Must resolve because", *_CHANGES)
        rows = [(change.must_resolve, *_cells(change)) for change in report.violations]
        parts.append(_table("Names that must resolve, and would be blocked", header, rows))
    if report.totals:
        totals = [
            (each.kind, each.app, each.group, f"{each.names:,}", f"{each.queries:,}", f"{each.clients:,}")
            for each in report.totals
        ]
        parts.append(_table("By app and group", ("What", "App", "Group", "Names", "Queries", "Clients"), totals))
    if report.changes:
        parts.append(_table("Names, the most asked first", _CHANGES, map(_cells, report.changes)))
    if report.more:
        parts.append(f"<p>{report.more:,} more are not shown.</p>\n")
    logs = [
        (tally.file, tally.format, f"{tally.queries:,}", f"{tally.bad:,}", "; ".join(tally.examples))
        for tally in report.logs
    ]
    parts.append(_table("Logs", ("Log", "Format", "Queries", "Bad lines", "The first of them"), logs))
    parts.append("</main>\n</body>\n</html>\n")
    return "".join(parts)


def shown_name(change: Change) -> str:
    """Return a change's name, with what in the answer decides."""
    return f"{change.qname} (answer: {change.via})" if change.via else change.qname


def _cells(change: Change) -> tuple[str, ...]:
    return (
        change.kind, shown_name(change), change.app, change.group, change.before, change.after,
        f"{change.queries:,}", f"{change.clients:,}", change.first, change.last,
    )  # fmt: skip


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    numbers = [' class="number"' if word in _NUMBERS else "" for word in header]
    head = "".join(f'<th scope="col"{kind}>{escape(word)}</th>' for word, kind in zip(header, numbers, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{escape(cell)}</td>' for cell, kind in zip(row, numbers, strict=True))}</tr>\n"
        for row in rows
    )
    return (
        f"<table>\n<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
    )
