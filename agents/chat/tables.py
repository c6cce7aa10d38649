"""Tables as HTML that a page shows: every text escaped, sorted by their headings, rows opened by a button."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..secrets import without_keys
from .markdown import sendable


@dataclass(frozen=True)
class Cell:
    text: str
    value: float | str | None = None
    """What it is sorted by, if not its text."""
    kind: str = ""
    """A class of the style below: "good", "bad", "soft"."""
    note: str = ""
    """What stands small below its text."""


@dataclass(frozen=True)
class Opens:
    """A cell that is a button."""

    text: str
    key: str
    """What the page's function is told when it is pressed."""
    pressed: bool = False


MANY = 9
"""Columns; so many are set closer together."""
CSS = """
.scroll { overflow-x: auto; border: 1px solid var(--border-color-primary); border-radius: var(--radius-md); }
.scroll:focus-visible, button:focus-visible { outline: 2px solid var(--color-accent); outline-offset: -2px; }
table { border-collapse: collapse; width: 100%; font-size: var(--text-sm); font-variant-numeric: tabular-nums; }
p { margin: 0; padding: .25rem 0 .5rem; font-weight: 600; }
p:empty { padding: 0; }
caption { text-align: start; padding: .5rem .75rem; opacity: .85; }
th, td { padding: .4rem .75rem; text-align: start; vertical-align: top; max-width: 24rem; overflow-wrap: break-word;
  border-top: 1px solid var(--border-color-primary); }
.dense :is(th, td) { padding-inline: .4rem; }
.dense thead .number { white-space: normal; }
small { display: block; white-space: nowrap; opacity: .85; }
details { margin-top: .75rem; }
summary { cursor: pointer; padding: .25rem 0 .5rem; font-weight: 600; }
thead th { border-top: 0; background: var(--background-fill-secondary); font-weight: 600; }
tbody th { font-weight: 600; min-width: 7rem; }
tbody tr:hover { background: var(--background-fill-secondary); }
.number { text-align: end; white-space: nowrap; }
.good { color: #0a7350; }
.bad { color: #b3361b; }
.dark & .good { color: #4fc598; }
.dark & .bad { color: #f08a6c; }
.soft { opacity: .85; }
button { font: inherit; color: inherit; background: none; border: 0; padding: 0; text-align: inherit; cursor: pointer; }
tbody button { color: var(--link-text-color); text-decoration: underline; text-underline-offset: .15em;
  min-width: 11rem; font-weight: 400; }
tbody button[aria-pressed=true] { font-weight: 700; }
thead th button::after { content: "↕"; opacity: .4; padding-inline-start: .35em; }
thead th[aria-sort=ascending] button::after { content: "↑"; opacity: 1; }
thead th[aria-sort=descending] button::after { content: "↓"; opacity: 1; }
@media (max-width: 640px) {
  :is(table, caption, tbody, tr) { display: block; padding: 0; margin: 0; }
  caption { padding: .5rem .75rem; }
  thead { display: none; }
  tbody :is(th, td) { display: block; max-width: none; }
  tbody td { display: grid; grid-template-columns: 8rem 1fr; border: 0; padding-block: .1rem; overflow-wrap: anywhere; }
  tbody td::before { content: attr(data-heading); color: var(--body-text-color); opacity: .85; }
  tbody td:last-child { padding-bottom: .6rem; }
  td:has(> span:empty) { display: none; }
  td small { grid-column: 2; }
  .number { text-align: start; white-space: normal; }
}
"""
"""On a phone each row stands by itself, its cells below each other with their headings."""
JS = """
element.addEventListener('click', event => {
  const opener = event.target.closest('button[data-key]');
  if (opener) { trigger('click', {key: opener.dataset.key}); return; }
  const sorter = event.target.closest('thead th button');
  if (!sorter) return;
  const heading = sorter.closest('th'), body = heading.closest('table').tBodies[0];
  const down = heading.getAttribute('aria-sort') === 'ascending';
  for (const other of heading.parentNode.children) other.removeAttribute('aria-sort');
  heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const value = row => row.cells[heading.cellIndex].dataset.value ?? row.cells[heading.cellIndex].textContent;
  const compare = (a, b) => a !== '' && b !== '' && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b);
  const rows = [...body.rows].sort((a, b) => compare(value(a), value(b)));
  body.append(...(down ? rows.reverse() : rows));
});
"""
"""Of `gr.HTML(js_on_load=)`: headings sort, buttons tell the page their key."""


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell | Opens]],
    *,
    caption: str,
    numbers: Iterable[str] = (),
    sortable: bool = True,
) -> str:
    """The HTML of a table; its first column names the row. numbers: headings of columns set to the right."""
    dense = ' class="dense"' if len(headings) >= MANY else ""
    right = {at for at, heading in enumerate(headings) if heading in set(numbers)}

    def marked(at: int, kind: str = "") -> str:
        names = " ".join(filter(None, (kind, "number" if at in right else "")))
        return f' class="{names}"' if names else ""

    head = "".join(
        f'<th scope="col"{marked(at)}>{_sorter(text) if sortable else escaped(text)}</th>'
        for at, text in enumerate(headings)
    )
    body = []
    for row in rows:
        cells = []
        for at, cell in enumerate(row):
            tag, scope = ("td", "") if at else ("th", ' scope="row"')
            if isinstance(cell, Opens):
                cells.append(f"<{tag}{scope}>{_opener(cell)}</{tag}>")
                continue
            value = "" if cell.value is None else f' data-value="{escaped(str(cell.value))}"'
            name = f' data-heading="{escaped(headings[at])}"' if at else ""
            text = f'<span dir="auto">{escaped(cell.text)}</span>'
            text += f"<small>{escaped(cell.note)}</small>" if cell.note else ""
            cells.append(f"<{tag}{scope}{value}{name}{marked(at, cell.kind)}>{text}</{tag}>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(caption)}"><table{dense}>'
        f"<caption>{escaped(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def escaped(text: str) -> str:
    return html.escape(sendable(without_keys(text)))


def _sorter(text: str) -> str:
    return f'<button type="button" title="Sort by {escaped(text)}">{escaped(text)}</button>'


def _opener(cell: Opens) -> str:
    pressed = "true" if cell.pressed else "false"
    return (
        f'<button type="button" data-key="{escaped(cell.key)}" aria-pressed="{pressed}" dir="auto">'
        f"{escaped(cell.text)}</button>"
    )
