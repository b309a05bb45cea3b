"""Limits that a pipeline sets on a result."""

import numpy as np
import pytest

import pandq
from pandq import Estimate, Gate, GateError, InputError, require

KL = Estimate(0.11, 0.08, 0.14, name="kl")


@pytest.mark.parametrize(("on", "limits"), [("interval", (0.14, 0.1399)), ("point", (0.11, 0.109))])
def test_a_gate_holds_up_to_its_limit_and_no_further(on, limits):
    assert [Gate("at most", limit, KL, on).passed for limit in limits] == [True, False]


@pytest.mark.parametrize(("on", "limits"), [("interval", (0.08, 0.0801)), ("point", (0.11, 0.111))])
def test_a_gate_on_the_least_holds_down_to_its_limit_and_no_further(on, limits):
    gates = [Gate("at least", limit, KL, on, side="least") for limit in limits]
    assert [gate.passed for gate in gates] == [True, False]
    assert str(gates[0]).endswith("0.000000 above it")
    assert str(gates[1]).endswith("is below it")
    with pytest.raises(InputError, match="side is most or least"):
        Gate("at least", 0.1, KL, side="both")


def test_what_is_not_known_is_not_within_a_limit():
    unknown = Estimate(None, None, None, name="floor", identified=False)
    gate = Gate("at most", 1.0, unknown)
    assert not gate.passed
    assert "has no value" in str(gate)


def test_an_infinite_loss_breaches_every_limit():
    found = pandq.audit(pandq.Labels([0, 1]), pandq.Probs([[0.0, 1.0], [0.5, 0.5]]))
    with pytest.raises(GateError, match=r"at most 9 is breached: kl inf"):
        require([Gate("at most", 9, found.kl)])


def test_the_first_breach_is_told_and_how_many_more_there_are():
    gates = [Gate("a", 1.0, KL), Gate("b", 0.1, KL), Gate("c", 0.1, KL)]
    with pytest.raises(GateError, match=r"^b 0.1 is breached: .* \(and 1 more breached\)$"):
        require(gates)
    assert require(gates[:1]) is None
    with pytest.raises(GateError, match=r"^c 0.1 is breached"):
        require(gates[-1])


@pytest.mark.parametrize("gates", [None, 7, "kl", [KL], {"kl": 1}])
def test_what_are_no_limits_is_refused(gates):
    with pytest.raises(InputError, match="limits are a list of Gates"):
        require(gates)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--max-kl", np.nan, KL), "--max-kl is a number, got nan"),
        (("--max-kl", None, KL), "--max-kl is a number, got None"),
        (("--max-kl", 0.1, 0.05), "--max-kl limits an Estimate, got 0.05"),
        (("--max-kl", 0.1, KL, "high"), "on the interval or on the point, got 'high'"),
    ],
)
def test_what_is_no_limit_is_refused_in_words(given, text):
    with pytest.raises(InputError, match=text):
        Gate(*given)
