/* The kernels as a Python module of the stable interface. Arrays come as (address, storage, bytes
 * from row to row, bytes from class to class); their lengths and types are checked in Python. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "checks.h"
#include "coded.h"
#include "dirichlet.h"
#include "divergences.h"
#include "frequencies.h"
#include "groups.h"
#include "hashing.h"
#include "maps.h"
#include "moments.h"
#include "parts.h"

/* How these functions are called, as builds.py asks for it: counted up whenever that changes. */
#define INTERFACE 11

static int matrix_from(PyObject *described, void *to)
{
    struct matrix *x = to;
    long long address, row, column;
    int storage;
    if (!PyArg_ParseTuple(described, "LiLL", &address, &storage, &row, &column)) return 0;
    *x = (struct matrix){(const char *)(intptr_t)address, (enum storage)storage, (ptrdiff_t)row,
                         (ptrdiff_t)column};
    return 1;
}

/* How many rows were gone through; fewer than none: there was no memory. */
static PyObject *rows_done(int64_t found)
{
    return found < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(found);
}

static PyObject *py_labels(PyObject *self, PyObject *args)
{
    (void)self;
    long long y, n, k, out, stride;
    int kind, wanted;
    int64_t found;
    struct matrix q;
    if (!PyArg_ParseTuple(args, "LiO&LLiLL", &y, &kind, matrix_from, &q, &n, &k, &wanted, &out, &stride))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = measure_labels((const int64_t *)(intptr_t)y, &q, (enum kind)kind, n, k, wanted,
                           (double *)(intptr_t)out, (ptrdiff_t)stride);
    Py_END_ALLOW_THREADS
    return rows_done(found);
}

static PyObject *py_laws(PyObject *self, PyObject *args)
{
    (void)self;
    long long n, k, out, stride;
    int kind_p, kind_q, whole, fine;
    struct matrix p, q;
    if (!PyArg_ParseTuple(args, "iO&iO&LLpLL", &kind_p, matrix_from, &p, &kind_q, matrix_from, &q, &n,
                          &k, &whole, &out, &stride))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = measure_laws(&p, (enum kind)kind_p, &q, (enum kind)kind_q, n, k, whole,
                        (double *)(intptr_t)out, (ptrdiff_t)stride);
    Py_END_ALLOW_THREADS
    return rows_done(fine ? n : -1);
}

static PyObject *py_divergence(PyObject *self, PyObject *args)
{
    (void)self;
    long long n, k, out;
    int which, kind_p, kind_q, fine;
    double parameter;
    struct matrix p, q;
    if (!PyArg_ParseTuple(args, "idiO&iO&LLL", &which, &parameter, &kind_p, matrix_from, &p, &kind_q,
                          matrix_from, &q, &n, &k, &out))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = measure_divergence((enum divergence)which, parameter, &p, (enum kind)kind_p, &q,
                              (enum kind)kind_q, n, k, (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(fine ? n : -1);
}

static PyObject *py_first_doubt(PyObject *self, PyObject *args)
{
    (void)self;
    long long n, k, found;
    int kind;
    double tolerance;
    struct matrix x;
    if (!PyArg_ParseTuple(args, "iO&LLd", &kind, matrix_from, &x, &n, &k, &tolerance)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = first_doubt(&x, (enum kind)kind, n, k, tolerance);
    Py_END_ALLOW_THREADS
    return rows_done(found);
}

static PyObject *py_group_sums(PyObject *self, PyObject *args)
{
    (void)self;
    long long group, groups, columns, weight, centre, n, out;
    int d;
    int64_t found;
    if (!PyArg_ParseTuple(args, "LLLLLLiL", &group, &groups, &columns, &weight, &centre, &n, &d, &out))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = group_sums((const int64_t *)(intptr_t)group, groups, (const double *const *)(intptr_t)columns,
                       (const double *)(intptr_t)weight, (const double *)(intptr_t)centre, n, d,
                       (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(found);
}

static PyObject *py_central_sums(PyObject *self, PyObject *args)
{
    (void)self;
    long long columns, centre, n, m2, m3;
    int d;
    if (!PyArg_ParseTuple(args, "LLLiLL", &columns, &centre, &n, &d, &m2, &m3)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    central_sums((const double *const *)(intptr_t)columns, (const double *)(intptr_t)centre, n, d,
                 (double *)(intptr_t)m2, (double *)(intptr_t)m3);
    Py_END_ALLOW_THREADS
    return rows_done(n);
}

static PyObject *py_law_sums(PyObject *self, PyObject *args)
{
    (void)self;
    long long weight, n, k, out;
    int kind, fine;
    struct matrix x;
    if (!PyArg_ParseTuple(args, "iO&LLLL", &kind, matrix_from, &x, &weight, &n, &k, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = law_sums(&x, (enum kind)kind, (const double *)(intptr_t)weight, n, k, (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(fine ? n : -1);
}

static PyObject *py_decode(PyObject *self, PyObject *args)
{
    (void)self;
    long long codes, row, scale, least, floored, n, k, to, out;
    if (!PyArg_ParseTuple(args, "LLLLLLLLL", &codes, &row, &scale, &least, &floored, &n, &k, &to, &out))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    decode_rows((const char *)(intptr_t)codes, (ptrdiff_t)row, (const float *)(intptr_t)scale,
                (const float *)(intptr_t)least, (const uint8_t *)(intptr_t)floored, n, k,
                (float *)(intptr_t)to, (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(n);
}

static PyObject *py_level_codes(PyObject *self, PyObject *args)
{
    (void)self;
    long long codes, row, level, floored, n, k, to;
    if (!PyArg_ParseTuple(args, "LLLLLLL", &codes, &row, &level, &floored, &n, &k, &to)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    level_rows((const char *)(intptr_t)codes, (ptrdiff_t)row, (const float *)(intptr_t)level,
               (const uint8_t *)(intptr_t)floored, n, k, (float *)(intptr_t)to);
    Py_END_ALLOW_THREADS
    return rows_done(n);
}

static PyObject *py_given(PyObject *self, PyObject *args)
{
    (void)self;
    long long here, there, level, n, k, out;
    if (!PyArg_ParseTuple(args, "LLLLLL", &here, &there, &level, &n, &k, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    given_rows((const float *)(intptr_t)here, (const float *)(intptr_t)there, (const float *)(intptr_t)level,
               n, k, (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(n);
}

static PyObject *py_mix(PyObject *self, PyObject *args)
{
    (void)self;
    long long x, n, out;
    unsigned long long with;
    if (!PyArg_ParseTuple(args, "LKLL", &x, &with, &n, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    mix_words((const uint64_t *)(intptr_t)x, with, n, (uint64_t *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(n);
}

/* A softmax map: (x, all, scale, bias, floor). */
static int map_from(PyObject *described, void *to)
{
    struct map *map = to;
    long long x, scale, bias;
    if (!PyArg_ParseTuple(described, "LpLLd", &x, &map->all, &scale, &bias, &map->floor)) return 0;
    map->x = (const double *)(intptr_t)x;
    map->scale = (const double *)(intptr_t)scale;
    map->bias = (const double *)(intptr_t)bias;
    return 1;
}

static PyObject *py_map_sums(PyObject *self, PyObject *args)
{
    (void)self;
    long long mass, n, k, out;
    int order, fine;
    struct map map;
    if (!PyArg_ParseTuple(args, "O&LLLiL", map_from, &map, &mass, &n, &k, &order, &out))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = map_sums(&map, (const double *)(intptr_t)mass, n, k, order, (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(fine ? n : -1);
}

static PyObject *py_map_at(PyObject *self, PyObject *args)
{
    (void)self;
    long long start, column, n, k, out;
    int fine;
    struct map map;
    if (!PyArg_ParseTuple(args, "O&LLLLL", map_from, &map, &start, &column, &n, &k, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = map_at(&map, (const int64_t *)(intptr_t)start, (const int64_t *)(intptr_t)column, n, k,
                  (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(fine ? n : -1);
}

static PyObject *py_mixture_sums(PyObject *self, PyObject *args)
{
    (void)self;
    long long weight, inside, column, freq, n, out;
    double eps;
    if (!PyArg_ParseTuple(args, "LLLLdLL", &weight, &inside, &column, &freq, &eps, &n, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    mixture_sums((const double *)(intptr_t)weight, (const double *)(intptr_t)inside,
                 (const int64_t *)(intptr_t)column, (const double *)(intptr_t)freq, eps, n,
                 (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(n);
}

/* A map that ends in a mixture: (kind, all, scale, bias, floor, eps, ruled out, freq, knot, level, knots). */
static int row_map_from(PyObject *described, void *to)
{
    struct row_map *map = to;
    struct map *softmax = &map->softmax;
    long long scale, bias, freq, knot, level, knots;
    int kind;
    if (!PyArg_ParseTuple(described, "ipLLdddLLLL", &kind, &softmax->all, &scale, &bias, &softmax->floor,
                          &map->eps, &map->ruled_out, &freq, &knot, &level, &knots))
        return 0;
    map->kind = (enum map_kind)kind;
    softmax->x = NULL;
    softmax->scale = (const double *)(intptr_t)scale;
    softmax->bias = (const double *)(intptr_t)bias;
    map->freq = (const double *)(intptr_t)freq;
    map->knot = (const double *)(intptr_t)knot;
    map->level = (const double *)(intptr_t)level;
    map->knots = knots;
    return 1;
}

/* P: (labels, or 0 and then its kind and matrix). */
static int truth_from(PyObject *described, void *to)
{
    struct truth *p = to;
    long long label;
    int kind;
    if (!PyArg_ParseTuple(described, "LiO&", &label, &kind, matrix_from, &p->x)) return 0;
    p->label = (const int64_t *)(intptr_t)label;
    p->kind = (enum kind)kind;
    return 1;
}

static PyObject *py_row_parts(PyObject *self, PyObject *args)
{
    (void)self;
    long long chosen, n, k, out, stride;
    int kind;
    int64_t found;
    struct row_map map;
    struct truth p;
    struct matrix q;
    if (!PyArg_ParseTuple(args, "O&O&iO&LLLLL", row_map_from, &map, truth_from, &p, &kind, matrix_from,
                          &q, &chosen, &n, &k, &out, &stride))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = row_parts(&map, &p, &q, (enum kind)kind, (const int64_t *)(intptr_t)chosen, n, k,
                      (double *)(intptr_t)out, (ptrdiff_t)stride);
    Py_END_ALLOW_THREADS
    return rows_done(found);
}

static PyObject *py_map_rows(PyObject *self, PyObject *args)
{
    (void)self;
    long long x, n, k, out;
    int fine;
    struct row_map map;
    if (!PyArg_ParseTuple(args, "O&LLLL", row_map_from, &map, &x, &n, &k, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = map_rows(&map, (const double *)(intptr_t)x, n, k, (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(fine ? n : -1);
}

static PyObject *py_dirichlet_sums(PyObject *self, PyObject *args)
{
    (void)self;
    long long x, feature, votes, start, place, count, k, tiles, theta, size, out;
    int fine;
    if (!PyArg_ParseTuple(args, "(LLLLLLL)LLLL", &x, &feature, &votes, &start, &place, &count, &k, &tiles,
                          &theta, &size, &out))
        return NULL;
    struct votes rows = {(const double *)(intptr_t)x, (const double *)(intptr_t)feature,
                         (const double *)(intptr_t)votes, (const int64_t *)(intptr_t)start,
                         (const int64_t *)(intptr_t)place, (const double *)(intptr_t)count, k};
    Py_BEGIN_ALLOW_THREADS
    fine = dirichlet_sums(&rows, tiles, (const double *)(intptr_t)theta, size, (double *)(intptr_t)out);
    Py_END_ALLOW_THREADS
    return rows_done(fine ? tiles : -1);
}

/* Which of the builds this processor can run: 2, 3 or 4 of x86-64, 0 for any other. */
static PyObject *py_level(PyObject *self, PyObject *args)
{
    (void)self, (void)args;
#if defined(__x86_64__)
    __builtin_cpu_init();
    unsigned a = 0, b = 0, c = 0, d = 0;
    int halves = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
    int v3 = halves && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("bmi2");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    return PyLong_FromLong(v4 ? 4 : v3 ? 3 : 2);
#else
    return PyLong_FromLong(0);
#endif
}

static PyMethodDef methods[] = {
    {"labels", py_labels, METH_VARARGS, "(y, kind, q, n, k, wanted, out, stride): labels against a law; n, or the first that is no class."},
    {"laws", py_laws, METH_VARARGS, "(kind, p, kind, q, n, k, whole, out, stride): a law against a law."},
    {"divergence", py_divergence, METH_VARARGS,
     "(which, parameter, kind, p, kind, q, n, k, out): one divergence of a law from a law."},
    {"first_doubt", py_first_doubt, METH_VARARGS, "(kind, x, n, k, tolerance): a row to look at, or n."},
    {"group_sums", py_group_sums, METH_VARARGS,
     "(group, groups, columns, weight or 0, centre or 0, n, d, out): sums within groups; n, or the first row of none."},
    {"central_sums", py_central_sums, METH_VARARGS,
     "(columns, centre, n, d, m2, m3): squares, products and cubes about centres."},
    {"law_sums", py_law_sums, METH_VARARGS,
     "(kind, x, weight or 0, n, k, out): probabilities summed over rows."},
    {"decode", py_decode, METH_VARARGS,
     "(codes, row, scale, least, floored, n, k, into, out): log p from codes, and sums of p."},
    {"level_codes", py_level_codes, METH_VARARGS,
     "(codes, row, level, floored, n, k, into): log p of the classes at the floor."},
    {"given", py_given, METH_VARARGS,
     "(here, there, level, n, k, out): the probability here of classes at a level there."},
    {"mix", py_mix, METH_VARARGS, "(x, with, n, out): words of 64 bits, mixed."},
    {"map_sums", py_map_sums, METH_VARARGS,
     "(map, mass, n, k, order, out): what the derivatives of a softmax map's loss are made of."},
    {"map_at", py_map_at, METH_VARARGS,
     "(map, start, column, n, k, out): a softmax map's probabilities at some classes of each row."},
    {"mixture_sums", py_mixture_sums, METH_VARARGS,
     "(weight, inside, column, freq, eps, n, out): what the derivatives in a mixing weight are made of."},
    {"row_parts", py_row_parts, METH_VARARGS,
     "(map, p, kind, q, chosen, n, k, out, stride): chosen rows before and after a map; n, or the first whose label is no class."},
    {"map_rows", py_map_rows, METH_VARARGS, "(map, log_q, n, k, out): log c(q) of rows of log q."},
    {"dirichlet_sums", py_dirichlet_sums, METH_VARARGS,
     "(votes, tiles, theta, size, out): a mixture of Dirichlet distributions' evidence and its gradient."},
    {"level", py_level, METH_NOARGS, "The processor's level of x86-64, or 0."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "kernels", "Fused kernels over rows.", -1,
                                    methods, NULL, NULL, NULL, NULL};

#define CALL(MACRO, NAME) MACRO(NAME)
#define INIT(NAME) PyInit_##NAME
PyMODINIT_FUNC CALL(INIT, MODULE)(void)
{
    PyObject *found = PyModule_Create(&module);
    if (found && PyModule_AddIntConstant(found, "interface", INTERFACE)) Py_CLEAR(found);
    return found;
}
