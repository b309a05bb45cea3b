"""What an audit in a loop is held to: the same rows in one piece."""

import copy
import re

import numpy as np

import pandq

# A number in a text that has all its digits, as a line of torch has.
NUMBER = re.compile(r"[0-9]+\.[0-9]{9,}(?:e-?[0-9]+)?")


def apart(one, other, place=""):
    """The largest relative distance of two JSON documents' numbers; all else must be equal."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        return max((apart(one[k], other[k], f"{place}.{k}") for k in one), default=0.0)
    if isinstance(one, list | tuple):
        assert len(one) == len(other), place
        pairs = enumerate(zip(one, other, strict=True))
        return max((apart(a, b, f"{place}[{i}]") for i, (a, b) in pairs), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) / max(1.0, abs(one))
    if isinstance(one, str) and isinstance(other, str) and one != other:
        texts = [NUMBER.split(text) for text in (one, other)]
        assert texts[0] == texts[1], place
        numbers = [[float(x) for x in NUMBER.findall(text)] for text in (one, other)]
        return apart(*numbers, place)
    assert one == other, f"{place}: {one!r} and {other!r}"
    return 0.0


def answers(rng, law):
    """What one to five of twelve people say of a row, and who they are."""
    who = rng.choice(12, rng.integers(1, 6), replace=False)
    return rng.choice(len(law), len(who), p=law).tolist(), [f"person {x}" for x in who]


class Rows:
    """n rows of P and Q that are like those of a real model, with all that may belong to them."""

    def __init__(self, n, *, k=4, kind="counts", seed=0, columns=()):
        rng = np.random.default_rng(seed)
        logits = rng.normal(size=(n, k)).astype(np.float32) * 2
        true = np.exp(logits.astype(np.float64))
        true /= true.sum(axis=1, keepdims=True)
        self.kind = kind
        if kind == "counts":
            self.p = np.stack([rng.multinomial(3, row) for row in true]).reshape(n, k)
        elif kind == "votes":
            self.p = np.fromiter((answers(rng, row) for row in true), object, n)
        elif kind == "labels":
            self.p = np.array([rng.choice(k, p=row) for row in true], np.int64)
        else:
            self.p = true
        self.q = logits * np.float32(1.3)
        given = {
            "by": {"site": rng.choice(["oslo", "bern", "rome"], size=n)},
            "cluster": rng.integers(max(n // 3, 1), size=n),
            "ids": np.array([f"row {i}" for i in rng.permutation(n)], np.str_),
            "weights": rng.integers(1, 4, size=n) / 2,
        }
        self.given = {name: given[name] for name in columns}

    def __len__(self):
        return len(self.q)

    def views(self, rows):
        makers = {"counts": pandq.Counts, "labels": pandq.Labels, "probs": pandq.Probs}
        q = pandq.Logits(self.q[rows])
        if self.kind == "votes":
            # of these rows alone: others were answered by others
            said, who = zip(*self.p[rows], strict=True) if len(q) else ((), ())
            return pandq.Votes(said, who, classes=range(self.q.shape[1])), q
        return makers[self.kind](self.p[rows]), q

    def more(self, rows):
        """What belongs to some rows."""
        return {
            name: {key: x[rows] for key, x in value.items()} if name == "by" else value[rows]
            for name, value in self.given.items()
        }

    def at(self, places):
        """The same rows in another order."""
        other = copy.copy(self)
        other.p, other.q, other.given = self.p[places], self.q[places], self.more(places)
        return other

    def batches(self, *cuts):
        ends = [*cuts, len(self)]
        return [slice(a, b) for a, b in zip([0, *cuts], ends, strict=True)]

    def fed(self, batches, **options):
        auditor = pandq.Auditor(by=["site"] if "by" in self.given else [], **options)
        for rows in batches:
            auditor.update(*self.views(rows), **self.more(rows))
        return auditor

    def audited(self, **options):
        every = slice(None)
        return pandq.audit(*self.views(every), **self.more(every), **options)
