/* Sums within groups, row after row: sum of w (x - centre)^power for every group and column. */
#ifndef PANDQ_GROUPS_H
#define PANDQ_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#define MOST_COLUMNS 16

/* Columns of `stride` doubles; `centre` and `out` are (groups, d). The order of additions is that of
 * the rows, whatever the build. The rows that were added: all, or those before the first whose group
 * is none. */
static int64_t group_sums(const int64_t *group, int64_t groups, const double *x, ptrdiff_t stride,
                          const double *weight, const double *centre, int64_t n, int d, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t g = ((const volatile int64_t *)group)[i];
        if (g < 0 || g >= groups) return i;
        double *to = out + g * d, w = weight ? weight[i] : 1.0, term[MOST_COLUMNS];
        for (int j = 0; j < d; j++) {
            double value = x[j * stride + i];
            double apart = centre ? value - centre[g * d + j] : 0.0;
            term[j] = centre ? apart * apart * w : value * w;
        }
        for (int j = 0; j < d; j++) to[j] += term[j];
    }
    return n;
}

#endif
