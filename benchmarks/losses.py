"""What do losses cost, forward and back, beside those of torch?

    python benchmarks/losses.py            # logits in memory
    python benchmarks/losses.py --compiled # the same under torch.compile
    python benchmarks/losses.py --heads    # hidden states and a head, beside their products alone

CPU seconds and peaks of memory above the inputs, in multiples of the logits; each row is a process
of its own. To compile takes more memory than a loss, so that of compiled ones only the time is
told, and how many exponentials and logarithms of a class the code has that torch makes of each; the
last line says what these cost alone. There is no GPU in these figures.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch._inductor.utils import run_and_get_code
from torch.nn import functional
from turns import machine

from pandq import torch as pt

ROUNDS = 2


def of_logits(name: str, n: int, k: int, *, compiled: bool = False) -> Callable[[], None]:
    torch.manual_seed(0)
    teacher = torch.randn(n, k)
    z = torch.randn(n, k).add_(teacher).requires_grad_()
    y = torch.randint(k, (n,))
    kl, ce = pt.KLDivergence(check=False), pt.CrossEntropy(check=False)
    jobs: dict[str, Callable[[], torch.Tensor]] = {
        "F.kl_div": lambda: functional.kl_div(
            torch.log_softmax(z, -1),
            torch.log_softmax(teacher, -1),
            log_target=True,
            reduction="batchmean",
        ),
        "pandq KL(P||Q)": lambda: kl(pt.Logits(teacher), pt.Logits(z)),
        "pandq KL(Q||P)": lambda: pt.KLDivergence(direction="reverse", check=False)(
            pt.Logits(teacher), pt.Logits(z)
        ),
        "pandq JS": lambda: pt.JSDivergence(check=False)(pt.Logits(teacher), pt.Logits(z)),
        "F.cross_entropy": lambda: functional.cross_entropy(z, y),
        "pandq cross entropy": lambda: ce(pt.Labels(y), pt.Logits(z)),
    }
    return _step(torch.compile(jobs[name], fullgraph=True) if compiled else jobs[name], z)


def of_heads(name: str, n: int, d: int, k: int) -> Callable[[], None]:
    torch.manual_seed(0)
    hidden = torch.randn(n, d, requires_grad=True)
    weight = torch.randn(k, d).div_(d**0.5).requires_grad_()
    y = torch.randint(k, (n,))
    teacher, head = hidden.detach(), weight.detach()
    # what is freed before the loss would hide a part of its memory
    near = torch.randn(k, d).div_(10 * d**0.5).add_(head) if "KL" in name or "kl" in name else head

    def products() -> None:
        logits = teacher @ head.T
        _, _ = logits @ head, logits.T @ teacher

    if name == PRODUCTS:
        return products
    jobs: dict[str, Callable[[], torch.Tensor]] = {
        "F.cross_entropy of logits": lambda: functional.cross_entropy(
            functional.linear(hidden, weight), y
        ),
        "pandq cross entropy of Linear": lambda: pt.CrossEntropy(check=False)(
            pt.Labels(y), pt.Linear(hidden, weight)
        ),
        "F.kl_div of logits": lambda: functional.kl_div(
            torch.log_softmax(functional.linear(hidden, weight), -1),
            torch.log_softmax(functional.linear(teacher, near), -1),
            log_target=True,
            reduction="batchmean",
        ),
        "pandq KL of two Linear": lambda: pt.KLDivergence(check=False)(
            pt.Linear(teacher, near), pt.Linear(hidden, weight)
        ),
    }
    return _step(jobs[name], hidden, weight)


def _step(loss: Callable[[], torch.Tensor], *leaves: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        loss().backward()

    return run


LOGITS = (
    "F.kl_div",
    "pandq KL(P||Q)",
    "pandq KL(Q||P)",
    "pandq JS",
    "F.cross_entropy",
    "pandq cross entropy",
)
# What a number of a row costs alone, beside reading it.
ALONE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sums": lambda x: x.sum(-1),
    "sums of exp": lambda x: x.exp().sum(-1),
    "sums of log1p": lambda x: x.log1p().sum(-1),
}
# Forward, and back to states and head: what no loss of a head goes without.
PRODUCTS = "the three products alone"
HEADS = (
    "F.cross_entropy of logits",
    "pandq cross entropy of Linear",
    PRODUCTS,
    "F.kl_div of logits",
    "pandq KL of two Linear",
)


def cpu_of(run: Callable[[], object], rounds: int = ROUNDS) -> float:
    cpu = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        cpu.append(time.process_time() - start)
    return min(cpu)


def one(run: Callable[[], None], logits: float) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = cpu_of(run)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(cpu, peak, peak / logits)


def one_compiled(run: Callable[[], None]) -> None:
    _, codes = run_and_get_code(run)
    taken = [sum(code.count(f".{name}()") for code in codes) for name in ("exp", "log1p")]
    print(cpu_of(run, 2 * ROUNDS), *taken)


def alone(n: int, k: int) -> None:
    x = torch.rand(n, k)
    for name, job in ALONE.items():
        compiled = torch.compile(job, fullgraph=True)
        compiled(x)
        print(f"{name} {1000 * cpu_of(lambda: compiled(x), 3 * ROUNDS):.0f} ms", end=", ")  # noqa: B023


def main() -> None:
    # on a machine that others use, threads that wait for one another count as time
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--classes", type=int)
    parser.add_argument("--job")
    asked = parser.parse_args()
    n = asked.rows or (2048 if asked.heads else 1024)
    k = asked.classes or (128_256 if asked.heads else 32_000)
    if asked.job == "alone":
        alone(n, k)
        return
    if asked.job:
        heads = asked.heads
        more = {"compiled": asked.compiled}
        run = (
            of_heads(asked.job, n, asked.width, k) if heads else of_logits(asked.job, n, k, **more)
        )
        if asked.compiled:
            one_compiled(run)
        else:
            one(run, n * k * 4 / 2**20)
        return
    what = f" x {asked.width:,}" if asked.heads else ""
    print(f"{machine()}, torch {torch.__version__}; {n:,}{what} x {k:,} in float32\n")
    base = 1.0
    same = ["--heads"] if asked.heads else ["--compiled"] if asked.compiled else []
    same += [f"--rows={n}", f"--classes={k}", f"--width={asked.width}"]
    last = ["exp", "log1p"] if asked.compiled else ["peak", "in logits"]
    print(f"| forward and back | CPU | times torch's | {last[0]} | {last[1]} |")
    print("|---|---|---|---|---|")
    for name in HEADS if asked.heads else LOGITS:
        cpu, one_more, other = map(float, _told(name, same).split())
        base = cpu if name.startswith("F.") else base
        first = f"{one_more:.0f}" if asked.compiled else f"{one_more:,.0f} MiB"
        second = f"{other:.0f}" if asked.compiled else f"{other:.1f}"
        shown = name.replace("|", r"\|")
        print(f"| {shown} | {cpu:.2f} s | {cpu / base:.2f} | {first} | {second} |", flush=True)
    if asked.compiled:
        print(f"\nOf as many numbers: {_told('alone', same).strip(', ')}.")


def _told(job: str, same: list[str]) -> str:
    command = [sys.executable, __file__, "--job", job, *same]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
