"""The floating-point ground against 50 digits."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pandq.core import numerics
from pandq.core.numerics import BFLOAT16, blocks, exp_remainder, widen

SIZES = (*10.0 ** np.arange(-300, 1, 25), 1e-160, 1e-9, 0.4, 0.5, 0.500001, 1.0, 3.0, 40.0, 700.0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", SIZES)
def test_exp_remainder_is_right_to_the_last_bits(size, sign):
    t = sign * float(size)
    got = float(exp_remainder(np.array([t]))[0])
    # 1e-300 squared leaves nothing in float64, and 50 digits must hold it beside 1
    with mp.workdps(700):
        want = mp.expm1(mp.mpf(t)) - mp.mpf(t)
        assert abs(got - want) <= 2e-15 * want + 1e-320


@given(st.floats(-745, 709))
def test_exp_remainder_is_never_negative(t):
    assert exp_remainder(np.array([t]))[0] >= 0


@given(st.floats(-0.6, 0.6), st.floats(-800, 800))
def test_exp_remainder_of_one_number_does_not_depend_on_its_neighbour(t, other):
    assert exp_remainder(np.array([t, other]))[0] == exp_remainder(np.array([t]))[0]


def test_exp_remainder_of_infinities_is_infinite():
    assert exp_remainder(np.array([-np.inf, np.inf])).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64, np.uint8, np.bool_])
def test_widen_keeps_every_number(dtype):
    x = np.array([0, 1, 1, 0]).astype(dtype)
    assert widen(x).tolist() == [0.0, 1.0, 1.0, 0.0]


def test_widen_does_not_copy_float64():
    x = np.ones(3)
    assert widen(x) is x


@given(st.integers(0, 0xFFFF))
def test_widen_reads_any_bits_as_bfloat16(bits):
    sign, exponent, mantissa = bits >> 15, bits >> 7 & 0xFF, bits & 0x7F
    got = widen(np.array([bits], dtype=np.uint16).view(BFLOAT16))[0]
    if exponent == 0xFF:
        assert np.isnan(got) if mantissa else np.isinf(got)
    else:
        whole = mantissa + 0x80 * (exponent > 0)
        assert got == (-1) ** sign * np.ldexp(float(whole), max(exponent, 1) - 134)


def test_widen_reads_strided_bits_as_bfloat16():
    bits = np.array([[0x3F80, 0], [0xC000, 0]], dtype=np.uint16).view(BFLOAT16)
    assert widen(bits[:, 0]).tolist() == [1.0, -2.0]


@given(st.integers(0, 300), st.integers(0, 50), st.integers(1, 400))
def test_blocks_cover_every_row_once(n_rows, n_classes, numbers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numerics, "BLOCK_NUMBERS", numbers)
        rows = [row for part in blocks(n_rows, n_classes) for row in range(part.start, part.stop)]
    assert rows == list(range(n_rows))


@given(st.integers(1, 300), st.integers(1, 50), st.integers(1, 400))
def test_blocks_hold_no_more_than_they_should(n_rows, n_classes, numbers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numerics, "BLOCK_NUMBERS", numbers)
        longest = max(part.stop - part.start for part in blocks(n_rows, n_classes))
    assert longest == 1 or longest * n_classes <= numbers
