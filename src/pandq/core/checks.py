"""Is this array what it is said to be? Every refusal names the first bad row."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pandq.core.numerics import BFLOAT16, storage_name
from pandq.errors import InputError, RowError, ViewTypeError

# More classes than any vocabulary has.
MOST_CLASSES = 1 << 22

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def rows_of_classes(view: str, x: ArrayLike) -> NDArray[Any]:
    """(n, K) numbers; a single row may be given as (K,)."""
    array = as_array(view, x)
    if array.ndim == 1:
        array = array[None, :]
    if array.ndim != 2 or array.shape[1] < 1:
        raise InputError(what=f"{view} need rows of classes, (n, K)", got=f"shape {array.shape}")
    return _of_numbers(view, array)


def numbers(what: str, x: ArrayLike) -> NDArray[np.float64]:
    """Real numbers of any shape, as float64.

    >>> numbers("a mean", "one")
    Traceback (most recent call last):
    pandq.errors.InputError: a mean need numbers, got <U3
    """
    return _of_numbers(what, as_array(what, x)).astype(np.float64)


def together(what: str, *given: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """Numbers as arrays of one shape, each repeated where another has more.

    >>> [x.shape for x in together("parameters", 1.0, [1.0, 2.0])]
    [(2,), (2,)]
    """
    arrays = [numbers(what, x) for x in given]
    try:
        return np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = " and ".join(str(x.shape) for x in arrays)
        raise InputError(what=f"{what} are of shapes that do not fit", got=shapes) from None


def is_number(x: object, kind: type = Real) -> bool:
    """Is this one number, and no yes or no?

    >>> from numbers import Integral
    >>> is_number(0.5), is_number("0.5"), is_number(True), is_number(0.5, Integral)
    (True, False, False, False)
    """
    return isinstance(x, kind) and not isinstance(x, bool | np.bool_)


def check_level(level: object) -> None:
    """Raise InputError for what is no level of an interval."""
    if not is_number(level) or not 0 < cast("float", level) < 1:
        raise InputError(what="level must lie between 0 and 1", got=repr(level))


def unmasked(name: str, x: ArrayLike) -> NDArray[Any]:
    """An array as it is; one with a mask holds something under it, which is not to be read.

    >>> unmasked("Probs", np.ma.masked_less([0.5, -1.0], 0))
    Traceback (most recent call last):
    pandq.errors.InputError: Probs hold 1 masked value. Leave such rows out, or ...
    """
    if np.ma.is_masked(x):
        count = int(np.ma.getmaskarray(np.ma.asanyarray(x)).sum())
        raise InputError(
            what=f"{name} hold {count:,} masked value{'s' * (count > 1)}",
            remedy="Leave such rows out, or fill them in: x.filled(value).",
        )
    return np.asarray(x)


def as_array(view: str, x: ArrayLike) -> NDArray[Any]:
    """An array of what may be one, none of it masked; a tensor's on the processor.

    Raises:
        InputError: it is none, or ragged, or some of it is masked.
        ViewTypeError: it is a view, whose numbers mean something already.
    """
    # a table has its columns' names as attributes, but its class has not
    kind: Any = type(x)
    if hasattr(kind, "law"):
        raise ViewTypeError(
            what=f"{view} need an array of numbers",
            got=f"a view, {type(x).__name__}",
            remedy="A view is given as it is; the array that it holds is x.array.",
        )
    if hasattr(kind, "requires_grad") and cast("Any", x).requires_grad:
        raise InputError(
            what=f"{view} hold arrays, which have no gradient",
            got="a tensor that needs its gradient",
            remedy=f"In a loss use pandq.torch.{view}(x); to measure it, x.detach().",
        )
    try:
        array = unmasked(view, _of_tensor(x) if hasattr(kind, "cpu") else x)
    except InputError:
        raise
    except ValueError:
        raise InputError(what=f"{view} need rows of equal length", got="ragged rows") from None
    except (TypeError, OverflowError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(what=f"{view} need an array of numbers", got=reason) from None
    if array.dtype.kind == "O" and array.ndim == 0:
        raise InputError(what=f"{view} need an array", got=type(x).__name__)
    return array


def _of_tensor(x: Any) -> Any:
    """A tensor where NumPy finds it, which takes no bfloat16 of torch's, but its bits."""
    here = x.cpu()
    if str(x.dtype) != "torch.bfloat16":
        return here
    import torch

    return here.view(torch.uint16).numpy().view(BFLOAT16)


def _of_numbers(what: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "fiub" and storage_name(array.dtype) != "bfloat16":
        raise InputError(what=f"{what} need numbers", got=str(array.dtype))
    return array


def one_number_per_row(view: str, x: ArrayLike) -> NDArray[Any]:
    """(n,) numbers."""
    array = np.atleast_1d(as_array(view, x))
    if array.ndim != 1:
        raise InputError(what=f"{view} needs one number per row", got=f"shape {array.shape}")
    return _of_numbers(view, array)


def first_bad(
    view: str,
    bad: NDArray[np.bool_],
    problem: str,
    remedy: str = "",
    values: NDArray[Any] | None = None,
) -> None:
    """Raise RowError for the first row in which any cell is bad."""
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        got = "" if values is None else f"{values[row, column]:g} in class {column}"
        raise RowError(view=view, row=row, problem=problem, got=got, remedy=remedy)


def one_label_per_row(y: ArrayLike) -> NDArray[Any]:
    """(n,) numbers, truth values or text; a column of them, (n, 1), is taken too."""
    labels = np.atleast_1d(as_array("Labels", y))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            what="Labels need one class per row",
            got=f"shape {labels.shape}",
            remedy="For votes use Counts(n), for soft labels Probs(x); several labels of one row"
            " are not one class.",
        )
    if labels.dtype.kind == "O":
        values = labels.tolist()
        missing = np.array([value is None or _is_nan(value) for value in values])
        first_bad("Labels", missing[:, None], "has no label")
        text = [isinstance(value, str) for value in values]
        labels = labels if any(text) and not all(text) else np.array(values)
    if labels.dtype.kind not in "iufbUS" or labels.ndim != 1:
        got = f"an array of {np.asarray(y).dtype}"
        raise InputError(what="Labels are numbers, truth values or text", got=got)
    return labels.astype(np.str_) if labels.dtype.kind == "S" else labels


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def whole_numbers(view: str, codes: NDArray[Any]) -> NDArray[np.intp]:
    """Class numbers as integers; floats are taken if they are whole."""
    if codes.dtype.kind in "iub" and codes.dtype != np.uint64:
        return codes.astype(np.intp, copy=False)
    if codes.dtype.kind in "uf":
        bad = ~((np.abs(codes) < 2.0**53) & (codes == np.floor(codes)))
        if bad.any():
            row = int(bad.argmax())
            problem = "is not a class number"
            remedy = "Soft labels are Probs(x); a number to be predicted has no classes."
            raise RowError(view, row, problem, got=f"{codes[row]:g}", remedy=remedy)
        return codes.astype(np.intp)
    raise InputError(
        what=f"{view} that are names need the class names in the order of Q's columns",
        got=repr(str(codes[0])) if len(codes) else str(codes.dtype),
        remedy="Use Labels(y, classes=[...]) (on the command line: --classes cat,dog).",
    )
