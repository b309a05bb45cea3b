"""Joint bounds on the entropy of a whole row from two votes, certified on the whole simplex.

The classes of a row are sorted by prior mean into a first, a second and the others.  Two votes then
have seven outcomes, and a table V of seven numbers has the mean

    x^2 V0 + 2xy V1 + y^2 V2 + 2xz V3 + 2yz V4 + s V5 + (z^2 - s) V6,

with x, y the chances of first and second, z = 1 - x - y and s the sum of the squares of the others.
Only this table has to lie below (above) H(p), not each of its terms below (above) its own h(p_k).
That helps for even degrees, where the extremal distributions of h(x) and of h(1 - x) differ; for
odd degrees they are the same and two classes gain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from pandq.errors import InputError
from pandq.estimate.floor.bernstein import Array, Side, contact_grid, entropy_term

Counts = npt.NDArray[np.int64]

OUTCOMES = 7
_SAME, _DIFFERENT = 5, 6
# Entries beyond this help only distributions that no group of rows has.
_LARGEST = 64.0
# A violation up to this, in nats per row, is repaired by a shift.
_TOLERANCE = 1e-5
_ROUNDS, _CUTS, _MAX_TRIANGLES = 12, 300, 400_000


def outcome_shares(counts: Counts, prior: Array) -> Array:
    """How often two of the votes of a row give each of the seven outcomes.

    Args:
        counts: Votes, shape (n, K), integers; at least two per row.
        prior: E[p_k | q], shape (n, K); only its order within a row is used.

    Returns:
        Shares over all pairs of different votes, shape (n, 7), rows summing to one.

    Source:
        Rao-Blackwell step over random thinning to two votes.

    >>> outcome_shares(np.array([[1, 1, 0]]), np.array([[0.6, 0.3, 0.1]])).tolist()
    [[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    rows = np.arange(counts.shape[0])
    first = prior.argmax(axis=1)
    rest = prior.copy()
    rest[rows, first] = -1.0
    second = rest.argmax(axis=1)
    n: Array = counts.astype(np.float64)  # whose squares do not overflow
    x, y, votes = n[rows, first], n[rows, second], n.sum(axis=1)
    z = votes - x - y
    same = (n * (n - 1)).sum(axis=1) - x * (x - 1) - y * (y - 1)
    pairs = [x * (x - 1), 2 * x * y, y * (y - 1), 2 * x * z, 2 * y * z, same, z * z - z - same]
    shares: Array = np.stack(pairs, axis=1) / (votes * (votes - 1.0))[:, None]
    return shares


def _forms(x: Array, y: Array, squares: Array) -> Array:
    """The chances of the seven outcomes, shape (g, 7)."""
    z = np.maximum(1.0 - x - y, 0.0)
    return np.stack(
        [x * x, 2 * x * y, y * y, 2 * x * z, 2 * y * z, squares, z * z - squares], axis=1
    )


@lru_cache(maxsize=4)
def _spread_gain(others: int) -> tuple[Array, Array]:
    """Grid u and values not below G(u) = max H(r) + u |r|^2 over r on the simplex of the others.

    h(r) + u r^2 is concave below 1 / (2u) and convex above, so at the maximum all entries but one
    are equal.  G is convex, and its chords lie above it.
    """
    u = np.concatenate([[0.0], np.geomspace(1e-3, 2.0 * _LARGEST, 1500)])
    if others < 2:
        return u, u * others
    w = contact_grid(1500)
    rest = 1.0 - w
    flat = entropy_term(w) + entropy_term(rest) + rest * np.log(others - 1.0)
    step, inner = np.diff(w), w[:-1] * (1.0 - w[1:])
    rise = np.minimum(2.0 * step, step**2 / (8.0 * np.maximum(inner, 1e-300)))
    square = w**2 + rest**2 / (others - 1.0)
    gain = np.array([float((flat + v * square).max()) for v in u])
    # `rise` is the largest departure of the concave part from its chords.
    return u, gain + float(rise.max()) + 1e-12


def _others(z: Array, bend: float, others: int, side: Side) -> tuple[Array, Array]:
    """Extreme of sum h(p_k) + bend p_k^2 over the others as (entropy, squares) of a tangent.

    Below: sum p_k (-ln p_k + bend p_k) >= z min over p <= z.  Above: h(z) + z G(bend z).
    """
    safe = np.maximum(z, 1e-300)
    if side == "lower":
        p = np.minimum(safe, 1.0 / max(bend, 1e-12))
        return -z * np.log(p), z * p
    u, gain = _spread_gain(others)
    at = np.clip(np.searchsorted(u, bend * z, side="right") - 1, 0, u.size - 2)
    slope = np.diff(gain)[at] / np.diff(u)[at]
    return entropy_term(z) + z * (gain[at] - slope * u[at]), z * z * slope


def _slack(table: Array, corner: Array, others: int, side: Side) -> tuple[Array, Array, Array]:
    """Distance of the bound from H at worst, with the cut (forms, entropy) that attains it."""
    x, y = corner[:, 0], corner[:, 1]
    bend = float(max(table[_DIFFERENT] - table[_SAME], 0.0))
    entropy, squares = _others(np.maximum(1.0 - x - y, 0.0), bend, others, side)
    entropy = entropy + entropy_term(x) + entropy_term(y)
    forms = _forms(x, y, squares)
    gap = entropy - forms @ table
    return (gap if side == "lower" else -gap), forms, entropy


def _departure(table: Array, triangles: Array, side: Side) -> Array:
    """How far the slack can fall below its linear interpolant in each triangle.

    A function of one affine coordinate in [a, b] departs by at most max |f''| (b - a)^2 / 8, and h
    by at most b / e; a quadratic departs by at most a third of its largest value on an edge vector.
    """
    edge = triangles - np.roll(triangles, 1, axis=1)
    dx, dy = edge[:, :, 0], edge[:, :, 1]
    dz = -dx - dy
    form = table[0] * dx * dx + 2 * table[1] * dx * dy + table[2] * dy * dy
    form += dz * (2 * table[3] * dx + 2 * table[4] * dy + table[_DIFFERENT] * dz)
    bend = max(table[_DIFFERENT] - table[_SAME], 0.0)
    z = np.maximum(1.0 - triangles.sum(axis=2), 0.0)
    low, high = z.min(axis=1), z.max(axis=1)
    out: Array
    if side == "lower":
        out = np.maximum(-form.min(axis=1), 0.0) / 3.0
        # The others' part is concave below 1 / (2 bend) and linear above 1 / bend.
        curved = (2.0 * bend * high > 1.0) & (bend * low < 1.0)
        return out + np.where(curved, bend * (high - low) ** 2 / 8.0, 0.0)
    out = np.maximum(form.max(axis=1), 0.0) / 3.0
    for a, b in (
        (triangles[:, :, 0].min(axis=1), triangles[:, :, 0].max(axis=1)),
        (triangles[:, :, 1].min(axis=1), triangles[:, :, 1].max(axis=1)),
        (low, high),
    ):
        out = out + np.minimum(b / np.e, (b - a) ** 2 / (8.0 * np.maximum(a, 1e-300)))
    return out


def certify(table: Array, classes: int, side: Side) -> tuple[float, Array]:
    """Largest possible violation of a table on the whole simplex, by adaptive bisection.

    Args:
        table: Shape (7,), nats, with table[5] <= table[6].
        classes: K >= 2.
        side: "lower" checks that its mean is at most H(p) for every p, "upper" at least.

    Returns:
        An upper bound on the violation in nats, negative where there is slack, and the points
        (x, y) visited, shape (g, 2).

    Raises:
        InputError: table[6] - table[5] is negative or above 128.

    Source:
        Error of linear interpolation; de Boor, A Practical Guide to Splines (1978), chapter 3.

    >>> certify(np.zeros(7), 3, "lower")[0] <= 1e-5
    True
    """
    if not 0.0 <= table[_DIFFERENT] - table[_SAME] <= 2.0 * _LARGEST:
        raise InputError(what="a table needs 0 <= table[6] - table[5] <= 128")
    last = [0.0, 0.0] if classes > 2 else [0.0, 1.0]
    triangles = np.array([[[1.0, 0.0], [0.0, 1.0], last]])
    worst, visited, total = -np.inf, [triangles[0]], 1
    while triangles.size:
        slack = _slack(table, triangles.reshape(-1, 2), classes - 2, side)[0].reshape(-1, 3)
        departure = _departure(table, triangles, side)
        violation = departure - slack.min(axis=1)
        total += triangles.shape[0]
        # Beside a violation at a corner there is nothing to gain from a finer mesh.
        known = np.maximum(_TOLERANCE, -slack.min(axis=1))
        split = (violation > _TOLERANCE) & (departure > 0.5 * known)
        if total > _MAX_TRIANGLES:
            split[:] = False
        if not split.all():
            worst = max(worst, float(violation[~split].max()))
        triangles = triangles[split]
        if triangles.size == 0:
            break
        length = np.roll(triangles, -1, axis=1) - triangles
        longest = (length**2).sum(axis=2).argmax(axis=1)
        order = (longest[:, None] + np.arange(3)) % 3
        a, b, c = np.moveaxis(np.take_along_axis(triangles, order[:, :, None], axis=1), 1, 0)
        middle = 0.5 * (a + b)
        visited.append(middle)
        triangles = np.concatenate(
            [np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)]
        )
    return worst + 1e-12 * (1.0 + float(np.abs(table).max())), np.concatenate(visited)


def joint_table(
    share: Array, rows: float, classes: int, *, side: Side, kappa: float, centre: Array
) -> Array:
    """The certified table that is best for a group of rows with a given distribution of outcomes.

    Solves  max f.V - kappa sum_j delta_j |V_j - C_j|  over the tables below H (mirrored above),
    with delta as in `bernstein.bound_vector`, by cutting planes.

    Args:
        share: f, relative frequencies of the outcomes, shape (7,), sum 1.
        rows: Number of rows behind f.
        classes: K >= 2.
        side: "lower" or "upper".
        kappa: Size of the uncertainty set in standard errors.
        centre: C, the table towards which noise is shrunk, shape (7,).

    Returns:
        Shape (7,), nats.

    Raises:
        RuntimeError: The linear programme has no solution.

    Source:
        Kelley (1960), The cutting-plane method for solving convex programs.
    """
    sign = 1.0 if side == "lower" else -1.0
    error = kappa * np.sqrt((share + 1.0 / rows) / rows)
    nodes = np.sin(np.linspace(0.0, 0.5 * np.pi, 13)) ** 2
    mesh = np.stack(np.meshgrid(1.0 - nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    corner = np.stack([mesh[:, 0], (1.0 - mesh[:, 0]) * mesh[:, 1]], axis=1)
    if classes == 2:
        corner = np.stack([1.0 - nodes, nodes], axis=1)
    table = np.zeros(OUTCOMES)
    order = np.zeros((1, OUTCOMES))
    order[0, [_SAME, _DIFFERENT]] = [1.0, -1.0]
    cuts, limits = [order], [np.zeros(1)]
    violation = 0.0
    for _ in range(_ROUNDS):
        slack, forms, entropy = _slack(table, corner, classes - 2, side)
        cuts.append(sign * forms)
        limits.append(sign * entropy)
        matrix, limit = np.vstack(cuts), np.concatenate(limits)
        solution = linprog(
            np.concatenate([error - sign * share, error + sign * share]),
            A_ub=np.hstack([matrix, -matrix]),
            b_ub=limit - matrix @ centre,
            bounds=(0.0, 0.25 * _LARGEST),
            method="highs",
        )
        if solution.x is None:
            msg = f"no {side} table of two votes: {solution.message}"
            raise RuntimeError(msg)
        table = centre + solution.x[:OUTCOMES] - solution.x[OUTCOMES:]
        table[_SAME] = min(table[_SAME], table[_DIFFERENT])
        violation, corner = certify(table, classes, side)
        if violation <= 2.0 * _TOLERANCE:
            break
        slack = _slack(table, corner, classes - 2, side)[0]
        corner = corner[np.argsort(slack, kind="stable")[:_CUTS]]
    return table - sign * max(violation, 0.0)


@dataclass(frozen=True)
class PairStratum:
    """Joint tables for rows with at least two votes, one pair per group of rows.

    Args:
        edges: Upper ends of the groups in the entropy of the prior mean, shape (G - 1,).
        lower: Tables below H, shape (G, 7), nats.
        upper: Tables above H, shape (G, 7), nats.
    """

    edges: Array
    lower: Array
    upper: Array
    degree: int = 2

    def bounds(self, counts: Counts, prior: Array, votes: Counts) -> tuple[Array, Array]:  # noqa: ARG002
        """Mean of L and of U over all pairs of votes of each row, each of shape (n,)."""
        group = np.searchsorted(self.edges, entropy_term(prior).sum(axis=1), side="right")
        shares = outcome_shares(counts, prior)
        return (shares * self.lower[group]).sum(axis=1), (shares * self.upper[group]).sum(axis=1)


def train_pairs(counts: Counts, prior: Array, groups: int, *, kappa: float) -> PairStratum:
    """Fit the joint tables of two votes, each group's shrunk to those of all rows together.

    Args:
        counts: Votes, shape (n, K), integers; at least two per row.
        prior: E[p_k | q], shape (n, K).
        groups: G wanted, cut at equal parts of the entropy of the prior mean.
        kappa: Robustness in standard errors.

    Returns:
        The stratum.
    """
    key = entropy_term(prior).sum(axis=1)
    flat = np.sort(key)
    mass = np.cumsum(flat)
    cuts = np.searchsorted(mass, mass[-1] * np.arange(1, groups) / groups)
    edges = np.unique(flat[np.minimum(cuts, flat.size - 1)])
    group = np.searchsorted(edges, key, side="right")
    shares = outcome_shares(counts, prior)

    def tables(side: Side) -> Array:
        def solve(chosen: Array, centre: Array) -> Array:
            return joint_table(
                chosen.mean(axis=0),
                len(chosen),
                prior.shape[1],
                side=side,
                kappa=kappa,
                centre=centre,
            )

        pooled = solve(shares, np.zeros(OUTCOMES))
        present = [shares[group == i] for i in range(edges.size + 1)]
        return np.array([solve(part, pooled) if len(part) else pooled for part in present])

    return PairStratum(edges, tables("lower"), tables("upper"))
