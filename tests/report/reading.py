"""How the tests read a page: its elements, its pictures and its tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = frozenset({"meta", "input", "br", "link", "img"})


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All the text in it, with single spaces."""
        return " ".join(" ".join(self._all_texts()).split())

    @property
    def own_text(self) -> str:
        """The text directly in it, without that of the elements within."""
        return " ".join("".join(self.texts).split())

    @property
    def classes(self) -> set[str]:
        return set((self.attributes.get("class") or "").split())

    def all(self, tag: str | None = None, *, css: str | None = None, **attributes: str) -> list[Element]:
        """The elements below it, in the order of the page, with this tag, class and attributes."""
        found: list[Element] = []
        for child in self.children:
            right = tag in {None, child.tag} and (css is None or css in child.classes)
            if right and all(child.attributes.get(name) == value for name, value in attributes.items()):
                found.append(child)
            found += child.all(tag, css=css, **attributes)
        return found

    def one(self, tag: str | None = None, *, css: str | None = None, **attributes: str) -> Element:
        (found,) = self.all(tag, css=css, **attributes)
        return found

    def picture(self, caption: str) -> dict[str, Any]:
        """The data of the one picture below it whose caption begins like that."""
        (found,) = [f for f in self.all("figure") if f.one("figcaption").text.startswith(caption)]
        return json.loads("".join(found.one("script").texts))

    def rows(self, css: str) -> list[dict[str, Element]]:
        """The rows of the one table of that class, each by the heads of its columns."""
        table = self.one("table", css=css)
        heads = [head.text for head in table.all("th")]
        rows = [row.all("td") for row in table.one("tbody").all("tr")]
        return [dict(zip(heads, row, strict=True)) for row in rows]

    def by_optimizer(self, css: str) -> dict[str, dict[str, Element]]:
        """The same by the optimizer that each row is about."""
        names = [str(row.attributes["data-optimizer"]) for row in self.one("table", css=css).one("tbody").all("tr")]
        return dict(zip(names, self.rows(css), strict=True))

    def _all_texts(self) -> list[str]:
        return self.texts + [text for child in self.children for text in child._all_texts()]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        assert closed.tag == tag, f"</{tag}> closes <{closed.tag}>"

    def handle_data(self, data: str) -> None:
        self._open[-1].texts.append(data)


def read_page(html: str) -> Element:
    """The page as a tree; a test fails here if its tags do not match."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder._open == [builder.root], "an element is not closed"
    return builder.root
