"""Pieces of a page: whatever is no Html already is text, and is escaped."""

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Text that is markup already; nothing else gets into a page as it is."""


def safe(held: object) -> Html:
    """Anything as markup: Html as it is, the rest escaped."""
    return held if isinstance(held, Html) else Html(html.escape(str(held)))


def join(pieces: Iterable[object], between: str = "") -> Html:
    """Pieces in a row."""
    return Html(between.join(safe(piece) for piece in pieces))


def tag(name: str, *inside: object, **attributes: object) -> Html:
    """An element: tag("td", 3, class_="figure") is <td class="figure">3</td>."""
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    said = "".join(f' {key}="{html.escape(str(value))}"' for key, value in named if value != "")
    return Html(f"<{name}{said}>{join(inside)}</{name}>")


def paragraphs(*texts: object) -> Html:
    """One or more paragraphs."""
    return join(tag("p", text) for text in texts)


def bullets(items: Iterable[object], class_: str = "") -> Html:
    """A list."""
    return tag("ul", *(tag("li", item) for item in items), class_=class_)


def table(caption: str, heads: Sequence[object], rows: Iterable[Sequence[object]], figures: Sequence[int] = ()) -> Html:
    """A table with a caption, heads over its columns and at its rows; the columns `figures` hold numbers.

    It stands in a region of its own that can be scrolled by keyboard where the screen is narrow.
    """

    def cells(row):
        first, *others = row
        named = (tag("td", cell, class_="number" if k in figures else "") for k, cell in enumerate(others, 1))
        return tag("tr", tag("th", first, scope="row"), *named)

    columns = (tag("th", head, scope="col", class_="number" if k in figures else "") for k, head in enumerate(heads))
    head, body = tag("thead", tag("tr", *columns)), tag("tbody", *(cells(row) for row in rows))
    held = tag("table", tag("caption", caption), head, body)
    return tag("div", held, class_="scroll", role="region", tabindex="0", aria_label=caption)


def section(key: str, title: str, *inside: object) -> Html:
    """A part of the page under a heading; `key` is where a link #key leads."""
    return tag("section", tag("h2", title, id=f"{key}-title"), *inside, id=key, aria_labelledby=f"{key}-title")
