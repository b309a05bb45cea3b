/* Log-probabilities from codes of 16 bits, scale * code + least, and what a row's floor is worked out of. */
#ifndef PANDQ_CODED_H
#define PANDQ_CODED_H

#include "lanes.h"

/* Of a row: the sum of its p but for the floor's, that of their squares, the largest, how many are there. */
#define CODED_SUMS 4

struct coded_lanes {
    double total[LANES_D], squares[LANES_D];
    float most[LANES_D];
    int32_t at_floor[LANES_D];
};

/* `floored`: whether code 0 is the floor. Product and sum are rounded one after the other, as NumPy's. */
INLINE void decode_one(struct coded_lanes *lanes, int l, uint16_t code, float scale, float least, int floored,
                       float *to)
{
    float v = scale * (float)code;
    v += least;
    *to = v;
    int low = floored & (code == 0);
    float p = exp_f(not_below_least(v));
    p = low ? 0.0f : p;
    lanes->total[l] += p;
    lanes->squares[l] += (double)p * p;
    lanes->most[l] = p > lanes->most[l] ? p : lanes->most[l];
    lanes->at_floor[l] += low;
}

static void decode_row(const uint16_t *restrict code, float scale, float least, int floored, int64_t k,
                       float *restrict to, double *restrict out)
{
    struct coded_lanes lanes;
    memset(&lanes, 0, sizeof lanes);
    int64_t i = 0;
    for (; i + LANES_D <= k; i += LANES_D)
        for (int l = 0; l < LANES_D; l++)
            decode_one(&lanes, l, code[i + l], scale, least, floored, to + i + l);
    for (int l = 0; i + l < k; l++) decode_one(&lanes, l, code[i + l], scale, least, floored, to + i + l);
    out[0] = out[1] = out[2] = out[3] = 0.0;
    for (int l = 0; l < LANES_D; l++) {
        out[0] += lanes.total[l];
        out[1] += lanes.squares[l];
        out[2] = lanes.most[l] > out[2] ? lanes.most[l] : out[2];
        out[3] += lanes.at_floor[l];
    }
}

/* Rows of k codes that lie `row` bytes apart, into n x k floats; `out` has CODED_SUMS of each row. */
static void decode_rows(const char *codes, ptrdiff_t row, const float *scale, const float *least,
                        const uint8_t *floored, int64_t n, int64_t k, float *to, double *out)
{
    for (int64_t i = 0; i < n; i++)
        decode_row((const uint16_t *)(codes + i * row), scale[i], least[i], floored[i], k, to + i * k,
                   out + i * CODED_SUMS);
}

/* Of each row the sum of exp(here) over the classes in which `there` is not above its level. */
static void given_rows(const float *here, const float *there, const float *level, int64_t n, int64_t k,
                       double *out)
{
    for (int64_t i = 0; i < n; i++) {
        const float *restrict x = here + i * k, *restrict y = there + i * k;
        double lane[LANES_D] = {0};
        float own = level[i];
        int64_t c = 0;
        for (; c + LANES_D <= k; c += LANES_D)
            for (int l = 0; l < LANES_D; l++) {
                float p = exp_f(not_below_least(x[c + l]));
                lane[l] += y[c + l] <= own ? p : 0.0f;
            }
        for (int l = 0; c + l < k; l++) {
            float p = exp_f(not_below_least(x[c + l]));
            lane[l] += y[c + l] <= own ? p : 0.0f;
        }
        out[i] = 0.0;
        for (int l = 0; l < LANES_D; l++) out[i] += lane[l];
    }
}

/* The floor's classes are given their row's level. */
static void level_rows(const char *codes, ptrdiff_t row, const float *level, const uint8_t *floored, int64_t n,
                       int64_t k, float *to)
{
    for (int64_t i = 0; i < n; i++) {
        const uint16_t *restrict code = (const uint16_t *)(codes + i * row);
        float *restrict into = to + i * k;
        float own = level[i];
        if (!floored[i]) continue;
        for (int64_t c = 0; c < k; c++) {
            float x = into[c];
            into[c] = code[c] == 0 ? own : x;
        }
    }
}

#endif
