"""What each column of a table is to be: P, every Q, labels beside P, and what rows are named by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import pyarrow as pa

from pandq.core.checks import is_number
from pandq.errors import InputError, near_names
from pandq.read.named import named
from pandq.read.recognise import Spec, recognised, resolved
from pandq.read.texts import texts
from pandq.views import SAMPLED_KIND, TOP_KIND, VOTES_KIND, Probs
from pandq.views.answers import check_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.parts import Source

VoteDuplicates = Literal["refuse", "first", "last"]


@dataclass(frozen=True, slots=True)
class Roles:
    """What each column is: P, every Q, a control and a better model after them; labels beside P."""

    p: Spec
    qs: tuple[Spec, ...]
    labels: Spec | None

    @property
    def labelled(self) -> list[str]:
        """The columns of labels, which are read as they are written."""
        labels = [self.p] if self.p.kind == "labels" else []
        return [name for spec in (*labels, self.labels) if spec for name in spec.columns]

    def told_of_top(self, complete: object) -> list[str]:
        """What is to be said of a top that is incomplete.

        Raises:
            InputError: it is where there is no top, or ranks say which classes are the top.
        """
        if not isinstance(complete, bool):
            raise InputError(what="complete is True or False", got=repr(complete))
        tops = [spec for spec in (self.p, *self.qs) if spec.kind == TOP_KIND]
        if not complete and not tops:
            raise InputError(what="--incomplete is for topk:IDS,LOG_PROBS, and there is none")
        if not complete and any(len(spec.columns) == 3 for spec in tops):
            what = "ranks say which classes are the most probable ones"
            raise InputError(what, remedy="Leave --incomplete out.")
        return [] if complete else [INCOMPLETE]

    def told_of_percentages(self, roles: str | Sequence[str]) -> list[str]:
        """What is to be said of percentages.

        Raises:
            InputError: they are not of P or Q, or those are no probabilities.
        """
        said = []
        for role in texts("percent", roles):
            if role not in ("p", "q"):
                raise InputError(what="percentages are those of p or q", got=repr(role))
            for spec in (self.p,) if role == "p" else self.qs:
                if spec.kind != Probs.kind:
                    what = f"--percent {role} is for probabilities"
                    raise InputError(what, got=f"--{role} {spec}")
            said.append(f"the percentages of {role.upper()} were divided by 100")
        return said

    @classmethod
    def of(
        cls,
        source: Source,
        given: Sequence[str | None],
        chosen: list[str],
        *,
        best_q: str | None,
        labels: str | None,
        control: str | None,
    ) -> Self:
        """As given or by the usual names; `chosen` is told of the latter."""
        schema, (p, first, *rivals) = source.schema, given
        if p is None and not rivals and (first or "").startswith(f"{SAMPLED_KIND}:"):
            # what was drawn is what is true
            p = first
        p_spec, q_spec = _spec(p, schema, "p", chosen), _spec(first, schema, "q", chosen)
        others = [resolved(str(rival), schema, option="--q") for rival in rivals]
        again = [resolved(control, schema, option="--control")] if control else []
        best = [resolved(best_q, schema, option="--best-q")] if best_q else []
        beside = resolved(f"labels:{labels}", schema, option="--labels") if labels else None
        beside = beside and named(beside, source)
        return cls(named(p_spec, source), (q_spec, *others, *again, *best), beside)


INCOMPLETE = "classes that topk does not give may have any probability (--incomplete)"


def require_texts(**given: object) -> None:
    """Refuse what is given and is no text, or an empty one.

    Raises:
        InputError: there is such an option.
    """
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise InputError(what=f"{name} is text", got=repr(value))
        if value is not None and not value.strip():
            raise InputError(what=f"{name} is empty", remedy="Leave it out, or say what it is.")


def sums_as(
    normalise: str | Sequence[str], percent: str | Sequence[str], tolerance: float | None
) -> dict[str, Any]:
    """What is asked of rows that do not sum to one, as a Scan has it.

    Raises:
        InputError: a tolerance is no distance, or roles are no texts.
    """
    if tolerance is not None and not (is_number(tolerance) and 0 < tolerance < np.inf):
        raise InputError(what="tolerance is a number above 0", got=repr(tolerance))
    scaled = {"normalise": texts("normalise", normalise), "percent": texts("percent", percent)}
    return {**scaled, "tolerance": tolerance}


def of_votes(
    spec: Spec, skip: str | Sequence[str], duplicates: str, first: int | None = None
) -> Spec:
    """P with the answers that are none, which of two counts, and how many of a row do.

    Raises:
        InputError: `duplicates` is something else, or P has no votes of which some are the first.
    """
    if first is not None:
        check_first(first)
        if spec.kind != VOTES_KIND:
            what = "--first takes the first votes of each row, and P does not hold their order"
            remedy = "Give them as they came: votes:COLUMN of lists, or one row an answer."
            raise InputError(what, got=f"--p {spec}", remedy=remedy)
    if duplicates not in (known := get_args(VoteDuplicates)):
        raise InputError(what=f"duplicates is one of {', '.join(known)}", got=repr(duplicates))
    return replace(spec, skip=texts("skip", skip), duplicates=duplicates, first=first)


def require_columns(schema: Mapping[str, pa.DataType], **named: Sequence[str]) -> None:
    """Refuse columns that are not there, or hold more than one value per row.

    Raises:
        InputError: there is such a column.
    """
    for option, names in named.items():
        for name in names:
            if name not in schema:
                what = f"--{option}: no column {name!r}"
                raise InputError(what, remedy=near_names(name, schema))
            if pa.types.is_nested(schema[name]):
                what = f"--{option}: column {name!r} holds {schema[name]}, not one value per row"
                raise InputError(what)


def _spec(
    given: str | None, schema: Mapping[str, pa.DataType], role: str, chosen: list[str]
) -> Spec:
    """The Spec of P or Q, as given or by the usual names; `chosen` is told of the latter."""
    if given:
        return resolved(given, schema, option=f"--{role}")
    spec = recognised(schema, role)
    chosen.append(f"--{role} {spec} was chosen by its name")
    return spec
