"""Models with different tokenizers: their rows are not the same, but their documents are.

A document's loss in bits by its bytes does not depend on how it was cut into tokens. Two models are
paired by document, and their difference is a ratio of sums over documents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.errors import InputError
from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans, infinite_difference
from pandq.estimate.averages.perbyte import NAME, bits_per_byte, no_bytes
from pandq.estimate.averages.votemeans import apart
from pandq.estimate.comparison.verdicts import verdict
from pandq.estimate.passes import drawn_alone, refuse_empty, require_laws
from pandq.quantities import DIFFERENCE
from pandq.results.bydocument import ByDocument, DocumentDifference, DocumentModel
from pandq.results.estimate import finite
from pandq.rows import label_losses
from pandq.units import per_nat
from pandq.views import SAMPLED_KIND, Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pandq.engines.run import Run
    from pandq.read.chunks import Chunk
    from pandq.read.scan import Scan
    from pandq.results.estimate import Estimate

    Floats = NDArray[np.float64]

BLANK = GroupLossMeans.empty(("cross_entropy",), ("n_bytes",))
# What rounding leaves of equal sums of bytes, as a share of them.
EQUAL = 1e-9
REMEDY = (
    "The bytes of one text are the same whatever its tokens: special tokens have 0, and what is"
    " known of a whole document stands in one of its rows, with 0 in the others."
)


def refuse_unpaired(rows: Scan) -> None:
    """Refuse rows that cannot be paired with another model's by their documents.

    Raises:
        ViewTypeError: Q is known only in part.
        InputError: they do not say what documents and bytes are, or bring what is not used.
    """
    of = rows.source.name
    for what, given, option in (
        ("documents", rows.cluster, "cluster"),
        ("bytes of rows", rows.per, "per"),
    ):
        if given is None:
            remedy = f"--{option} COLUMN, or pandq.scan(..., {option}=)."
            told = f"models are paired by document, and there are no {what}"
            raise InputError(told, where=of, remedy=remedy)
    if not drawn_alone(rows):
        if rows.p.kind != Labels.kind:
            what = "models on rows of their own are compared by what they gave to the text"
            remedy = "Give --p labels:COLUMN, or --q sampled:COLUMN alone."
            raise InputError(what, where=of, got=f"P is {rows.p.kind}", remedy=remedy)
        require_laws(rows)
    unused = ("rivals", "by", "id", "weights", "best_q", "labels", "control", "judge")
    refuse_beside(**{name: getattr(rows, name) or None for name in unused})


def refuse_beside(**given: object) -> None:
    """Refuse what has no effect where models are paired by document.

    Raises:
        InputError: something of it was given.
    """
    for name, value in given.items():
        if value is not None:
            what = (
                f"{name.replace('_', '-')} has nothing to say where models are paired by document"
            )
            raise InputError(what, remedy="Leave it out.")


def of_documents(chunk: Chunk, *, column: str) -> GroupLossMeans:
    """The losses and bytes of one chunk by document, which `column` names."""
    codes, names = chunk.groups[column]
    drawn = chunk.q.kind == SAMPLED_KIND
    loss = 0.0 - chunk.q.log_probs if drawn else label_losses(chunk.p, chunk.q)
    return BLANK.of_only(codes, names, loss[:, None], np.asarray(chunk.n_bytes)[:, None])


def documents_of(run: Run, rows: Scan, called: str) -> DocumentLosses:
    """The documents of one model's rows.

    Raises:
        InputError: there are no rows, or one cannot be used.
    """
    of = partial(of_documents, column=str(rows.cluster))
    named = replace(rows, by=(str(rows.cluster),))
    try:
        sums = run.summarise(f"measuring {called}", named, of, BLANK, once=True)
    except InputError as error:
        # of several files it must be known which
        raise error if rows.source.name in error.where else error.at(rows.source.name) from None
    refuse_empty(rows, int(sums.others.moments.n.sum()), 1.0)
    return DocumentLosses.of(sums)


@dataclass(frozen=True, slots=True)
class DocumentLosses:
    """One model's documents: (d,) rows, infinite rows, losses in nats and bytes of each."""

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    infinite: NDArray[np.int64]
    loss: Floats
    size: Floats

    @classmethod
    def of(cls, sums: GroupLossMeans) -> DocumentLosses:
        """The documents of a whole pass."""
        sizes, known = sums.others.moments, sums.losses.moments
        place = {name: i for i, name in enumerate(known.names)}
        some = np.array([place.get(name, -1) for name in sizes.names], np.intp)
        counted = np.append(known.n, 0)[some]
        total = np.append(known.n * known.mean[:, 0], 0.0)[some]
        lost = sizes.n - counted
        loss = np.where(lost > 0, np.inf, total)
        return cls(tuple(map(str, sizes.names)), sizes.n, lost, loss, sizes.n * sizes.mean[:, 0])

    def at(self, names: Sequence[str]) -> DocumentLosses:
        """Those of some documents, in this order."""
        place = {name: i for i, name in enumerate(self.names)}
        some = np.array([place[name] for name in names], np.intp)
        loss, size = self.loss[some], self.size[some]
        return DocumentLosses(tuple(names), self.rows[some], self.infinite[some], loss, size)


def by_document(
    called: Sequence[str], given: Sequence[DocumentLosses], *, level: float, worst: int
) -> ByDocument:
    """What the documents say that all models have.

    Args:
        called: what each model is called.
        given: the documents of each.
        level: confidence level of the intervals.
        worst: how many documents to show.

    Raises:
        InputError: none is in all, or one has other bytes in one model's rows.
    """
    sets = [set(x.names) for x in given]
    names = [name for name in given[0].names if all(name in x for x in sets)]
    if not names:
        few = (", ".join(x.names[:3]) for x in given)
        got = "; ".join(f"{q}: {some} ..." for q, some in zip(called, few, strict=True))
        raise InputError(what="no document is in the rows of every model", got=got)
    found = [x.at(names) for x in given]
    for q, x in zip(called[1:], found[1:], strict=True):
        _refuse_other_bytes(found[0], x, (called[0], q))
    every = dict.fromkeys(name for x in given for name in x.names)
    keys = hash_ids(np.array(names, np.str_))
    return ByDocument(
        documents=len(names),
        n_bytes=float(found[0].size.sum()),
        models=tuple(
            DocumentModel(
                q,
                int(x.rows.sum()),
                _ratio(_means(x.loss, x.size, keys), level),
                int(x.infinite.sum()),
            )
            for q, x in zip(called, found, strict=True)
        ),
        differences=tuple(
            _difference((called[0], q), (found[0], x), keys, level=level, worst=worst)
            for q, x in zip(called[1:], found[1:], strict=True)
        ),
        left_out=[
            {
                "document": name,
                "missing_in": [q for q, x in zip(called, sets, strict=True) if name not in x],
            }
            for name in every
            if not all(name in x for x in sets)
        ],
    )


def _means(loss: Floats, size: Floats, keys: Any) -> LossMeans:
    """Of documents, each of which is a unit that was drawn."""
    both = np.stack([loss, size], axis=1)
    return no_bytes().of_only(both, np.empty((len(both), 0)), clusters=keys)


def _ratio(sums: LossMeans, level: float, name: str = NAME) -> Estimate:
    """Bits per byte; there are documents."""
    return cast("Estimate", bits_per_byte(sums, level=level, name=name))


def _difference(
    called: tuple[str, str],
    pair: tuple[DocumentLosses, DocumentLosses],
    keys: Any,
    *,
    level: float,
    worst: int,
) -> DocumentDifference:
    """One model's documents less those of another."""
    one, other = pair
    more = apart(one.loss, other.loss)
    sums = _means(more, one.size, keys)
    found = _ratio(sums, level, f"{NAME}{DIFFERENCE}")
    if sums.n_infinite:
        found = infinite_difference(found, int(other.infinite.sum()), int(one.infinite.sum()))
    most = np.argsort(-np.abs(more), kind="stable")[:worst]

    def bits(x: Floats, i: int) -> float | None:
        return finite(x[i] * per_nat("bit") / one.size[i]) if one.size[i] > 0 else None

    return DocumentDifference(
        q=called[1],
        against=called[0],
        bits_per_byte=found,
        verdict=verdict(found.low, found.high),
        largest=[
            {
                "document": one.names[i],
                "n_bytes": float(one.size[i]),
                "difference": bits(more, i),
                "against": bits(one.loss, i),
                "q": bits(other.loss, i),
            }
            for i in most.tolist()
            if more[i] != 0.0
        ],
    )


def _refuse_other_bytes(
    one: DocumentLosses, other: DocumentLosses, called: tuple[str, str]
) -> None:
    """Refuse a document that is not the same text for both.

    Raises:
        InputError: there is one; it is named.
    """
    off = np.abs(one.size - other.size) > EQUAL * np.maximum(one.size, other.size)
    if not off.any():
        return
    i = int(off.argmax())
    more = f" ({int(off.sum()):,} such documents in all)" if off.sum() > 1 else ""
    got = f"{one.size[i]:,.15g} in {called[0]}, {other.size[i]:,.15g} in {called[1]}{more}"
    what = f"the bytes of document {one.names[i]!r} are not the same"
    raise InputError(what, got=got, remedy=REMEDY)
