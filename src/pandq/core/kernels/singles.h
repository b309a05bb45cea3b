/* Divergences other than KL of logits of single precision or less, many classes.
 *
 * With d, u and v as in pairs.h, log q/p = -d - b for b = log E_p[exp(-d)] = log1p(v - u), and for
 * s = 1 - a and v_s = E_p[exp(-s d) - 1 + s d],
 *
 *     log of the sum of p^a q^s = log1p(v_s - s u) - s b,
 *
 * in which what rounding does to u cancels. c is the difference of the maxima, or where that is too far
 * from the middle of x_p - x_q what the first attempt found. From this follow Renyi's and the
 * alpha-divergence, Hellinger's distance and chi-squared. JS and the total variation go over the classes
 * once more, when b is known.
 */
#ifndef PANDQ_SINGLES_H
#define PANDQ_SINGLES_H

#include "pairs.h"

enum divergence { JS, JEFFREYS, TOTAL_VARIATION, HELLINGER, CHI2, RENYI, RENYI_LARGEST, ALPHA };

#define NEXT_ROW 16384 /* classes: a row of so many is fetched while the one before is summed */
#define JS_ORDERS 13    /* of t, by which a term of JS is known for |t| <= 1/2 */
#define JS_LEAST 0.0625 /* weights less than this are left to double precision */

/* A divergence of two rows of single precision: of powers, `s` is 1 - alpha; of JS, `w` is P's weight. */
struct asked {
    enum divergence which;
    double parameter;
    float s, w, series[JS_ORDERS];
};

/* Sums over classes of exp(s_p), of exp(-d) times it, and as in pairs.h; S is of v_s. */
enum { OF_P, OF_Q, OF_U, OF_V, OF_S, ABOUT_SUMS };

struct kept { float *p, *q, *d; }; /* a row of exp(s_p), of exp(-d) times it, and of d */

/* log(x) for a normal x > 0; the polynomial is minimax (linear programme; relative error 6e-9). */
INLINE float log_f(float x)
{
    uint32_t bits = bits_of(x) + (0x3F800000u - 0x3F3504F3u);
    float k = (float)(int32_t)(bits >> 23) - 127.0f;
    float f = float_of((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    float p = -7.634497004e-02f;
    p = FMA_F(p, f, 1.276157667e-01f);
    p = FMA_F(p, f, -1.316018201e-01f);
    p = FMA_F(p, f, 1.420175803e-01f);
    p = FMA_F(p, f, -1.662335739e-01f);
    p = FMA_F(p, f, 2.000122688e-01f);
    p = FMA_F(p, f, -2.500082103e-01f);
    p = FMA_F(p, f, 3.333333171e-01f);
    float square = f * f;
    return FMA_F(k, 0.693147181f, f + FMA_F(square * f, p, -0.5f * square));
}

/* With m = w + (1-w) exp(t), one class adds p ((1-w) t exp(t) - m log m) to JS. Its derivative in t is
 * (1-w) exp(t) (t - log m), and that of log m is (1-w) exp(t) / m: Taylor's coefficients from order to
 * order. */
static void js_series(double w, float *to)
{
    double e[JS_ORDERS] = {1.0}, log_m[JS_ORDERS] = {0.0}, rate[JS_ORDERS];
    for (int n = 1; n < JS_ORDERS; n++) e[n] = e[n - 1] / n;
    for (int n = 0; n < JS_ORDERS; n++) {
        rate[n] = (1.0 - w) * e[n];
        for (int j = 1; j <= n; j++) rate[n] -= (1.0 - w) * e[j] * rate[n - j];
        if (n + 1 < JS_ORDERS) log_m[n + 1] = rate[n] / (n + 1);
    }
    to[0] = 0.0f;
    for (int n = 0; n + 1 < JS_ORDERS; n++) {
        double slope = 0.0;
        for (int j = 1; j <= n; j++) slope += e[n - j] * (j == 1 ? w : -log_m[j]);
        to[n + 1] = (float)((1.0 - w) * slope / (n + 1));
    }
}

INLINE void about_term(float xp, float xq, struct about at, float s, int powers, int near,
                       float (*restrict sum)[PAIR_LANES], float *restrict high, int l, float *restrict to_p,
                       float *restrict to_q, float *restrict to_d)
{
    float sp = xp - at.p, d = apart_f(xp, xq, at.c), ep = exp_f(not_below_least(sp));
    float r = d * d * remainder_f(d), close = ep * (r - d), eq, change = close, bend = ep * r;
    if (near) {
        eq = ep + close;
    } else {
        int small = fabsf(d) <= 0.5f;
        eq = exp_f(not_below_least(xq - at.q)) * at.k;
        change = small ? close : eq - ep;
        bend = small ? bend : FMA_F(ep, d, change);
    }
    sum[OF_P][l] += ep;
    sum[OF_Q][l] += eq;
    sum[OF_U][l] = FMA_F(ep, d, sum[OF_U][l]);
    sum[OF_V][l] += bend;
    if (powers) {
        float x = s * d, rest = x * x * remainder_f(x), power = FMA_F(-s, d, sp);
        float far = FMA_F(ep, x, exp_f(not_below_least(power)) - ep);
        sum[OF_S][l] += near || fabsf(x) <= 0.5f ? ep * rest : far;
        *high = power > *high ? power : *high;
    } else {
        *to_p = ep, *to_q = eq, *to_d = d;
    }
}

/* The same classes of the next row; of rows too long for the cache nothing. */
INLINE struct ahead next_row(const struct matrix *xp, const struct matrix *xq, const char *row_p,
                             const char *row_q, int64_t k, int64_t first)
{
    const char *p = row_p + xp->row + first * xp->column, *q = row_q + xq->row + first * xq->column;
    return (struct ahead){p, q, k > NEXT_ROW ? 0 : (int)xp->column, k > NEXT_ROW ? 0 : (int)xq->column};
}

INLINE void fetch_some(struct ahead next, int i, int n)
{
    fetch(next.p + (ptrdiff_t)i * next.size_p, (ptrdiff_t)n * next.size_p);
    fetch(next.q + (ptrdiff_t)i * next.size_q, (ptrdiff_t)n * next.size_q);
}

INLINE float about_block(double *a, const float *x, const float *y, int n, struct about at, float s,
                         int powers, int near, struct kept to, struct ahead next)
{
    float sum[ABOUT_SUMS][PAIR_LANES] = {{0}}, high[PAIR_LANES] = {0};
    int i = 0;
    for (; i + PAIR_LANES <= n; i += PAIR_LANES) {
        fetch_some(next, i, PAIR_LANES);
        for (int l = 0; l < PAIR_LANES; l++)
            about_term(x[i + l], y[i + l], at, s, powers, near, sum, &high[l], l, to.p + i + l,
                       to.q + i + l, to.d + i + l);
    }
    for (int l = 0; l < n - i; l++)
        about_term(x[i + l], y[i + l], at, s, powers, near, sum, &high[l], l, to.p + i + l,
                   to.q + i + l, to.d + i + l);
    for (int m = 0; m < ABOUT_SUMS; m++) a[m] += total(sum[m], PAIR_LANES);
    return block_max(high, PAIR_LANES);
}

/* |q - p|, or what JS adds, about P's sum; `by` is exp(-b). */
INLINE float apart_term(float p, float q, float x, float by)
{
    float near = fabsf(x) <= 0.5f ? x : 0.0f, close = p * FMA_F(near * near, remainder_f(near), -near);
    return fabsf(fabsf(x) <= 0.5f ? close : FMA_F(q, by, -p));
}

INLINE float mix_term(float p, float q, float x, float by, const struct asked *asked)
{
    float t = fabsf(x) <= 0.5f ? -x : 0.0f, close = asked->series[JS_ORDERS - 1], w = asked->w;
#pragma GCC unroll 16
    for (int n = JS_ORDERS - 2; n > 1; n--) close = FMA_F(close, t, asked->series[n]);
    float other = q * by, mix = FMA_F(w, p, (1.0f - w) * other);
    float largest = p > other ? p : other, log_mix = log_f(mix / largest);
    /* log m about the larger of the two; the smaller one's share lies |x| lower */
    float less = p > other ? (1.0f - w) * other : w * p;
    float far = -FMA_F(mix, log_mix, less * fabsf(x));
    return fabsf(x) <= 0.5f ? p * (t * t * close) : far;
}

INLINE double second_sum(int mixed, struct kept row, int64_t k, float b, float by,
                         const struct asked *asked)
{
    double found = 0.0;
    for (int64_t first = 0; first < k; first += BLOCK) {
        float sum[PAIR_LANES] = {0};
        const float *p = row.p + first, *q = row.q + first, *d = row.d + first;
        int n = (int)(k - first < BLOCK ? k - first : BLOCK), i = 0;
        for (; i + PAIR_LANES <= n; i += PAIR_LANES)
            for (int l = 0; l < PAIR_LANES; l++)
                sum[l] += mixed ? mix_term(p[i + l], q[i + l], d[i + l] + b, by, asked)
                                : apart_term(p[i + l], q[i + l], d[i + l] + b, by);
        for (int l = 0; l < n - i; l++)
            sum[l] += mixed ? mix_term(p[i + l], q[i + l], d[i + l] + b, by, asked)
                            : apart_term(p[i + l], q[i + l], d[i + l] + b, by);
        found += total(sum, PAIR_LANES);
    }
    return found;
}

/* What the sums of powers say; NaN where single precision does not carry that far. */
INLINE double of_powers(const struct asked *asked, const double *a, double b, double size_b)
{
    double s = asked->s, u = a[OF_U] / a[OF_P], v = a[OF_V] / a[OF_P], vs = a[OF_S] / a[OF_P];
    double rest = vs - s * u, part = 1.0 + rest;
    if (!(part > 1e-3)) return NAN;
    double log_sum = log1p_d(rest) - s * b, by = 1.0 / part, by_b = exp_d(-b);
    double size = fabs(vs) * by + fabs(s) * (size_b + (fabs(u) + sqrt(v)) * fabs(by - by_b));
    if (!(size <= 16.0 * fabs(log_sum))) return NAN;
    double excess = log_sum < 0.5 && log_sum > -0.5
                        ? FMA_D(log_sum * log_sum, exp_series(log_sum), log_sum)
                        : exp_d(log_sum) - 1.0;
    switch (asked->which) {
    case HELLINGER: return sqrt(-excess);
    case CHI2: return excess;
    case RENYI: return -log_sum / s;
    default: return -excess / (s * (1.0 - s));
    }
}

/* A row's divergence from d about c; NaN where single precision does not carry that far, and in `b` what
 * would be nearer to the middle of x_p - x_q. */
static double about_c(const struct asked *asked, const struct matrix *xp, const struct matrix *xq,
                      const char *row_p, const char *row_q, int64_t k, struct about at, struct kept kept,
                      double *b)
{
    float buffer_p[BLOCK], buffer_q[BLOCK], allowed_p[BLOCK], allowed_q[BLOCK], high = 0.0f;
    double a[ABOUT_SUMS] = {0};
    int mixed = asked->which == JS, powers = !mixed && asked->which != TOTAL_VARIATION;
    for (int64_t first = 0; first < k; first += BLOCK) {
        int n = (int)(k - first < BLOCK ? k - first : BLOCK);
        const float *x = block_f(xp, row_p, first, n, buffer_p);
        const float *y = block_f(xq, row_q, first, n, buffer_q);
        struct kept to = {kept.p + first, kept.q + first, kept.d + first};
        struct ahead next = next_row(xp, xq, row_p, row_q, k, first);
        int near = all_near(x, y, n, at.c) && fabsf(asked->s) <= 1.0f;
        if (!near && allow(allowed_p, allowed_q, x, y, n, at.p, at.c)) x = allowed_p, y = allowed_q;
        float here = powers ? near ? about_block(a, x, y, n, at, asked->s, 1, 1, to, next)
                                   : about_block(a, x, y, n, at, asked->s, 1, 0, to, next)
                     : near ? about_block(a, x, y, n, at, 0.0f, 0, 1, to, next)
                            : about_block(a, x, y, n, at, 0.0f, 0, 0, to, next);
        high = here > high ? here : high;
    }
    double u = a[OF_U] / a[OF_P], v = a[OF_V] / a[OF_P];
    *b = v < 1.0 ? log1p_d(v - u) : log_d(a[OF_Q] / a[OF_P]);
    if (u == 0.0 && v == 0.0) return 0.0;
    if (!(*b < 60.0 && *b > -60.0 && high < 60.0f)) return NAN;
    double by = exp_d(-*b), size = v < 1.0 ? v * by : 1.0;
    if (powers) return of_powers(asked, a, *b, size);
    double found = mixed ? second_sum(1, kept, k, (float)*b, (float)by, asked)
                         : 0.5 * second_sum(0, kept, k, (float)*b, (float)by, asked);
    found /= a[OF_P];
    /* how far b is off must be little beside the log ratios */
    double ratio = mixed ? sqrt(found) : found;
    return size <= 8.0 * ratio && fabs(*b) <= 64.0 * ratio ? found : NAN;
}

/* Half of the sum of |q - p| from p and q themselves: right unless it is small. */
static double apart_plainly(const struct matrix *xp, const struct matrix *xq, const char *row_p,
                            const char *row_q, int64_t k, float top_p, float top_q, struct kept kept)
{
    float buffer_p[BLOCK], buffer_q[BLOCK];
    double of_p = 0.0, of_q = 0.0, found = 0.0;
    for (int64_t first = 0; first < k; first += BLOCK) {
        float sum_p[LANES_F] = {0}, sum_q[LANES_F] = {0}, *p = kept.p + first, *q = kept.q + first;
        int n = (int)(k - first < BLOCK ? k - first : BLOCK), i = 0;
        const float *x = block_f(xp, row_p, first, n, buffer_p);
        const float *y = block_f(xq, row_q, first, n, buffer_q);
        for (int j = 0; j < n; j++) p[j] = exp_f(not_below_least(x[j] - top_p));
        for (int j = 0; j < n; j++) q[j] = exp_f(not_below_least(y[j] - top_q));
        for (; i + LANES_F <= n; i += LANES_F)
            for (int l = 0; l < LANES_F; l++) sum_p[l] += p[i + l], sum_q[l] += q[i + l];
        for (int l = 0; l < n - i; l++) sum_p[l] += p[i + l], sum_q[l] += q[i + l];
        of_p += total(sum_p, LANES_F);
        of_q += total(sum_q, LANES_F);
    }
    float by = (float)(of_p / of_q);
    for (int64_t first = 0; first < k; first += BLOCK) {
        struct ahead next = next_row(xp, xq, row_p, row_q, k, first);
        float sum[LANES_F] = {0}, *p = kept.p + first, *q = kept.q + first;
        int n = (int)(k - first < BLOCK ? k - first : BLOCK), i = 0;
        for (; i + LANES_F <= n; i += LANES_F) {
            fetch_some(next, i, LANES_F);
            for (int l = 0; l < LANES_F; l++) sum[l] += fabsf(FMA_F(q[i + l], by, -p[i + l]));
        }
        for (int l = 0; l < n - i; l++) sum[l] += fabsf(FMA_F(q[i + l], by, -p[i + l]));
        found += total(sum, LANES_F);
    }
    return 0.5 * found / of_p;
}

/* One row; false where the double-precision formulas must do it. */
static int single_row(const struct asked *asked, const struct matrix *xp, const struct matrix *xq,
                      const char *row_p, const char *row_q, int64_t k, float *room, double *out)
{
    struct kept kept = {room, room + k, room + 2 * k};
    float buffer[BLOCK], p = -INFINITY, q = -INFINITY;
    for (int64_t first = 0; first < k; first += BLOCK) {
        int n = (int)(k - first < BLOCK ? k - first : BLOCK);
        float of_p = block_max(block_f(xp, row_p, first, n, buffer), n);
        float of_q = block_max(block_f(xq, row_q, first, n, buffer), n);
        p = of_p > p ? of_p : p;
        q = of_q > q ? of_q : q;
    }
    float c = p - q;
    if (asked->which == TOTAL_VARIATION) {
        *out = apart_plainly(xp, xq, row_p, row_q, k, p, q, kept);
        if (*out > 0.1) return 1;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        double exponent = (double)q + c - p, b;
        if (!(exponent < 40.0 && exponent > -40.0)) return 0;
        struct about at = {p, q, c, (float)exp_d(exponent)};
        *out = about_c(asked, xp, xq, row_p, row_q, k, at, kept, &b);
        if (*out == 0.0 || (*out > 1e-20 && *out < 1e30)) return 1;
        c -= (float)b;
    }
    return 0;
}

/* Whether single precision can be asked at all; a row of `room` is three floats a class. */
static int asked_of(struct asked *to, enum divergence which, double parameter)
{
    double alpha = which == HELLINGER ? 0.5 : which == CHI2 ? 2.0 : parameter;
    *to = (struct asked){which, parameter, (float)(1.0 - alpha), (float)parameter, {0}};
    if (which == JS) {
        js_series(parameter, to->series);
        return parameter >= JS_LEAST && parameter <= 1.0 - JS_LEAST;
    }
    if (which == JEFFREYS || which == TOTAL_VARIATION) return 1;
    return which != RENYI_LARGEST && alpha >= -2.0 && alpha <= 3.0 && alpha != 0.0;
}

#endif
