"""Copies that change nothing, or next to nothing: every figure is a number, and small."""

import math

import numpy as np
import pytest

import pandq
from pandq import Labels, Logits
from pandq.results.tidy import lines_of

N, K = 64, 300


def logits(seed, dtype=np.float64):
    return (np.random.default_rng(seed).normal(size=(N, K)) * 4).astype(dtype)


COPIES = {
    "itself": lambda x, rng: x,
    "1e-9 of noise": lambda x, rng: x + 1e-9 * rng.normal(size=x.shape),
    "a constant of each row": lambda x, rng: x + rng.normal(size=(N, 1)) * 50,
    "one constant": lambda x, rng: x - 1234.5,
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_estimate_of_a_faithful_copy_is_a_number(copy, clustered, seed):
    """A variance as a cancelled difference was once negative, about half of the time."""
    rng, x = np.random.default_rng(seed), logits(seed)
    found = pandq.compare(
        Logits(x),
        Logits(COPIES[copy](x, rng)),
        Logits(COPIES[copy](x, rng)),
        labels=Labels(rng.integers(0, K, N), K),
        cluster=rng.integers(0, 9, N) if clustered else None,
    )
    for line in (line for line in lines_of(found) if line["by"] is None):
        assert all(math.isfinite(line[end]) for end in ("value", "low", "high")), line["quantity"]
    for place in found.from_reference:
        assert 0 <= place.kl.value <= place.kl.high < 1e-12
        assert place.same_top1.value == 1.0
        assert place.tokens.perplexity_ratio.value == pytest.approx(1, abs=1e-8)
        assert place.tokens.perplexity_difference.value == pytest.approx(
            0, abs=1e-8 * place.tokens.perplexity.value
        )
        assert abs(place.tokens.probability_change.value) < 1e-9
    difference = found.differences[0].cross_entropy
    assert abs(difference.value) < 1e-8
    assert math.isfinite(found.differences[0].p_value)
    assert "nan" not in found.to_text()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_copy_in_the_same_storage_is_the_same(dtype):
    x = logits(0, dtype)
    found = pandq.compare(Logits(x), Logits(x.copy()), labels=Labels(np.arange(N), K))
    assert found.from_reference[0].kl.value == 0.0
    assert found.from_reference[0].tokens.perplexity_ratio.value == 1.0


def test_a_small_divergence_keeps_three_digits_wherever_it_is_shown(tmp_path, monkeypatch):
    rng, x = np.random.default_rng(0), logits(1)
    found = pandq.compare(Logits(x), Logits(x + 0.01 * rng.normal(size=x.shape)))
    kl = found.from_reference[0].kl
    assert 1e-5 < kl.value < 1e-4
    shown = f"{kl.value:.2e}"
    gate = pandq.Gate("--max-kl", 1.0, kl)
    for text in (found.to_text(), found.to_html(), str(kl), str(gate)):
        assert shown in text
    place = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    from pandq.report.markdown import append_summary

    append_summary(found, [gate])
    assert place.read_text(encoding="utf-8").count(shown) >= 2
