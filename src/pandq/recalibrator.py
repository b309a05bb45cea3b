"""Recalibration maps c: fit to soft labels, apply to any chunk of rows, store as JSON.

Every map ends in a small mixture with the class frequencies f of its training rows,
``c(q) = (1 - eps) map(q) + eps f``, so that no held-out row can cost an infinite loss; the identity
only in rows in which Q rules a class out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from scipy import special

from pandq.core.cumulative import Edges
from pandq.core.kernels.parts import CUMULATIVE, IDENTITY, ISOTONIC, SOFTMAX, RowMap
from pandq.documents import Value
from pandq.errors import InputError
from pandq.views import LogProbs, require_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    from pandq.views import View

Kind = Literal[
    "identity", "temperature", "bias", "ordered", "cumulative", "vector", "matrix", "isotonic"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# For which the classes must stand in their order.
OF_ORDER = ("ordered", "cumulative")
# What a document with a map should be, and what rounding may do to sums and levels in one.
MAP, ROUNDING = "recalibration map", 1e-9

RULED_OUT = -640.0
"""Below this log q, 1e-278, a class counts as ruled out, as if q were 0: what a map makes of
a row should not hang on how somebody wrote a zero, and a softmax hardly reaches it."""


@dataclass(frozen=True, eq=False)
class Recalibrator:
    """A fitted map c from log q to log c(q).

    Args:
        kind: which map.
        parameters: float64 arrays by name: temperature {a ()}; bias and ordered {a (), b (K,)};
            cumulative {a (), b ()}, of a line through the log-odds of cumulative probabilities;
            vector {v (K,), b (K,)}; matrix {W (K, K), b (K,)}; isotonic {t (m,), y (m,)}
            (knots in log-odds and probabilities of class 1); identity {}.
        eps: weight of `freq` in the mixture, in [0, 1]; of the identity in rows with a ruled-out
            class alone.
        freq: (K,) float64 class frequencies of the training rows, smoothed, positive, sum 1.
        floor: finite log q (nats) that stands for log 0 as an input of the matrix map.
        n: number of training rows.
        classes: names of the classes in the order of Q's columns, where they are known.

    Example:
        >>> c = Recalibrator("temperature", {"a": np.array(0.5)}, 0.0, np.array([0.5, 0.5]), 0.0, 9)
        >>> np.exp(c.apply(np.log([[0.8, 0.2]]))).round(6).tolist()
        [[0.666667, 0.333333]]
        >>> float(Recalibrator.from_dict(c.to_dict()).parameters["a"])
        0.5
    """

    kind: Kind
    parameters: Mapping[str, Array]
    eps: float
    freq: Array
    floor: float
    n: int
    classes: tuple[str, ...] | None = None

    def of(self, q: View) -> LogProbs:
        """Recalibrated predictions: any view of Q in, LogProbs out.

        Raises:
            ViewTypeError: Q is not a view.
            InputError: the map has another number of classes, or overflows.
        """
        q = require_view("q", q)
        with np.errstate(over="ignore", invalid="ignore"):  # it is said below
            found = self.apply(q.law().log_prob)
        if np.isnan(found).any():
            row = int(np.isnan(found).any(axis=1).argmax())
            raise InputError(
                what=f"the map gives row {row} no probabilities",
                remedy="Its parameters are too large for these predictions; fit it again.",
            )
        return LogProbs.trusted(found, q.n_classes)

    def apply(self, log_q: Array) -> Array:
        """Recalibrated log-probabilities; each row on its own, so chunks of any size agree.

        Args:
            log_q: (n, K) float64 log-probabilities in nats, -inf where q = 0.

        Returns:
            (n, K) float64 log c(q) in nats; finite for eps > 0.

        Raises:
            InputError: if log_q has another number of classes than the map.
        """
        if log_q.ndim != 2 or log_q.shape[1] != self.freq.size:
            raise InputError(
                what=f"the map is for {self.freq.size} classes",
                got=f"an array of shape {log_q.shape}",
            )
        found = self.row_map.of(log_q)
        return self.by_formula(log_q) if found is None else found

    def by_formula(self, log_q: Array) -> Array:
        """What `apply` gives where there is no kernel."""
        if self.kind == "identity":
            return self._identity(log_q)
        if self.kind == "cumulative" and self.eps == 0:
            return Edges.of(log_q).log_mapped(*self._line)
        if self.eps == 0 and self.kind != "isotonic":
            # in logarithms throughout: nothing is mixed in that would save what underflows
            x = scores(self.kind, self.parameters, log_q, self.floor)
            return x - special.logsumexp(x, axis=1, keepdims=True)
        m = pure_map(self.kind, self.parameters, with_zeros(log_q), self.floor)
        return cast("Array", np.log(self._mixed(m)))

    @property
    def row_map(self) -> RowMap:
        """The map as the kernels take it."""
        limit = RULED_OUT if self.eps > 0 or self.kind == "isotonic" else -np.inf
        mixture = self.freq, self.eps, limit
        if self.kind == "identity":
            return RowMap(IDENTITY, *mixture)
        if self.kind == "isotonic":
            t, y = self.parameters["t"], self.parameters["y"]
            return RowMap(ISOTONIC, *mixture, knots=t, levels=np.clip(y, 0.0, 1.0))
        if self.kind == "cumulative":
            return RowMap(CUMULATIVE, *mixture)
        k = self.freq.size
        scale = self.parameters[{"vector": "v", "matrix": "W"}.get(self.kind, "a")]
        scale = np.full(k, scale) if scale.ndim == 0 else scale
        return RowMap(SOFTMAX, *mixture, scale, self.parameters.get("b", np.zeros(k)), self.floor)

    @property
    def _line(self) -> tuple[float, float]:
        return float(self.parameters["a"]), float(self.parameters["b"])

    def _identity(self, log_q: Array) -> Array:
        out = log_q.copy()
        zeros = (log_q < RULED_OUT).any(axis=1)
        if self.eps > 0 and zeros.any():
            out[zeros] = np.log(self._mixed(np.exp(with_zeros(log_q[zeros]))))
        return out

    def _mixed(self, m: Array) -> Array:
        return (1 - self.eps) * m + self.eps * self.freq

    def require_for(
        self, n_classes: int | None, classes: Sequence[str] | None, where: str = ""
    ) -> None:
        """Refuse predictions of other classes than the map's, or of another order of them.

        Args:
            n_classes: K of the predictions.
            classes: their names, where they are known.
            where: the predictions are from, for errors.

        Raises:
            InputError: the map is for others.
        """
        if n_classes != self.freq.size:
            raise InputError(
                what="the map is for another number of classes",
                where=where,
                got=f"{n_classes}; the map has {self.freq.size}",
            )
        if classes and self.classes and tuple(classes) != self.classes:
            raise InputError(
                what="the map is for other classes, or for another order of them",
                where=where,
                got=f"{', '.join(classes)}; the map has {', '.join(self.classes)}",
                remedy="Name the columns in the map's order: --q KIND:a,b,...",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; floats survive bit for bit, infinities are written as strings."""
        return {
            "kind": self.kind,
            "parameters": {name: _jsonable(v.tolist()) for name, v in self.parameters.items()},
            "eps": self.eps,
            "freq": self.freq.tolist(),
            "floor": self.floor,
            "n": self.n,
            "classes": None if self.classes is None else list(self.classes),
        }

    @staticmethod
    def from_dict(stored: Mapping[str, Any] | Value) -> Recalibrator:
        """The map that `to_dict` wrote.

        Raises:
            InputError: it is no map that `fit_map` could have made.
        """
        told = Value.of(stored, MAP)
        told.only(*(field.name for field in fields(Recalibrator)))
        kind = cast("Kind", told["kind"].one_of(*KINDS))
        freq = told["freq"].array(None, low=0.0, high=1.0)
        if not len(freq) or abs(freq.sum() - 1) > ROUNDING:
            told["freq"].refuse("must sum to 1", got=f"{freq.sum():.9g}")
        classes = told.get("classes")
        names = None if classes is None else classes.texts()
        if names is not None and len(names) != len(freq):
            told["classes"].refuse(f"must name {len(freq)} classes, as freq has")
        return Recalibrator(
            kind=kind,
            parameters=_parameters(kind, told["parameters"], len(freq)),
            eps=told["eps"].number(0, 1),
            freq=freq,
            floor=told["floor"].number(high=ROUNDING),
            n=told["n"].whole(),
            classes=names,
        )

    def to_torch(self) -> str:
        """One line of torch that turns `logits` (..., K) into `log_c`, in float64.

        The logits are finite, or -inf for what Q rules out where the map is the identity.
        """
        freq = f"x.new_tensor({self.freq.tolist()!r})"
        if self.kind == "identity":
            first = "x = logits.double().log_softmax(-1)"
            if self.eps == 0:
                return f"{first}; log_c = x"
            mixed = f"({1 - self.eps!r} * x.exp() + {self.eps!r} * {freq}).log()"
            zeros = f"(x < {RULED_OUT}).any(-1, keepdim=True)"
            return f"{first}; log_c = torch.where({zeros}, {mixed}, x)"

        def tensor(name: str) -> str:
            return f"x.new_tensor({self.parameters[name].tolist()!r})"

        if self.kind == "isotonic":
            first, probabilities = _torch_interpolation(self.parameters["t"], self.parameters["y"])
        elif self.kind == "cumulative":
            first, probabilities = _torch_line(*self._line)
        else:
            first = "x = logits.double().log_softmax(-1)"
            score = "x"
            if self.kind in ("temperature", "bias", "ordered"):
                score = f"{self.parameters['a'].item()!r} * x"
            elif self.kind == "vector":
                score = f"{tensor('v')} * x"
            elif self.kind == "matrix":
                score = f"x @ {tensor('W')}.T"
            if "b" in self.parameters:
                score += f" + {tensor('b')}"
            probabilities = f"({score}).softmax(-1)"
        mixed = f"({1 - self.eps!r} * {probabilities} + {self.eps!r} * {freq})"
        return f"{first}; log_c = {mixed}.log()"


def _parameters(kind: Kind, told: Value, k: int) -> dict[str, Array]:
    """The parameters of a map for k classes, as they must be.

    Raises:
        InputError: one is not there, or is not of the map's shape or range.
    """
    if kind == "isotonic":
        if k != 2:
            told.refuse("of an isotonic map are for two classes", got=f"{k} in freq")
        told.only("t", "y")
        t = told["t"].array(None, infinite=True)
        y = told["y"].array(len(t), low=-ROUNDING, high=1 + ROUNDING)
        if not len(t) or not (np.all(t[1:] > t[:-1]) and np.all(y[1:] >= y[:-1])):
            told.refuse("must be knots that rise", got="others")
        return {"t": t, "y": y}
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "identity": {},
        "temperature": {"a": ()},
        "bias": {"a": (), "b": (k,)},
        "ordered": {"a": (), "b": (k,)},
        "cumulative": {"a": (), "b": ()},
        "vector": {"v": (k,), "b": (k,)},
        "matrix": {"W": (k, k), "b": (k,)},
    }
    told.only(*shapes[kind])
    found = {name: told[name].array(*shape) for name, shape in shapes[kind].items()}
    if kind == "cumulative" and not found["a"] > 0:
        told["a"].refuse("must be positive", got=f"{found['a']:g}")
    return found


def _torch_interpolation(t: Array, y: Array) -> tuple[str, str]:
    """Torch text of the isotonic map for finite log-odds: statements, then the probabilities."""
    finite = np.isfinite(t)
    if finite.any():
        t, y = t[finite], y[finite]
    else:
        t, y = np.zeros(1), y[:1]
    # torch has no interp; the flat end makes a single knot work too.
    ts, ys = [*t.tolist(), t[-1].item() + 1.0], [*y.tolist(), y[-1].item()]
    statements = (
        f"x = logits.double(); t, y = x.new_tensor({ts!r}), x.new_tensor({ys!r}); "
        "s = (x[..., 1] - x[..., 0]).clamp(t[0], t[-1]); "
        "j = torch.searchsorted(t, s).clamp(1, len(t) - 1); "
        "h = y[j - 1] + (s - t[j - 1]) / (t[j] - t[j - 1]) * (y[j] - y[j - 1])"
    )
    return statements, "torch.stack([1 - h, h], -1)"


def _torch_line(a: float, b: float) -> tuple[str, str]:
    """Torch text of the cumulative map: statements, then the probabilities."""
    statements = (
        "x = logits.double().log_softmax(-1); "
        "up = x.logcumsumexp(-1)[..., :-1]; on = x.flip(-1).logcumsumexp(-1).flip(-1)[..., 1:]; "
        f"f = ({a!r} * (up - on) + {b!r}).sigmoid(); e = f[..., :1]"
    )
    ends = "torch.cat([f, torch.ones_like(e)], -1) - torch.cat([torch.zeros_like(e), f], -1)"
    return statements, f"({ends})"


def with_zeros(log_q: Array) -> Array:
    """The same with -inf for whatever counts as ruled out.

    >>> with_zeros(np.log([[1.0, 1e-300], [0.5, 0.5]])).tolist()
    [[0.0, -inf], [-0.6931471805599453, -0.6931471805599453]]
    """
    traces = log_q < RULED_OUT
    return np.where(traces, -np.inf, log_q) if traces.any() else log_q


def pure_map(kind: Kind, parameters: Mapping[str, Array], log_q: Array, floor: float) -> Array:
    """Probabilities of the map before the mixture.

    A class with q = 0 keeps probability 0 under the softmax maps, whatever its scale or bias; as
    an input of the matrix map's other classes, log 0 is replaced by `floor`; so it does under the
    cumulative map, which is a distribution for every row, as its line rises.  The isotonic map
    treats log-odds of -inf and +inf as values like any other, with a level of their own.

    Args:
        kind: which map.
        parameters: its parameters, as in `Recalibrator`.
        log_q: (n, K) float64 nats.
        floor: finite stand-in for log 0, nats.

    Returns:
        (n, K) float64 probabilities.

    Source: Guo et al. 2017 section 4.2; Kull et al. 2019; Oron & Flournoy 2017 (isotonic).
    """
    if kind == "isotonic":
        # rounding may have left a level beside what probabilities are
        levels = np.clip(parameters["y"], 0.0, 1.0)
        y = np.interp(log_q[:, 1] - log_q[:, 0], parameters["t"], levels)
        return np.stack([1 - y, y], axis=1)
    if kind == "cumulative":
        line = float(parameters["a"]), float(parameters["b"])
        return cast("Array", np.exp(Edges.of(log_q).log_mapped(*line)))
    x = scores(kind, parameters, log_q, floor)
    m = np.exp(x - x.max(axis=1, keepdims=True))
    m /= m.sum(axis=1, keepdims=True)
    return cast("Array", m)


def scores(kind: Kind, parameters: Mapping[str, Array], log_q: Array, floor: float) -> Array:
    """What a softmax map takes the softmax of, (n, K); arguments as for `pure_map`."""
    zero = np.isneginf(log_q)
    x = np.where(zero, floor, log_q)
    if kind == "temperature":
        x = parameters["a"] * x
    elif kind in ("bias", "ordered"):
        x = parameters["a"] * x + parameters["b"]
    elif kind == "vector":
        x = parameters["v"] * x + parameters["b"]
    elif kind == "matrix":
        # einsum, not the BLAS: its rows do not depend on how many rows come with them.
        x = np.einsum("ij,kj->ik", x, parameters["W"]) + parameters["b"]
    x[zero] = -np.inf
    return x


def _jsonable(value: Any) -> Any:
    """Nested lists of floats with infinities as the strings that float() reads back."""
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return value if np.isfinite(value) else repr(value)
