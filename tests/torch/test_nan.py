"""A student that has diverged is told by its loss: NaN goes in, NaN comes out, in its row alone."""

import math
import shutil
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from pandq import torch as pt  # noqa: E402

# what torch warns of while it traces is its own
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROWS, CLASSES = 4, 30
LOSSES = {
    "forward": pt.KLDivergence(reduction="none", check=False),
    "reverse": pt.KLDivergence(direction="reverse", reduction="none", check=False),
    "warm": pt.KLDivergence(temperature=2, reduction="none", check=False),
    "js": pt.JSDivergence(reduction="none", check=False),
    "cross entropy": pt.CrossEntropy(reduction="none", check=False),
    "smoothed": pt.CrossEntropy(label_smoothing=0.1, reduction="none", check=False),
}
COMPILERS = {
    "eager": lambda f: f,
    "compiled": lambda f: torch.compile(f, fullgraph=True, backend="aot_eager"),
}


@pytest.fixture(autouse=True)
def compiled_anew():
    """What torch compiled for other losses does not count towards its limit."""
    torch.compiler.reset()


def numbers(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TEACHER = numbers(0, ROWS, CLASSES)
TEACHER[1, 2] = -math.inf
LOGS = torch.log_softmax(TEACHER, -1)
TOP, IDS = LOGS.topk(5)
FULL = {
    "logits": (pt.Logits, TEACHER),
    "logprobs": (pt.LogProbs, LOGS),
    "probs": (pt.Probs, LOGS.exp()),
}
TEACHERS = {
    **{kind: partial(make, x) for kind, (make, x) in FULL.items()},
    "labels": partial(pt.Labels, torch.arange(ROWS)),
    **{tail: partial(pt.TopK, IDS, TOP, tail=tail) for tail in ("bucket", "ignore", "spread")},
}
PAIRS = [
    (name, kind)
    for name in LOSSES
    for kind in TEACHERS
    if kind in FULL
    or (kind == "labels" and name != "reverse")
    or (kind not in FULL and kind != "labels" and name not in ("warm", "smoothed"))
]


@pytest.mark.parametrize("how", COMPILERS)
@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_logits_that_are_nan_give_nan_in_their_row_alone(name, kind, how):
    loss, teacher = LOSSES[name], TEACHERS[kind]
    step = COMPILERS[how](lambda s: loss(teacher(), pt.Logits(s)))
    sound = numbers(1, ROWS, CLASSES).requires_grad_()
    expected = step(sound)
    expected[1:].sum().backward()
    for cells in (slice(0, 1), slice(None)):
        bad = sound.detach().clone()
        bad[0, cells] = math.nan
        found = step(bad.requires_grad_())
        found.sum().backward()
        assert found[0].isnan()
        assert bad.grad[0].isnan().any()
        assert torch.equal(found[1:], expected[1:])
        assert torch.equal(bad.grad[1:], sound.grad[1:])


@pytest.mark.parametrize("how", COMPILERS)
@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("name", LOSSES)
def test_a_teacher_that_is_nan_gives_no_finite_loss_also_where_the_student_forbids(name, kind, how):
    loss, (make, x) = LOSSES[name], FULL[kind]
    x, z = x.clone(), numbers(1, ROWS, CLASSES)
    x[0, 3], z[:, 3] = math.nan, -math.inf
    step = COMPILERS[how](lambda x, s: loss(make(x), pt.Logits(s)))
    assert not step(x, z)[0].isfinite()


@pytest.mark.parametrize("how", COMPILERS)
def test_a_state_that_is_nan_gives_nan_and_a_masked_one_does_not_count(how):
    states, head = numbers(2, ROWS, 8), numbers(3, CLASSES, 8)
    states[0] = math.nan
    loss, mask = LOSSES["forward"], torch.arange(ROWS) > 0
    step = COMPILERS[how](lambda h: loss(pt.Logits(TEACHER), pt.Linear(h, head)))
    masked = COMPILERS[how](lambda h: loss(pt.Logits(TEACHER), pt.Linear(h, head), mask=mask))
    assert step(states)[0].isnan()
    assert masked(states)[0] == 0.0
    assert torch.equal(step(states)[1:], masked(states)[1:])


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++")
def test_compiled_for_a_processor_nan_is_kept_too():
    z = numbers(1, ROWS, CLASSES)
    z[0, 0] = z[1, :] = math.nan

    pairs = [(LOSSES[name], TEACHERS[kind]) for name, kind in PAIRS]

    @torch.compile(fullgraph=True)
    def step(s):
        return torch.stack([loss(teacher(), pt.Logits(s)) for loss, teacher in pairs])

    found = step(z)
    assert found[:, :2].isnan().all()
    assert not found[:, 2:].isnan().any()
