"""The evidence of Dirichlet mixtures: the kernel against NumPy, and by rising factorials."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax

from pandq.core import kernels
from pandq.core.kernels import dirichlet
from pandq.estimate.floor.likelihood import COMPONENTS, Likelihood, log_floored

BUILDS = list(kernels.builds_here())
# rows, classes, most votes
SHAPES = [(1, 2, 1), (63, 2, 3), (64, 3, 8), (65, 10, 9), (200, 20, 60), (130, 70, 2), (9, 300, 5)]

pytestmark = pytest.mark.skipif(not BUILDS, reason="no kernels were compiled here")


@pytest.fixture(params=BUILDS)
def build(request, monkeypatch):
    monkeypatch.setattr(dirichlet, "build", lambda: kernels.builds_here()[request.param])
    return request.param


def rows_of(n, k, most, seed=0):
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.full(k, 0.3), n)
    q[rng.random((n, k)) < 0.1] = 0.0
    counts = rng.multinomial(rng.integers(1, most + 1, n), rng.dirichlet(np.ones(k), n))
    return counts, q, rng.normal(size=(n, 2))


def parameters(likelihood, size, seed=1):
    start = likelihood.start()
    wide = likelihood.scales() * np.random.default_rng(seed).normal(size=start.shape)
    return start + size * wide


@pytest.mark.parametrize("size", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_kernel_has_the_sums_of_numpy(build, shape, size):
    likelihood = Likelihood(*rows_of(*shape))
    theta = parameters(likelihood, size)
    found, expected = np.zeros((2, 1 + theta.size))
    assert likelihood.tiles.sums(theta, found)
    likelihood.numpy_sums(theta, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * shape[0])


def evidence_by_definition(counts, q, features, theta):
    """Log evidence summed over rows, each rising factorial factor by factor."""
    total_evidence = 0.0
    for c, x, f in zip(counts, log_floored(q), features, strict=True):
        of = []
        for own in theta:
            mean = softmax(np.exp(own[3]) * x + (own[7:] if own.size > 7 else 0.0))
            leak, total = expit(own[2]), np.exp(np.clip(own[0] + own[1] * f[0], -60, 60))
            alpha = total * ((1 - leak) * mean + leak / len(c))
            fit = sum(np.log(a + np.arange(n)).sum() for a, n in zip(alpha, c, strict=True))
            of.append(fit - np.log(total + np.arange(c.sum())).sum())
        gate = theta[:, 4:7] @ np.r_[1.0, f]
        total_evidence += logsumexp(gate - logsumexp(gate) + of)
    return total_evidence


@pytest.mark.parametrize("size", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_evidence_is_the_product_of_rising_factorials_also_for_any_totals(build, shape, size):
    counts, q, features = rows_of(*shape, seed=4)
    likelihood = Likelihood(counts, q, features)
    theta = parameters(likelihood, size)
    out = np.zeros(1 + theta.size)
    assert likelihood.tiles.sums(theta, out)
    assert out[0] == pytest.approx(
        evidence_by_definition(counts, q, features, theta), rel=1e-11, abs=1e-9
    )


def test_the_gradient_is_the_slope_of_the_evidence(build):
    likelihood = Likelihood(*rows_of(90, 4, 30, seed=2))
    theta = parameters(likelihood, 0.7)
    out = np.zeros(1 + theta.size)
    likelihood.tiles.sums(theta, out)
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = 1e-5
        ends = np.zeros((2, 1 + theta.size))
        for end, sign in zip(ends, (1, -1), strict=True):
            likelihood.tiles.sums(theta + sign * step.reshape(theta.shape), end)
        assert (ends[0, 0] - ends[1, 0]) / 2e-5 == pytest.approx(out[1 + i], rel=1e-6, abs=1e-5)


def test_all_builds_give_the_same_bits_where_they_fuse(monkeypatch):
    likelihood = Likelihood(*rows_of(150, 10, 51))
    theta = parameters(likelihood, 0.5)
    found = []
    for name in (x for x in BUILDS if x != "v2"):
        monkeypatch.setattr(dirichlet, "build", lambda name=name: kernels.builds_here()[name])
        found.append(np.zeros(1 + COMPONENTS * theta.shape[1]))
        likelihood.tiles.sums(theta, found[-1])
    assert all((f == found[0]).all() for f in found)


def test_without_a_kernel_numpy_answers(monkeypatch):
    likelihood = Likelihood(*rows_of(40, 3, 5))
    theta = parameters(likelihood, 0.3).ravel()
    value, slope = likelihood(theta)
    monkeypatch.setattr(dirichlet, "build", lambda: None)
    expected, other = likelihood(theta)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(slope, other, rtol=1e-9, atol=1e-12)
