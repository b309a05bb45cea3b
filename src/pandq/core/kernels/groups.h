/* Sums within groups, row after row: sum of w (x - centre)^power for every group and column. */
#ifndef PANDQ_GROUPS_H
#define PANDQ_GROUPS_H

#include <stdlib.h>

#include "lanes.h"

#define MOST_COLUMNS 16
#define GROUP_ROWS 64 /* rows whose columns are laid side by side before they are added */

/* A table of `groups` rows of d numbers, its rows filled up to `wide`. */
static void widened(double *to, const double *from, int64_t groups, int d, int wide)
{
    for (int64_t g = 0; g < groups; g++) memcpy(to + g * wide, from + g * d, sizeof(double) * (size_t)d);
}

/* `wide` is known where this is compiled into. */
INLINE int64_t add_groups(const int64_t *group, int64_t groups, const double *const *column,
                          const double *weight, const double *centre, int64_t n, int d,
                          double *restrict sum, int wide)
{
    double row[GROUP_ROWS * MOST_COLUMNS] = {0};
    for (int64_t first = 0; first < n; first += GROUP_ROWS) {
        int rows = (int)(n - first < GROUP_ROWS ? n - first : GROUP_ROWS);
        for (int j = 0; j < d; j++)
            for (int r = 0; r < rows; r++) row[r * wide + j] = column[j][first + r];
        for (int r = 0; r < rows; r++) {
            int64_t i = first + r, g = ((const volatile int64_t *)group)[i];
            if (g < 0 || g >= groups) return i;
            double *to = sum + g * wide, w = weight ? weight[i] : 1.0;
            const double *value = row + r * wide, *middle = centre + g * wide;
            if (centre)
                for (int j = 0; j < wide; j++) {
                    double apart = value[j] - middle[j];
                    to[j] += apart * apart * w;
                }
            else
                for (int j = 0; j < wide; j++) to[j] += value[j] * w;
        }
    }
    return n;
}

/* d columns; `centre` and `out`, which holds zeros, are (groups, d). The order of
 * additions is that of the rows, whatever the build. The rows that were added: all, or those before the
 * first whose group is none; -1 if there is no memory. */
static int64_t group_sums(const int64_t *group, int64_t groups, const double *const *column,
                          const double *weight, const double *centre, int64_t n, int d, double *out)
{
    int wide = d <= 4 ? 4 : d <= 8 ? 8 : d <= 12 ? 12 : MOST_COLUMNS;
    size_t size = (size_t)groups * (size_t)wide;
    double *sum = calloc(2 * size + 1, sizeof *sum), *middle = centre ? sum + size : NULL;
    if (!sum) return -1;
    if (centre) widened(middle, centre, groups, d, wide);
    int64_t added =
        wide == 4    ? add_groups(group, groups, column, weight, middle, n, d, sum, 4)
        : wide == 8  ? add_groups(group, groups, column, weight, middle, n, d, sum, 8)
        : wide == 12 ? add_groups(group, groups, column, weight, middle, n, d, sum, 12)
                     : add_groups(group, groups, column, weight, middle, n, d, sum, MOST_COLUMNS);
    for (int64_t g = 0; g < groups; g++)
        memcpy(out + g * d, sum + g * wide, sizeof(double) * (size_t)d);
    free(sum);
    return added;
}

#endif
