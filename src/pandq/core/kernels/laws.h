/* Laws in double precision: a row as probabilities and their logarithms, W of them side by side.
 *
 * A sheet holds `steps` times W numbers. Of short rows, lane l is row l and step s its class s; one
 * long row lies across the lanes, class s W + l in lane l at step s. Either way the loops over
 * lanes read the same, and what differs is only that a long row's lanes are folded into one.
 */
#ifndef PANDQ_LAWS_H
#define PANDQ_LAWS_H

#include "softmax.h"

#define W LANES_D
#define SHORT_CLASSES 64 /* rows of at most so many classes lie side by side */

enum kind { COUNTS, PROBS, LOG_PROBS, LOGITS };

/* log p = score - norm; of probabilities the score is their logarithm. */
struct law {
    double *prob, *score;
    double norm[W], largest[W], top[W], ties[W]; /* the largest probability, its class, how many share it */
};

struct shape {
    int64_t k;
    int steps, rows, wide; /* wide: one long row across the lanes */
};

INLINE struct shape shape_of(int64_t k, int64_t left)
{
    if (k > SHORT_CLASSES) return (struct shape){k, (int)((k + W - 1) / W), 1, 1};
    return (struct shape){k, (int)k, (int)(left < W ? left : W), 0};
}

/* Lanes of one long row added up, and the sum given to every lane. */
INLINE void fold(double *lane, int wide)
{
    if (!wide) return;
    for (int half = W / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    for (int l = 1; l < W; l++) lane[l] = lane[0];
}

/* The numbers of the rows from i on, or of those rows that `chosen` lists from there on; a class that is
 * not there holds `absent`. */
INLINE void rows_of(double *to, const struct matrix *x, int64_t i, const int64_t *chosen,
                    struct shape shape, double absent)
{
    if (shape.wide) {
        read_d(to, row_of(x, chosen ? chosen[i] : i), x->storage, x->column, (int)shape.k);
        for (int64_t c = shape.k; c < (int64_t)shape.steps * W; c++) to[c] = absent;
        return;
    }
    double row[SHORT_CLASSES];
    int floats = x->storage == F32 && x->column == sizeof(float);
    for (int r = 0; r < W; r++) {
        /* lanes without a row repeat the last one */
        int64_t here = i + (r < shape.rows ? r : shape.rows - 1);
        const char *from = row_of(x, chosen ? chosen[here] : here);
        if (floats) {
            for (int c = 0; c < shape.steps; c++) {
                float value;
                memcpy(&value, from + c * sizeof value, sizeof value);
                to[c * W + r] = value;
            }
            continue;
        }
        read_d(row, from, x->storage, x->column, shape.steps);
        for (int c = 0; c < shape.steps; c++) to[c * W + r] = row[c];
    }
}

static void sheet_of(double *to, const struct matrix *x, int64_t i, struct shape shape, double absent)
{
    rows_of(to, x, i, NULL, shape, absent);
}

static void chosen_sheet(double *to, const struct matrix *x, int64_t i, const int64_t *chosen,
                         struct shape shape, double absent)
{
    rows_of(to, x, i, chosen, shape, absent);
}

/* The largest of each row, its class (the first among equals), and how many classes share it. */
INLINE void largest_of(const double *x, struct shape shape, struct law *law)
{
    double *largest = law->largest, *top = law->top, *ties = law->ties;
    for (int l = 0; l < W; l++) largest[l] = x[l], top[l] = shape.wide ? (double)l : 0.0;
    for (int s = 1; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            double class = shape.wide ? (double)s * W + l : (double)s, value = x[s * W + l];
            top[l] = value > largest[l] ? class : top[l];
            largest[l] = value > largest[l] ? value : largest[l];
        }
    if (shape.wide) {
        for (int l = 1; l < W; l++)
            if (largest[l] > largest[0] || (largest[l] == largest[0] && top[l] < top[0]))
                largest[0] = largest[l], top[0] = top[l];
        for (int l = 1; l < W; l++) largest[l] = largest[0], top[l] = top[0];
    }
    for (int l = 0; l < W; l++) ties[l] = 0.0;
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) ties[l] += x[s * W + l] == largest[l] ? 1.0 : 0.0;
    fold(ties, shape.wide);
}

/* exp(x) with 0 for what is below the smallest normal number. */
INLINE double exp_or_zero(double x)
{
    double e = exp_d(x < LEAST_D ? LEAST_D : x);
    return x < LEAST_D ? 0.0 : e;
}

/* Softmax; the largest term is kept apart from the sum, so that log Z = log1p(the others). Without `whole`
 * there are only scores, the norm and what is largest. */
INLINE void softmax_law(struct law *law, struct shape shape, int whole)
{
    double others[W] = {0}, z[W];
    largest_of(law->score, shape, law);
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            double class = shape.wide ? (double)s * W + l : (double)s;
            double score = law->score[s * W + l] - law->largest[l], e = exp_or_zero(score);
            law->score[s * W + l] = score;
            if (whole) law->prob[s * W + l] = e;
            others[l] += class == law->top[l] ? 0.0 : e;
        }
    fold(others, shape.wide);
    for (int l = 0; l < W; l++) {
        z[l] = 1.0 + others[l];
        law->norm[l] = log1p_d(others[l]);
        law->largest[l] = 1.0 / z[l];
    }
    for (int s = 0; s < shape.steps && whole; s++)
        for (int l = 0; l < W; l++) law->prob[s * W + l] /= z[l];
}

static void law_of_logits(struct law *law, struct shape shape) { softmax_law(law, shape, 1); }

static void scores_of_logits(struct law *law, struct shape shape) { softmax_law(law, shape, 0); }

/* Probabilities, or votes over their sum. */
static void law_of_probs(struct law *law, struct shape shape, enum kind kind)
{
    double sum[W] = {0};
    for (int s = 0; s < shape.steps && kind == COUNTS; s++)
        for (int l = 0; l < W; l++) sum[l] += law->score[s * W + l];
    fold(sum, shape.wide);
    for (int l = 0; l < W; l++) sum[l] = kind == COUNTS ? sum[l] : 1.0;
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            double p = law->score[s * W + l] / sum[l];
            law->prob[s * W + l] = p;
            law->score[s * W + l] = log_d(p);
        }
    largest_of(law->prob, shape, law);
}

static void law_of_log_probs(struct law *law, struct shape shape)
{
    largest_of(law->score, shape, law);
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) law->prob[s * W + l] = exp_or_zero(law->score[s * W + l]);
    for (int l = 0; l < W; l++) law->largest[l] = exp_or_zero(law->largest[l]);
}

/* What a class that is not there holds. */
INLINE double absent_of(enum kind kind)
{
    return kind == COUNTS || kind == PROBS ? 0.0 : -(double)INFINITY;
}

/* The laws of a sheet, which `score` holds. */
static void law_of_sheet(struct law *law, enum kind kind, struct shape shape)
{
    for (int l = 0; l < W; l++) law->norm[l] = 0.0;
    if (kind == LOGITS)
        law_of_logits(law, shape);
    else if (kind == LOG_PROBS)
        law_of_log_probs(law, shape);
    else
        law_of_probs(law, shape, kind);
}

static void law_of(struct law *law, const struct matrix *x, enum kind kind, int64_t i,
                   struct shape shape)
{
    sheet_of(law->score, x, i, shape, absent_of(kind));
    law_of_sheet(law, kind, shape);
}

#endif
