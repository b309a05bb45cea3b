/* A matrix of any storage type and any strides, read in blocks of float or double. */
#ifndef PANDQ_MATRIX_H
#define PANDQ_MATRIX_H

#include "lanes.h"

#if defined(__AVX2__) && defined(__F16C__)
#include <immintrin.h>
#endif

enum storage { F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64 };

struct matrix {
    const char *data;
    enum storage storage;
    ptrdiff_t row, column; /* strides in bytes */
};

INLINE const char *row_of(const struct matrix *x, int64_t i) { return x->data + i * x->row; }

/* Half precision by integer arithmetic: sign, exponent and fraction take their places as they are,
 * and a multiplication with 2^112 moves the exponent, but for that of infinity and NaN. */
INLINE float of_half(uint16_t h)
{
    uint32_t bits = ((uint32_t)(int32_t)(int16_t)h << 13) & 0x8FFFE000u;
    float x = float_of(bits) * 5.192296858534828e33f;
    return (bits & 0x0F800000u) == 0x0F800000u ? float_of(bits | 0x7F800000u) : x;
}

INLINE float of_bfloat(uint16_t h) { return float_of((uint32_t)h << 16); }

#define SAME(x) (x)
#define COPY_STEP(TYPE, CONVERT, STEP)                                                         \
    for (int i = 0; i < n; i++) {                                                              \
        TYPE x;                                                                                \
        memcpy(&x, from + i * (STEP), sizeof x);                                               \
        to[i] = CONVERT(x);                                                                    \
    }
#define COPY(TYPE, CONVERT)                                                                    \
    if (step == sizeof(TYPE)) {                                                                \
        COPY_STEP(TYPE, CONVERT, (ptrdiff_t)sizeof(TYPE))                                      \
    } else {                                                                                   \
        COPY_STEP(TYPE, CONVERT, step)                                                         \
    }                                                                                          \
    break;

static void read_d(double *restrict to, const char *from, enum storage storage, ptrdiff_t step, int n)
{
    switch (storage) {
    case F32: COPY(float, SAME)
    case F64: COPY(double, SAME)
    case F16: COPY(uint16_t, of_half)
    case BF16: COPY(uint16_t, of_bfloat)
    case I8: COPY(int8_t, SAME)
    case I16: COPY(int16_t, SAME)
    case I32: COPY(int32_t, SAME)
    case I64: COPY(int64_t, SAME)
    case U8: COPY(uint8_t, SAME)
    case U16: COPY(uint16_t, SAME)
    case U32: COPY(uint32_t, SAME)
    case U64: COPY(uint64_t, SAME)
    }
}

/* How many of n neighbouring numbers of 16 bits the processor's own instructions have read, to the same
 * bits; compilers turn the formulas above into many more. */
INLINE int read_16(float *restrict to, const char *from, enum storage storage, int n)
{
    int i = 0;
#if defined(__AVX512F__) && defined(__F16C__)
    for (; storage == F16 && i + 16 <= n; i += 16)
        _mm512_storeu_ps(to + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(from + 2 * i))));
    for (; storage == BF16 && i + 16 <= n; i += 16) {
        __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(from + 2 * i)));
        _mm512_storeu_si512(to + i, _mm512_slli_epi32(wide, 16));
    }
#elif defined(__AVX2__) && defined(__F16C__)
    for (; storage == F16 && i + 8 <= n; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(from + 2 * i))));
    for (; storage == BF16 && i + 8 <= n; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(from + 2 * i)));
        _mm256_storeu_si256((void *)(to + i), _mm256_slli_epi32(wide, 16));
    }
#else
    (void)to, (void)from, (void)storage, (void)n;
#endif
    return i;
}

/* The float kernels read nothing wider than float. */
static void read_f(float *restrict to, const char *from, enum storage storage, ptrdiff_t step, int n)
{
    if (storage != F32 && step == sizeof(uint16_t)) {
        int done = read_16(to, from, storage, n);
        to += done, from += 2 * done, n -= done;
    }
    switch (storage) {
    case F16: COPY(uint16_t, of_half)
    case BF16: COPY(uint16_t, of_bfloat)
    default: COPY(float, SAME)
    }
}

/* A block of a row as floats: in place if it lies there so, else a copy in `buffer`. */
INLINE const float *block_f(const struct matrix *x, const char *row, int64_t first, int n,
                            float *buffer)
{
    const char *from = row + first * x->column;
    if (x->storage == F32 && x->column == sizeof(float) && (uintptr_t)from % sizeof(float) == 0)
        return (const float *)from;
    read_f(buffer, from, x->storage, x->column, n);
    return buffer;
}

INLINE float one_f(const struct matrix *x, const char *row, int64_t k)
{
    float value;
    read_f(&value, row + k * x->column, x->storage, x->column, 1);
    return value;
}

INLINE double one_d(const struct matrix *x, const char *row, int64_t k)
{
    double value;
    read_d(&value, row + k * x->column, x->storage, x->column, 1);
    return value;
}

/* Is single precision enough to hold what is stored? */
INLINE int single(const struct matrix *x)
{
    return x->storage == F32 || x->storage == F16 || x->storage == BF16;
}

/* Bring what is read next into the cache while something else is computed. */
INLINE void fetch(const char *from, ptrdiff_t bytes)
{
    for (ptrdiff_t b = 0; b < bytes; b += 64) __builtin_prefetch(from + b);
}

#endif
