"""The texts of tokens: what a report calls the classes of a language model."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from pandq.core.checks import MOST_CLASSES
from pandq.errors import InputError
from pandq.read.files import readable
from pandq.read.paths import expanded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMS = (
    "It is a list of texts, a map from id to text or from text to id, or a tokenizer.json of the"
    " tokenizers library."
)


def token_texts(path: str | Path) -> tuple[str, ...]:
    """The text of each token by its number, from a JSON file.

    Args:
        path: a list of texts; a map of texts to ids, or of ids to texts (vocab.json, tokens.json);
            or a tokenizer.json, whose added tokens are among them.

    Returns:
        Texts that are all different: what repeats an earlier one, or is not there, has its number
        behind it.

    Raises:
        InputError: there is no such file, or it is none of these.
    """
    (file,) = expanded([path])
    with readable(file), file.open("rb") as stream:
        try:
            told = json.load(stream)
        except (ValueError, RecursionError) as error:
            raise InputError(what="is no JSON", got=str(error)[:80], remedy=FORMS) from None
        found = dict(_pairs(told))
        if not found:
            raise InputError(what="holds no texts of tokens", remedy=FORMS)
        least, most = min(found), max(found)
        if least < 0 or most >= MOST_CLASSES:
            got = f"{least if least < 0 else most}"
            raise InputError(what=f"ids of tokens are from 0 to {MOST_CLASSES - 1:,}", got=got)
    return named_apart([found.get(i, "") for i in range(most + 1)])


def named_apart(texts: list[str]) -> tuple[str, ...]:
    """Texts that are all different.

    >>> named_apart(["a", "b", "a", ""])
    ('a', 'b', 'a #2', '#3')
    """
    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        first.setdefault(text, i)
    named = [
        text if text and first[text] == i else f"{text} #{i}".strip()
        for i, text in enumerate(texts)
    ]
    twice = {text for text, n in Counter(named).items() if n > 1}
    return tuple(f"{text} #{i}" if text in twice else text for i, text in enumerate(named))


def _pairs(told: Any) -> Iterator[tuple[int, str]]:
    """Each token's number and text.

    Raises:
        InputError: one is something else.
    """
    if isinstance(told, dict) and isinstance(told.get("model"), dict):
        vocabulary = told["model"].get("vocab")
        if isinstance(vocabulary, list):
            # of a unigram model: texts with their scores
            vocabulary = [x[0] if isinstance(x, list) and x else x for x in vocabulary]
        yield from _pairs(vocabulary)
        for token in told.get("added_tokens") or ():
            yield _number(token.get("id")), _text(token.get("content"))
    elif isinstance(told, list):
        yield from ((i, _text(text)) for i, text in enumerate(told))
    elif isinstance(told, dict):
        for key, value in told.items():
            yield (int(key), value) if _is_number(key, value) else (_number(value), key)
    else:
        raise InputError(what="holds no texts of tokens", got=type(told).__name__, remedy=FORMS)


def _is_number(key: str, value: Any) -> bool:
    """Is this an id and its text?"""
    return isinstance(value, str) and key.isascii() and key.isdecimal()


def _text(x: Any) -> str:
    if not isinstance(x, str):
        raise InputError(what="holds a token that is no text", got=repr(x)[:80], remedy=FORMS)
    return x


def _number(x: Any) -> int:
    if not isinstance(x, int) or isinstance(x, bool):
        raise InputError(what="holds a token without a number", got=repr(x)[:80], remedy=FORMS)
    return x
