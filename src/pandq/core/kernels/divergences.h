/* Divergences other than KL, of any two laws in double precision: core/measures.py in C. */
#ifndef PANDQ_DIVERGENCES_H
#define PANDQ_DIVERGENCES_H

#include "measures.h"
#include "shares.h"
#include "singles.h"

/* One class: the two probabilities, their logarithms, and t = log q/p. */
struct class { double p, q, log_p, log_q, t; };

/* exp(x) for any x: squared, so that it runs over and under only where exp does. */
INLINE double exp_any(double x)
{
    double half = 0.5 * x, e = exp_d(half < -700.0 ? -700.0 : half > 700.0 ? 700.0 : half);
    return x != x ? x : e * e;
}

/* exp(x) - 1, right to the last bits for small x too. */
INLINE double expm1_any(double x)
{
    double r = near_0(x) ? x : 0.0, small = FMA_D(r * r, exp_series(r), r), e = exp_any(x);
    return near_0(x) ? small : e - 1.0;
}

/* exp(x) - 1 - x, never negative. */
INLINE double exp_remainder(double x)
{
    double r = near_0(x) ? x : 0.0, small = r * r * exp_series(r), e = exp_any(x);
    return near_0(x) ? small : e - 1.0 - x;
}

/* q - p, from the log ratio where they are close. */
INLINE double apart_by(struct class c)
{
    double r = near_0(c.t) ? c.t : 0.0;
    return near_0(c.t) ? c.p * FMA_D(r * r, exp_series(r), r) : c.q - c.p;
}

/* With m = w p + (1-w) q: log m/p and log m/q from the smaller of exp(t) and exp(-t). */
INLINE double js_term(struct class c, double w)
{
    int less = c.t < 0.0;
    double share = less ? 1.0 - w : w, t = less ? c.t : -c.t;
    double log_m = log1p_d(share * expm1_any(t));
    double to_p = less ? log_m : log_m + c.t, to_q = less ? log_m - c.t : log_m;
    double mix = w * c.p + (1.0 - w) * c.q;
    return w * bregman(c.p, mix, to_p) + (1.0 - w) * bregman(c.q, mix, to_q);
}

INLINE double hellinger_term(struct class c)
{
    double r = near_0(c.t) ? 0.5 * c.t : 0.0, root = sqrt(c.p);
    double apart = near_0(c.t) ? root * FMA_D(r * r, exp_series(r), r) : sqrt(c.q) - root;
    return apart * apart;
}

/* Far apart as p^2/q - 2p + q in logarithms, because q may underflow while p^2/q does not. */
INLINE double chi2_term(struct class c)
{
    double r = near_0(c.t) ? -c.t : 0.0, change = FMA_D(r * r, exp_series(r), r);
    double far = exp_any(2.0 * c.log_p - c.log_q) - 2.0 * c.p + c.q;
    far = c.log_p == -(double)INFINITY ? c.q : far;
    return near_0(c.t) ? c.q * change * change : far;
}

INLINE int in_both(struct class c)
{
    return c.log_p > -(double)INFINITY && c.log_q > -(double)INFINITY;
}

/* p^a q^s - a p - s q for s = 1 - a: whichever of p exp(s t) and q exp(-a t) is near its base leaves
 * a small remainder. */
INLINE double power_term(struct class c, double a)
{
    double s = 1.0 - a, both = in_both(c);
    int by_p = both && near_0(s * c.t), by_q = both && near_0(a * c.t);
    double base = by_p ? c.p : c.q, other = by_p ? c.q : c.p, t = by_p ? c.t : -c.t;
    double share = by_p ? s : a, x = by_p || by_q ? share * t : 0.0;
    double close = base * (x * x * exp_series(x)) - share * bregman(base, other, t);
    double power = both ? exp_any(a * c.log_p + s * c.log_q) : 0.0;
    return by_p || by_q ? close : power - a * c.p - s * c.q;
}

INLINE double divergence_term(enum divergence which, struct class c, double parameter)
{
    double apart;
    switch (which) {
    case JS: return js_term(c, parameter);
    case JEFFREYS: return apart = apart_by(c), apart == 0.0 ? 0.0 : apart * c.t;
    case TOTAL_VARIATION: return fabs(apart_by(c));
    case HELLINGER: return hellinger_term(c);
    case CHI2: return chi2_term(c);
    default: return power_term(c, parameter);
    }
}

struct laws { const struct law *p, *q; };

INLINE struct class class_of(struct laws laws, int s, int l, int plain)
{
    const struct law *p = laws.p, *q = laws.q;
    int at = s * W + l;
    double norm_p = plain ? 0.0 : p->norm[l], norm_q = plain ? 0.0 : q->norm[l];
    struct class c = {p->prob[at], q->prob[at], p->score[at] - norm_p, q->score[at] - norm_q, 0.0};
    c.t = log_ratio(c.p, c.q, p->score[at], q->score[at], norm_q - norm_p, plain);
    return c;
}

INLINE void divergence_sums(enum divergence which, struct laws laws, struct shape shape, int plain,
                            double parameter, struct divergent *to)
{
    for (int first = 0; first < shape.steps; first += PART) {
        double part[W] = {0};
        int end = first + PART < shape.steps ? first + PART : shape.steps;
        for (int s = first; s < end; s++)
            for (int l = 0; l < W; l++) {
                struct class c = class_of(laws, s, l, plain);
                part[l] += divergence_term(which, c, parameter);
                to->impossible[l] += c.log_q == -(double)INFINITY && c.log_p > c.log_q ? 1.0 : 0.0;
                to->unheard[l] += c.log_p == -(double)INFINITY && c.log_q > c.log_p ? 1.0 : 0.0;
            }
        for (int l = 0; l < W; l++) to->sum[l] += part[l];
    }
    fold(to->sum, shape.wide);
    fold(to->impossible, shape.wide);
    fold(to->unheard, shape.wide);
}

/* The largest of each row given to every lane of it. */
INLINE void largest_lane(double *lane, int wide)
{
    for (int l = 1; l < W && wide; l++) lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
    for (int l = 1; l < W && wide; l++) lane[l] = lane[0];
}

/* The largest log P(A)/Q(A) over all events A, of which the whole space gives 0. */
static void largest_ratios(struct laws laws, struct shape shape, int plain, double *largest)
{
    for (int l = 0; l < W; l++) largest[l] = 0.0;
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            struct class c = class_of(laws, s, l, plain);
            double ratio = in_both(c) ? -c.t : 0.0;
            largest[l] = ratio > largest[l] ? ratio : largest[l];
        }
    largest_lane(largest, shape.wide);
}

/* log of the sum of p^a q^(1-a), where it is far from 0. */
static void log_powers(struct laws laws, struct shape shape, int plain, double a, double *to)
{
    double top[W], sum[W] = {0};
    for (int l = 0; l < W; l++) top[l] = -(double)INFINITY;
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            struct class c = class_of(laws, s, l, plain);
            double power = in_both(c) ? a * c.log_p + (1.0 - a) * c.log_q : -(double)INFINITY;
            top[l] = power > top[l] ? power : top[l];
        }
    largest_lane(top, shape.wide);
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            struct class c = class_of(laws, s, l, plain);
            double power = a * c.log_p + (1.0 - a) * c.log_q - top[l];
            sum[l] += in_both(c) ? exp_any(power) : 0.0;
        }
    fold(sum, shape.wide);
    for (int l = 0; l < W; l++) to[l] = sum[l] == 0.0 ? -(double)INFINITY : top[l] + log_d(sum[l]);
}

static void renyi_of_powers(struct laws laws, struct shape shape, int plain, double a, double *sum)
{
    double far[W] = {0};
    int any = 0;
    for (int l = 0; l < W; l++) any |= !(fabs(sum[l]) < 0.5);
    if (any) log_powers(laws, shape, plain, a, far);
    for (int l = 0; l < W; l++)
        sum[l] = (fabs(sum[l]) < 0.5 ? log1p_d(sum[l]) : far[l]) / (a - 1.0);
}

INLINE void finish(enum divergence which, double parameter, struct divergent *found)
{
    double a = parameter;
    for (int l = 0; l < W; l++) {
        int of_q = found->impossible[l] > 0.0, of_p = found->unheard[l] > 0.0;
        double value = found->sum[l];
        int infinite = of_q;
        if (which == JS || which == TOTAL_VARIATION || which == HELLINGER) infinite = 0;
        if (which == JEFFREYS) infinite = of_q || of_p;
        if (which == RENYI) infinite = of_q && a > 1.0;
        if (which == ALPHA) infinite = (of_q && a > 1.0) || (of_p && a < 0.0);
        if (which == TOTAL_VARIATION) value *= 0.5;
        if (which == HELLINGER) value = sqrt(0.5 * value);
        if (which == ALPHA) value /= a * (a - 1.0);
        found->sum[l] = infinite ? (double)INFINITY : value + 0.0; /* no -0 */
    }
}

#define EACH(WHICH)                                                                            \
    case WHICH:                                                                                \
        if (plain)                                                                             \
            divergence_sums(WHICH, laws, shape, 1, parameter, &found);                         \
        else                                                                                   \
            divergence_sums(WHICH, laws, shape, 0, parameter, &found);                         \
        break;

static void divergence_rows(enum divergence which, struct laws laws, struct shape shape, int plain,
                            double parameter, double *out)
{
    struct divergent found = {{0}, {0}, {0}};
    switch (which) {
        EACH(JS)
        EACH(JEFFREYS)
        EACH(TOTAL_VARIATION)
        EACH(HELLINGER)
        EACH(CHI2)
    default: /* the powers, and where they are not asked for the supports */
        if (plain)
            divergence_sums(ALPHA, laws, shape, 1, parameter, &found);
        else
            divergence_sums(ALPHA, laws, shape, 0, parameter, &found);
    }
    if (which == RENYI) renyi_of_powers(laws, shape, plain, parameter, found.sum);
    if (which == RENYI_LARGEST) largest_ratios(laws, shape, plain, found.sum);
    finish(which, parameter, &found);
    memcpy(out, found.sum, sizeof(double) * (size_t)shape.rows);
}

/* One row of logits of single precision; false where the double-precision formulas must do it. */
static int single_divergence(const struct asked *asked, const struct matrix *xp,
                             const struct matrix *xq, int64_t i, int64_t k, double *room, double *out)
{
    const char *row_p = row_of(xp, i), *row_q = row_of(xq, i);
    if (asked->which != JEFFREYS)
        return single_row(asked, xp, xq, row_p, row_q, k, (float *)room, out);
    double found[LAW_MEASURES];
    int sound = pair_long_row(xp, xq, row_p, row_q, k, 0, found, 1);
    *out = found[KL] + found[KL_REVERSE];
    return sound;
}

/* One divergence of any two laws; false if there is no memory. */
static int measure_divergence(enum divergence which, double parameter, const struct matrix *xp,
                              enum kind kind_p, const struct matrix *xq, enum kind kind_q, int64_t n,
                              int64_t k, double *out)
{
    struct law p, q;
    double *room = sheets_for(k, &p, &q);
    if (!room) return 0;
    struct asked asked;
    int fast = kind_p == LOGITS && kind_q == LOGITS && single(xp) && single(xq) && k > SHORT_CLASSES &&
               asked_of(&asked, which, parameter);
    int plain = kind_p <= PROBS && kind_q <= PROBS;
    struct shape shape;
    for (int64_t i = 0; i < n; i += shape.rows) {
        shape = shape_of(k, n - i);
        if (fast && single_divergence(&asked, xp, xq, i, k, room, out + i)) continue;
        if (plain) {
            struct divergent found = {{0}, {0}, {0}};
            shares_of(p.prob, xp, kind_p, i, shape);
            shares_of(q.prob, xq, kind_q, i, shape);
            struct ahead next = next_row(xp, xq, row_of(xp, i), row_of(xq, i), k, 0);
            if (share_rows(which, p.prob, q.prob, shape, parameter, next, &found)) {
                finish(which, parameter, &found);
                memcpy(out + i, found.sum, sizeof(double) * (size_t)shape.rows);
                continue;
            }
        }
        law_of(&p, xp, kind_p, i, shape);
        law_of(&q, xq, kind_q, i, shape);
        divergence_rows(which, (struct laws){&p, &q}, shape, plain, parameter, out + i);
    }
    free(room);
    return 1;
}

#endif
