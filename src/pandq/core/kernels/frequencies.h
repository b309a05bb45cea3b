/* Laws summed over rows: what the frequencies of the classes are. */
#ifndef PANDQ_FREQUENCIES_H
#define PANDQ_FREQUENCIES_H

#include <stdlib.h>

#include "laws.h"

/* Adds each row's probabilities, times its weight, to k sums, in the order of the rows; 0 if there is no
 * memory. */
static int law_sums(const struct matrix *x, enum kind kind, const double *weight, int64_t n, int64_t k,
                    double *restrict sum)
{
    struct shape shape = shape_of(k, n);
    size_t size = (size_t)shape.steps * W;
    double *memory = malloc(2 * size * sizeof *memory);
    if (!memory) return 0;
    struct law law = {.prob = memory, .score = memory + size};
    for (int64_t i = 0; i < n; i += shape.rows) {
        shape = shape_of(k, n - i);
        law_of(&law, x, kind, i, shape);
        double w = weight ? weight[i] : 1.0;
        for (int64_t c = 0; c < k && shape.wide; c++) sum[c] += w * law.prob[c];
        for (int s = 0; s < shape.steps && !shape.wide; s++)
            for (int r = 0; r < shape.rows; r++)
                sum[s] += (weight ? weight[i + r] : 1.0) * law.prob[s * W + r];
    }
    free(memory);
    return 1;
}

#endif
