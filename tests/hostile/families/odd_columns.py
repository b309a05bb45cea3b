"""Columns of every type that Arrow has, and of values that types do not tell."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def _arrow(values: Callable[[int], list[Any]], kind: str, *options: Any) -> Callable[[int], Any]:
    def made(n: int) -> Any:
        import pyarrow as pa

        return pa.array(values(n), getattr(pa, kind)(*options))

    return made


def _cycle(*values: Any) -> Callable[[int], list[Any]]:
    return lambda n: [values[i % len(values)] for i in range(n)]


def _run_ends(n: int) -> Any:
    import pyarrow as pa

    return pa.RunEndEncodedArray.from_arrays([n // 2, n], ["a", "b"])


def _map(n: int) -> Any:
    import pyarrow as pa

    return pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64()))


def _months(n: int) -> Any:
    import pyarrow as pa

    return pa.array([pa.MonthDayNano([1, i % 3, 0]) for i in range(n)])


def _dictionary(values: list[Any], *, missing: bool = False) -> Callable[[int], Any]:
    def made(n: int) -> Any:
        import pyarrow as pa

        codes = [None if missing and i == 4 else i % len(values) for i in range(n)]
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values))

    return made


def _union(n: int) -> Any:
    import pyarrow as pa

    codes = pa.array([i % 2 for i in range(n)], pa.int8())
    return pa.UnionArray.from_sparse(codes, [pa.array(range(n)), pa.array(["x"] * n)])


ODD_COLUMNS: dict[str, Callable[[int], Any]] = {
    "bytes": _arrow(_cycle(0, 1, 2), "int8"),
    "huge whole numbers": _arrow(_cycle(2**64 - 1, 2**64 - 2, 0), "uint64"),
    "halves": lambda n: np.array(_cycle(0, 1, 2)(n), "f2"),
    "floats with NaN": _arrow(_cycle(1.0, float("nan"), None), "float64"),
    "zeros of two signs": _arrow(_cycle(0.0, -0.0), "float64"),
    "yes and no": _arrow(_cycle(True, False, None), "bool_"),
    "nothing at all": _arrow(_cycle(None), "null"),
    "decimals": _arrow(_cycle(Decimal("1.10"), Decimal("2.00")), "decimal128", 20, 2),
    "wide decimals": _arrow(_cycle(Decimal(10) ** 60, None), "decimal256", 70, 2),
    "days": _arrow(_cycle(dt.date(1, 1, 1), dt.date(9999, 12, 31)), "date32"),
    "milliseconds of days": _arrow(_cycle(0, 86_400_000 * 9_999_999), "date64"),
    "times far away": _arrow(_cycle(-(2**62), 2**62, None), "timestamp", "s"),
    "nanoseconds": _arrow(_cycle(0, 2**63 - 1), "timestamp", "ns"),
    "times in a zone": _arrow(_cycle(0, 10**15), "timestamp", "us", "Europe/Vienna"),
    "times in no zone that is": _arrow(_cycle(0, 10**15), "timestamp", "us", "Mars/Olympus"),
    "times of day": _arrow(_cycle(0, 86_399_999_999), "time64", "us"),
    "times of day beyond it": _arrow(_cycle(0, 2**60), "time64", "ns"),
    "durations": _arrow(_cycle(0, -(2**63) + 1), "duration", "ns"),
    "months": _months,
    "binary": _arrow(_cycle(b"\x00\xff", b"ok"), "binary"),
    "large binary": _arrow(_cycle(b"\xc3\x28", None), "large_binary"),
    "binary of a fixed size": _arrow(_cycle(b"\x80abc", b"\x00\x00\x00\x00"), "binary", 4),
    "binary views": _arrow(_cycle(b"a" * 30, b"\xff"), "binary_view"),
    "text": _arrow(_cycle("a", "b", None), "string"),
    "large text": _arrow(_cycle("a" * 1000, "b"), "large_string"),
    "views of text": _arrow(_cycle("a" * 30, "b"), "string_view"),
    "empty text": _arrow(_cycle("", " ", "\t"), "string"),
    "text with line ends": _arrow(_cycle("a\nb", "a\r\nb", "\x00"), "string"),
    "text that steers": _arrow(_cycle("\x1b[2J\x1b[31mred", "\x9b31m", "\u202ea"), "string"),
    "markup": _arrow(_cycle("[red]x[/]", "[/]", ":cat:", "[link=http://x]"), "string"),
    "tags": _arrow(_cycle("<script>alert(1)</script>", "<img src=x onerror=y>", "&lt;"), "string"),
    "text that is said for missing": _arrow(_cycle("(missing)", None), "string"),
    "numbers as text": _arrow(_cycle("1", "1.0", "01", "1e0"), "string"),
    "emoji": _arrow(_cycle("👩‍👩‍👧", "é", "e\u0301"), "string"),
    "codes of text": _dictionary(["a", "b"]),
    "codes with one missing": _dictionary(["a", "b"], missing=True),
    "codes of a missing name": _dictionary(["a", None]),
    "codes of names twice": _dictionary(["a", "a", "b"]),
    "codes of numbers": _dictionary([1.5, 2.5]),
    "codes of bytes": _dictionary([b"\xff", b"a"]),
    "lists": _cycle([1], [2, 3]),
    "structs": _cycle({"a": 1}, {"a": 2}),
    "maps": _map,
    "runs": _run_ends,
    "unions": _union,
}  # fmt: skip
