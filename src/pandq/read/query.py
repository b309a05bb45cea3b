"""A SELECT that somebody wrote: of the given tables and nothing else of the machine.

The database that runs it sees no other file either; what is refused here is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pandq.errors import InputError
from pandq.read.condition import CLOCKS, is_unsteady, nodes, statements

if TYPE_CHECKING:
    from collections.abc import Sequence

# The input's names in a query.
FILE, TRUTH = "file", "truth"
# Functions that give rows and read nothing.
_ROWS = {"unnest", "range", "generate_series", "json_each"}
_REMEDY = 'Give one SELECT of the columns of `file`, such as "label, list_value(a, b) AS probs".'


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT, checked; `sql` stands on lines of its own, as it may end in a comment."""

    text: str

    @classmethod
    def of(cls, text: str, *, option: str, tables: Sequence[str] = (FILE,)) -> Self:
        """A query of these tables.

        Args:
            text: one SELECT.
            option: what the user wrote it after, for errors ("--select").
            tables: the names that it may read from.

        Raises:
            InputError: it is anything but one SELECT, reads from anything else, or is not the
                same each time that it is run.

        >>> Query.of("SELECT a AS label FROM file", option="--select").sql
        '(\\nSELECT a AS label FROM file\\n)'
        """
        try:
            found = statements(text)
        except ValueError as error:
            raise _refused(option, str(error)) from None
        if len(found) != 1:
            raise _refused(option, f"{len(found)} statements")
        known = {*tables, *_own_names(found)}
        for node in nodes(found):
            _require_tame(node, known, option)
        return cls(text)

    @classmethod
    def selecting(cls, text: str) -> Self:
        """What `--select` says: the columns of a SELECT from `file`."""
        option = "--select"
        if not isinstance(text, str) or not text.strip():
            raise _refused(option, repr(text))
        return cls.of(f"SELECT\n{text}\nFROM {FILE}", option=option)

    @property
    def sql(self) -> str:
        """The query in brackets."""
        return f"(\n{self.text}\n)"


def _own_names(tree: Any) -> set[str]:
    """The tables that a query makes for itself, before WITH."""
    return {
        entry["key"].lower()
        for node in nodes(tree)
        for entry in (node.get("cte_map") or {}).get("map", ())
    }


def _require_tame(node: dict[str, Any], known: set[str], option: str) -> None:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        name = node["table_name"]
        if node["schema_name"] or node["catalog_name"] or name.lower() not in known:
            raise _refused(option, f"a table {name!r}")
    if kind == "TABLE_FUNCTION":
        name = node["function"]["function_name"]
        if name.lower() not in _ROWS:
            raise _refused(option, f"{name}(), which reads something else")
    if kind in ("SHOW_REF", "PIVOT"):
        raise _refused(option, f"{kind.partition('_')[0]}, which is not needed here")
    if node.get("class") == "PARAMETER":
        raise _refused(option, "a parameter")
    if node.get("class") == "COLUMN_REF" and node["column_names"][-1].lower() in CLOCKS:
        name = node["column_names"][-1]
        raise _refused(option, f"{name}, which is not the same each time")
    if node.get("class") == "FUNCTION" and is_unsteady(node["function_name"].lower()):
        name = node["function_name"]
        raise _refused(option, f"{name}(), which does not answer the same each time")


def _refused(option: str, got: str) -> InputError:
    return InputError(what=f"{option} is no query of these rows", got=got, remedy=_REMEDY)
