"""The JSON Schemas of the documents, made from the results' own fields.

`python -m tests.results.schemas` writes the files of the package anew.
"""

import json
import types
from pathlib import Path
from typing import Literal, Union, get_args, get_origin, get_type_hints

from pandq.quantities import quantity
from pandq.results import record
from pandq.results.agreement import Agreement
from pandq.results.audit import Audit
from pandq.results.comparison import Comparison
from pandq.results.estimate import Estimate
from pandq.results.multilabel import MultiLabelAudit
from pandq.results.perplexity import Perplexity

FOLDER = Path(record.__file__).with_name("schemas")
DOCUMENTS = (Audit, Comparison, Agreement, Perplexity, MultiLabelAudit)
NUMBER = {"type": ["number", "null"]}
PLAIN = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    str: {"type": "string"},
    float: NUMBER,
    type(None): {"type": "null"},
}
ESTIMATE = {
    "type": "object",
    "description": "A value with an interval; null is what is not finite or not identified.",
    "properties": {
        "value": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
        "unit": {"enum": ["nat", "bit", ""]},
        "n": {"type": "integer", "minimum": 0},
        "standard_error": NUMBER,
        "degrees": NUMBER,
        "effective": NUMBER,
        "skewness": NUMBER,
        "likely_skewness": NUMBER,
        "method": {"type": "string"},
        "identified": {"type": "boolean"},
        "infinite": {
            "type": "object",
            "description": "Of value, low and high those that are infinite: 1 above, -1 below.",
            "propertyNames": {"enum": ["value", "low", "high"]},
            "additionalProperties": {"enum": [1, -1]},
        },
    },
    "required": ["value", "low", "high", "unit", "n", "standard_error", "degrees", "effective",
                 "skewness", "likely_skewness", "method", "identified"],
    "additionalProperties": False,
}  # fmt: skip


def schema_of(document):
    """The schema of a kind of document."""
    found = {}
    whole = _of_record(document, found)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": document.SCHEMA}
    return head | whole | {"$defs": {"Estimate": ESTIMATE} | found}


def file_of(document):
    """Where the package keeps it."""
    return FOLDER / f"{document.SCHEMA.removeprefix('pandq/').replace('/', '-')}.json"


def text_of(document):
    """The file's text."""
    return json.dumps(schema_of(document), indent=1, ensure_ascii=False) + "\n"


def _of_record(kind, found):
    hints = get_type_hints(kind)
    properties = {}
    for field in record.keys_of(kind):
        properties[field.name] = dict(_of_kind(hints[field.name], found))
        known = quantity(field.name)
        if known is not None:
            properties[field.name]["description"] = f"{known.heading}: {known.meaning}"
    if issubclass(kind, record.Document):
        properties["schema"] = {"const": kind.SCHEMA}
        properties["pandq_version"] = {"type": "string"}
    told = (kind.__doc__ or "").strip().split("\n")[0]
    return {
        "type": "object",
        "description": told,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _of_kind(kind, found):
    origin, of = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        return {"anyOf": [_of_kind(x, found) for x in of]}
    if kind is Estimate:
        return {"$ref": "#/$defs/Estimate"}
    if isinstance(kind, type) and issubclass(kind, record.Record):
        if kind.__name__ not in found:
            found[kind.__name__] = {}
            found[kind.__name__] = _of_record(kind, found)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_kind(of[1], found)}
    if origin in (list, tuple):
        return {"type": "array", "items": _of_kind(of[0], found)}
    return {"enum": list(of)} if origin is Literal else PLAIN.get(kind, {})


if __name__ == "__main__":
    for one in DOCUMENTS:
        file_of(one).write_text(text_of(one), encoding="utf-8")
