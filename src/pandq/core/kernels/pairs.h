/* Logits against logits of single precision or less, many classes: both divergences in one pass.
 *
 * With d = (x_p - x_q) - c for any constant c, u = E_p[d], v = E_p[exp(-d) - 1 + d]:
 *
 *     KL(P||Q) = u + log1p(v - u)
 *     KL(Q||P) = -(u + g) / (1 + v - u) - log1p(v - u),   g = E_p[d (exp(-d) - 1)]
 *
 * v and g sum terms of one sign, so nothing cancels when Q is close to P. c is x_p - x_q at P's
 * maximum so far. Where P and Q are far apart the plain form u + c + log Z_q - log Z_p is taken.
 */
#ifndef PANDQ_PAIRS_H
#define PANDQ_PAIRS_H

#include "softmax.h"

#define PAIR_LANES 16 /* so few that ten sums stay in registers */

/* Rows of the result for laws, each `stride` doubles long. */
enum { CROSS_ENTROPY, ENTROPY, KL, KL_REVERSE, AGREE, LAW_BRIER, Q_MAX, MASS, LAW_Q_ENTROPY, P_TOP, Q_TOP,
       P_MAX, Q_AT_P, LAW_MEASURES };

/* Sums over classes, with s = x - maximum and e = exp(s): of e_p and of e_q without the maxima's own,
 * of e_p s_p, of u, v and g; and of e_q s_q, e_q^2 and e_p e_q (the last two without Q's maximum), for
 * Q's entropy and the Brier score where they are wanted. */
enum { P, Q, PS, U, V, G, LEAN, QS = LEAN, QQ, PQ, SUMS };

struct pair {
    double sum[SUMS];
    double loose; /* how much has passed through v that is no longer in it */
    float c;
};

struct about { float p, q, c, k; }; /* the maxima, c, and exp(m_q + c - m_p) */

struct ahead { /* where the next block lies */
    const char *p, *q;
    int size_p, size_q;
};

/* x_p - x_q - c, to single precision of the result however far x_p and x_q lie from 0. */
INLINE float apart_f(float xp, float xq, float c)
{
    float t = xp - xq, back = t - xp;
    float lost = (xp - (t - back)) - (xq + back); /* Knuth's two-sum: what t has rounded away */
    return (t - c) + lost;
}

INLINE void pair_term(float xp, float xq, struct about at, int peaked, int whole,
                      float (*restrict sum)[PAIR_LANES], int l)
{
    float sp = xp - at.p, sq = xq - at.q, d = apart_f(xp, xq, at.c);
    float ep = exp_f(not_below_least(sp)), eq = exp_f(not_below_least(sq));
    float r = d * d * remainder_f(d), near = fabsf(d);
    /* p (exp(-d) - 1), from its series or as the difference that it is */
    float change = near <= 0.5f ? ep * (r - d) : FMA_F(eq, at.k, -ep);
    float bend = near <= 0.5f ? ep * r : FMA_F(ep, d, change);
    sum[U][l] = FMA_F(ep, d, sum[U][l]);
    sum[V][l] += bend;
    sum[G][l] = FMA_F(change, d, sum[G][l]);
    sum[PS][l] = FMA_F(ep, sp, sum[PS][l]);
    float q = peaked && sq == 0.0f ? 0.0f : eq;
    sum[Q][l] += q;
    if (whole) {
        sum[QS][l] = FMA_F(eq, sq, sum[QS][l]);
        sum[QQ][l] = FMA_F(q, q, sum[QQ][l]);
        sum[PQ][l] = FMA_F(q, ep, sum[PQ][l]);
    }
    sum[P][l] += peaked && sp == 0.0f ? 0.0f : ep;
}

/* Where |d| <= 1/2 throughout, q needs no exponential of its own. */
INLINE void near_term(float xp, float xq, struct about at, float (*restrict sum)[PAIR_LANES], int l)
{
    float sp = xp - at.p, d = apart_f(xp, xq, at.c), ep = exp_f(not_below_least(sp));
    float r = d * d * remainder_f(d), change = ep * (r - d);
    sum[U][l] = FMA_F(ep, d, sum[U][l]);
    sum[V][l] = FMA_F(ep, r, sum[V][l]);
    sum[G][l] = FMA_F(change, d, sum[G][l]);
    sum[PS][l] = FMA_F(ep, sp, sum[PS][l]);
    sum[P][l] += ep;
}

INLINE int all_near(const float *xp, const float *xq, int n, float c)
{
    int far = 0;
    for (int i = 0; i < n; i++) far |= !(fabsf((xp[i] - xq[i]) - c) <= 0.5f);
    return !far;
}

/* Classes that both forbid add nothing: in a copy of the block they stand 200 nat below the maxima,
 * with d = 0. One that only one of them forbids is left to the double-precision formulas. */
INLINE int allow(float *restrict xp, float *restrict xq, const float *from_p, const float *from_q,
                 int n, float p, float c)
{
    int both = 0;
    for (int i = 0; i < n; i++)
        both |= (from_p[i] == -INFINITY) & (from_q[i] == -INFINITY);
    if (!both) return 0;
    for (int i = 0; i < n; i++) {
        int forbidden = (from_p[i] == -INFINITY) & (from_q[i] == -INFINITY);
        xp[i] = forbidden ? p - 200.0f : from_p[i];
        xq[i] = forbidden ? (p - 200.0f) - c : from_q[i];
    }
    return 1;
}

INLINE void near_block(struct pair *a, const float *xp, const float *xq, int n, struct about at,
                       struct ahead next)
{
    float sum[LEAN][PAIR_LANES] = {{0}};
    int i = 0;
    for (; i + PAIR_LANES <= n; i += PAIR_LANES) {
        fetch(next.p + (ptrdiff_t)i * next.size_p, PAIR_LANES * next.size_p);
        fetch(next.q + (ptrdiff_t)i * next.size_q, PAIR_LANES * next.size_q);
        for (int l = 0; l < PAIR_LANES; l++) near_term(xp[i + l], xq[i + l], at, sum, l);
    }
    for (int l = 0; l < n - i; l++) near_term(xp[i + l], xq[i + l], at, sum, l);
    double found[LEAN] = {0};
    for (int s = P; s < LEAN; s++)
        if (s != Q) found[s] = total(sum[s], PAIR_LANES);
    found[Q] = (found[P] + (found[V] - found[U])) / at.k; /* p exp(-d), about Q's maximum */
    for (int s = P; s < LEAN; s++) a->sum[s] += found[s];
}

INLINE void pair_block(struct pair *a, const float *xp, const float *xq, int n, struct about at,
                       int peaked, int whole, struct ahead next)
{
    float sum[SUMS][PAIR_LANES] = {{0}};
    int i = 0;
    for (; i + PAIR_LANES <= n; i += PAIR_LANES) {
        fetch(next.p + (ptrdiff_t)i * next.size_p, PAIR_LANES * next.size_p);
        fetch(next.q + (ptrdiff_t)i * next.size_q, PAIR_LANES * next.size_q);
        for (int l = 0; l < PAIR_LANES; l++) pair_term(xp[i + l], xq[i + l], at, peaked, whole, sum, l);
    }
    for (int l = 0; l < n - i; l++) pair_term(xp[i + l], xq[i + l], at, peaked, whole, sum, l);
    for (int s = 0; s < (whole ? SUMS : LEAN); s++) a->sum[s] += total(sum[s], PAIR_LANES);
}

/* P's probability where Q has its maximum, among the first `n` classes, about P's maximum m. */
static double p_at_peak(const struct matrix *xp, const struct matrix *xq, const char *row_p,
                        const char *row_q, struct peak q, int64_t n, float m)
{
    double mass = 0.0;
    int64_t left = q.ties;
    for (int64_t i = q.first; left && i < n; i++)
        if (one_f(xq, row_q, i) == q.value) {
            mass += shrink((double)one_f(xp, row_p, i) - m);
            left--;
        }
    return mass;
}

/* The same sums about maxima that are higher by -rise; the classes at the old ones, whose e is 1,
 * join the others, and `at_q` is what those of Q's have of P. */
INLINE void pair_rise(struct pair *a, double rise_p, double rise_q, double ties_p, double ties_q,
                      double at_q)
{
    double by_p = shrink(rise_p), by_q = shrink(rise_q), *s = a->sum;
    if (rise_p < 0.0) {
        s[P] += ties_p;
        s[PS] = by_p == 0.0 ? 0.0 : by_p * FMA_D(s[P], rise_p, s[PS]);
        s[P] *= by_p, s[U] *= by_p, s[V] *= by_p, s[G] *= by_p, a->loose *= by_p;
    }
    if (rise_q < 0.0) {
        s[Q] += ties_q, s[QQ] += ties_q, s[PQ] += at_q;
        s[QS] = by_q == 0.0 ? 0.0 : by_q * FMA_D(s[Q], rise_q, s[QS]);
        s[Q] *= by_q, s[QQ] *= by_q * by_q;
    }
    s[PQ] *= by_p * by_q;
}

/* The same sums about c + by: d loses `by`. `p` is all of P's probability so far. */
INLINE void pair_shift(struct pair *a, double by, double p)
{
    double *s = a->sum, up = by > 700.0 ? (double)INFINITY : by < LEAST_D ? -1.0 : exp_d(by) - 1.0;
    if (by < 0.5 && by > -0.5) up = FMA_D(by * by, exp_series(by), by);
    double change = s[V] - s[U];
    a->loose += fabs(s[V]) + by * by * p;
    s[G] = s[G] + up * (s[G] + s[U]) - by * ((1.0 + up) * change + up * p);
    s[V] += up * change + (up - by) * p;
    s[U] -= by * p;
}

/* What the sums say; false where single precision does not carry that far. */
INLINE int pair_row(double *out, ptrdiff_t stride, const struct pair *a, struct peak p, struct peak q,
                    double at_top, double q_at_top, double at_peak)
{
    const double *s = a->sum;
    double rest_p = s[P] + (double)(p.ties - 1), rest_q = s[Q] + (double)(q.ties - 1);
    double zp = 1.0 + rest_p, zq = 1.0 + rest_q, log_zp = log1p_d(rest_p), log_zq = log1p_d(rest_q);
    double hp = log_zp - s[PS] / zp, hq = log_zq - s[QS] / zq;
    double u = s[U] / zp, v = s[V] / zp, g = s[G] / zp;
    /* log of 1 + v - u = E_p[exp(-d)], which is also Z_q over Z_p up to c */
    double ratio = a->c + ((double)q.value + log_zq) - ((double)p.value + log_zp);
    if (v < 1.0) ratio = log1p_d(v - u);
    double kl = u + ratio, by = exp_d(ratio < -700.0 ? 700.0 : -ratio);
    double reverse = -(u + g) * by - ratio, size = v < 1.0 ? v + a->loose / zp : fabs(u);
    int sound = size <= 128.0 * kl && size * by <= 128.0 * reverse && reverse < 1e30 && hp - hp == 0.0 &&
                hq - hq == 0.0;
    int agree = p.first == q.first;
    double brier;
    if (agree && q.ties == 1) { /* 1 - p and 1 - q at the top class, and the squares of the others */
        double miss_p = rest_p / zp, miss_q = rest_q / zq;
        brier = 2.0 * miss_p + miss_q * (miss_q - 2.0 * miss_p) + s[QQ] / (zq * zq) -
                2.0 * s[PQ] / (zp * zq);
    } else {
        brier = 1.0 + (s[QQ] + (double)q.ties) / (zq * zq) - 2.0 * (s[PQ] + at_peak) / (zp * zq);
    }
    out[CROSS_ENTROPY * stride] = hp + kl;
    out[ENTROPY * stride] = hp;
    out[KL * stride] = kl;
    out[KL_REVERSE * stride] = reverse;
    out[AGREE * stride] = agree ? 1.0 : 0.0;
    out[LAW_BRIER * stride] = brier;
    out[Q_MAX * stride] = 1.0 / zq;
    out[MASS * stride] = at_top / zp;
    out[LAW_Q_ENTROPY * stride] = hq;
    out[P_TOP * stride] = p.ties > 1 ? TIED : (double)p.first;
    out[Q_TOP * stride] = q.ties > 1 ? TIED : (double)q.first;
    out[P_MAX * stride] = 1.0 / zp;
    out[Q_AT_P * stride] = q_at_top / zq;
    return sound;
}

/* One row; false where the double-precision formulas must do it again. */
static int pair_long_row(const struct matrix *xp, const struct matrix *xq, const char *row_p,
                         const char *row_q, int64_t k, int whole, double *out, ptrdiff_t stride)
{
    struct peak p = {-INFINITY, 0, 0}, q = p;
    struct pair a = {{0}, 0.0, 0.0f};
    float buffer_p[BLOCK], buffer_q[BLOCK], allowed_p[BLOCK], allowed_q[BLOCK];
    for (int64_t first = 0; first < k; first += BLOCK) {
        int n = (int)(k - first < BLOCK ? k - first : BLOCK);
        const float *x = block_f(xp, row_p, first, n, buffer_p);
        const float *y = block_f(xq, row_q, first, n, buffer_q);
        struct peak was_p = p, was_q = q;
        int peaked = peak_of_block(&p, x, n, first) | peak_of_block(&q, y, n, first);
        if (p.value == -INFINITY && q.value == -INFINITY) {
            p.ties = q.ties = 0; /* nothing is allowed so far */
            continue;
        }
        if (first) {
            double rise_p = (double)was_p.value - p.value, rise_q = (double)was_q.value - q.value;
            double at_q = rise_q < 0.0 ? p_at_peak(xp, xq, row_p, row_q, was_q, first, was_p.value) : 0.0;
            pair_rise(&a, rise_p, rise_q, (double)was_p.ties, (double)was_q.ties, at_q);
        }
        if (p.value > was_p.value) {
            float c = x[p.first - first] - y[p.first - first];
            if (first) pair_shift(&a, (double)c - a.c, a.sum[P]);
            a.c = c;
        }
        /* never below 0; where it is large, clamped exponentials of Q would count */
        double exponent = (double)q.value + a.c - p.value;
        float factor = exponent < 40.0 ? (float)exp_d(exponent) : INFINITY;
        struct about at = {p.value, q.value, a.c, factor};
        int near = exponent < 40.0 && all_near(x, y, n, a.c);
        if (!near && allow(allowed_p, allowed_q, x, y, n, p.value, a.c)) {
            x = allowed_p;
            y = allowed_q;
            near = exponent < 40.0 && all_near(x, y, n, a.c);
        }
        struct ahead next = {row_p + (first + BLOCK) * xp->column, row_q + (first + BLOCK) * xq->column,
                             (int)xp->column, (int)xq->column};
        if (whole)
            pair_block(&a, x, y, n, at, 1, 1, next);
        else if (peaked)
            pair_block(&a, x, y, n, at, 1, 0, next);
        else if (near)
            near_block(&a, x, y, n, at, next);
        else
            pair_block(&a, x, y, n, at, 0, 0, next);
    }
    double at_top = shrink((double)one_f(xp, row_p, q.first) - p.value);
    double q_at_top = shrink((double)one_f(xq, row_q, p.first) - q.value);
    double at_peak = whole ? p_at_peak(xp, xq, row_p, row_q, q, k, p.value) : 0.0;
    return pair_row(out, stride, &a, p, q, at_top, q_at_top, at_peak);
}

#endif
