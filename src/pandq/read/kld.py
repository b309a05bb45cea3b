"""The logits file of llama.cpp's perplexity tool (--kl-divergence-base), as columns.

    magic `_logits_`, n_ctx u32, n_vocab i32, n_chunk i32, tokens i32[n_ctx * n_chunk], then for
    each scored token 2 * ceil(n_vocab / 2) + 4 uint16: float32 scale, float32 least
    log-probability, codes

log p = scale * code + least. Of each window of n_ctx tokens only those after the first half are
scored, each by the prediction of the next one: n_ctx - 1 - n_ctx // 2 rows.

A class more than 16 nats below the row's top is stored as code 0, which then only says that its
log p is at most `least`: such classes share the probability that the others leave. Everything else
keeps the log p that is stored.

Source: llama.cpp, tools/perplexity/perplexity.cpp (MIT).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.kernels.coded import decoded, levelled
from pandq.core.numerics import blocks
from pandq.core.threads import over_cores
from pandq.errors import InputError, RowError
from pandq.read.places import state
from pandq.read.stored import FileBytes, StoredArray
from pandq.views.coded import CodedBlock, Codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.places import Place

    Floats = NDArray[np.float64]

MAGIC = b"_logits_"
# The column that says which window a token is in.
WINDOW = "chunk"
_HEADER = struct.Struct("<8sIii")
# What is further below the most probable class is stored as exp(-16) of it, and the range of the
# codes then is this, to single precision.
FLOOR_NATS = 16.0
_CUT = np.float32(FLOOR_NATS * (1 - 1e-5) / 65535)
# Of the mass that a row's codes leave no less than this is known: scale and least are float32.
_RESOLVED = 2.0**-20
# Of exp(-16) of the top, what a class at the floor has on average, where nothing else tells.
_SHARE = 0.25
# The largest code, and by how much rounding may leave a log-probability above 0.
_MOST, _ROUNDED = 65535.0, 1e-3


class CodedLogProbs:
    """(n, n_vocab) log-probabilities as float32, decoded from their codes when asked for.

    Classes at the floor have equal shares of what the others leave.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, stored: StoredArray, n_vocab: int, n_ctx: int) -> None:
        self.stored, self.n_ctx = stored, n_ctx
        self.shape = (len(stored), n_vocab)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: slice) -> CodedBlock:
        block = self.stored[rows]
        scale, least = block[:, :4].view(np.float32).T
        with np.errstate(over="ignore", invalid="ignore"):
            sound = (scale >= 0) & (least + _MOST * scale <= _ROUNDED)
        if not sound.all():
            i = int(sound.argmin())
            got = f"scale {scale[i]:g} and least log-probability {least[i]:g}"
            row = rows.indices(len(self))[0] + i
            raise RowError(view="logits", row=row, problem="holds no codes", got=got)
        codes = block[:, 4 : 4 + self.shape[1]]
        into = np.empty(codes.shape, np.float32)

        def decode(some: slice) -> Codes:
            return _decoded(into[some], codes[some], scale[some], least[some])

        # blocks stay in the cache from one step to the next
        told = over_cores(decode, list(blocks(*codes.shape)))
        return CodedBlock.of(into, Codes.of(told))

    def place_of(self, row: int) -> dict[str, int]:
        """The window of a row's token, and its position in it, both from 0."""
        first = self.n_ctx // 2
        window, place = divmod(row, self.n_ctx - 1 - first)
        return {WINDOW: window, "position": first + 1 + place}

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
            f" {2 * half:.2g} (1 + E|log p/q|) nat; of classes below exp(-{FLOOR_NATS:g}) of the"
            " top one only that is stored: they share what probability the others leave"
        )


def _decoded(
    into: NDArray[np.float32], codes: NDArray[Any], scale: NDArray[Any], least: NDArray[Any]
) -> Codes:
    """Decode some rows; classes at the floor get their shares. What is not known of them."""
    half, floor = scale.astype(np.float64) / 2, least.astype(np.float64)
    cut = scale >= _CUT
    sums = decoded(codes, scale, least, cut, into)
    if sums is None:
        sums = _decoded_plainly(codes, scale, least, cut, into)
    total, squares, largest, n_floor = sums.T
    fits = n_floor * np.exp(floor)
    left = _left(1 - total, fits, _noise(squares, largest, half))
    room = 1 - total * np.exp(-half) + _RESOLVED
    mass = np.where(cut, left, 0.0)
    most = np.where(cut, np.clip(room, mass, fits * np.exp(half)), 0.0)
    found = Codes(half, floor + half, n_floor, mass, most)
    level = np.where(n_floor > 0, found.level, 0.0).astype(np.float32)
    if not levelled(codes, level, cut, into):
        np.copyto(into, level[:, None], where=(codes == 0) & cut[:, None])
    return found


def _decoded_plainly(
    codes: NDArray[Any],
    scale: NDArray[Any],
    least: NDArray[Any],
    cut: NDArray[np.bool_],
    into: NDArray[np.float32],
) -> Floats:
    """What the kernel does, by NumPy."""
    into[...] = codes
    into *= scale[:, None]
    into += least[:, None]
    low = codes == 0
    if not cut.all():
        low &= cut[:, None]
    # products with truth values are many times quicker than masks, and as exact
    given = np.exp(into)
    given *= ~low
    squares = np.square(given, dtype=np.float64).sum(axis=1)
    sums = given.sum(axis=1, dtype=np.float64), squares, given.max(axis=1), low.sum(axis=1)
    return np.stack(sums, axis=1).astype(np.float64)


def _left(left: Floats, fits: Floats, noise: Floats) -> Floats:
    """What classes at the floor have together: the rest, as far as rounding lets it be seen.

    Where rounding hides it, a part of what would fit, as the linear Bayes estimate has it for a
    share of which mean and spread are `_SHARE`.
    """
    spread = np.square(_SHARE * fits)
    weight = spread / (spread + np.square(noise))
    seen = weight * left + (1 - weight) * _SHARE * fits
    found: Floats = np.clip(seen, np.minimum(_RESOLVED, fits) * _SHARE, fits)
    return found


def _noise(squares: Floats, largest: Floats, half: Floats) -> Floats:
    """Standard deviation of a row's sum, each log p but the top's rounded within half a step."""
    squares = squares - np.square(largest)
    noise: Floats = np.sqrt(np.square(half) / 3 * np.maximum(squares, 0.0) + _RESOLVED**2)
    return noise


def kld(file: Place) -> dict[str, Any]:
    """The columns of a logits file.

    Args:
        file: its path.

    Returns:
        `logits`, a CodedLogProbs (read as logits: rounding leaves rows that do not quite sum to
        one); `token`, the one that followed; `chunk`, the window it is in.

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
        "logits": CodedLogProbs(stored, n_vocab, n_ctx),
        "token": following,
        WINDOW: np.repeat(np.arange(n_chunk), scored),
    }
