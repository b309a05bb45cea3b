"""What a judge's labels on all rows add to human labels on some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.quantities import quantity
from pandq.report.sections.section import Cell, Section, Table, estimated, figure_of, whole
from pandq.units import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.results.judged import Judged, JudgedModel

ASSUMED = (
    "Right where the rows with a human label are a random sample of all rows, whatever the judge is"
    " worth: its labels narrow the interval, and a judge that knows nothing gets the weight 0."
)
# Below, a good judge errs in too few rows to tell its worst; measured in benchmarks/coverage.py.
FEW = 50
TOO_FEW = (
    f"Fewer than {FEW} human labels: a good judge errs in a handful of them, and where a few rows"
    " have most of the loss the interval with the judge may be too narrow."
)
PLANNED = (
    "How many of these rows would need a human label, drawn at random; - where labelling all of"
    " them would not reach it."
)


def judged_section(found: Judged, unit: str) -> Section:
    """The averages for human labels, with the judge and without."""
    rows = found.labelled + found.unlabelled
    about = (
        f"{found.labelled:,} rows have a human label, {found.unlabelled:,} the judge's alone"
        f" ({found.judge}); these are the averages for human labels over rows like all {rows:,}."
        " Everything else in this report is of the rows with a human label."
    )
    models = found.models
    # of several models the differences are what is to be told
    planned = [x for x in models if x.against is not None] or models
    few = [TOO_FEW] if found.labelled < FEW and found.unlabelled else []
    return Section(
        "With the judge",
        table=[
            *(_averages(x, unit) for x in models),
            *(_planned(x, unit) for x in planned if x.planned),
        ],
        note=[about, *_gains(found), ASSUMED, *_tested(found), *few],
        unit=unit,
        first=True,
    )


def _name(model: JudgedModel) -> str:
    return model.q if model.against is None else f"{model.q} less {model.against}"


def _label(name: str, unit: str) -> str:
    known = quantity(name)
    if known is None:
        return name
    return f"{known.label}, {unit}" if known.unit else known.label


def _averages(model: JudgedModel, unit: str) -> Table:
    rows = [
        (
            Cell(_label(name, unit)),
            *estimated(judged),
            *estimated(model.human_alone[name]),
            figure_of(model.weight[name], 2),
            figure_of(model.correlation[name], 2),
        )
        for name, judged in model.with_judge.items()
    ]
    columns = (_name(model), "with judge", "interval", "human alone", "interval", "weight", "corr.")
    return Table("averages for human labels", columns, rows)


def _planned(model: JudgedModel, unit: str) -> Table:
    """How many human labels narrower intervals take."""
    rows = [
        (
            Cell(_label(line["quantity"], unit)),
            Cell(short(line["half_width"]), line["half_width"], "number"),
            *(_labels(line[name]) for name in ("with_judge", "alone")),
        )
        for line in model.planned
    ]
    columns = (_name(model), "half-width", "with the judge", "without")
    return Table("human labels that an interval takes", columns, rows, caption=PLANNED)


def _labels(n: int | None) -> Cell:
    return Cell("-", None, "number") if n is None else whole(n)


def _gains(found: Judged) -> Iterator[str]:
    """What the judge is worth for the loss, and which losses it cannot be used for."""
    for model in found.models:
        name = next(iter(model.with_judge), "")
        if not name.startswith("cross_entropy"):
            yield (
                f"{_name(model)}: a loss against a label is infinite (q = 0 < p), and no interval"
                " of the cross entropy can be given with the judge."
            )
            continue
        share = model.with_judge[name].half_width / model.human_alone[name].half_width
        if model.against is None and model.weight[name]:
            yield (
                f"{_name(model)}: the judge narrows the interval of the cross entropy by"
                f" {1 - share:.0%}."
            )


def _tested(found: Judged) -> Iterator[str]:
    if found.p_value is None:
        return
    if found.chosen:
        yield (
            "These rows are no random sample: the judge's losses on them are not what they are on"
            f" the others (p {found.p_value:.2g})."
        )
    else:
        yield (
            "What can be tested of it, is: the judge's losses on them are those on the others, as"
            f" far as these rows tell (p {found.p_value:.2g})."
        )
