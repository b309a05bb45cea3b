/* Divergences of probabilities or shares of votes, from the numbers themselves: a difference q - p is
 * exact where it is small, so that no logarithm is taken but where the formula has one. */
#ifndef PANDQ_SHARES_H
#define PANDQ_SHARES_H

#include "measures.h"
#include "singles.h"

#define LEAST_SHARE 1e-140 /* squares and products of what is no less stay normal numbers */
#define PART 64 /* steps: few enough that what is small is not lost beside what is large */

/* Each row's sum, and whether one law forbids what the other allows. */
struct divergent { double sum[W], impossible[W], unheard[W]; };

INLINE int near_0(double x) { return x <= 0.5 && x >= -0.5; }

/* a / b for normal numbers as 2^k (1 + s) / (1 - s) with 1/sqrt(2) <= (1 + s) / (1 - s) <= sqrt(2):
 * s = minus / plus. */
struct quotient { double minus, plus, k; };

INLINE double mantissa_of(double x, double *k)
{
    uint64_t bits = bits_of_d(x) + (0x3FF0000000000000u - 0x3FE6A09E667F3BCDu);
    *k = double_of(0x4330000000000000u | (bits >> 52)) - (4503599627370496.0 + 1023.0);
    return double_of((bits & 0x000FFFFFFFFFFFFFu) + 0x3FE6A09E667F3BCDu);
}

INLINE struct quotient quotient_of(double a, double b)
{
    const double root = 1.4142135623730951;
    double of_a, of_b, x = mantissa_of(a, &of_a), y = mantissa_of(b, &of_b), k = of_a - of_b;
    double up = x > root * y ? 1.0 : 0.0, down = y > root * x ? 1.0 : 0.0;
    x *= 1.0 - 0.5 * up;
    y *= 1.0 - 0.5 * down;
    return (struct quotient){x - y, x + y, k + up - down};
}

/* (2 atanh(s) - 2 s) / s for w = s^2. */
INLINE double atanh_rest(double w) { return w * atanh_series(w); }

/* log a/b, whose digits are kept when a is close to b. */
INLINE double log_quotient(double a, double b)
{
    struct quotient of = quotient_of(a, b);
    double s = of.minus / of.plus, rest = FMA_D(s, atanh_rest(s * s), 2.0 * s);
    return FMA_D(of.k, 6.93147180369123816490e-01, FMA_D(of.k, 1.90821492927058770002e-10, rest));
}

/* p log p/m - (p - m), which is never negative; `s` and `k` are of p/m. */
INLINE double above(double p, double m, double apart, double s, double k)
{
    double rest = p * (s * atanh_rest(s * s));
    double far = FMA_D(p, FMA_D(k, 0.6931471805599453, 2.0 * s), rest) - apart;
    double found = k == 0.0 ? FMA_D(s, apart, rest) : far;
    return p == 0.0 ? m : found;
}

/* Both logarithms by one division. */
INLINE double js_share(double p, double q, double w)
{
    double m = w * p + (1.0 - w) * q, from_p = (1.0 - w) * (p - q), from_q = w * (q - p);
    struct quotient a = quotient_of(p, m), b = quotient_of(q, m);
    double minus_p = a.k == 0.0 ? from_p : a.minus, plus_p = a.k == 0.0 ? p + m : a.plus;
    double minus_q = b.k == 0.0 ? from_q : b.minus, plus_q = b.k == 0.0 ? q + m : b.plus;
    double both = 1.0 / (plus_p * plus_q);
    double s = minus_p * plus_q * both, t = minus_q * plus_p * both;
    double found = w * above(p, m, from_p, s, a.k) + (1.0 - w) * above(q, m, from_q, t, b.k);
    return m == 0.0 ? 0.0 : found;
}

/* p^a q^s - a p - s q for s = 1 - a and t = log q/p, as in divergences.h. */
INLINE double power_share(double p, double q, double a)
{
    double s = 1.0 - a, t = log_quotient(q, p);
    int both = p > 0.0 && q > 0.0, by_p = both && near_0(s * t), by_q = both && near_0(a * t);
    double base = by_p ? p : q, other = by_p ? q : p, of_t = by_p ? t : -t, share = by_p ? s : a;
    double x = by_p || by_q ? share * of_t : 0.0;
    double close = base * (x * x * exp_series(x)) - share * bregman(base, other, of_t);
    double half = 0.5 * (s * t), e = exp_d(half < -700.0 ? -700.0 : half > 700.0 ? 700.0 : half);
    double power = both ? p * e * e : 0.0;
    return by_p || by_q ? close : power - a * p - s * q;
}

INLINE double share_term(enum divergence which, double p, double q, double parameter)
{
    double apart = q - p, sum, found;
    switch (which) {
    case JS: return js_share(p, q, parameter);
    case JEFFREYS: found = apart * log_quotient(q, p); return p == 0.0 || q == 0.0 ? 0.0 : found;
    case TOTAL_VARIATION: return fabs(apart);
    case HELLINGER: /* the square of sqrt q - sqrt p */
        sum = p + q + 2.0 * sqrt(p * q);
        found = apart * apart / sum;
        return sum == 0.0 ? 0.0 : found;
    case CHI2: found = apart * (apart / q); return q == 0.0 ? 0.0 : found;
    default: return power_share(p, q, parameter);
    }
}

/* False where a number is too small for these formulas. */
INLINE int share_sums(enum divergence which, const double *p, const double *q, struct shape shape,
                      double parameter, struct ahead next, struct divergent *to)
{
    int distance = which == JS || which == TOTAL_VARIATION || which == HELLINGER;
    double small[W] = {0}, any = 0.0;
    for (int first = 0; first < shape.steps; first += PART) {
        double part[W] = {0};
        int end = first + PART < shape.steps ? first + PART : shape.steps;
        for (int s = first; s < end; s++) {
            fetch_some(next, s * W, W);
            for (int l = 0; l < W; l++) {
                double x = p[s * W + l], y = q[s * W + l];
                part[l] += share_term(which, x, y, parameter);
                if (!distance) to->impossible[l] += y == 0.0 && x > 0.0 ? 1.0 : 0.0;
                if (!distance) to->unheard[l] += x == 0.0 && y > 0.0 ? 1.0 : 0.0;
                if (which == TOTAL_VARIATION) continue;
                small[l] += (x < LEAST_SHARE && x > 0.0) || (y < LEAST_SHARE && y > 0.0) ? 1.0 : 0.0;
            }
        }
        for (int l = 0; l < W; l++) to->sum[l] += part[l];
    }
    fold(to->sum, shape.wide);
    fold(to->impossible, shape.wide);
    fold(to->unheard, shape.wide);
    for (int l = 0; l < W; l++) any += small[l];
    return any == 0.0;
}

static void shares_of(double *to, const struct matrix *x, enum kind kind, int64_t i, struct shape shape)
{
    double sum[W] = {0};
    sheet_of(to, x, i, shape, 0.0);
    if (kind != COUNTS) return;
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) sum[l] += to[s * W + l];
    fold(sum, shape.wide);
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) to[s * W + l] /= sum[l];
}

#define EACH_SHARE(WHICH)                                                                      \
    case WHICH: sound = share_sums(WHICH, p, q, shape, parameter, next, found); break;

/* Sums of the rows from i on; false where the formulas of logarithms must do it. */
static int share_rows(enum divergence which, const double *p, const double *q, struct shape shape,
                      double parameter, struct ahead next, struct divergent *found)
{
    int sound = 0, powers = which == RENYI || which == ALPHA;
    if (powers && parameter == 0.5) {
        sound = share_sums(HELLINGER, p, q, shape, 0.0, next, found);
        for (int l = 0; l < W; l++) found->sum[l] *= -0.5;
    } else if (powers && parameter == 2.0) {
        sound = share_sums(CHI2, p, q, shape, 0.0, next, found);
    } else {
        switch (which) {
            EACH_SHARE(JS)
            EACH_SHARE(JEFFREYS)
            EACH_SHARE(TOTAL_VARIATION)
            EACH_SHARE(HELLINGER)
            EACH_SHARE(CHI2)
        case RENYI_LARGEST: return 0;
        default: sound = share_sums(ALPHA, p, q, shape, parameter, next, found);
        }
    }
    if (which != RENYI) return sound;
    for (int l = 0; l < W; l++)
        sound &= (found->impossible[l] > 0.0 && parameter > 1.0) || fabs(found->sum[l]) < 0.5;
    for (int l = 0; l < W; l++) found->sum[l] = log1p_d(found->sum[l]) / (parameter - 1.0);
    return sound;
}

#endif
