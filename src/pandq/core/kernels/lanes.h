/* Lanes and elementary functions.
 *
 * Every sum runs in a fixed number of explicit lanes and every multiply-add is an explicit fma, so
 * that the order of operations, and with it every bit of a result, is the source's own whatever the
 * instruction set. Compile with -ffp-contract=off; inner loops over lanes vectorise without any
 * licence to reorder.
 */
#ifndef PANDQ_LANES_H
#define PANDQ_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES_F 64 /* float lanes: a sum of a block keeps as many partial sums */
#define LANES_D 64 /* double lanes */

/* Without a fused instruction the two roundings of a * b + c are still fixed, only others. */
#if defined(__FMA__) || defined(__aarch64__) || defined(_M_ARM64) || defined(__ARM_FEATURE_FMA)
#define FMA_F(a, b, c) fmaf(a, b, c)
#define FMA_D(a, b, c) fma(a, b, c)
#else
#define FMA_F(a, b, c) ((a) * (b) + (c))
#define FMA_D(a, b, c) ((a) * (b) + (c))
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE float float_of(uint32_t bits) { float x; memcpy(&x, &bits, 4); return x; }
INLINE uint32_t bits_of(float x) { uint32_t b; memcpy(&b, &x, 4); return b; }
INLINE double double_of(uint64_t bits) { double x; memcpy(&x, &bits, 8); return x; }
INLINE uint64_t bits_of_d(double x) { uint64_t b; memcpy(&b, &x, 8); return b; }

/* Below these, exp is less than any sum of ours can notice and close to the smallest normal number. */
#define LEAST_F -86.0f
#define LEAST_D -708.0

/* max(s, LEAST_F) for s <= 0, where more negative means larger bits: one instruction anywhere. */
INLINE float not_below_least(float s)
{
    uint32_t bits = bits_of(s), least = 0xC2AC0000u;
    return float_of(bits < least ? bits : least);
}

/* exp(s) for LEAST_F <= s <= 0: s = n ln 2 + r, exp(r) = 1 + r P(r).
 * P is the minimax polynomial on |r| <= ln(2) / 2 (linear programme; relative error 9e-8). */
INLINE float exp_f(float s)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves the integer in the low bits */
    float z = FMA_F(s, 1.44269504f, round);
    float n = z - round;
    float r = FMA_F(n, -0.693147181f, s);
    float e = 8.29030637535e-3f;
    e = FMA_F(e, r, 4.18979753614e-2f);
    e = FMA_F(e, r, 1.66676365783e-1f);
    e = FMA_F(e, r, 4.99991491930e-1f);
    e = FMA_F(e, r, 9.99999707015e-1f);
    e = FMA_F(e, r, 1.0f);
    return float_of(bits_of(e) + (bits_of(z) << 23));
}

/* (exp(-d) - 1 + d) / d^2 for |d| <= 1/2, minimax (linear programme; relative error 2.4e-8). */
INLINE float remainder_f(float d)
{
    float p = -1.987562958e-4f;
    p = FMA_F(p, d, 1.398199738e-3f);
    p = FMA_F(p, d, -8.333452172e-3f);
    p = FMA_F(p, d, 4.166579594e-2f);
    p = FMA_F(p, d, -1.666666546e-1f);
    return FMA_F(p, d, 5.000000120e-1f);
}

/* sum of r^n / n! from n = 2 to 14, over r^2: the remainder of exp for |r| <= 1/2. */
INLINE double exp_series(double r)
{
    double p = 1.0 / 1307674368000.0; /* 1 / 15! */
    p = FMA_D(p, r, 1.0 / 87178291200.0);
    p = FMA_D(p, r, 1.0 / 6227020800.0);
    p = FMA_D(p, r, 1.0 / 479001600.0);
    p = FMA_D(p, r, 1.0 / 39916800.0);
    p = FMA_D(p, r, 1.0 / 3628800.0);
    p = FMA_D(p, r, 1.0 / 362880.0);
    p = FMA_D(p, r, 1.0 / 40320.0);
    p = FMA_D(p, r, 1.0 / 5040.0);
    p = FMA_D(p, r, 1.0 / 720.0);
    p = FMA_D(p, r, 1.0 / 120.0);
    p = FMA_D(p, r, 1.0 / 24.0);
    p = FMA_D(p, r, 1.0 / 6.0);
    return FMA_D(p, r, 0.5);
}

/* exp(x) for LEAST_D <= x <= 709, by the same reduction. */
INLINE double exp_d(double x)
{
    const double round = 6755399441055744.0; /* 1.5 * 2^52 */
    double z = FMA_D(x, 1.4426950408889634, round);
    double n = z - round;
    double r = FMA_D(n, -6.93147180369123816490e-01, x);
    r = FMA_D(n, -1.90821492927058770002e-10, r);
    double e = FMA_D(r * r, exp_series(r), r) + 1.0;
    return double_of(bits_of_d(e) + (bits_of_d(z) << 52));
}

/* (2 atanh(s) - 2 s) / s^3 as its series in w = s^2. */
INLINE double atanh_series(double w)
{
    double p = 2.0 / 23.0;
    p = FMA_D(p, w, 2.0 / 21.0);
    p = FMA_D(p, w, 2.0 / 19.0);
    p = FMA_D(p, w, 2.0 / 17.0);
    p = FMA_D(p, w, 2.0 / 15.0);
    p = FMA_D(p, w, 2.0 / 13.0);
    p = FMA_D(p, w, 2.0 / 11.0);
    p = FMA_D(p, w, 2.0 / 9.0);
    p = FMA_D(p, w, 2.0 / 7.0);
    p = FMA_D(p, w, 2.0 / 5.0);
    return FMA_D(p, w, 2.0 / 3.0);
}

/* log(u) + c for a normal u > 0: u = 2^k (1 + f), log(1 + f) = 2 atanh(f / (2 + f)) as its series. */
INLINE double log_plus(double u, double c)
{
    /* the mantissa between sqrt(1/2) and sqrt(2) */
    uint64_t bits = bits_of_d(u) + (0x3FF0000000000000u - 0x3FE6A09E667F3BCDu);
    double k = double_of(0x4330000000000000u | (bits >> 52)) - (4503599627370496.0 + 1023.0);
    double f = double_of((bits & 0x000FFFFFFFFFFFFFu) + 0x3FE6A09E667F3BCDu) - 1.0;
    double s = f / (2.0 + f), w = s * s, half = 0.5 * f * f;
    double p = atanh_series(w);
    double low = FMA_D(k, 1.90821492927058770002e-10, c);
    double tail = half - (FMA_D(s, FMA_D(w, p, half), low));
    return FMA_D(k, 6.93147180369123816490e-01, f - tail);
}

/* log(x) for x >= 0; log(0) = -inf. */
INLINE double log_d(double x)
{
    int tiny = x < 2.2250738585072014e-308;
    double scaled = tiny ? x * 18014398509481984.0 : x; /* 2^54 */
    double found = log_plus(scaled, 0.0) + (tiny ? -37.42994775023705 : 0.0);
    return x == 0.0 ? -(double)INFINITY : found;
}

/* log(1 + y) for y > -1: what 1 + y rounds away is added back (Kahan). */
INLINE double log1p_d(double y)
{
    double u = 1.0 + y;
    return log_plus(u, (y - (u - 1.0)) / u);
}

#endif
