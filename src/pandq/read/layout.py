"""A layout: a query that makes of a file's columns those that pandq knows, and what it needs."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pandq.errors import InputError, near_names
from pandq.read.query import FILE, TRUTH, Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A one-row table of the names that were given by --item, --annotator and --label.
ASKED = "asked"
# The options that name a layout's columns.
NAMING = ("item", "annotator", "label")
_SUFFIX = ".sql"
_LINE = re.compile(r"^--\s?(?P<key>[a-z][a-z _]*?)(?:\s*\((?P<type>[^)]*)\))?\s*:\s*(?P<value>.*)$")


@dataclass(frozen=True, slots=True)
class Need:
    """A column that a layout needs: its name in the query, and what files call it."""

    name: str
    patterns: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    optional: bool = False
    several: bool = False
    of: str = FILE

    def found(self, schema: Mapping[str, str]) -> list[str]:
        """The columns of a file, with their SQL types, that this may be; the likeliest first."""
        matching = []
        for pattern in self.patterns:
            for name in schema:
                fits = fnmatch.fnmatchcase(name.lower(), pattern) and name not in matching
                if fits and (not self.kinds or any(is_kind(schema[name], x) for x in self.kinds)):
                    matching.append(name)
        return matching


def is_kind(kind: str, wanted: str) -> bool:
    """Is a SQL type of one of the kinds that headers name?

    >>> is_kind("MAP(VARCHAR, BIGINT)", "map"), is_kind("STRUCT(a JSON)[]", "list of maps")
    (True, True)
    """
    kind = "VARCHAR" if kind == "JSON" and wanted == "text" else kind
    listed = kind.endswith("]")
    mapped = kind.startswith(("STRUCT(", "MAP(", "JSON"))
    return {
        "list": listed and not mapped,
        "list of maps": (listed and mapped) or kind == "JSON",
        "map": mapped and not listed,
        "text": kind == "VARCHAR",
    }[wanted]


@dataclass(frozen=True, slots=True)
class Layout:
    """A query with its header.

    `needs` are the columns that it takes; `carries` is the column that tells its items apart, of
    which other columns are kept where each item has one value of them; `truth` is the column by
    which a second file is joined; `unfolds` a struct whose fields become columns; `counts` are
    columns of truth values that are counted and said, `left_out` those of them whose rows go;
    `then` is a layout that goes on from here.
    `p`, `q`, `annotators` and `id` are what the columns that it makes are.
    """

    name: str
    about: str
    query: Query
    needs: tuple[Need, ...] = ()
    carries: str | None = None
    truth: str | None = None
    unfolds: str | None = None
    then: str | None = None
    p: str | None = None
    q: str | None = None
    annotators: str | None = None
    id: str | None = None
    counts: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str, name: str, option: str) -> Self:
        """A layout from the text of its file.

        Raises:
            InputError: it is no query of its file.
        """
        header = [line for line in text.splitlines() if line.startswith("--")]
        about = header[0].lstrip("- ") if header else ""
        needs: list[Need] = []
        counts: dict[str, str] = {}
        left_out: list[str] = []
        examples: list[str] = []
        said: dict[str, str] = {}
        for line in header[1:]:
            found = _LINE.match(line)
            if found is None:
                continue
            key, value = found["key"], found["value"].strip()
            words = key.split()
            if words[0] in ("needs", "may", "columns"):
                needs.append(_need(words, value, found["type"]))
            elif words[0] in ("counts", "leaves") and len(words) > 1:
                counts[words[-1]] = value
                left_out += [words[-1]] if words[0] == "leaves" else []
            elif key == "example":
                examples.append(value)
            elif key in _SAID:
                said[key] = value
        tables = (FILE, ASKED, TRUTH)
        query = Query.of(text, option=option, tables=tables)
        return cls(
            name,
            about,
            query,
            tuple(needs),
            counts=counts,
            left_out=tuple(left_out),
            examples=tuple(examples),
            **said,
        )

    def needs_of(self, side: str) -> list[Need]:
        """What it needs of the file, or of the truth: there also the id that joins both."""
        return [x for x in self.needs if x.of == side or (side == TRUTH and x.name == self.truth)]

    def assigned(
        self, schema: Mapping[str, str], given: Mapping[str, str], *, of: str = FILE
    ) -> dict[str, list[str]]:
        """Which columns of a table each need stands for; none for what may be missing.

        Args:
            schema: the table's columns, with their SQL types.
            given: names that the user gave, by need.
            of: which table.

        Raises:
            InputError: a column that is needed is not there.
        """
        found: dict[str, list[str]] = {}
        for need in self.needs_of(of):
            own = given.get(need.name)
            taken = {x for some in found.values() for x in some}
            if own is not None and need.several:
                names = _several(own, schema)
            elif own is not None:
                names = [own] if own in schema else []
            else:
                names = [x for x in need.found(schema) if x not in taken]
            names = names if need.several else names[:1]
            if not names and (own is not None or not need.optional):
                raise self._missing(need, own, schema)
            found[need.name] = names
        return found

    def fits(self, schema: Mapping[str, str]) -> int:
        """How many columns of a table tell that it has this layout; 0 if it has not.

        An id alone tells nothing, and answers are told by who gave them.
        """
        try:
            found = self.assigned(schema, {})
        except InputError:
            return 0
        needs = self.needs_of(FILE)
        told = [x for x in needs if not x.optional and x.name != self.truth]
        several = all(len(found[need.name]) > 1 for need in needs if need.several)
        answered = not self.carries or all(found[need.name] for need in needs)
        return sum(map(bool, found.values())) if told and several and answered else 0

    def _missing(self, need: Need, own: str | None, schema: Mapping[str, str]) -> InputError:
        option = f"--{need.name} COLUMN" if need.name in NAMING else ""
        if own is not None:
            return InputError(f"--{need.name}: no column {own!r}", remedy=near_names(own, schema))
        shown = ", ".join(list(schema)[:12]) + (", ..." if len(schema) > 12 else "")
        kinds = f" ({' or '.join(need.kinds)})" if need.kinds else ""
        known = ", ".join(need.patterns[:4]) + (", ..." if len(need.patterns) > 4 else "")
        say = f" Say which it is: {option}." if option else ""
        return InputError(
            what=f"layout {self.name} finds no column for {need.name}{kinds}",
            got=f"columns {shown}",
            remedy=f"It is known as {known}.{say}",
        )


_SAID = ("carries", "truth", "unfolds", "then", "p", "q", "annotators", "id")


def _need(words: Sequence[str], value: str, kinds: str | None) -> Need:
    """`needs NAME`, `may need NAME`, `columns NAME` or `needs truth NAME`, as a header has it."""
    name = words[-1]
    patterns = tuple(x.strip().lower() for x in value.split(",") if x.strip())
    return Need(
        name,
        patterns or (name.lower(),),
        kinds=tuple(x.strip() for x in kinds.split(" or ")) if kinds else (),
        optional=words[0] == "may",
        several=words[0] == "columns",
        of=TRUTH if TRUTH in words[:-1] else FILE,
    )


def _several(pattern: str, schema: Mapping[str, str]) -> list[str]:
    listed = [name.strip() for name in pattern.split(",")]
    if all(name in schema for name in listed):
        return listed
    return [name for name in schema if fnmatch.fnmatchcase(name, pattern)]


@cache
def layouts() -> Mapping[str, Layout]:
    """The layouts that come with pandq, by name.

    >>> "long" in layouts()
    True
    """
    folder = resources.files("pandq.read.layouts")
    files = sorted(
        (x for x in folder.iterdir() if x.name.endswith(_SUFFIX)), key=lambda file: file.name
    )
    found = {}
    for file in files:
        name = file.name.removesuffix(_SUFFIX)
        found[name] = Layout.read(file.read_text("utf-8"), name, f"layout {name}")
    return found


def fitting(schema: Mapping[str, str]) -> tuple[Layout, ...]:
    """The layouts that a table may have, by its columns and their SQL types; the likeliest first.

    >>> [x.name for x in fitting({"item": "VARCHAR", "worker_id": "VARCHAR", "answer": "VARCHAR"})]
    ['long']
    """
    found = [(x.fits(schema), x) for x in layouts().values()]
    return tuple(x for n, x in sorted(found, key=lambda entry: -entry[0]) if n)


def layout_of(name: str) -> Layout:
    """A layout by its name, or from a file of one's own.

    Raises:
        InputError: there is none, or it is no query.

    >>> layout_of("long").p
    'votes:votes'
    """
    if name in layouts():
        return layouts()[name]
    if not str(name).endswith(_SUFFIX):
        remedy = near_names(str(name), layouts()) + " One of your own is a file: mine.sql."
        raise InputError(what="--layout: there is no such layout", got=repr(name), remedy=remedy)
    file = Path(name)
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise InputError(what="a layout is a text of SQL", where=str(file)) from None
    except OSError as error:
        what, got = "the layout cannot be read", str(error.strerror)
        raise InputError(what, where=str(file), got=got) from None
    return Layout.read(text, file.stem, f"--layout {file.name}")
