/* Labels against logits of single precision or less: all that an audit asks, in one pass. */
#ifndef PANDQ_LABELS_H
#define PANDQ_LABELS_H

#include "softmax.h"

/* Rows of the result for labels, each `stride` doubles long. */
enum { LOSS, RIGHT, BRIER, CONFIDENCE, Q_ENTROPY, Q_CLASS, LABEL_MEASURES };

#define TILE LANES_F    /* rows side by side */
#define TILE_CLASSES 64 /* rows of at most so many classes go through transposed tiles */

/* The wanted rows of a result, those whose bit is set, one after the other. */
INLINE void put(double *out, ptrdiff_t stride, int wanted, const double *found, int step, int rows)
{
    for (int m = 0; m < LABEL_MEASURES; m++)
        if (wanted >> m & 1) {
            memcpy(out, found + m * step, sizeof(double) * (size_t)rows);
            out += stride;
        }
}

struct sums {
    double others, weighted, squares; /* of e, e s and e^2, with s = x - maximum and e = exp(s) */
};

/* One class. Where the maximum may be among them, it is left to be counted elsewhere. Unless it is to be
 * `whole`, what H(q) and the Brier score need is left out. */
INLINE void label_term(float x, float m, int peaked, int whole, float *others, float *weighted,
                       float *squares)
{
    float s = x - m, least = not_below_least(s), e = exp_f(least);
    if (whole) *weighted = FMA_F(e, least, *weighted);
    if (peaked) e = s == 0.0f ? 0.0f : e;
    *others += e;
    if (whole) *squares = FMA_F(e, e, *squares);
}

/* The same sums about a maximum that is higher by -rise. */
INLINE void sums_rise(struct sums *a, double ties, double rise)
{
    double by = shrink(rise), all = a->others + ties;
    a->weighted = by == 0.0 ? 0.0 : by * FMA_D(all, rise, a->weighted);
    a->others = by * all;
    a->squares = by * by * (a->squares + ties);
}

INLINE void label_block(struct sums *a, const float *x, int n, float m, int peaked,
                        const char *ahead, int size)
{
    float others[LANES_F] = {0}, weighted[LANES_F] = {0}, squares[LANES_F] = {0};
    int i = 0;
    for (; i + LANES_F <= n; i += LANES_F) {
        fetch(ahead + (ptrdiff_t)i * size, LANES_F * size);
        for (int l = 0; l < LANES_F; l++)
            label_term(x[i + l], m, peaked, 1, &others[l], &weighted[l], &squares[l]);
    }
    if (i < n) {
        /* a step that is not full is filled up with forbidden classes */
        float rest[LANES_F];
        for (int l = 0; l < LANES_F; l++) rest[l] = -INFINITY;
        memcpy(rest, x + i, sizeof(float) * (size_t)(n - i));
        for (int l = 0; l < LANES_F; l++)
            label_term(rest[l], m, peaked, 1, &others[l], &weighted[l], &squares[l]);
    }
    a->others += total(others, LANES_F);
    a->weighted += total(weighted, LANES_F);
    a->squares += total(squares, LANES_F);
}

/* What one row's sums say; `at_label` is x - m there, `e` its exponential. */
INLINE void label_row(double *out, int stride, int whole, double at_label, double e, double ties,
                      double others, double weighted, double squares, double top)
{
    double rest = others + (ties - 1.0), z = 1.0 + rest, log_z = log1p_d(rest), by = 1.0 / z;
    out[LOSS * stride] = log_z - at_label;
    out[RIGHT * stride] = at_label == 0.0 ? 1.0 / ties : 0.0; /* a tie counts its share */
    out[CONFIDENCE * stride] = by;
    out[Q_CLASS * stride] = ties > 1.0 ? TIED : top;
    if (!whole) return;
    /* 1 - q(label), and the squares of the other classes, without a difference of near equals */
    double miss = at_label == 0.0 ? rest : z - e;
    double apart = at_label == 0.0 ? squares + (ties - 1.0) : squares - e * e + ties;
    out[BRIER * stride] = FMA_D(miss, miss, apart) * by * by;
    out[Q_ENTROPY * stride] = log_z - weighted * by;
}

/* A row of many classes, block by block about a maximum that rises. */
static void label_long_row(const struct matrix *q, const char *row, int64_t y, int64_t k, int wanted,
                           double *out, ptrdiff_t stride)
{
    struct peak peak = {-INFINITY, 0, 0};
    struct sums a = {0};
    float buffer[BLOCK];
    int size = (int)q->column;
    for (int64_t first = 0; first < k; first += BLOCK) {
        int n = (int)(k - first < BLOCK ? k - first : BLOCK);
        const float *x = block_f(q, row, first, n, buffer);
        const char *ahead = row + (first + BLOCK) * q->column;
        struct peak before = peak;
        int peaked = peak_of_block(&peak, x, n, first);
        if (peak.value > before.value && before.ties)
            sums_rise(&a, (double)before.ties, (double)before.value - peak.value);
        float m = peak.value == -INFINITY ? 0.0f : peak.value;
        if (peaked)
            label_block(&a, x, n, m, 1, ahead, size);
        else
            label_block(&a, x, n, m, 0, ahead, size);
    }
    double s = (double)one_f(q, row, y) - peak.value;
    double found[LABEL_MEASURES];
    label_row(found, 1, 1, s, s < LEAST_D ? 0.0 : exp_d(s), (double)peak.ties, a.others, a.weighted,
              a.squares, (double)peak.first);
    put(out, stride, wanted, found, 1, 1);
}

/* Labels as indices: whoever owns them may change them after they were looked at, so that each is read
 * once, and is within the classes before it is used. How many there are before the first that is not. */
INLINE int labels_within(const int64_t *y, int rows, int64_t k, int64_t *to)
{
    for (int r = 0; r < rows; r++) {
        to[r] = ((const volatile int64_t *)y)[r];
        if (to[r] < 0 || to[r] >= k) return r;
    }
    return rows;
}

/* TILE rows side by side, one class after the other. */
INLINE void label_tile(const struct matrix *q, const char *row, const int64_t *y, int rows, int k,
                       int whole, int wanted, double *out, ptrdiff_t stride)
{
    float x[TILE_CLASSES][TILE], buffer[TILE_CLASSES], m[TILE], top[TILE] = {0}, at_label[TILE];
    float others[TILE] = {0}, weighted[TILE] = {0}, squares[TILE] = {0}, ties[TILE] = {0};
    double found[LABEL_MEASURES][TILE];
    for (int r = 0; r < TILE; r++) {
        /* the last rows of a tile that is not full repeat one that is there */
        int64_t i = r < rows ? r : rows - 1;
        const float *from = block_f(q, row + i * q->row, 0, k, buffer);
        fetch(row + (i + 2 * TILE) * q->row, 1); /* of the tile after the next */
        for (int c = 0; c < k; c++) x[c][r] = from[c];
        at_label[r] = from[y[i]];
    }
    for (int r = 0; r < TILE; r++) m[r] = x[0][r];
    for (int c = 1; c < k; c++)
        for (int r = 0; r < TILE; r++) {
            top[r] = x[c][r] > m[r] ? (float)c : top[r];
            m[r] = x[c][r] > m[r] ? x[c][r] : m[r];
        }
    for (int c = 0; c < k; c++)
        for (int r = 0; r < TILE; r++) {
            label_term(x[c][r], m[r], 1, whole, &others[r], &weighted[r], &squares[r]);
            ties[r] += x[c][r] == m[r] ? 1.0f : 0.0f;
        }
    for (int r = 0; r < TILE; r++) {
        /* in double, because of -3e38 and 3e38 it does not overflow */
        double s = (double)at_label[r] - m[r];
        label_row(&found[0][r], TILE, whole, s, exp_f(not_below_least(at_label[r] - m[r])), ties[r],
                  others[r], weighted[r], squares[r], top[r]);
    }
    put(out, stride, wanted, found[0], TILE, rows);
}

/* The rows that were measured: all, or those before the first label that is no class. */
static int64_t labels_logits(const struct matrix *q, const int64_t *y, int64_t n, int64_t k, int wanted,
                             double *out, ptrdiff_t stride)
{
    int whole = wanted & (1 << BRIER | 1 << Q_ENTROPY), step = k <= TILE_CLASSES ? TILE : 1;
    int64_t label[TILE];
    for (int64_t i = 0; i < n; i += step) {
        int rows = (int)(n - i < step ? n - i : step), within = labels_within(y + i, rows, k, label);
        if (within < rows) return i + within;
        if (step == 1)
            label_long_row(q, row_of(q, i), *label, k, wanted, out + i, stride);
        else if (whole)
            label_tile(q, row_of(q, i), label, rows, (int)k, 1, wanted, out + i, stride);
        else
            label_tile(q, row_of(q, i), label, rows, (int)k, 0, wanted, out + i, stride);
    }
    return n;
}

#endif
