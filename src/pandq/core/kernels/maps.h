/* Softmax maps of log q: sums over a block of rows that loss, gradient and Hessian are made of.
 *
 * A map scores class c by scale_c x_c + bias_c, or by a whole row of a matrix, sum_j scale_cj x_j
 * + bias_c, with x = log q; where q is 0 the class stays out, and `floor` stands for its x among the
 * scores of others. Rows lie in sheets as in laws.h: short rows side by side, a long one across.
 * Sums of products over rows are added up row after row within a tile and tile after tile, so that
 * how they are cut into registers changes no bit.
 */
#ifndef PANDQ_MAPS_H
#define PANDQ_MAPS_H

#include "laws.h"

/* As many sums as there are registers for. */
#if defined(__AVX512F__)
#define DOWN 8
#define ACROSS 24
#else
#define DOWN 4
#define ACROSS 12
#endif
/* Rows and columns of products are padded with zeros to multiples of these, in every build. */
#define PAD_DOWN 8
#define PAD_ACROSS 24

enum order { SCALE, FIRST, BIASES, DIAGONAL, FULL };
/* The sums of a block before the products: some numbers, then so many of each class. */
enum { LOG_Z, MEAN, SQUARE, MEAN_SQUARED, NORM, NUMBERS };
enum { S_M, S_MX, S_MM, S_MXX, S_MMX, S_MMXX, PER_CLASS };

struct map {
    const double *x; /* rows of k numbers one after the other */
    const double *scale, *bias; /* of a long row filled up to whole steps */
    double floor;
    int all; /* scale is a matrix */
    struct shape shape;
};

INLINE int padded(int64_t n, int to) { return (int)((n + to - 1) / to * to); }

INLINE struct shape map_shape(int64_t k, int all, int64_t left)
{
    if (!all) return shape_of(k, left);
    return (struct shape){k, (int)k, (int)(left < W ? left : W), 0};
}

/* out[i][j] += sum over the W rows of a[i][row] b[row][j], all padded. */
static void products(const double *restrict a, int down, const double *restrict b, int across,
                     double *restrict out)
{
    for (int j = 0; j < across; j += ACROSS)
        for (int i = 0; i < down; i += DOWN) {
            /* unrolled whole, or the compiler keeps the sums in memory */
            double sum[DOWN * ACROSS];
            _Pragma("GCC unroll 256") for (int u = 0; u < DOWN * ACROSS; u++) sum[u] = 0.0;
            for (int r = 0; r < W; r++) {
                const double *row = b + r * across + j;
                _Pragma("GCC unroll 8") for (int u = 0; u < DOWN; u++) {
                    double factor = a[(i + u) * W + r], *to = sum + u * ACROSS;
                    for (int v = 0; v < ACROSS; v++) to[v] = FMA_D(factor, row[v], to[v]);
                }
            }
            for (int u = 0; u < DOWN; u++)
                for (int v = 0; v < ACROSS; v++)
                    out[(i + u) * across + j + v] += sum[u * ACROSS + v];
        }
}

/* Rows from i on into a sheet, without a choice of storage. */
INLINE void double_sheet(double *restrict to, const double *restrict from, struct shape shape,
                         double absent)
{
    if (shape.wide) {
        memcpy(to, from, sizeof(double) * (size_t)shape.k);
        for (int64_t c = shape.k; c < (int64_t)shape.steps * W; c++) to[c] = absent;
        return;
    }
    for (int r = 0; r < W; r++) {
        const double *row = from + (r < shape.rows ? r : shape.rows - 1) * shape.k;
        for (int c = 0; c < shape.steps; c++) to[c * W + r] = row[c];
    }
}

/* What the softmax is taken of, from the sheet of log q: that is what is in `z` before. */
INLINE void map_scores(const struct map *map, const double *restrict x, double *restrict z, int all,
                       int wide)
{
    int steps = map->shape.steps;
    for (int s = 0; s < steps; s++) {
        double score[W];
        for (int l = 0; l < W; l++) {
            int64_t c = wide ? (int64_t)s * W + l : s;
            score[l] = all ? map->bias[c] : FMA_D(map->scale[c], x[s * W + l], map->bias[c]);
        }
        for (int j = 0; j < steps && all; j++) {
            double scale = map->scale[(int64_t)s * steps + j];
            for (int l = 0; l < W; l++) score[l] = FMA_D(scale, x[j * W + l], score[l]);
        }
        for (int l = 0; l < W; l++)
            z[s * W + l] = z[s * W + l] == -(double)INFINITY ? -(double)INFINITY : score[l];
    }
}

/* x with `floor` for log 0, the softmax m of the scores, and log Z of each lane. */
INLINE void map_softmax(const struct map *map, const double *from, double *restrict x,
                        double *restrict m, double *log_z, int all, int wide)
{
    int steps = map->shape.steps;
    double top[W], sum[W] = {0}, by[W], floor = map->floor;
    double_sheet(m, from, map->shape, -(double)INFINITY);
    for (int s = 0; s < steps; s++)
        for (int l = 0; l < W; l++) {
            double value = m[s * W + l];
            x[s * W + l] = value == -(double)INFINITY ? floor : value;
        }
    map_scores(map, x, m, all, wide);
    for (int l = 0; l < W; l++) top[l] = m[l];
    for (int s = 1; s < steps; s++)
        for (int l = 0; l < W; l++) top[l] = m[s * W + l] > top[l] ? m[s * W + l] : top[l];
    if (wide) {
        for (int half = W / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++) top[l] = top[l + half] > top[l] ? top[l + half] : top[l];
        for (int l = 1; l < W; l++) top[l] = top[0];
    }
    for (int s = 0; s < steps; s++)
        for (int l = 0; l < W; l++) {
            double e = exp_or_zero(m[s * W + l] - top[l]);
            m[s * W + l] = e;
            sum[l] += e;
        }
    fold(sum, wide);
    int lanes = wide ? 1 : W;
    for (int l = 0; l < lanes; l++) log_z[l] = top[l] + log_plus(sum[l], 0.0), by[l] = 1.0 / sum[l];
    for (int l = lanes; l < W; l++) log_z[l] = log_z[0], by[l] = by[0];
    for (int s = 0; s < steps; s++)
        for (int l = 0; l < W; l++) m[s * W + l] *= by[l];
}

/* The mean of x and of x^2 under each row's softmax, and the sum of m^2, with the row's weight. */
INLINE void map_numbers(const double *restrict x, const double *restrict m, const double *mass,
                        double sum[NUMBERS][W], struct shape shape, int wide)
{
    double mean[W] = {0}, square[W] = {0}, norm[W] = {0};
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            double mx = m[s * W + l] * x[s * W + l];
            mean[l] += mx;
            square[l] = FMA_D(mx, x[s * W + l], square[l]);
            norm[l] = FMA_D(m[s * W + l], m[s * W + l], norm[l]);
        }
    fold(mean, wide);
    for (int l = 0; l < W; l++) {
        sum[MEAN][l] = FMA_D(mass[l], mean[l], sum[MEAN][l]);
        sum[SQUARE][l] = FMA_D(mass[l], square[l], sum[SQUARE][l]);
        sum[MEAN_SQUARED][l] = FMA_D(mass[l] * mean[l], mean[l], sum[MEAN_SQUARED][l]);
        sum[NORM][l] = FMA_D(mass[l] * mass[l], norm[l], sum[NORM][l]);
    }
}

/* The sums that each class has of its own. */
INLINE void map_classes(const double *restrict x, const double *restrict m, const double *mass,
                        double *restrict sheets, int size, int order)
{
    for (int s = 0; s < size; s += W)
        for (int l = 0; l < W; l++) {
            int at = s + l;
            double sm = mass[l] * m[at];
            sheets[S_M * size + at] += sm;
            sheets[S_MX * size + at] = FMA_D(sm, x[at], sheets[S_MX * size + at]);
            if (order > FIRST) sheets[S_MM * size + at] = FMA_D(sm, m[at], sheets[S_MM * size + at]);
            if (order > BIASES) {
                double smx = sm * x[at], smmx = smx * m[at];
                sheets[S_MXX * size + at] = FMA_D(smx, x[at], sheets[S_MXX * size + at]);
                sheets[S_MMX * size + at] += smmx;
                sheets[S_MMXX * size + at] = FMA_D(smmx, x[at], sheets[S_MMXX * size + at]);
            }
        }
}

/* Products of a scale of its own for each class: t = (m x, m), sum of mass t t^T. */
static void own_products(const double *restrict x, const double *restrict m, const double *mass,
                         double *restrict a, double *restrict b, int k, double *out)
{
    int down = padded(2 * k, PAD_DOWN), across = padded(2 * k, PAD_ACROSS);
    for (int c = 0; c < k; c++)
        for (int l = 0; l < W; l++) {
            double t = m[c * W + l] * x[c * W + l];
            a[c * W + l] = mass[l] * t;
            a[(k + c) * W + l] = mass[l] * m[c * W + l];
            b[l * across + c] = t;
            b[l * across + k + c] = m[c * W + l];
        }
    products(a, down, b, across, out);
}

/* Products of a matrix: mass m f^T with f = (x, 1), and for pairs of classes times pairs of f. */
static void matrix_products(const double *restrict x, const double *restrict m, const double *mass,
                            double *restrict a, double *restrict b, int k, int full, double *out)
{
    int down = padded(k, PAD_DOWN), across = padded(k + 1, PAD_ACROSS), pair = 0;
    for (int l = 0; l < W; l++)
        for (int j = 0; j <= k; j++) b[l * across + j] = j < k ? x[j * W + l] : 1.0;
    for (int i = 0; i < down * W; i++) a[i] = i < k * W ? mass[i % W] * m[i] : 0.0;
    products(a, down, b, across, out);
    if (!full) return;
    const double *rows = b;
    int pairs_of_f = (k + 1) * (k + 2) / 2, wide = padded(pairs_of_f, PAD_ACROSS);
    out += down * across;
    down = padded((int64_t)k * (k + 1) / 2, PAD_DOWN);
    b += W * across;
    for (int l = 0; l < W; l++) {
        double *to = b + (ptrdiff_t)l * wide;
        for (int i = 0; i <= k; i++) {
            double first = rows[l * across + i];
            for (int j = i; j <= k; j++) *to++ = first * rows[l * across + j];
        }
    }
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++, pair++)
            for (int l = 0; l < W; l++) {
                double other = i == j ? 1.0 - m[i * W + l] : -m[j * W + l];
                a[pair * W + l] = mass[l] * m[i * W + l] * other;
            }
    products(a, down, b, wide, out);
}

/* How many doubles the sums of products are, and the scratch of their factors. */
INLINE void map_sizes(int64_t k, int all, int order, size_t *out, size_t *a, size_t *b)
{
    int64_t pairs = k * (k + 1) / 2, pairs_of_f = (k + 1) * (k + 2) / 2;
    size_t full = order == FULL;
    *out = *a = *b = 0;
    if (all) {
        *out = (size_t)padded(k, PAD_DOWN) * padded(k + 1, PAD_ACROSS) +
               full * padded(pairs, PAD_DOWN) * padded(pairs_of_f, PAD_ACROSS);
        *a = (size_t)W * padded(full && pairs > k ? pairs : k, PAD_DOWN);
        *b = (size_t)W * (padded(k + 1, PAD_ACROSS) + full * padded(pairs_of_f, PAD_ACROSS));
    } else if (full) {
        *out = (size_t)padded(2 * k, PAD_DOWN) * padded(2 * k, PAD_ACROSS);
        *a = (size_t)W * padded(2 * k, PAD_DOWN);
        *b = (size_t)W * padded(2 * k, PAD_ACROSS);
    }
}

/* One tile of rows after the other; `wide` and `all` are known where this is compiled into. */
INLINE void map_tiles(struct map *map, const double *mass, int64_t n, int order, double *scratch,
                      size_t a_size, double *out, int all, int wide)
{
    int64_t k = map->shape.k;
    int size = map->shape.steps * W;
    double *x = scratch, *m = x + size, *sheets = m + size;
    double *a = sheets + PER_CLASS * size, *b = a + a_size;
    double log_z[W], here[W], sum[NUMBERS][W] = {{0}};
    for (int64_t i = 0; i < n; i += map->shape.rows) {
        map->shape = map_shape(k, all, n - i);
        map_softmax(map, map->x + i * k, x, m, log_z, all, wide);
        /* lanes without a row weigh nothing */
        for (int l = 0; l < W; l++) here[l] = wide ? mass[i] : l < map->shape.rows ? mass[i + l] : 0.0;
        for (int l = 0; l < W; l++) sum[LOG_Z][l] = FMA_D(here[l], log_z[l], sum[LOG_Z][l]);
        if (!all && order != FIRST) map_numbers(x, m, here, sum, map->shape, wide);
        if (!all && order == FIRST) map_classes(x, m, here, sheets, size, FIRST);
        if (!all && order == BIASES) map_classes(x, m, here, sheets, size, BIASES);
        if (!all && order > BIASES) map_classes(x, m, here, sheets, size, DIAGONAL);
        double *to = out + NUMBERS + PER_CLASS * k;
        if (all)
            matrix_products(x, m, here, a, b, (int)k, order == FULL, to);
        else if (order == FULL && !wide)
            own_products(x, m, here, a, b, (int)k, to);
    }
    /* of a long row every lane has the whole, but for sums that were not folded */
    for (int u = 0; u < NUMBERS; u++) fold(sum[u], !wide || u == SQUARE || u == NORM);
    for (int u = 0; u < NUMBERS; u++) out[u] = sum[u][0];
    for (int u = 0; u < PER_CLASS && !all; u++)
        for (int64_t c = 0; c < k; c++) {
            double *lane = sheets + (size_t)u * size + (wide ? c : c * W);
            if (!wide) fold(lane, 1);
            out[NUMBERS + u * k + c] = *lane;
        }
}

/* Sums of a block of n rows into `out`, which holds zeros; 0 where there is no memory. */
static int map_sums(struct map *map, const double *mass, int64_t n, int64_t k, int order, double *out)
{
    size_t out_size, a, b;
    map->shape = map_shape(k, map->all, n);
    map_sizes(k, map->all, order, &out_size, &a, &b);
    size_t size = (size_t)map->shape.steps * W;
    double *scratch = calloc(2 * size + PER_CLASS * size + a + b, sizeof *scratch);
    if (!scratch) return 0;
    if (map->all)
        map_tiles(map, mass, n, order, scratch, a, out, 1, 0);
    else if (map->shape.wide)
        map_tiles(map, mass, n, order, scratch, a, out, 0, 1);
    else
        map_tiles(map, mass, n, order, scratch, a, out, 0, 0);
    free(scratch);
    return 1;
}

/* The map's probabilities at some classes of each row: those of row i from start[i] to start[i + 1]
 * among `column`. 0 where there is no memory. */
static int map_at(struct map *map, const int64_t *start, const int64_t *column, int64_t n, int64_t k,
                  double *out)
{
    map->shape = map_shape(k, map->all, n);
    double *x = malloc(2 * (size_t)map->shape.steps * W * sizeof *x), log_z[W];
    double *m = x + (size_t)map->shape.steps * W;
    if (!x) return 0;
    for (int64_t i = 0; i < n; i += map->shape.rows) {
        map->shape = map_shape(k, map->all, n - i);
        int wide = map->shape.wide;
        if (map->all)
            map_softmax(map, map->x + i * k, x, m, log_z, 1, 0);
        else if (wide)
            map_softmax(map, map->x + i * k, x, m, log_z, 0, 1);
        else
            map_softmax(map, map->x + i * k, x, m, log_z, 0, 0);
        for (int r = 0; r < map->shape.rows; r++)
            for (int64_t e = start[i + r]; e < start[i + r + 1]; e++)
                out[e] = m[wide ? column[e] : column[e] * W + r];
    }
    free(x);
    return 1;
}

/* Sums of w t and of w t^2 into out[0] and out[1], with t the share of the frequencies f in the mixture
 * m + eps (f - m) of what a map gives to a class. */
static void mixture_sums(const double *weight, const double *inside, const int64_t *column,
                         const double *freq, double eps, int64_t n, double *out)
{
    double first[W] = {0}, second[W] = {0};
    for (int64_t i = 0; i < n; i += W) {
        int here = (int)(n - i < W ? n - i : W);
        double m[W], f[W], w[W] = {0};
        for (int l = 0; l < W; l++) m[l] = f[l] = 1.0;
        for (int l = 0; l < here; l++) f[l] = freq[column[i + l]];
        memcpy(m, inside + i, sizeof(double) * (size_t)here);
        memcpy(w, weight + i, sizeof(double) * (size_t)here);
        for (int l = 0; l < W; l++) {
            double share = eps * (f[l] - m[l]);
            double t = share / (m[l] + share), wt = w[l] * t;
            first[l] += wt;
            second[l] = FMA_D(wt, t, second[l]);
        }
    }
    fold(first, 1), fold(second, 1);
    out[0] += first[0], out[1] += second[0];
}

#endif
