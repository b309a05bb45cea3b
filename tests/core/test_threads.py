"""Tasks over cores: every item once, in order, and an error where there is one."""

import os
import subprocess
import sys
import threading

import pytest

from pandq.core.threads import THREADS, over_cores


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("n", [0, 1, 5, 100])
def test_every_item_is_done_once_and_results_keep_their_order(threads, n, monkeypatch):
    monkeypatch.setenv(THREADS, str(threads))
    seen = []
    assert over_cores(lambda i: seen.append(i) or i * i, range(n)) == [i * i for i in range(n)]
    assert sorted(seen) == list(range(n))


def test_the_calling_thread_works_too(monkeypatch):
    monkeypatch.setenv(THREADS, "1")
    assert over_cores(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]


def test_a_tasks_error_is_the_callers():
    def fails(i):
        if i == 3:
            raise ZeroDivisionError
        return i

    with pytest.raises(ZeroDivisionError):
        over_cores(fails, range(20))
    assert over_cores(abs, [-1]) == [1]


FORKS = """
import os
import signal
import sys
import threading
import time

import numpy as np
import pandq

x = np.random.default_rng(0).normal(size=(20_000, 10))
p, q = pandq.Labels(np.zeros(20_000, int)), pandq.Logits(x)
stop = False

def measure():
    while not stop:
        pandq.cross_entropy(p, q)
        getattr(pandq, waiting.pop()) if waiting else None

waiting = ["compare", "audit"]
threads = [threading.Thread(target=measure) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(12):
    time.sleep(0.01)
    child = os.fork()
    if not child:
        signal.alarm(60)
        pandq.cross_entropy(p, q)
        pandq.audit, pandq.compare
        os._exit(0)
    children.append(child)
stop = True
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_fork_while_other_threads_measure_and_import_goes_on():
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS],
        env=os.environ | {THREADS: "3"},
        check=False,
        timeout=100,
    )
    assert found.returncode == 0
