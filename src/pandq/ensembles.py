"""Ensemble: several laws for each row, from members of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pandq.core.laws import Law
from pandq.errors import InputError, RowError, ViewTypeError
from pandq.views import MATRICES, View, require_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Ensemble(View):
    """Members' laws for the same rows and classes; as one law it is their mean.

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
        views = [require_view(f"member {i}", member) for i, member in enumerate(members)]
        if len(views) < 2:
            raise InputError(what="an ensemble has two members at least", got=str(len(views)))
        for i, view in enumerate(views):
            if view.kind == "labels":
                raise ViewTypeError(what=f"member {i} is Labels, which are no prediction")
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
        """From an array of every member's rows.

        Args:
            kind: what its numbers are: counts, probs, logprobs or logits.
            x: (n, S, K).
            tolerance: how far a law's sum may lie from one.

        Raises:
            InputError: a law cannot be used; the row is named.
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
        """S."""
        return int(self.array.shape[1])

    def law(self) -> Law:
        """The mean of the members' laws."""
        return mean_law(self.array)

    def total(self) -> Floats:
        """Entropy of the members' mean law, (n,) nats, corrected for their number."""
        return split(self.array)[0]

    def aleatoric(self) -> Floats:
        """Mean entropy of the members, (n,) nats: what they agree is uncertain."""
        return split(self.array)[1]

    def epistemic(self) -> Floats:
        """Mutual information of class and member, (n,) nats: what they disagree about.

        Of S members the plug-in estimate is too low, as their mean law has been fitted to them;
        the jackknife takes off most of that on average (Quenouille 1956; Miller 1974). Of a single
        row it may be negative, or the total larger than log K.
        """
        total, aleatoric = split(self.array)
        return total - aleatoric


def mean_law(logs: Floats) -> Law:
    """The mean of members' laws, from (n, S, K) log-probabilities."""
    with np.errstate(invalid="ignore"):
        top = logs.max(axis=1, keepdims=True)
        top = np.where(np.isneginf(top), 0.0, top)
    prob = np.exp(logs).mean(axis=1)
    with np.errstate(divide="ignore"):
        log_prob = np.log(np.exp(logs - top).mean(axis=1)) + top[:, 0]
    return Law(prob, log_prob)


def split(logs: Floats) -> tuple[Floats, Floats]:
    """Total and aleatoric entropy of each row, (n,) nats each; their difference is epistemic.

    Args:
        logs: (n, S, K) members' log-probabilities.

    Returns:
        The entropy of the mean law, by the jackknife over members; and the mean entropy.

    Source: Depeweg et al. 2018, equation 1; Miller 1974 (the jackknife).
    """
    s = logs.shape[1]
    prob = np.exp(logs)
    with np.errstate(invalid="ignore"):
        aleatoric = -np.where(prob > 0, prob * logs, 0.0).sum(axis=2).mean(axis=1)
    total = prob.sum(axis=1)
    plug_in = _entropy(total / s)
    if s == 2:
        without = aleatoric
    else:
        without = np.zeros(len(logs))
        for member in range(s):
            # what is left of a sum after one of its terms was taken off is not negative
            rest = np.maximum(total - prob[:, member], 0.0) / (s - 1)
            without += _entropy(rest) / s
    found: Floats = s * plug_in - (s - 1) * without
    return found, aleatoric


def geometric(logs: Floats) -> tuple[Law, Floats]:
    """The members' laws multiplied, and what that wins: the mean KL from it to a member.

    For every P the mean over members of H(P, q_s) is H(P, q_geo) plus this number, exactly: it is
    what averaging logits wins over a member taken at random.

    Args:
        logs: (n, S, K) members' log-probabilities.

    Returns:
        q_geo, proportional to exp(mean log q_s); and (n,) nats, +inf where no class is left.

    Source: Heskes 1998, equation 6.
    """
    mean = logs.mean(axis=1)
    top = mean.max(axis=1, keepdims=True)
    nothing = np.isneginf(top[:, 0])
    top = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        norm = np.log(np.exp(mean - top).sum(axis=1)) + top[:, 0]
    won = np.where(nothing, np.inf, np.maximum(-norm, 0.0))
    log_prob = np.where(nothing[:, None], -np.inf, mean - np.where(nothing, 0.0, norm)[:, None])
    return Law(np.exp(log_prob), log_prob), won


def _entropy(p: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = -np.where(p > 0, p * np.log(p), 0.0).sum(axis=1)
    return found
