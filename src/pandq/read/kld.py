"""The logits file of llama.cpp's perplexity tool (--kl-divergence-base), as columns.

    magic `_logits_`, n_ctx u32, n_vocab i32, n_chunk i32, tokens i32[n_ctx * n_chunk], then for
    each scored token 2 * ceil(n_vocab / 2) + 4 uint16: float32 scale, float32 least
    log-probability, codes

log p = scale * code + least. Of each window of n_ctx tokens only those after the first half are
scored, each by the prediction of the next one: n_ctx - 1 - n_ctx // 2 rows.

Source: llama.cpp, tools/perplexity/perplexity.cpp (MIT).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError, RowError
from pandq.read.places import state
from pandq.read.stored import FileBytes, StoredArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.places import Place

MAGIC = b"_logits_"
_HEADER = struct.Struct("<8sIii")
# what is far below the most probable class is stored as exp(-16) of it
FLOOR_NATS = 16.0
# The largest code, and by how much rounding may leave a log-probability above 0.
_MOST, _ROUNDED = 65535.0, 1e-3


class CodedLogProbs:
    """(n, n_vocab) log-probabilities as float32, decoded from their codes when asked for."""

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, stored: StoredArray, n_vocab: int) -> None:
        self.stored = stored
        self.shape = (len(stored), n_vocab)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        block = self.stored[rows]
        scale, least = block[:, :4].view(np.float32).T
        with np.errstate(over="ignore", invalid="ignore"):
            sound = (scale >= 0) & (least + _MOST * scale <= _ROUNDED)
        if not sound.all():
            i = int(sound.argmin())
            got = f"scale {scale[i]:g} and least log-probability {least[i]:g}"
            row = rows.indices(len(self))[0] + i
            raise RowError(view="logits", row=row, problem="holds no codes", got=got)
        decoded = block[:, 4 : 4 + self.shape[1]].astype(np.float32)
        decoded *= scale[:, None]
        decoded += least[:, None]
        return decoded

    def steps(self) -> NDArray[np.float32]:
        """(n,) the nats between neighbouring codes: each log p is off by half of it at most."""
        return self.stored.starts(4).view("<f4")[:, 0]

    def rounding(self) -> str:
        """What the codes cost, in words.

        If log p are off by d at most, and p is then normalised, they are off by 2d.
        Both the terms of E_p[log p/q] and the weights p of that mean move: by 2d (1 + E_p|log p/q|)
        at most, to first order.
        """
        half = float(self.steps().max(initial=0.0)) / 2
        return (
            f"16-bit codes round each log p by at most {half:.2g} nat, which moves a KL by at most"
            f" {2 * half:.2g} (1 + E|log p/q|) nat; what was below exp(-{FLOOR_NATS:g}) of the top"
            " class is stored there; rows are read as logits, so they are normalised"
        )


def kld(file: Place) -> dict[str, Any]:
    """The columns of a logits file.

    Args:
        file: its path.

    Returns:
        `logits`, a CodedLogProbs (read as logits: rounding and the floor at exp(-16) leave rows
        that do not quite sum to one); `token`, the one that followed; `chunk`, the window it is in.

    Raises:
        InputError: the magic is missing, the header makes no sense, or the file is not as long as
            its header says.
    """
    size = state(file).size
    with file.open("rb") as stream:
        raw = stream.read(_HEADER.size)
    if len(raw) < _HEADER.size or raw[:8] != MAGIC:
        raise InputError(what="is no logits file: it does not start with _logits_", where=str(file))
    _, n_ctx, n_vocab, n_chunk = _HEADER.unpack(raw)
    if n_ctx < 3 or n_vocab < 2 or n_chunk < 1:
        got = f"n_ctx {n_ctx}, n_vocab {n_vocab}, n_chunk {n_chunk}"
        raise InputError(what="has a header that makes no sense", where=str(file), got=got)
    first = n_ctx // 2
    scored, width = n_ctx - 1 - first, 2 * ((n_vocab + 1) // 2) + 4
    start = _HEADER.size + 4 * n_ctx * n_chunk
    expected = start + 2 * width * scored * n_chunk
    if size != expected:
        raise InputError(
            what="is not as long as its header says",
            where=str(file),
            got=f"{size:,} bytes where {n_chunk} windows of {n_ctx} tokens need {expected:,}",
            remedy="It may be truncated, or its run was cut short.",
        )
    with file.open("rb") as stream:
        stream.seek(_HEADER.size)
        tokens = np.frombuffer(stream.read(4 * n_ctx * n_chunk), "<i4")
    following = tokens.reshape(n_chunk, n_ctx)[:, first + 1 :].ravel().astype(np.int64)
    bad = (following < 0) | (following >= n_vocab)
    if bad.any():
        got = f"{following[bad][0]} among {n_vocab:,}"
        raise InputError(what="holds a token outside its vocabulary", where=str(file), got=got)
    room = size - start
    stored = StoredArray(FileBytes(file, start), "<u2", (scored * n_chunk, width), room=room)
    return {
        "logits": CodedLogProbs(stored, n_vocab),
        "token": following,
        "chunk": np.repeat(np.arange(n_chunk), scored),
    }
