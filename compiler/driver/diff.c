/* diff.c: `lg diff`: what differs between two files of arrays, by name. The exit status is 0 when
 * nothing does, 1 when something does, 2 when one of them cannot be read. */
#include "compiler/driver/arrays.h"
#include "compiler/driver/command.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *tol, *rtol;
    bool quiet;
} settings;

enum { N_ROWS = 3, EXIT_TROUBLE = 2 };

static void rows_of(settings *o, lg_option_row out[N_ROWS]) {
    const lg_option_row rows[N_ROWS] = {
        {"tol", "X", "absolute differences up to X are none (0)", NULL, &o->tol},
        {"rtol", "X", "nor are those up to X times the larger value (0)", NULL, &o->rtol},
        {"quiet", NULL, "only the exit status", &o->quiet, NULL},
    };
    memcpy(out, rows, sizeof rows);
}

size_t lg_rows_diff(lg_option_row *out) {
    static settings none;
    rows_of(&none, out);
    return N_ROWS;
}

/* ---- comparing ---- */

/* Integers are compared as such: f64 does not hold all of i64. */
static double apart(const lg_tensor *a, const lg_tensor *b, size_t i, double *size) {
    if (a->dtype == LG_I64) {
        int64_t x = ((const int64_t *)a->data)[i], y = ((const int64_t *)b->data)[i];
        *size = fmax(fabs((double)x), fabs((double)y));
        return x < y ? (double)((uint64_t)y - (uint64_t)x) : (double)((uint64_t)x - (uint64_t)y);
    }
    double x = lg_get_f64(a->dtype, a->data, i), y = lg_get_f64(b->dtype, b->data, i);
    *size = fmax(fabs(x), fabs(y));
    if (x == y || (isnan(x) && isnan(y)))
        return 0;
    return isfinite(x) && isfinite(y) ? fabs(x - y) : (double)INFINITY;
}

typedef struct {
    double absolute, relative;
    size_t count, first; /* elements that differ, and the first of them */
} difference;

static difference compare(const lg_tensor *a, const lg_tensor *b, double tol, double rtol) {
    difference d = {0};
    for (size_t i = 0; i < a->n; i++) {
        double size, x = apart(a, b, i, &size);
        if (x == 0 || x <= tol || (isfinite(x) && x <= rtol * size))
            continue;
        if (!d.count++)
            d.first = i;
        d.absolute = fmax(d.absolute, x);
        d.relative = fmax(d.relative, isfinite(x) ? x / size : (double)INFINITY);
    }
    return d;
}

static void put_place(const lg_tensor *x, size_t at) {
    size_t left = x->n;
    printf(", first at [");
    for (int i = 0; i < x->rank; i++) {
        left /= (size_t)x->shape[i];
        printf(i ? ", %zu" : "%zu", at / left);
        at %= left;
    }
    printf("]");
}

static void put_name(const char *name) {
    lg_buf b = {0};
    lg_shown_text(name, &b);
    printf("%s: ", b.at);
    lg_buf_free(&b);
}

static bool same_kind(const char *name, const lg_tensor *a, const lg_tensor *b, bool quiet) {
    bool same = a->dtype == b->dtype && a->rank == b->rank &&
                !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
    if (same || quiet)
        return same;
    lg_buf x = {0}, y = {0};
    lg_shape_text(a, &x);
    lg_shape_text(b, &y);
    put_name(name);
    printf("%s%s here, %s%s there\n", lg_dtype_name(a->dtype), x.at, lg_dtype_name(b->dtype), y.at);
    lg_buf_free(&x);
    lg_buf_free(&y);
    return false;
}

/* True when the two arrays called `name` agree. */
static bool compare_named(const settings *o, const char *name, const lg_tensor *a,
                          const lg_tensor *b, double tol, double rtol) {
    if (!same_kind(name, a, b, o->quiet))
        return false;
    difference d = compare(a, b, tol, rtol);
    if (!d.count || o->quiet)
        return !d.count;
    put_name(name);
    printf("%zu of %zu values differ, by %.3g at most (relative %.3g)", d.count, a->n, d.absolute,
           d.relative);
    if (a->rank)
        put_place(a, d.first);
    printf("\n");
    return false;
}

static bool missing(const settings *o, const lg_bundle *a, const lg_bundle *b, const char *where) {
    bool none = true;
    for (size_t i = 0; i < a->list.n; i++) {
        if (lg_bundle_find(b, a->list.at[i].name))
            continue;
        none = false;
        if (o->quiet)
            continue;
        put_name(a->list.at[i].name);
        printf("only in %s\n", where);
    }
    return none;
}

static int compare_files(const settings *o, const lg_arrays *a, const lg_arrays *b, double tol,
                         double rtol) {
    size_t differ = 0, both = 0;
    const lg_bundle *x = &a->c.tensors, *y = &b->c.tensors;
    for (size_t i = 0; i < x->list.n; i++) {
        lg_sym name = x->list.at[i].name;
        const lg_tensor *other = lg_bundle_find(y, name);
        both += other != NULL;
        differ += other && !compare_named(o, name, x->list.at[i].x, other, tol, rtol);
    }
    bool here = missing(o, x, y, a->c.file), there = missing(o, y, x, b->c.file);
    if (!o->quiet)
        printf("%zu of %zu arrays %s\n", both - differ, both,
               tol > 0 || rtol > 0 ? "agree within the tolerance" : "are equal");
    return differ || !here || !there ? LG_EXIT_FAILED : LG_EXIT_OK;
}

/* ---- the command ---- */

static bool tolerance(const char *text, double *out) {
    char *end;
    *out = 0;
    if (!text)
        return true;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && !errno && *out >= 0 && isfinite(*out);
}

static int diff(const settings *o, const char *const *path) {
    double tol, rtol;
    if (!tolerance(o->tol, &tol))
        return lg_bad_value("tol", o->tol, "a number from 0");
    if (!tolerance(o->rtol, &rtol))
        return lg_bad_value("rtol", o->rtol, "a number from 0");
    lg_diags ds;
    lg_diags_init(&ds);
    lg_io io = {.ds = &ds};
    lg_arrays a = {0}, b = {0};
    int status = EXIT_TROUBLE;
    if (lg_arrays_load(&io, path[0], &a) && lg_arrays_load(&io, path[1], &b))
        status = compare_files(o, &a, &b, tol, rtol);
    lg_arrays_fini(&a);
    lg_arrays_fini(&b);
    lg_show(&ds);
    lg_diags_fini(&ds);
    return status;
}

int lg_cmd_diff(int argc, char **argv) {
    settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_words w = {0};
    rows_of(&o, rows);
    int status = lg_read_options("diff", argc, argv, rows, N_ROWS, false, &w);
    if (!status && w.words.n != 2)
        status = lg_usage_fault("E0713", "`lg diff` wants two files", "lg diff A B");
    if (!status)
        status = diff(&o, w.words.at);
    lg_words_fini(&w);
    return status;
}
