/* The evidence of a mixture of Dirichlet distributions for rows of votes, and its gradient.
 *
 * Component r gives class c of a row alpha = total mean_c, with total = exp(s + s' f), f a feature of
 * the row, and mean = (1 - e) softmax(b x + v) + e / k, x = log q; its gate is a softmax of three
 * numbers times (1, f, f'). Rows lie in sheets of W, one in each lane; votes lie cell after cell,
 * those of a tile together. Lanes without a row hold zeros, and add nothing.
 */
#ifndef PANDQ_DIRICHLET_H
#define PANDQ_DIRICHLET_H

#include "laws.h"

#define COMPONENTS 3
/* A component's parameters: s, s', the logit of e, log b, three of the gate, and offsets v. */
enum { LOG_TOTAL, SLOPE, LEAK, LOG_SHARPNESS, GATE, OFFSETS = GATE + 3 };
/* So many factors of a rising factorial are multiplied, the others are Stirling's. */
#define FACTORS 8
/* Beyond exp of these a likelihood does not change, and products of FACTORS stay finite. */
#define MOST_LOG_TOTAL 60.0

struct votes {
    const double *x, *feature, *votes; /* sheets of k, of 2 and of 1 for each tile */
    const int64_t *start; /* of each tile's cells, and the end */
    const int64_t *place; /* class times W + lane, the cells with the fewest votes first in a tile */
    const double *count;
    int64_t k;
};

/* What a tile of rows gives under one component. */
struct part {
    double total[W], mean_x[W], fit[W], slope[W], leak[W], drive[W], drive_x[W];
};

/* x log Gamma's remainder after Stirling's formula; for x >= FACTORS it is exact to 1e-14. */
INLINE double stirling(double by)
{
    double w = by * by, p = -691.0 / 360360.0;
    p = FMA_D(p, w, 1.0 / 1188.0);
    p = FMA_D(p, w, -1.0 / 1680.0);
    p = FMA_D(p, w, 1.0 / 1260.0);
    p = FMA_D(p, w, -1.0 / 360.0);
    return by * FMA_D(p, w, 1.0 / 12.0);
}

/* log x - psi(x) at x = 1 / by, likewise. */
INLINE double psi_rest(double by)
{
    double w = by * by, p = -691.0 / 32760.0;
    p = FMA_D(p, w, 1.0 / 132.0);
    p = FMA_D(p, w, -1.0 / 240.0);
    p = FMA_D(p, w, 1.0 / 252.0);
    p = FMA_D(p, w, -1.0 / 120.0);
    return FMA_D(FMA_D(p, w, 1.0 / 12.0), w, 0.5 * by);
}

/* log Gamma(a + n) - log Gamma(a) of each lane and its derivative, for whole n up to `most`. */
INLINE void rise(const double *restrict a, const double *restrict n, double most,
                 double *restrict gain, double *restrict pull)
{
    double product[W], slope[W];
    for (int l = 0; l < W; l++) product[l] = 1.0, slope[l] = 0.0;
    for (int i = 0; i < FACTORS && i < most; i++)
        for (int l = 0; l < W; l++) {
            int there = i < n[l];
            double factor = there ? a[l] + i : 1.0;
            slope[l] = FMA_D(slope[l], factor, there ? product[l] : 0.0);
            product[l] *= factor;
        }
    for (int l = 0; l < W; l++) {
        gain[l] = log_plus(product[l], 0.0);
        pull[l] = slope[l] / product[l];
    }
    if (most <= FACTORS) return;
    for (int l = 0; l < W; l++) {
        double low = a[l] + FACTORS, more = n[l] > FACTORS ? n[l] - FACTORS : 0.0;
        double by = 1.0 / low, further = 1.0 / (low + more), ratio = log1p_d(more * by);
        double tail = FMA_D(low + more - 0.5, ratio, FMA_D(more, log_plus(low, 0.0), -more));
        gain[l] += tail + (stirling(further) - stirling(by));
        pull[l] += ratio + (psi_rest(by) - psi_rest(further));
    }
}

/* The softmax of b x + v of a tile, and the mean of x under it. */
INLINE void component_softmax(const double *restrict x, double b, const double *offset, int64_t k,
                              double *restrict soft, double *restrict mean_x)
{
    double top[W], sum[W] = {0};
    for (int l = 0; l < W; l++) top[l] = -INFINITY, mean_x[l] = 0.0;
    for (int64_t c = 0; c < k; c++)
        for (int l = 0; l < W; l++) {
            double z = FMA_D(b, x[c * W + l], offset ? offset[c] : 0.0);
            soft[c * W + l] = z;
            top[l] = z > top[l] ? z : top[l];
        }
    for (int64_t c = 0; c < k; c++)
        for (int l = 0; l < W; l++) {
            double e = exp_or_zero(soft[c * W + l] - top[l]);
            soft[c * W + l] = e;
            sum[l] += e;
            mean_x[l] = FMA_D(e, x[c * W + l], mean_x[l]);
        }
    for (int l = 0; l < W; l++) sum[l] = 1.0 / sum[l], mean_x[l] *= sum[l];
    for (int64_t c = 0; c < k; c++)
        for (int l = 0; l < W; l++) soft[c * W + l] *= sum[l];
}

/* One tile under one component; `drive` takes what each cell pulls its class by. */
INLINE void component(const struct votes *rows, int64_t tile, const double *theta, int offsets,
                      double *restrict soft, double *restrict drive, struct part *part)
{
    int64_t k = rows->k, first = rows->start[tile], cells = rows->start[tile + 1] - first;
    const double *x = rows->x + tile * k * W, *f = rows->feature + tile * 2 * W;
    const double *votes = rows->votes + tile * W;
    double leak = 1.0 / (1.0 + exp_d(-theta[LEAK])), b = exp_d(theta[LOG_SHARPNESS]);
    double gain[W], pull[W], most = 0.0;
    for (int l = 0; l < W; l++) {
        double s = FMA_D(theta[SLOPE], f[l], theta[LOG_TOTAL]);
        s = s > MOST_LOG_TOTAL ? MOST_LOG_TOTAL : s < -MOST_LOG_TOTAL ? -MOST_LOG_TOTAL : s;
        part->total[l] = exp_d(s);
        most = votes[l] > most ? votes[l] : most;
    }
    component_softmax(x, b, offsets ? theta + OFFSETS : NULL, k, soft, part->mean_x);
    rise(part->total, votes, most, gain, pull);
    for (int l = 0; l < W; l++) {
        part->fit[l] = -gain[l];
        part->slope[l] = -part->total[l] * pull[l];
        part->leak[l] = part->drive[l] = part->drive_x[l] = 0.0;
    }
    for (int64_t i = 0; i < cells; i += W) {
        const int64_t *place = rows->place + first + i;
        const double *count = rows->count + first + i;
        int here = (int)(cells - i < W ? cells - i : W);
        double s[W], t[W], n[W], at[W], mean[W], alpha[W];
        for (int l = 0; l < W; l++) s[l] = t[l] = 1.0, at[l] = n[l] = 0.0;
        for (int l = 0; l < here; l++) {
            s[l] = soft[place[l]], at[l] = x[place[l]], t[l] = part->total[place[l] % W];
            n[l] = count[l];
        }
        for (int l = 0; l < W; l++) {
            mean[l] = FMA_D(1.0 - leak, s[l], leak / (double)k);
            alpha[l] = t[l] * mean[l];
        }
        rise(alpha, n, n[here - 1], gain, pull);
        double force[W], to_leak[W], by_x[W];
        for (int l = 0; l < W; l++) {
            double of_mean = pull[l] * t[l];
            to_leak[l] = of_mean * (1.0 / (double)k - s[l]);
            force[l] = (1.0 - leak) * of_mean * s[l];
            by_x[l] = force[l] * at[l];
            mean[l] *= of_mean;
        }
        for (int l = 0; l < here; l++) {
            int row = (int)(place[l] % W);
            part->fit[row] += gain[l];
            part->slope[row] += mean[l];
            part->leak[row] += to_leak[l];
            part->drive[row] += force[l];
            part->drive_x[row] += by_x[l];
            drive[i + l] = force[l];
        }
    }
    for (int l = 0; l < W; l++) part->leak[l] *= leak * (1.0 - leak);
    for (int l = 0; l < W; l++) /* from here on the derivative in log b */
        part->drive_x[l] = b * FMA_D(-part->drive[l], part->mean_x[l], part->drive_x[l]);
}

/* x - log of the sum of exp(x) over the components, which is given too. */
INLINE void normalised(double x[COMPONENTS][W], double *restrict log_sum)
{
    double top[W], sum[W] = {0};
    for (int l = 0; l < W; l++) top[l] = x[0][l];
    for (int r = 1; r < COMPONENTS; r++)
        for (int l = 0; l < W; l++) top[l] = x[r][l] > top[l] ? x[r][l] : top[l];
    for (int r = 0; r < COMPONENTS; r++)
        for (int l = 0; l < W; l++) sum[l] += exp_or_zero(x[r][l] - top[l]);
    for (int l = 0; l < W; l++) log_sum[l] = top[l] + log_plus(sum[l], 0.0);
    for (int r = 0; r < COMPONENTS; r++)
        for (int l = 0; l < W; l++) x[r][l] -= log_sum[l];
}

/* The evidence summed over rows, then the gradient of each component's parameters, into `out`, which
 * holds zeros; 0 where there is no memory. */
static int dirichlet_sums(const struct votes *rows, int64_t tiles, const double *theta, int64_t size,
                          double *out)
{
    int64_t k = rows->k, cells = 0;
    int offsets = size > OFFSETS;
    for (int64_t t = 0; t < tiles; t++)
        cells = rows->start[t + 1] - rows->start[t] > cells ? rows->start[t + 1] - rows->start[t] : cells;
    size_t sheet = (size_t)k * W, sheets = offsets ? COMPONENTS * sheet : 0;
    double *soft = calloc(COMPONENTS * sheet + sheets + (size_t)COMPONENTS * (size_t)cells, sizeof *soft);
    if (!soft) return 0;
    double *by_class = soft + COMPONENTS * sheet, *drive = by_class + sheets;
    double sum[1 + COMPONENTS * OFFSETS][W] = {{0}};
    for (int64_t tile = 0; tile < tiles; tile++) {
        struct part part[COMPONENTS];
        double gate[COMPONENTS][W], joint[COMPONENTS][W], evidence[W];
        const double *f = rows->feature + tile * 2 * W, *g = f + W;
        for (int r = 0; r < COMPONENTS; r++) {
            const double *own = theta + r * size;
            component(rows, tile, own, offsets, soft + r * sheet, drive + r * cells, part + r);
            for (int l = 0; l < W; l++)
                gate[r][l] = FMA_D(own[GATE + 2], g[l], FMA_D(own[GATE + 1], f[l], own[GATE]));
        }
        normalised(gate, evidence);
        for (int r = 0; r < COMPONENTS; r++)
            for (int l = 0; l < W; l++) joint[r][l] = gate[r][l] + part[r].fit[l];
        normalised(joint, evidence);
        for (int l = 0; l < W; l++) sum[0][l] += evidence[l];
        for (int r = 0; r < COMPONENTS; r++) {
            double(*to)[W] = sum + 1 + r * OFFSETS, weight[W], push[W];
            for (int l = 0; l < W; l++) {
                double w = exp_or_zero(joint[r][l]), over = w - exp_or_zero(gate[r][l]);
                double slope = w * part[r].slope[l];
                to[LOG_TOTAL][l] += slope;
                to[SLOPE][l] = FMA_D(slope, f[l], to[SLOPE][l]);
                to[LEAK][l] = FMA_D(w, part[r].leak[l], to[LEAK][l]);
                to[LOG_SHARPNESS][l] = FMA_D(w, part[r].drive_x[l], to[LOG_SHARPNESS][l]);
                to[GATE][l] += over;
                to[GATE + 1][l] = FMA_D(over, f[l], to[GATE + 1][l]);
                to[GATE + 2][l] = FMA_D(over, g[l], to[GATE + 2][l]);
                weight[l] = w, push[l] = w * part[r].drive[l];
            }
            if (!offsets) continue;
            double *lanes = by_class + r * sheet, *own = out + 1 + r * size + OFFSETS;
            const double *s = soft + r * sheet;
            for (int64_t c = 0; c < k; c++)
                for (int l = 0; l < W; l++)
                    lanes[c * W + l] = FMA_D(-push[l], s[c * W + l], lanes[c * W + l]);
            const int64_t *place = rows->place + rows->start[tile];
            for (int64_t i = 0; i < rows->start[tile + 1] - rows->start[tile]; i++)
                own[place[i] / W] += weight[place[i] % W] * drive[r * cells + i];
        }
    }
    fold(sum[0], 1);
    out[0] = sum[0][0];
    for (int r = 0; r < COMPONENTS; r++) {
        for (int u = 0; u < OFFSETS; u++) {
            fold(sum[1 + r * OFFSETS + u], 1);
            out[1 + r * size + u] = sum[1 + r * OFFSETS + u][0];
        }
        for (int64_t c = 0; c < k && offsets; c++) {
            fold(by_class + r * sheet + c * W, 1);
            out[1 + r * size + OFFSETS + c] += by_class[r * sheet + c * W];
        }
    }
    free(soft);
    return 1;
}

#endif
