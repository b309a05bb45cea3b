"""Torch as it is installed: whether it is, on which device, and whether a module runs there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError, MissingLibraryError
from pandq.fit.networks.training import logits_of

if TYPE_CHECKING:
    import torch

    from pandq.fit.targets import Data


def torch_itself() -> Any:
    """Torch, which is imported only where it is used.

    Raises:
        MissingLibraryError: it is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingLibraryError.of(library="torch", what="a network") from None
    return torch


def device_of(name: str) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one, and under torchrun each its own.

    Raises:
        InputError: there is no such device.
    """
    library = torch_itself()
    if name == "auto":
        name = "cuda" if library.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device: torch.device = library.device(name)
        library.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            what="no such device", got=repr(name), remedy=str(error).split("\n", 1)[0]
        ) from None
    return device


def try_out(module: torch.nn.Module, data: Data, device: torch.device) -> None:
    """Refuse a module that cannot take the rows, before it has cost an epoch.

    Raises:
        InputError: it cannot.
    """
    try:
        logits_of(module, data.x[:2], device)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(
            what=f"the module cannot take rows of shape {data.x.shape[1:]}", got=reason
        ) from None
