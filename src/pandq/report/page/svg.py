"""matplotlib's SVG made fit for a page: no style attributes, the page's ink, a text alternative.

A content policy may forbid inline styles on elements; what they say is written as the presentation
attributes that SVG has for it. Ids get a prefix, so that several charts can stand in one page.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from html import escape
from typing import TYPE_CHECKING

from pandq.plain import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
INK = "#000000"
_INK = (INK, "black")
_FONT = re.compile(r"(?:(bold|italic) )?([\d.]+)px\b.*")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def chart(figure: Figure, name: str, title: str, description: str) -> str:
    """A figure as inline SVG.

    Args:
        figure: what to draw.
        name: a prefix for its ids, different for each chart of a page.
        title: what it is, in a few words.
        description: what it shows, for those who do not see it.

    Returns:
        An `<svg>` element as text.
    """
    import matplotlib as mpl

    page = io.BytesIO()
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pandq", "font.size": 10}),
        warnings.catch_warnings(),
    ):
        # of glyphs that its font lacks, where a browser has them, and of large labels
        warnings.simplefilter("ignore")
        figure.savefig(
            page, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    root = ET.fromstring(page.getvalue())  # noqa: S314 - matplotlib wrote it a moment ago
    for element in root.iter():
        _plain(element, name)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for gone in ("width", "height", "version"):
        root.attrib.pop(gone, None)
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    text = _serialised(root)
    inside = text.index(">") + 1
    told = (
        f'<title id="{name}-title">{escape(visible(title))}</title>'
        f'<desc id="{name}-desc">{escape(visible(description))}</desc>'
    )
    return text[:inside] + told + text[inside:]


def _plain(element: ET.Element, name: str) -> None:
    """Styles become attributes, black becomes the page's ink, ids get their prefix."""
    for part in (element.attrib.pop("style", "") or "").split(";"):
        key, _, value = (x.strip() for x in part.partition(":"))
        for attribute, plain in _presented(key, value):
            element.set(attribute, plain)
    text = element.tag == f"{{{_SVG}}}text"
    for key in ("fill", "stroke"):
        if element.get(key, INK if text and key == "fill" else "") in _INK:
            element.set(key, "currentColor")
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key.endswith("href") and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))


def _presented(key: str, value: str) -> list[tuple[str, str]]:
    """The presentation attributes that say what a style says; the page has its own font."""
    if key == "font":
        found = _FONT.match(value)
        weight = [("font-weight", found.group(1))] if found and found.group(1) else []
        return [*weight, ("font-size", found.group(2))] if found else []
    return [(key, value)] if key and key != "font-family" else []


def _serialised(root: ET.Element) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK)
    return ET.tostring(root, encoding="unicode")
