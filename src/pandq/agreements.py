"""Agreements: what votes say by themselves, before there is any model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.checks import as_array
from pandq.core.hashing import hash_ids
from pandq.errors import InputError, ViewTypeError
from pandq.estimate.agreement.annotators import annotator_lines
from pandq.estimate.agreement.cells import Cells
from pandq.estimate.agreement.chance import agreement_and_alpha, ordinal_alpha
from pandq.estimate.agreement.components import components
from pandq.estimate.agreement.human import human_floor
from pandq.estimate.agreement.numbers import vote_numbers
from pandq.estimate.agreement.tables import class_lines, divided_lines, pair_lines
from pandq.estimate.averages.means import Means
from pandq.estimate.findings import few_people
from pandq.estimate.floor.pool import Pool, check_pool, size_of
from pandq.estimate.passes import check_choices, check_order, check_truth
from pandq.estimate.sampling import MIN_ROWS
from pandq.report.shown import Agreement
from pandq.results.agreement import Components
from pandq.units import Unit, per_nat
from pandq.views import Counts, Votes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.results.estimate import Estimate

FIRST_VOTES = (
    "How many votes an item has depends on the votes (as where a third opinion is asked for only"
    " where two differ): no floor is certified, and agreement is off. Keep the first votes of every"
    " item, the same number for all (--first 2; votes.first(2) in Python): they are a fair sample"
)
UNLIKE = (
    "items are too rarely unanimous for votes that are independent draws from one P, and no floor"
    " is certified: as where the same few people answer every item, each in their own way (if"
    " these are all that there are: --annotator-pool seen)"
)
DEPENDENT = (
    "two votes for an item agree less often than votes for different items: they are no"
    " independent draws from one P, and no floor is certified"
)


def votes(
    p: Votes | Counts,
    *,
    ids: ArrayLike | None = None,
    classes: Sequence[object] | None = None,
    unit: Unit = "nat",
    level: float = 0.95,
    seed: int = 0,
    worst: int = 10,
    annotator_pool: Pool = None,
    ordered: bool = False,
) -> Agreement:
    """What people's votes say before there is any model: agreement, floor, who stands apart.

    Everything is in memory: with annotators as much as the votes take, several times over.

    Args:
        p: Votes, or Counts; only Votes with annotators say who stands apart.
        ids: (n,) names of the items; those of Votes from columns, or their numbers, when left out.
        classes: class names of Counts, for the report; of Votes, which have theirs, the same again
            in their order, where it counts.
        unit: "nat" or "bit" of the report.
        level: confidence level of the intervals.
        seed: random seed of folds and of the jackknife's groups.
        worst: how many of the items that divide people most to list.
        annotator_pool: how many people there are, of whom each item asked some different ones, or
            "seen", the annotators of p: the floor is then for a randomly chosen one of these.
        ordered: whether the classes are in their order (grades, stars): alpha by ranks, too.

    Returns:
        An Agreement. Its intervals are over items drawn like these, for the people who answered.

    Raises:
        ViewTypeError: p is neither.
        InputError: there are no votes, or an argument cannot be used.

    Source: Krippendorff 2011 (alpha); the floor is that of `pandq.audit` with the class frequencies
    in the place of Q, a certificate by Bernstein bounds.

    >>> import pandq
    >>> found = pandq.votes(pandq.Votes([["a", "a"], ["a", "b"], ["b", "b"]]))
    >>> round(found.observed_agreement.value, 3), round(found.alpha.value, 3), found.floor
    (0.667, 0.444, None)
    """
    check_choices(unit, level, seed, worst)
    check_pool(annotator_pool)
    check_truth("ordered", ordered)
    given = _taken(p)
    names = _class_names(given, classes, ordered=ordered)
    if ordered:
        check_order(names, named=classes is not None)
    called = _ids(given, ids)
    cells = Cells.of(given)
    some = cells.votes > 0
    if not some.any():
        got = f"{len(cells.votes):,} items without votes" if len(cells.votes) else "no items"
        raise InputError(what="there are no votes", got=got)
    asked: dict[str, Any] = {"level": level, "seed": seed}
    voters: dict[str, Any] = {"seen": _people_seen(given), "most_votes": float(cells.votes.max())}
    pool = size_of(annotator_pool, votes=cells.votes.max() > 1, where="", **voters)
    agreed, notes = _agreed(cells, called, pool=pool, unit=unit, **asked)
    few = few_people(**voters)
    if few is not None and pool is None and agreed["floor"] is not None:
        notes.append(few.sentence)
    paired, scale = cells.of_items(cells.votes > 1), per_nat(unit)
    entropies = Means.empty(("plug_in_entropy",)).of_only(cells.entropies()[some][:, None])
    return Agreement(
        n_classes=cells.n_classes,
        unit=unit,
        level=level,
        source={"items": len(cells.votes)},
        options=_options(seed=seed, worst=worst, annotator_pool=annotator_pool, ordered=ordered),
        notes=(*getattr(given, "notes", ()), *notes),
        **_numbers(cells),
        **agreed,
        **_people(given, scale=scale, **asked),
        plug_in_entropy=entropies.estimate("plug_in_entropy", level=level).to_unit(unit),
        classes=class_lines(paired, names, level=level),
        pairs=pair_lines(paired, names),
        divided=divided_lines(cells, called, names, most=worst, scale=scale),
        ordinal_alpha=ordinal_alpha(paired, level=level) if ordered and len(paired.votes) else None,
        order=names if ordered else None,
    )


def _options(**given: Any) -> dict[str, Any]:
    """The options that a result names: what was not asked for is left out."""
    return {name: x for name, x in given.items() if x is not None and x is not False}


def _numbers(cells: Cells) -> dict[str, Any]:
    """How many there are of everything."""
    some, several = cells.votes > 0, cells.votes > 1
    alone = cells.votes[cells.item] == cells.count
    return {
        "n": int(some.sum()),
        "n_votes": int(cells.votes.sum()),
        "without_votes": int((~some).sum()),
        "pairable": int(several.sum()),
        "unanimous": int((alone & several[cells.item]).sum()),
        "votes_per_item": _distribution(cells.votes),
    }


def _agreed(
    cells: Cells,
    called: NDArray[np.str_],
    *,
    pool: int | None,
    unit: Unit,
    level: float,
    seed: int,
) -> tuple[dict[str, Any], list[str]]:
    """How far people agree, and the floor; with what is to be said of either."""
    some, several = cells.votes > 0, cells.votes > 1
    agreement, alpha, floor = None, None, None
    if several.any():
        agreement, alpha = agreement_and_alpha(cells.of_items(several), level=level)
    answered = cells.of_items(some)
    numbers = vote_numbers(answered, hash_ids(called[some]), pool)
    # of a pool two different people may well agree less often than one does with themselves
    below = None if pool is not None else alpha
    why = _refused(cells, below, depends=numbers is not None and numbers.depends)
    if why is None:
        floor = human_floor(answered, called[some], pool=pool, level=level, seed=seed)
        why = _without_floor(floor, answered)
    found = {
        "vote_numbers": numbers,
        "observed_agreement": agreement,
        "alpha": alpha,
        "floor": None if floor is None else floor.to_unit(unit),
    }
    return found, [x for x in (why, _one_class(alpha, agreement)) if x is not None]


def _people_seen(given: Votes | Counts) -> int:
    """How many annotators are known; 0 where they are not."""
    known = given.annotators if isinstance(given, Votes) else None
    return 0 if known is None else len(np.unique(known))


def _people(given: Votes | Counts, *, scale: float, level: float, seed: int) -> dict[str, Any]:
    """What is known of each annotator, where they are known."""
    found: dict[str, Any] = {
        "n_annotators": None,
        "votes_per_annotator": None,
        "components": None,
        "annotators": [],
    }
    if not isinstance(given, Votes) or given.annotators is None:
        return found
    found["n_annotators"] = _people_seen(given)
    found["votes_per_annotator"] = _spread(given)
    if given.votes.max() > 1:
        parts = components(given, level=level, seed=seed)
        found["components"] = None if parts is None else Components(**parts)
        found["annotators"] = annotator_lines(given, level=level, scale=scale)
    return found


def _taken(p: object) -> Votes | Counts:
    """Votes or Counts.

    Raises:
        ViewTypeError: it is something else.
    """
    if isinstance(p, Votes):
        return p
    if callable(as_arrays := getattr(p, "as_arrays", None)):
        p = as_arrays()
    if isinstance(p, Counts):
        return p
    raise ViewTypeError(
        what="votes are Votes or Counts",
        got=type(p).__name__,
        remedy="Wrap them: Votes(lists, annotators), Votes.from_columns(items, labels, annotators)"
        " or Counts(n).",
    )


def _class_names(
    p: Votes | Counts, classes: Sequence[object] | None, *, ordered: bool
) -> tuple[str, ...]:
    from pandq.core.classes import distinct

    if classes is None:
        return p.classes or tuple(map(str, range(p.n_classes or 0)))
    if isinstance(p, Votes):
        if ordered and tuple(map(str, classes)) == p.classes:
            return p.classes
        raise InputError(what="Votes have their classes: Votes(labels, classes=[...])")
    names = distinct(classes).names
    if len(names) != p.n_classes:
        got = f"{len(names)} names for {p.n_classes} classes"
        raise InputError(what="each class needs one name", got=got)
    return names


def _ids(p: Votes | Counts, ids: ArrayLike | None) -> NDArray[np.str_]:
    """What each item is called.

    Raises:
        InputError: there are more, or fewer, than items.
    """
    given = getattr(p, "items", None) if ids is None else ids
    if given is None:
        return np.arange(len(p)).astype(np.str_)
    called = as_array("ids", given)
    if called.shape != (len(p),):
        got = f"shape {called.shape}"
        raise InputError(what=f"ids needs one value per item ({len(p)})", got=got)
    return called.astype(np.str_)


def _refused(cells: Cells, alpha: Estimate | None, *, depends: bool) -> str | None:
    """Why no floor can be certified, as far as that is seen beforehand."""
    if cells.votes.max() < 2:
        return (
            "one vote for each item: agreement and floor cannot be known; get a second vote on some"
            " items"
        )
    if depends and len(np.unique(cells.votes[cells.votes > 0])) > 1:
        return FIRST_VOTES
    if depends:
        return UNLIKE
    if alpha is not None and alpha.high is not None and alpha.high < 0:
        return DEPENDENT
    return None


def _without_floor(floor: Estimate | None, cells: Cells) -> str | None:
    """Why there is none after all."""
    if floor is not None or len(np.unique(cells.klass)) < 2:
        return None
    if len(cells.votes) < MIN_ROWS:
        few = f"{len(cells.votes):,} with votes, and its folds need {MIN_ROWS}"
        return f"too few items for a certified floor: {few}"
    return "no floor is certified: its bounds cross, so that votes are no independent draws"


def _one_class(alpha: Estimate | None, agreement: Estimate | None) -> str | None:
    if alpha is not None or agreement is None:
        return None
    return "all votes are for one class: chance would agree as well, and alpha has no value"


def _distribution(sizes: NDArray[np.int64]) -> dict[str, int]:
    """How many items have how many votes."""
    found, items = np.unique(sizes, return_counts=True)
    return {str(m): int(n) for m, n in zip(found.tolist(), items, strict=True)}


def _spread(p: Votes) -> dict[str, float]:
    """Quantiles of how many votes an annotator gave, and the share of the busiest tenth."""
    given = np.bincount(np.asarray(p.annotators), minlength=len(p.annotator_names or ()))
    given = np.sort(given[given > 0])
    tenth = max(1, round(len(given) / 10))
    return {
        "least": float(given[0]),
        "median": float(np.median(given)),
        "most": float(given[-1]),
        "share_of_the_busiest_tenth": float(given[-tenth:].sum() / given.sum()),
    }
