/* Rows under the map of their fold: log c(q), the losses before and after, and what is said beside them.
 *
 * A map gives a class the probability m, and c = (1 - eps) m + eps f of that and the classes'
 * frequencies f; the identity mixes only in rows in which q rules a class out. All of it is in
 * double precision, whatever q is stored in, and every row is on its own: which rows come with it, and
 * in which order, changes no bit. The formulas are those of recalibrator.py and of
 * estimate/decomposition/rowparts.py.
 */
#ifndef PANDQ_PARTS_H
#define PANDQ_PARTS_H

#include "maps.h"

enum map_kind { IDENTITY, SOFTMAX, ISOTONIC };

struct row_map {
    enum map_kind kind;
    struct map softmax;
    double eps, ruled_out; /* below this log q a class counts as ruled out */
    const double *freq;    /* of a long row filled up to whole steps */
    const double *knot, *level;
    int64_t knots;
};

/* One row for each; of labels the first five. */
enum {
    PART_LOSS,
    PART_AFTER,
    PART_CONFIDENCE,
    PART_HIT,
    PART_TOP,
    PART_ENTROPY,
    PART_BRIER,
    PART_BRIER_AFTER,
    PART_SQUARES
};

/* P as labels, or else as the rows of a matrix. */
struct truth {
    const int64_t *label;
    struct matrix x;
    enum kind kind;
};

/* The sheets of a tile: laws of P and Q, log q as the map reads it, and the scores of m, whose logarithm
 * is score - norm. */
struct tile {
    struct law p, q;
    double *x, *score, norm[W], eps[W];
    struct shape shape;
};

static double *tile_for(struct tile *tile, int64_t k)
{
    size_t size = (size_t)shape_of(k, W).steps * W;
    double *room = malloc(6 * size * sizeof *room);
    if (room) {
        tile->p = (struct law){room, room + size, {0}, {0}, {0}, {0}};
        tile->q = (struct law){room + 2 * size, room + 3 * size, {0}, {0}, {0}, {0}};
        tile->x = room + 4 * size;
        tile->score = room + 5 * size;
    }
    return room;
}

/* Piecewise linear between knots and flat beyond; a jump between infinite knots is no slope. */
static double level_at(const struct row_map *map, double x)
{
    const double *t = map->knot, *y = map->level;
    int64_t low = 0, high = map->knots; /* t[low] <= x < t[high] */
    if (x < t[0]) return y[0];
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (x < t[middle]) high = middle;
        else low = middle;
    }
    if (high == map->knots || t[low] == x) return y[low];
    double slope = (y[high] - y[low]) / (t[high] - t[low]), found = slope * (x - t[low]) + y[low];
    if (found != found) found = slope * (x - t[high]) + y[high];
    return found != found ? y[low] : found;
}

/* The scores and their norm, from log q, which is where the scores come. */
INLINE void softmax_logs(struct tile *tile, const struct map *map, int all, int wide)
{
    double *x = tile->x, *z = tile->score, top[W], sum[W] = {0};
    int steps = tile->shape.steps;
    for (int s = 0; s < steps; s++)
        for (int l = 0; l < W; l++)
            x[s * W + l] = z[s * W + l] == -(double)INFINITY ? map->floor : z[s * W + l];
    map_scores(map, x, z, all, wide);
    for (int l = 0; l < W; l++) top[l] = z[l];
    for (int s = 1; s < steps; s++)
        for (int l = 0; l < W; l++) top[l] = z[s * W + l] > top[l] ? z[s * W + l] : top[l];
    for (int half = W / 2; half > 0 && wide; half /= 2)
        for (int l = 0; l < half; l++) top[l] = top[l + half] > top[l] ? top[l + half] : top[l];
    for (int l = 1; l < W && wide; l++) top[l] = top[0];
    for (int s = 0; s < steps; s++)
        for (int l = 0; l < W; l++) sum[l] += exp_or_zero(z[s * W + l] - top[l]);
    fold(sum, wide);
    /* what overflows stays no number */
    int lanes = wide ? 1 : W;
    for (int l = 0; l < lanes; l++)
        tile->norm[l] = top[l] + (sum[l] == sum[l] ? log_plus(sum[l], 0.0) : sum[l]);
    for (int l = lanes; l < W; l++) tile->norm[l] = tile->norm[0];
}

/* log m of each class, and how much of the frequencies each row is mixed with. */
static void map_logs(struct tile *tile, struct row_map *map)
{
    struct shape shape = tile->shape;
    double *z = tile->score, zeros[W] = {0}, limit = map->ruled_out;
    for (int s = 0; s < shape.steps; s++)
        for (int l = 0; l < W; l++) {
            double log_q = tile->q.score[s * W + l] - tile->q.norm[l];
            z[s * W + l] = log_q < limit ? -(double)INFINITY : log_q;
            zeros[l] += log_q < limit ? 1.0 : 0.0;
        }
    for (int l = 0; l < W; l++) tile->eps[l] = map->eps, tile->norm[l] = 0.0;
    if (map->kind == SOFTMAX) {
        map->softmax.shape = shape;
        if (map->softmax.all)
            softmax_logs(tile, &map->softmax, 1, shape.wide);
        else if (shape.wide)
            softmax_logs(tile, &map->softmax, 0, 1);
        else
            softmax_logs(tile, &map->softmax, 0, 0);
    } else if (map->kind == ISOTONIC) {
        for (int l = 0; l < W; l++) {
            double level = level_at(map, z[W + l] - z[l]);
            z[l] = log_d(1.0 - level);
            z[W + l] = log_d(level);
        }
    } else {
        fold(zeros, shape.wide);
        double none = shape.wide ? (double)((int64_t)shape.steps * W - shape.k) : 0.0;
        for (int l = 0; l < W; l++) tile->eps[l] = zeros[l] > none ? map->eps : 0.0;
    }
}

/* (1 - eps) m + eps f, and the logarithm of that. */
INLINE double mixed(double log_m, double eps, double freq)
{
    double m = exp_or_zero(log_m);
    return eps > 0.0 ? FMA_D(1.0 - eps, m, eps * freq) : m;
}

INLINE double log_mixed(double log_m, double eps, double mixed)
{
    double found = mixed == mixed ? log_d(mixed) : mixed;
    return eps > 0.0 ? found : log_m;
}

/* Where Q is largest: its probabilities as given, or what they are ranked by without a rounding. */
INLINE const double *ranked(const struct law *q, enum kind kind)
{
    return kind == COUNTS || kind == PROBS ? q->prob : q->score;
}

INLINE void beside(const struct tile *tile, const int64_t *row, double *out, ptrdiff_t stride)
{
    for (int r = 0; r < tile->shape.rows; r++) {
        out[PART_CONFIDENCE * stride + row[r]] = tile->q.largest[r];
        out[PART_TOP * stride + row[r]] = tile->q.ties[r] > 1.0 ? TIED : tile->q.top[r];
    }
}

static void label_parts(const struct tile *tile, const struct row_map *map, enum kind kind,
                        const int64_t *label, const int64_t *row, double *out, ptrdiff_t stride)
{
    struct shape shape = tile->shape;
    const struct law *q = &tile->q;
    const double *rank = ranked(q, kind);
    double log_m[W] = {0}, freq[W] = {0}, after[W];
    for (int r = 0; r < shape.rows; r++) {
        int64_t at = shape.wide ? label[r] : label[r] * W + r, first = (int64_t)q->top[r];
        int64_t top = shape.wide ? first : first * W + r;
        log_m[r] = tile->score[at] - tile->norm[r];
        freq[r] = map->freq[label[r]];
        out[PART_LOSS * stride + row[r]] = 0.0 - (q->score[at] - q->norm[r]);
        out[PART_HIT * stride + row[r]] = rank[at] == rank[top] ? 1.0 / q->ties[r] : 0.0;
    }
    int lanes = shape.wide ? 1 : W;
    for (int l = 0; l < lanes; l++)
        after[l] = 0.0 - log_mixed(log_m[l], tile->eps[l], mixed(log_m[l], tile->eps[l], freq[l]));
    for (int r = 0; r < shape.rows; r++) out[PART_AFTER * stride + row[r]] = after[r];
    beside(tile, row, out, stride);
}

enum { T_LOSS, T_AFTER, T_HIT, T_ENTROPY, T_PQ, T_QQ, T_PC, T_CC, T_PP, T_IMPOSSIBLE, PART_SUMS };

/* The terms of one class; `wide` and whether any row is `mixing` are known where this is compiled into. */
INLINE void part_terms(double (*restrict sum)[W], const struct tile *tile, const double *rank,
                       const double *top, const double *freq, int s, int wide, int mixing)
{
    const struct law *p = &tile->p, *q = &tile->q;
    for (int l = 0; l < W; l++) {
        int at = s * W + l;
        double prob = p->prob[at], log_p = p->score[at] - p->norm[l];
        double log_q = q->score[at] - q->norm[l], log_m = tile->score[at] - tile->norm[l];
        double eps = mixing ? tile->eps[l] : 0.0;
        double c = mixed(log_m, eps, freq[wide ? at : s]), log_c = log_mixed(log_m, eps, c);
        sum[T_LOSS][l] -= prob == 0.0 ? 0.0 : prob * log_q;
        sum[T_AFTER][l] -= prob == 0.0 ? 0.0 : prob * log_c;
        sum[T_ENTROPY][l] -= prob == 0.0 ? 0.0 : prob * log_p;
        sum[T_HIT][l] += rank[at] == top[l] ? prob : 0.0;
        sum[T_PQ][l] = FMA_D(prob, q->prob[at], sum[T_PQ][l]);
        sum[T_QQ][l] = FMA_D(q->prob[at], q->prob[at], sum[T_QQ][l]);
        sum[T_PC][l] = FMA_D(prob, c, sum[T_PC][l]);
        sum[T_CC][l] = FMA_D(c, c, sum[T_CC][l]);
        sum[T_PP][l] = FMA_D(prob, prob, sum[T_PP][l]);
        /* even where the probability underflows */
        sum[T_IMPOSSIBLE][l] += log_q == -(double)INFINITY && log_p > log_q ? 1.0 : 0.0;
    }
}

static void law_parts(const struct tile *tile, const struct row_map *map, enum kind kind,
                      const int64_t *row, double *out, ptrdiff_t stride)
{
    struct shape shape = tile->shape;
    const double *rank = ranked(&tile->q, kind);
    double sum[PART_SUMS][W] = {{0}}, top[W];
    for (int l = 0; l < W; l++) {
        int64_t first = (int64_t)tile->q.top[l];
        top[l] = rank[shape.wide ? first : first * W + l];
    }
    int mixing = 0;
    for (int l = 0; l < W; l++) mixing |= tile->eps[l] > 0.0;
    for (int s = 0; s < shape.steps; s++) {
        if (shape.wide && mixing)
            part_terms(sum, tile, rank, top, map->freq, s, 1, 1);
        else if (mixing)
            part_terms(sum, tile, rank, top, map->freq, s, 0, 1);
        else
            part_terms(sum, tile, rank, top, map->freq, s, 0, 0);
    }
    for (int m = 0; m < PART_SUMS; m++) fold(sum[m], shape.wide);
    for (int r = 0; r < shape.rows; r++) {
        double *to = out + row[r];
        to[PART_LOSS * stride] = sum[T_IMPOSSIBLE][r] > 0.0 ? (double)INFINITY : sum[T_LOSS][r];
        to[PART_AFTER * stride] = sum[T_AFTER][r];
        to[PART_HIT * stride] = sum[T_HIT][r] / tile->q.ties[r];
        to[PART_ENTROPY * stride] = sum[T_ENTROPY][r];
        to[PART_BRIER * stride] = 1.0 - 2.0 * sum[T_PQ][r] + sum[T_QQ][r];
        to[PART_BRIER_AFTER * stride] = 1.0 - 2.0 * sum[T_PC][r] + sum[T_CC][r];
        to[PART_SQUARES * stride] = sum[T_PP][r];
    }
    beside(tile, row, out, stride);
}

/* The chosen rows of P and Q under one map, written to their places. How many there are before the first
 * whose label is no class; -1 if there is no memory. Labels may be changed after they were looked
 * at: each is read once, and is within the classes before it is used. */
static int64_t row_parts(struct row_map *map, const struct truth *p, const struct matrix *q,
                         enum kind kind, const int64_t *chosen, int64_t n, int64_t k, double *out,
                         ptrdiff_t stride)
{
    struct tile tile;
    int64_t label[W], i = 0;
    double *room = tile_for(&tile, k);
    if (!room) return -1;
    for (; i < n; i += tile.shape.rows) {
        tile.shape = shape_of(k, n - i);
        int within = 0;
        for (; p->label && within < tile.shape.rows; within++) {
            label[within] = ((const volatile int64_t *)p->label)[chosen[i + within]];
            if (label[within] < 0 || label[within] >= k) break;
        }
        if (p->label && within < tile.shape.rows) {
            i += within;
            break;
        }
        chosen_sheet(tile.q.score, q, i, chosen, tile.shape, absent_of(kind));
        if (p->label && kind == LOGITS)
            scores_of_logits(&tile.q, tile.shape);
        else
            law_of_sheet(&tile.q, kind, tile.shape);
        map_logs(&tile, map);
        if (p->label) {
            label_parts(&tile, map, kind, label, chosen + i, out, stride);
            continue;
        }
        chosen_sheet(tile.p.score, &p->x, i, chosen, tile.shape, absent_of(p->kind));
        law_of_sheet(&tile.p, p->kind, tile.shape);
        law_parts(&tile, map, kind, chosen + i, out, stride);
    }
    free(room);
    return i;
}

/* log c(q) of rows of log q, one after the other; 0 if there is no memory. */
static int map_rows(struct row_map *map, const double *log_q, int64_t n, int64_t k, double *out)
{
    struct tile tile;
    struct matrix x = {(const char *)log_q, F64, (ptrdiff_t)(k * (int64_t)sizeof(double)),
                       sizeof(double)};
    double *room = tile_for(&tile, k);
    if (!room) return 0;
    for (int l = 0; l < W; l++) tile.q.norm[l] = 0.0;
    for (int64_t i = 0; i < n; i += tile.shape.rows) {
        tile.shape = shape_of(k, n - i);
        sheet_of(tile.q.score, &x, i, tile.shape, -(double)INFINITY);
        map_logs(&tile, map);
        for (int s = 0; s < tile.shape.steps; s++)
            for (int l = 0; l < W; l++) {
                double log_m = tile.score[s * W + l] - tile.norm[l], eps = tile.eps[l];
                double freq = map->freq[tile.shape.wide ? s * W + l : s];
                tile.x[s * W + l] = log_mixed(log_m, eps, mixed(log_m, eps, freq));
            }
        for (int r = 0; r < tile.shape.rows; r++)
            for (int64_t c = 0; c < k; c++)
                out[(i + r) * k + c] = tile.x[tile.shape.wide ? c : c * W + r];
    }
    free(room);
    return 1;
}

#endif
