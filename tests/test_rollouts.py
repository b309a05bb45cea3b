"""What docs/guides/rollouts.md says: of every sequence of a small policy, and of its command."""

import re
import shlex
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special

from tests import commands

DOCUMENT = Path(__file__).parents[1] / "docs" / "guides" / "rollouts.md"
K = 3
SEQUENCES = np.array(list(product(range(K), repeat=2)))
STEP = 1e-5


def steps(theta):
    """(n, 2) log-probabilities of each sequence's tokens, the second given the first."""
    first = special.log_softmax(theta[:K])
    second = special.log_softmax(theta[K:].reshape(K, K), axis=1)
    return np.column_stack([first[SEQUENCES[:, 0]], second[SEQUENCES[:, 0], SEQUENCES[:, 1]]])


def gradient(f, theta):
    """By central differences, of an array of any shape; the last axis is theta's."""
    moved = np.eye(len(theta)) * STEP
    return np.stack([(f(theta + d) - f(theta - d)) / (2 * STEP) for d in moved], axis=-1)


THETA, REFERENCE = np.random.default_rng(0).normal(size=(2, K + K * K))
LOG_P, LOG_REFERENCE = steps(THETA), steps(REFERENCE)
P = np.exp(LOG_P.sum(axis=1))
ESTIMATORS = {
    "k1": lambda log_r: -log_r,
    "k2": lambda log_r: log_r**2 / 2,
    "k3": lambda log_r: np.expm1(log_r) - log_r,
}


def log_r(theta):
    """ln of reference/policy, of whole sequences."""
    return LOG_REFERENCE.sum(axis=1) - steps(theta).sum(axis=1)


def kl(theta):
    log_p = steps(theta).sum(axis=1)
    return (np.exp(log_p) * (log_p - LOG_REFERENCE.sum(axis=1))).sum()


def reverse_kl(theta):
    log_q = LOG_REFERENCE.sum(axis=1)
    return (np.exp(log_q) * (log_q - steps(theta).sum(axis=1))).sum()


def in_the_loss(k):
    """The mean of the gradient, the draws as they are."""
    return P @ gradient(lambda theta: ESTIMATORS[k](log_r(theta)), THETA)


def in_the_reward(k):
    """The mean of the score, weighted by what is not differentiated."""
    score = gradient(lambda theta: steps(theta).sum(axis=1), THETA)
    return (P * ESTIMATORS[k](log_r(THETA))) @ score


FORWARD, REVERSE = gradient(kl, THETA), gradient(reverse_kl, THETA)


@pytest.mark.parametrize(
    ("found", "truth"),
    [
        (in_the_loss("k1"), 0 * FORWARD),
        (in_the_loss("k2"), FORWARD),
        (in_the_loss("k3"), REVERSE),
        (in_the_reward("k1"), FORWARD),
        (in_the_reward("k3"), FORWARD - REVERSE),
    ],
)
def test_an_estimator_has_the_gradient_that_the_document_says(found, truth):
    assert found == pytest.approx(truth, abs=1e-8)


def test_k2_in_the_reward_has_another_gradient():
    assert np.abs(FORWARD).max() > 0.05
    for other in (0 * FORWARD, FORWARD, REVERSE, FORWARD - REVERSE):
        assert np.abs(in_the_reward("k2") - other).max() > 0.02


def test_k2_token_by_token_has_the_gradient_of_each_step_with_the_steps_before_it_held():
    def summed(theta):
        return ((LOG_REFERENCE - steps(theta)) ** 2 / 2).sum(axis=1)

    def held(theta):
        log_p = steps(theta)
        first = np.exp(LOG_P[:, 0])
        whole = np.exp(log_p[:, 0]) * (log_p[:, 0] - LOG_REFERENCE[:, 0]) / K
        return (whole + first * np.exp(log_p[:, 1]) * (log_p - LOG_REFERENCE)[:, 1]).sum()

    found = P @ gradient(summed, THETA)
    assert found == pytest.approx(gradient(held, THETA), abs=1e-8)
    assert np.abs(found - FORWARD).max() > 0.05


SAID = {"compare": "k1 of whole sequences", "audit": "perplexity"}


@pytest.mark.parametrize("command", SAID)
def test_a_command_of_the_document_runs(tmp_path, command):
    lines = re.findall(r"```sh\n(pandq .*)\n```", DOCUMENT.read_text(encoding="utf-8"))
    assert {line.split()[1] for line in lines} == set(SAID)
    line = next(line for line in lines if line.split()[1] == command)
    rng = np.random.default_rng(1)
    drawn = rng.choice(K * K, size=50, p=P)
    table = {
        "sampler": LOG_P[drawn].ravel(),
        "trainer": LOG_REFERENCE[drawn].ravel(),
        "sequence": np.repeat(np.arange(50), 2),
        "logprob": LOG_P[drawn].ravel(),
        "n_bytes": np.full(100, 3),
        "language": np.repeat(["en", "fr"], 50),
    }
    pq.write_table(pa.table(table), tmp_path / "rollouts.parquet")
    done = commands.pandq(*shlex.split(line)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAID[command] in done.stdout
