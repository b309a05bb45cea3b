"""Votes of a pool of people: drawn without replacement, made draws with replacement.

N people each have an opinion of a row, and m different ones of them are asked. For a randomly
chosen one of these N the class distribution of a row is p_k = c_k / N, but m votes without
replacement disagree more often than m independent draws from p, and no certificate of those holds.
Whoever draws with replacement meets, after d different people, one of these d again with chance
d/N, each alike, and else somebody new. So m independent draws from p can be made of at most m
votes: as the order of the votes says nothing, they have exactly the multinomial distribution.
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from pandq.core.checks import is_number
from pandq.core.hashing import mix
from pandq.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Keys = NDArray[np.uint64]

# So many and more are people without number, of whom the floor is that without a pool.
PEOPLE = 10**10

Pool = int | Literal["seen"] | None
# Draws that are made of the same votes; bounds are averaged over them.
TURNS = 4
_BITS = np.uint64(11)


def check_pool(pool: object) -> None:
    """Refuse what is no number of people.

    Raises:
        InputError: it is neither a whole number of people nor "seen".
    """
    if pool in (None, "seen"):
        return
    if not is_number(pool, Integral) or cast("int", pool) < 2:
        what = 'annotator_pool is how many people there are, from 2, or "seen"'
        raise InputError(what, got=repr(pool))
    if cast("int", pool) > PEOPLE:
        what, remedy = (
            "annotator_pool is more than all people",
            "Of people without number leave it out.",
        )
        raise InputError(what, got=repr(pool), remedy=remedy)


def size_of(pool: Pool, *, votes: bool, seen: int, most_votes: float, where: str) -> int | None:
    """How many people there are.

    Args:
        pool: as asked for.
        votes: whether P is votes, several of a row.
        seen: how many annotators are known; 0 where they are not.
        most_votes: of any row.
        where: the rows are from, for errors.

    Raises:
        InputError: P is no votes, it is not known how many people there are, or a row has more
            votes than that.
    """
    if pool is None:
        return None
    if not votes:
        raise InputError(
            what="annotator_pool is for votes, several of a row",
            where=where,
            remedy="Leave it out.",
        )
    if pool == "seen" and not seen:
        raise InputError(
            what="it is not known who gave the votes, so that nobody was seen",
            where=where,
            remedy="Say how many people there are: --annotator-pool N; or who gave each vote:"
            " votes:COLUMN,annotators:COLUMN.",
        )
    size = seen if pool == "seen" else pool
    if size < max(most_votes, seen):
        got = f"{seen:,} annotators" if seen > size else f"a row with {most_votes:,.0f} votes"
        what = f"the pool has {size:,} people, and there are more"
        raise InputError(what, where=where, got=got)
    return size


def with_replacement(counts: Counts, pool: int, keys: Keys, *, turn: int = 0) -> Counts:
    """Independent draws from the opinions of a pool, made of votes of different people in it.

    Args:
        counts: (n, K) votes, at most `pool` per row.
        pool: how many people there are, of whom those of a row are a random sample.
        keys: (n,) 64 bits for each row, which settle what is drawn.
        turn: another one gives other draws of the same votes.

    Returns:
        (n, K) int64, with as many votes per row.

    Source: Basu 1958, On sampling with and without replacement, Sankhya 20, 287.

    >>> votes = np.array([[1, 1, 1]] * 6)
    >>> with_replacement(votes, 3, np.arange(6, dtype=np.uint64)).tolist()[:3]
    [[1, 1, 1], [1, 0, 2], [0, 2, 1]]
    """
    votes = counts.sum(axis=1)
    most, rows = int(votes.max(initial=0)), np.arange(len(counts))
    if not most:
        return counts.astype(np.int64)
    places = range(most)
    place = np.arange(most)
    codes = (place[None, :, None] >= counts.cumsum(axis=1)[:, None, :]).sum(axis=2)
    chance = np.stack([_uniform(keys, turn, 2 * j) for j in places], axis=1).reshape(-1, most)
    order = np.argsort(np.where(place < votes[:, None], chance, 2.0), axis=1)
    codes = np.take_along_axis(codes, order, axis=1)
    drawn = np.zeros(counts.shape, np.int64)
    different = np.zeros(len(counts), np.int64)
    for j in places:
        who = (_uniform(keys, turn, 2 * j + 1) * pool).astype(np.int64)
        new = who >= different
        who = np.where(new, different, who)
        some = j < votes
        drawn[rows[some], codes[some, who[some]]] += 1
        different += new
    return drawn


def _uniform(keys: Keys, turn: int, place: int) -> NDArray[np.float64]:
    """(n,) numbers from 0 to below 1."""
    salt = mix(np.array([(turn << 32) + place + 1], np.uint64))
    shares: NDArray[np.float64] = (mix(keys ^ salt) >> _BITS).astype(np.float64)
    return shares * 2.0**-53
