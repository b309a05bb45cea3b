/* One row of logits, read once: where its maximum is, and sums over exp(x - maximum).
 *
 * The classes that attain the maximum are counted and not summed, so that a row which is nearly
 * certain keeps its digits: log Z = log1p((ties - 1) + others).
 */
#ifndef PANDQ_SOFTMAX_H
#define PANDQ_SOFTMAX_H

#include "matrix.h"

#define BLOCK 2048 /* classes at a time: two float blocks stay in the first-level cache */

struct peak {
    float value;
    int64_t first, ties; /* of those that attain it: the first one's place, and how many there are */
};

/* Said for a row's class where several share the largest value. */
#define TIED (-1.0)

INLINE float block_max(const float *x, int n)
{
    float m[LANES_F];
    for (int l = 0; l < LANES_F; l++) m[l] = -INFINITY;
    int i = 0;
    for (; i + LANES_F <= n; i += LANES_F)
        for (int l = 0; l < LANES_F; l++) m[l] = x[i + l] > m[l] ? x[i + l] : m[l];
    if (n >= LANES_F) { /* the last numbers once more, as a whole step */
        for (int l = 0; l < LANES_F; l++) m[l] = x[n - LANES_F + l] > m[l] ? x[n - LANES_F + l] : m[l];
    } else {
        for (int l = 0; l < n; l++) m[l] = x[l] > m[l] ? x[l] : m[l];
    }
    for (int half = LANES_F / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) m[l] = m[l + half] > m[l] ? m[l + half] : m[l];
    return m[0];
}

INLINE int count_of(const float *x, int n, float value)
{
    int count = 0;
    for (int i = 0; i < n; i++) count += x[i] == value;
    return count;
}

/* The first place of a value that is there. */
INLINE int place_of(const float *x, int n, float value)
{
    int i = 0;
    for (; i + LANES_F <= n; i += LANES_F) {
        int here = 0;
        for (int l = 0; l < LANES_F; l++) here |= x[i + l] == value;
        if (here) break;
    }
    while (i < n - 1 && !(x[i] == value)) i++;
    return i;
}

/* Take a block into account; tells whether it holds the row's maximum so far. */
INLINE int peak_of_block(struct peak *peak, const float *x, int n, int64_t first)
{
    float m = block_max(x, n);
    if (m < peak->value) return 0;
    if (m == peak->value)
        peak->ties += count_of(x, n, m);
    else
        *peak = (struct peak){m, first + place_of(x, n, m), count_of(x, n, m)};
    return 1;
}

/* Lanes added up in one fixed order. */
INLINE double total(float *lane, int lanes)
{
    for (int half = lanes / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

/* exp(rise) for a maximum that has risen, by which older sums shrink. */
INLINE double shrink(double rise) { return rise < LEAST_D ? 0.0 : exp_d(rise); }

#endif
