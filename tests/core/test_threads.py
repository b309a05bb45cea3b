"""Tasks over cores: every item once, in order, and an error where there is one."""

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
