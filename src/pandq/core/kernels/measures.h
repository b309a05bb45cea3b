/* Every measure of an audit in double precision, for any two kinds of law: core/measures.py in C. */
#ifndef PANDQ_MEASURES_H
#define PANDQ_MEASURES_H

#include "labels.h"
#include "laws.h"
#include "pairs.h"

/* q - p - p t for t = log q/p: never negative, and right when q is close to p. */
INLINE double bregman(double p, double q, double t)
{
    double near = t <= 0.5 && t >= -0.5 ? t : 0.0;
    double close = p * (near * near * exp_series(near));
    double far = q - p - (p == 0.0 ? 0.0 : p * t);
    return t <= 0.5 && t >= -0.5 ? close : far;
}

/* log q/p, formed so that nearly equal laws keep their difference; both impossible: 0. */
INLINE double log_ratio(double p, double q, double score_p, double score_q, double shift, int plain)
{
    double t = (score_q - score_p) - shift;
    if (plain) {
        double change = (q - p) / p, small = change <= 0.5 && change >= -0.5 ? change : 0.0;
        double close = log1p_d(small);
        t = change <= 0.5 && change >= -0.5 ? close : t;
    }
    return score_p == -(double)INFINITY && score_q == score_p ? 0.0 : t;
}

enum { S_CROSS, S_ENTROPY, S_KL, S_REVERSE, S_BRIER, S_Q_ENTROPY, S_IMPOSSIBLE, S_UNHEARD, LAW_SUMS };

INLINE void law_terms(double (*restrict sum)[W], int l, double p, double q, double score_p,
                      double score_q, double norm_p, double norm_q, int plain)
{
    double log_p = score_p - norm_p, log_q = score_q - norm_q;
    double t = log_ratio(p, q, score_p, score_q, norm_q - norm_p, plain), apart = p - q;
    sum[S_CROSS][l] -= p == 0.0 ? 0.0 : p * log_q;
    sum[S_ENTROPY][l] -= p == 0.0 ? 0.0 : p * log_p;
    sum[S_Q_ENTROPY][l] -= q == 0.0 ? 0.0 : q * log_q;
    sum[S_KL][l] += bregman(p, q, t);
    sum[S_REVERSE][l] += bregman(q, p, -t);
    sum[S_BRIER][l] += FMA_D(apart, apart, p * (1.0 - p));
    /* a class that one law allows and the other forbids, even where the probability underflows */
    sum[S_IMPOSSIBLE][l] += log_q == -(double)INFINITY && log_p > log_q ? 1.0 : 0.0;
    sum[S_UNHEARD][l] += log_p == -(double)INFINITY && log_q > log_p ? 1.0 : 0.0;
}

static void law_rows(const struct law *p, const struct law *q, struct shape shape, int plain,
                     double *out, ptrdiff_t stride)
{
    double sum[LAW_SUMS][W] = {{0}};
    if (plain)
        for (int s = 0; s < shape.steps; s++)
            for (int l = 0; l < W; l++)
                law_terms(sum, l, p->prob[s * W + l], q->prob[s * W + l], p->score[s * W + l],
                          q->score[s * W + l], 0.0, 0.0, 1);
    else
        for (int s = 0; s < shape.steps; s++)
            for (int l = 0; l < W; l++)
                law_terms(sum, l, p->prob[s * W + l], q->prob[s * W + l], p->score[s * W + l],
                          q->score[s * W + l], p->norm[l], q->norm[l], 0);
    for (int m = 0; m < LAW_SUMS; m++) fold(sum[m], shape.wide);
    for (int r = 0; r < shape.rows; r++) {
        int64_t top = (int64_t)q->top[r], p_top = (int64_t)p->top[r];
        double *to = out + r, forbidden = sum[S_IMPOSSIBLE][r] > 0.0 ? INFINITY : 0.0;
        to[CROSS_ENTROPY * stride] = sum[S_CROSS][r] + forbidden;
        to[ENTROPY * stride] = sum[S_ENTROPY][r];
        to[KL * stride] = forbidden > 0.0 ? forbidden : sum[S_KL][r];
        to[KL_REVERSE * stride] = sum[S_UNHEARD][r] > 0.0 ? INFINITY : sum[S_REVERSE][r];
        to[AGREE * stride] = p->top[r] == q->top[r] ? 1.0 : 0.0;
        to[LAW_BRIER * stride] = sum[S_BRIER][r];
        to[Q_MAX * stride] = q->largest[r];
        to[MASS * stride] = p->prob[shape.wide ? top : top * W + r];
        to[LAW_Q_ENTROPY * stride] = sum[S_Q_ENTROPY][r];
        to[P_TOP * stride] = p->ties[r] > 1.0 ? TIED : p->top[r];
        to[Q_TOP * stride] = q->ties[r] > 1.0 ? TIED : q->top[r];
        to[P_MAX * stride] = p->largest[r];
        to[Q_AT_P * stride] = q->prob[shape.wide ? p_top : p_top * W + r];
    }
}

static void label_rows(const int64_t *y, const struct law *q, struct shape shape, int wanted,
                       double *out, ptrdiff_t stride)
{
    double found[LABEL_MEASURES][W], entropy[W] = {0}, brier[W] = {0}, label[W];
    for (int l = 0; l < W; l++) label[l] = (double)y[shape.wide ? 0 : l < shape.rows ? l : shape.rows - 1];
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            double class = shape.wide ? (double)s * W + l : (double)s, p = q->prob[s * W + l];
            double log_p = q->score[s * W + l] - q->norm[l], miss = class == label[l] ? 1.0 - p : p;
            entropy[l] -= p == 0.0 ? 0.0 : p * log_p;
            brier[l] = FMA_D(miss, miss, brier[l]);
        }
    fold(entropy, shape.wide);
    fold(brier, shape.wide);
    for (int r = 0; r < shape.rows; r++) {
        int64_t at = shape.wide ? y[r] : y[r] * W + r, first = (int64_t)q->top[r];
        int64_t top = shape.wide ? first : first * W + r;
        /* one of the two is as it was given; the other is rounded */
        int at_top = q->prob[at] == q->prob[top] && q->score[at] == q->score[top];
        found[LOSS][r] = 0.0 - (q->score[at] - q->norm[r]);
        found[RIGHT][r] = at_top ? 1.0 / q->ties[r] : 0.0; /* a tie counts its share */
        found[BRIER][r] = brier[r];
        found[CONFIDENCE][r] = q->largest[r];
        found[Q_ENTROPY][r] = entropy[r];
        found[Q_CLASS][r] = q->ties[r] > 1.0 ? TIED : q->top[r];
    }
    put(out, stride, wanted, found[0], W, shape.rows);
}

/* Room for the sheets of P and Q, or NULL. */
static double *sheets_for(int64_t k, struct law *p, struct law *q)
{
    size_t size = (size_t)shape_of(k, W).steps * W;
    double *room = malloc(4 * size * sizeof *room);
    if (room) {
        *p = (struct law){room, room + size, {0}, {0}, {0}, {0}};
        *q = (struct law){room + 2 * size, room + 3 * size, {0}, {0}, {0}, {0}};
    }
    return room;
}

/* Labels against any law, the measures whose bit is set in `wanted`: the rows that were measured, all or
 * those before the first label that is no class; -1 if there is no memory. */
static int64_t measure_labels(const int64_t *y, const struct matrix *xq, enum kind kind, int64_t n,
                              int64_t k, int wanted, double *out, ptrdiff_t stride)
{
    if (kind == LOGITS && single(xq)) return labels_logits(xq, y, n, k, wanted, out, stride);
    struct law p, q;
    double *room = sheets_for(k, &p, &q);
    if (!room) return -1;
    struct shape shape;
    int64_t i = 0, label[W];
    for (; i < n; i += shape.rows) {
        shape = shape_of(k, n - i);
        int within = labels_within(y + i, shape.rows, k, label);
        if (within < shape.rows) {
            i += within;
            break;
        }
        law_of(&q, xq, kind, i, shape);
        label_rows(label, &q, shape, wanted, out + i, stride);
    }
    free(room);
    return i;
}

/* Any two laws; false if there is no memory. Unless it is to be `whole`, Brier score and H(Q) may be
 * left out. */
static int measure_laws(const struct matrix *xp, enum kind kind_p, const struct matrix *xq,
                        enum kind kind_q, int64_t n, int64_t k, int whole, double *out,
                        ptrdiff_t stride)
{
    struct law p, q;
    double *room = sheets_for(k, &p, &q);
    if (!room) return 0;
    int fast = kind_p == LOGITS && kind_q == LOGITS && single(xp) && single(xq) && k > SHORT_CLASSES;
    int plain = kind_p <= PROBS && kind_q <= PROBS;
    struct shape shape;
    for (int64_t i = 0; i < n; i += shape.rows) {
        shape = shape_of(k, n - i);
        if (fast &&
            pair_long_row(xp, xq, row_of(xp, i), row_of(xq, i), k, whole, out + i, stride))
            continue;
        law_of(&p, xp, kind_p, i, shape);
        law_of(&q, xq, kind_q, i, shape);
        law_rows(&p, &q, shape, plain, out + i, stride);
    }
    free(room);
    return 1;
}

#endif
