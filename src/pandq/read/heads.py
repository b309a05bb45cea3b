"""Heads in files: the last layer of a model, from npy or safetensors, also in shards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError, near_names
from pandq.read.arrays import arrays_in
from pandq.read.files import readable
from pandq.read.paths import has_suffix, matches
from pandq.read.unchanged import Version, unchanged
from pandq.views import Head, head_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.read.places import Place

# What a language model's head is called; the second is one that shares the embedding's numbers.
USUAL = ("lm_head.weight", "model.embed_tokens.weight")
INDEX = ".index.json"
OPTIONS = ("scale", "softcap")
_SHARD = re.compile(r"-(\d+)-of-(\d+)\.safetensors$")


class HeadFile:
    """A head that stays in its file until it is first asked for."""

    def __init__(
        self, file: Place, tensor: str, bias: str | None, options: dict[str, float]
    ) -> None:
        self.version = Version.of(file.absolute())
        self.tensor, self.bias, self.options = tensor, bias, options
        self._head: Head | None = None

    @property
    def file(self) -> Place:
        """Where it is."""
        return self.version.file

    @property
    def n_classes(self) -> int:
        """How many classes it is for, without reading its numbers."""
        return int(self._arrays()[self.tensor].shape[0])

    @property
    def head(self) -> Head:
        """Its numbers.

        Raises:
            InputError: the file has changed, or they are no head.
        """
        if self._head is None:
            with unchanged([self.version]), readable(self.file):
                arrays = self._arrays()
                bias = None if self.bias is None else arrays[self.bias][:]
                self._head = head_of(arrays[self.tensor][:], bias, **self.options)
        return self._head

    def _arrays(self) -> dict[str, Any]:
        with readable(self.file):
            return arrays_in(self.file)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker reads it anew."""
        return HeadFile, (self.file, self.tensor, self.bias, self.options)


def head_file(text: str) -> HeadFile:
    """The head that PATH, PATH:TENSOR or either with ,scale=X or ,softcap=X names.

    Args:
        text: PATH is a npy or safetensors file, a pattern of shards, their index
            (model.safetensors.index.json), or a folder that has one of these; a TENSOR that is left
            out is lm_head.weight, or the file's only matrix.

    Raises:
        InputError: there is no such file or tensor, or a shard is missing.
    """
    place, *given = (part.strip() for part in text.split(","))
    options: dict[str, float] = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            options[name] = float(value)
        except ValueError:
            options[""] = 0.0
        if set(options) - set(OPTIONS):
            remedy = "Write linear:HIDDEN,PATH,scale=0.5 or linear:HIDDEN,PATH,softcap=30."
            raise InputError(what="a head has no such option", got=repr(one), remedy=remedy)
    files: Sequence[Place]
    files, tensor = matches(place), ""
    if not files and not Path(place).is_dir():
        before, _, tensor = place.rpartition(":")
        files, place = matches(before) if before else [], before or tensor
    if Path(place).is_dir():
        files = _of_folder(Path(place))
    if not files:
        raise InputError(what="no such file of a head", where=place)
    index = next((file for file in files if file.name.endswith(INDEX)), None)
    if index is not None and not isinstance(index, Path):
        what = "an index of shards is read from this machine"
        remedy = "Name the shard that has the head instead."
        raise InputError(what, where=str(index), remedy=remedy)
    file, name, bias = _by_index(index, tensor) if index else _by_names(files, tensor)
    return HeadFile(file, name, bias, options)


def _of_folder(folder: Path) -> list[Path]:
    """A model's weights in the folder that it was saved in: its index, or else its files."""
    files = sorted(folder.glob("*.safetensors"))
    return sorted(folder.glob(f"*.safetensors{INDEX}")) or files


def _by_index(index: Path, tensor: str) -> tuple[Place, str, str | None]:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        known = {str(name): str(place) for name, place in places.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        what = "is no index of safetensors: it has no weight_map"
        raise InputError(what, where=str(index)) from None
    name = _chosen(list(known), tensor, index)
    file = index.parent / known[name]
    if not file.is_file():
        raise InputError(
            what=f"the shard that holds {name!r} is missing",
            where=str(index),
            got=known[name],
            remedy="Fetch it, beside the index.",
        )
    there = _matrices(file)
    if name not in there:
        what = f"has no tensor {name!r}, which the index says"
        raise InputError(what, where=str(file), remedy="It may be of another model.")
    bias = _bias(name)
    return file, name, bias if bias in _arrays(file) else None


def _by_names(files: Sequence[Place], tensor: str) -> tuple[Place, str, str | None]:
    for file in files:
        if not has_suffix(file, (".npy", ".safetensors")):
            remedy = "Give a npy or safetensors file, an index of shards, or their folder."
            raise InputError(what="is no file of a head", where=str(file), remedy=remedy)
    known = {name: file for file in files for name in _matrices(file)}
    missing = _missing(files)
    usual = USUAL[0] in known
    if missing and not (tensor in known if tensor else usual):
        raise InputError(
            what="the head is in none of these shards",
            where=", ".join(map(str, files)),
            got=f"{len(missing)} missing: {missing[0]}" + (", ..." if len(missing) > 1 else ""),
            remedy="Give their index, model.safetensors.index.json, or the folder.",
        )
    name = _chosen(list(known), tensor, files[0])
    bias = _bias(name)
    return known[name], name, bias if bias in _arrays(known[name]) else None


def _missing(files: Sequence[Place]) -> list[str]:
    """Shards that names such as model-00001-of-00002.safetensors tell of, and that are not here."""
    found = [(file, match) for file in files if (match := _SHARD.search(file.name))]
    if not found:
        return []
    file, first = found[0]
    here = {int(match[1]) for _, match in found}
    stem, size = file.name[: first.start()], len(first[1])
    return [
        f"{stem}-{i:0{size}}-of-{first[2]}.safetensors"
        for i in range(1, int(first[2]) + 1)
        if i not in here
    ]


def _chosen(known: list[str], tensor: str, file: Place) -> str:
    if tensor in known:
        return tensor
    usual = [name for name in USUAL if name in known]
    found = [] if tensor else usual or (known if len(known) == 1 else [])
    if not found:
        what = f"has no matrix {tensor!r}" if tensor else "does not say which matrix is the head"
        remedy = near_names(tensor, known) if tensor else f"Write {file}:TENSOR. "
        remedy += "" if tensor else near_names(USUAL[0], known)
        raise InputError(what, where=str(file), remedy=remedy)
    return found[0]


def _bias(name: str) -> str:
    """What torch calls the bias that belongs to a weight."""
    return name.removesuffix("weight") + "bias" if name.endswith("weight") else ""


def _arrays(file: Place) -> dict[str, Any]:
    with readable(file):
        return arrays_in(file)


def _matrices(file: Place) -> list[str]:
    return [name for name, array in _arrays(file).items() if array.ndim == 2]
