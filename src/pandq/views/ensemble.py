"""Ensemble: several distributions for each row, from members of any kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from pandq.core.laws import Law
from pandq.core.numerics import exp_remainder, row_sums
from pandq.errors import InputError, RowError, ViewTypeError
from pandq.views.base import View
from pandq.views.taken import MATRICES, require_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Ensemble(View):
    """Members' distributions for the same rows and classes; as one it is their mean.

    Members may come from anywhere: networks trained from several seeds, dropout that stays on,
    draws from a posterior. `array` holds their log-probabilities, (n, S, K).

    Args:
        members: at least two views of the same rows and classes, none of them Labels.

    Raises:
        ViewTypeError: a member is no view, or is Labels.
        InputError: there are fewer than two, or their rows or classes differ.

    >>> from pandq import Probs
    >>> both = Ensemble([Probs([[1.0, 0.0]]), Probs([[0.5, 0.5]])])
    >>> both.law().prob
    array([[0.75, 0.25]])
    >>> both.epistemic().round(6)
    array([0.431523])
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, members: Sequence[View]) -> None:
        given: object = members
        if isinstance(given, View) or not isinstance(given, Iterable):
            raise ViewTypeError(what="an ensemble's members are a list", got=type(given).__name__)
        views = [require_view(f"member {i}", member) for i, member in enumerate(members)]
        if len(views) < 2:
            raise InputError(what="an ensemble has two members at least", got=str(len(views)))
        for i, view in enumerate(views):
            if view.kind == "labels":
                raise ViewTypeError(what=f"member {i} is Labels, which are no prediction")
            if view.kind == self.kind:
                raise ViewTypeError(what=f"member {i} is an Ensemble; give its members")
            if len(view) != len(views[0]) or view.n_classes != views[0].n_classes:
                first = f"{len(views[0])} rows of {views[0].n_classes} classes"
                raise InputError(
                    what=f"member {i} has other rows or classes than the first",
                    got=f"{len(view)} rows of {view.n_classes} classes, not {first}",
                )
        logs = np.stack([view.law().log_prob for view in views], axis=1)
        object.__setattr__(self, "array", logs)
        object.__setattr__(self, "n_classes", views[0].n_classes)
        object.__setattr__(self, "classes", None)

    @classmethod
    def of_array(cls, kind: str, x: NDArray[Any], *, tolerance: float | None = None) -> Ensemble:
        """An ensemble from one array of all members' rows.

        Args:
            kind: what its numbers are: counts, probs, logprobs or logits.
            x: (n, S, K).
            tolerance: how far from one a row may sum.

        Raises:
            InputError: a distribution is not valid; the row is named.
        """
        if x.ndim != 3 or x.shape[1] < 2:
            raise InputError(
                what="an ensemble needs (rows, members, classes), two members at least",
                got=f"shape {x.shape}",
            )
        n, s, k = x.shape
        options = {} if kind == "counts" else {"tolerance": tolerance}
        try:
            view = MATRICES[kind](x.reshape(n * s, k), **options)
        except RowError as error:
            row, member = divmod(error.row, s)
            problem = f"member {member} {error.problem}"
            raise RowError(error.view, row, problem, got=error.got, remedy=error.remedy) from None
        return cls.trusted(view.law().log_prob.reshape(n, s, k), k)

    @property
    def n_members(self) -> int:
        """How many members there are."""
        return int(self.array.shape[1])

    def law(self) -> Law:
        """The mean of the members' distributions."""
        return mean_law(self.array)

    def total(self) -> Floats:
        """Entropy of the members' mean, (n,) nats, corrected for their number."""
        return split(self.array)[0]

    def aleatoric(self) -> Floats:
        """Mean entropy of the members, (n,) nats: what they agree is uncertain."""
        return split(self.array)[1]

    def epistemic(self) -> Floats:
        """Mutual information of class and member, (n,) nats: what they disagree about.

        Of S members the plug-in estimate is too low, as their mean has been fitted to them;
        the jackknife takes off most of that on average (Quenouille 1956; Miller 1974). It is never
        negative, and 0 of equal members; of a single row the total may be larger than log K.
        """
        return split(self.array)[2]


def mean_law(logs: Floats) -> Law:
    """The mean of members' distributions, from (n, S, K) log-probabilities."""
    with np.errstate(invalid="ignore"):
        top = logs.max(axis=1, keepdims=True)
        top = np.where(np.isneginf(top), 0.0, top)
    prob = np.exp(logs).mean(axis=1)
    with np.errstate(divide="ignore"):
        log_prob = np.log(np.exp(logs - top).mean(axis=1)) + top[:, 0]
    return Law(prob, log_prob)


def split(logs: Floats) -> tuple[Floats, Floats, Floats]:
    """Total, aleatoric and epistemic entropy of each row, (n,) nats each.

    With m the members' mean and m_r the mean without member r, the jackknife's estimate

        S H(m) - (S - 1) mean H(m_r) - mean H(p_r)  =  mean KL(p_r || m) + (S - 1) mean KL(m_r || m)

    as m is the mean of the m_r, too: no difference of entropies, and 0 where members are equal.

    Args:
        logs: (n, S, K) members' log-probabilities.

    Returns:
        The sum of the others; the mean entropy of the members; what they disagree about.

    Source: Depeweg et al. 2018, equation 1; Miller 1974 (the jackknife).
    """
    s = logs.shape[1]
    prob = np.exp(logs)
    with np.errstate(invalid="ignore"):
        aleatoric = -np.where(prob > 0, prob * logs, 0.0).sum(axis=2).mean(axis=1)
    # from the first member, so that of equal ones nothing is left
    apart = prob - prob[:, :1]
    shift = apart.mean(axis=1)
    mean = prob[:, 0] + shift
    epistemic = np.zeros(len(logs))
    for member in range(s):
        away = apart[:, member] - shift
        epistemic += _from_mean(mean, away) + (s - 1) * _from_mean(mean, away / (1 - s))
    epistemic /= s
    return aleatoric + epistemic, aleatoric, epistemic


def _from_mean(mean: Floats, away: Floats) -> Floats:
    """KL(mean + away || mean) of each row, for an `away` that sums to 0."""
    change = np.divide(away, mean, out=np.zeros_like(mean), where=mean > 0)
    some = np.maximum(change, -1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (1.0 + some) * exp_remainder(-np.log1p(some))
    return row_sums(mean * np.where(some > -1.0, terms, 1.0))


def geometric(logs: Floats) -> tuple[Law, Floats]:
    """The members' distributions multiplied, and what that gains: the mean KL from it to a member.

    For every P the mean over members of H(P, q_s) is H(P, q_geo) plus this number, exactly: it is
    what averaging logits gains over a member taken at random.

    Args:
        logs: (n, S, K) members' log-probabilities.

    Returns:
        q_geo, proportional to exp(mean log q_s); and (n,) nats, +inf where no class is left.

    Source: Heskes 1998, equation 6.
    """
    mean = _mean_of_members(logs)
    norm = logsumexp(mean, axis=1)
    nothing = np.isneginf(norm)
    # members' own sums are one up to rounding, which is no gain
    own = _mean_of_members(logsumexp(logs, axis=2))
    won = np.where(nothing, np.inf, np.maximum(own - norm, 0.0))
    log_prob = np.where(nothing[:, None], -np.inf, mean - np.where(nothing, 0.0, norm)[:, None])
    return Law(np.exp(log_prob), log_prob), won


def _mean_of_members(x: Floats) -> Floats:
    """The mean over members, (n, S, ...): of equal ones exactly what they are."""
    found: Floats = np.where((x == x[:, :1]).all(axis=1), x[:, 0], x.mean(axis=1))
    return found
