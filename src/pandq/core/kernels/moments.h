/* Squares, products and cubes of columns about their centres. */
#ifndef PANDQ_MOMENTS_H
#define PANDQ_MOMENTS_H

#include "groups.h"

#define MOMENT_LANES 16 /* partial sums of each product */
#define MOMENT_ROWS 128

/* Sums over the rows of products, of which a multiply-add would have other bits in other builds. */
INLINE void add_products(const double *restrict a, const double *restrict b, double *restrict to)
{
    double sum[MOMENT_LANES];
    memcpy(sum, to, sizeof sum);
    for (int r = 0; r < MOMENT_ROWS; r += MOMENT_LANES)
        for (int l = 0; l < MOMENT_LANES; l++) sum[l] += a[r + l] * b[r + l];
    memcpy(to, sum, sizeof sum);
}

INLINE double all_lanes(const double *lane)
{
    double sum = 0.0;
    for (int l = 0; l < MOMENT_LANES; l++) sum += lane[l];
    return sum;
}

/* Of n rows in at most MOST_COLUMNS columns: m2, (d, d), and m3, (d,), about the centres. */
static void central_sums(const double *const *column, const double *centre, int64_t n, int d, double *m2,
                         double *m3)
{
    double apart[MOST_COLUMNS][MOMENT_ROWS], square[MOMENT_ROWS];
    double product[MOST_COLUMNS][MOST_COLUMNS][MOMENT_LANES], cube[MOST_COLUMNS][MOMENT_LANES];
    memset(product, 0, sizeof product);
    memset(cube, 0, sizeof cube);
    for (int64_t first = 0; first < n; first += MOMENT_ROWS) {
        int rows = (int)(n - first < MOMENT_ROWS ? n - first : MOMENT_ROWS);
        for (int j = 0; j < d; j++) {
            const double *x = column[j] + first;
            double middle = centre[j], *to = apart[j];
            if (rows == MOMENT_ROWS)
                for (int r = 0; r < MOMENT_ROWS; r++) to[r] = x[r] - middle;
            else
                for (int r = 0; r < MOMENT_ROWS; r++) to[r] = r < rows ? x[r] - middle : 0.0;
            for (int r = 0; r < MOMENT_ROWS; r++) square[r] = to[r] * to[r];
            add_products(square, to, cube[j]);
            for (int i = 0; i <= j; i++) add_products(to, apart[i], product[j][i]);
        }
    }
    for (int j = 0; j < d; j++) {
        m3[j] = all_lanes(cube[j]);
        for (int i = 0; i <= j; i++) m2[j * d + i] = m2[i * d + j] = all_lanes(product[j][i]);
    }
}

#endif
