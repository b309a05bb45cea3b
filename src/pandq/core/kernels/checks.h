/* Are these rows what they are said to be? A first look: what it doubts, core/checks.py decides. */
#ifndef PANDQ_CHECKS_H
#define PANDQ_CHECKS_H

#include "laws.h"

/* Sound rows of one sheet: how many there are before the first that is in doubt. */
INLINE int sound_rows(const double *x, struct shape shape, enum kind kind, double tolerance)
{
    double largest[W], least[W], sum[W] = {0}, odd[W] = {0};
    for (int l = 0; l < W; l++) largest[l] = -(double)INFINITY, least[l] = INFINITY;
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            double value = x[s * W + l];
            double whole = (value + 6755399441055744.0) - 6755399441055744.0; /* 1.5 * 2^52 */
            odd[l] += value != value || (kind == COUNTS && whole != value) ? 1.0 : 0.0;
            largest[l] = value > largest[l] ? value : largest[l];
            least[l] = value < least[l] ? value : least[l];
            sum[l] += kind == LOG_PROBS ? exp_or_zero(value < 0.5 ? value : 0.5) : value;
        }
    fold(sum, shape.wide);
    fold(odd, shape.wide);
    for (int l = 1; l < W && shape.wide; l++) {
        largest[0] = largest[l] > largest[0] ? largest[l] : largest[0];
        least[0] = least[l] < least[0] ? least[l] : least[0];
    }
    for (int r = 0; r < shape.rows; r++) {
        int sound = kind == LOGITS   ? largest[r] - largest[r] == 0.0
                    : kind == COUNTS ? least[r] >= 0.0 && sum[r] > 0.0 && largest[r] < 1e15
                                     : fabs(sum[r] - 1.0) <= tolerance &&
                                           (kind == LOG_PROBS || least[r] >= 0.0);
        if (!sound || odd[r] > 0.0) return r;
    }
    return shape.rows;
}

/* A long row of logits of single precision or less, without turning them into doubles. */
INLINE int sound_logits(const struct matrix *x, const char *row, int64_t k)
{
    float buffer[BLOCK], largest = -INFINITY;
    int odd[LANES_F] = {0}, any = 0;
    for (int64_t first = 0; first < k; first += BLOCK) {
        int n = (int)(k - first < BLOCK ? k - first : BLOCK), i = 0;
        const float *from = block_f(x, row, first, n, buffer);
        float m = block_max(from, n);
        largest = m > largest ? m : largest;
        for (; i + LANES_F <= n; i += LANES_F)
            for (int l = 0; l < LANES_F; l++) odd[l] |= from[i + l] != from[i + l];
        for (int l = 0; l < n - i; l++) odd[l] |= from[i + l] != from[i + l];
    }
    for (int l = 0; l < LANES_F; l++) any |= odd[l];
    return !any && largest - largest == 0.0f;
}

/* Are all of n floats finite, which lie one after the other? */
INLINE int all_finite(const float *x, int64_t n)
{
    uint32_t odd[LANES_F] = {0}, any = 0;
    int64_t i = 0;
    for (; i + LANES_F <= n; i += LANES_F)
        for (int l = 0; l < LANES_F; l++) odd[l] |= (bits_of(x[i + l]) & 0x7F800000u) == 0x7F800000u;
    for (; i < n; i++) any |= (bits_of(x[i]) & 0x7F800000u) == 0x7F800000u;
    for (int l = 0; l < LANES_F; l++) any |= odd[l];
    return !any;
}

/* The first row that cannot be accepted at a look, n if all can, -1 if there is no memory. */
static int64_t first_doubt(const struct matrix *x, enum kind kind, int64_t n, int64_t k,
                           double tolerance)
{
    struct shape shape = shape_of(k, n);
    double *sheet = malloc((size_t)shape.steps * W * sizeof *sheet);
    int64_t i = 0;
    if (!sheet) return -1;
    int plain = kind == LOGITS && x->storage == F32 && x->column == 4 && x->row == 4 * k &&
                (uintptr_t)x->data % sizeof(float) == 0;
    if (plain && all_finite((const float *)x->data, n * k)) i = n;
    for (; i < n; i += shape.rows) {
        int fine;
        shape = shape_of(k, n - i);
        if (kind == LOGITS && shape.wide && single(x)) {
            fine = sound_logits(x, row_of(x, i), k);
        } else {
            /* a class that is not there must neither be the largest nor add to a sum */
            sheet_of(sheet, x, i, shape, kind == PROBS || kind == COUNTS ? 0.0 : -(double)INFINITY);
            fine = kind == LOGITS  ? sound_rows(sheet, shape, LOGITS, tolerance)
                   : kind == PROBS ? sound_rows(sheet, shape, PROBS, tolerance)
                   : kind == COUNTS ? sound_rows(sheet, shape, COUNTS, tolerance)
                                    : sound_rows(sheet, shape, LOG_PROBS, tolerance);
        }
        if (fine < shape.rows) {
            i += fine;
            break;
        }
    }
    free(sheet);
    return i < n ? i : n;
}

#endif
