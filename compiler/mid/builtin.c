/* builtin.c: the table of builtin functions: those of builtin_*.c, and every elementwise op and
 * kernel under its own name. Also how their arguments are read. Not for functions that can be
 * written in the language: those stand in stdlib/. */
#include "compiler/mid/builtin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments ---- */

static lg_diag *bad_argument(lg_elab *E, lg_span at, const char *fn, int n_names,
                             const char *const *names, const char *what, const char *word) {
    lg_diag *d =
        lg_err(E, "E0220", at, "`%s` %s%s", fn, what, word ? lg_txt(E, " `%s`", word) : "");
    const char *near = word ? lg_nearest(word, names, (size_t)n_names) : NULL;
    if (near) {
        lg_diag_help(d, "did you mean `%s`?", near);
        return d;
    }
    lg_buf b = {0};
    for (int i = 0; i < n_names; i++)
        lg_buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    lg_diag_note(d, "it takes (%s)", b.at ? b.at : "");
    lg_buf_free(&b);
    return d;
}

static int place_of(int n, const char *const *names, const char *word) {
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], word))
            return i;
    return -1;
}

bool lg_args(lg_elab *E, const char *fn, int n, const lg_arg *arg, lg_span at, int n_names,
             const char *const *names, int n_required, lg_value **out) {
    bool ok = true;
    int next = 0;
    for (int i = 0; i < n_names; i++)
        out[i] = NULL;
    for (int i = 0; i < n; i++) {
        int k = arg[i].name ? place_of(n_names, names, arg[i].name) : next++;
        if (k < 0 || k >= n_names) {
            bad_argument(E, lg_arg_at(&arg[i]), fn, n_names, names,
                         arg[i].name ? "has no argument" : "was given too many arguments",
                         arg[i].name);
            return false;
        }
        if (out[k]) {
            bad_argument(E, lg_arg_at(&arg[i]), fn, n_names, names, "was given twice:", names[k]);
            return false;
        }
        out[k] = arg[i].value;
        ok = ok && out[k]->kind != LG_V_ERROR;
    }
    for (int k = 0; k < n_required; k++)
        if (!out[k]) {
            bad_argument(E, at, fn, n_names, names, "needs", names[k]);
            return false;
        }
    return ok;
}

lg_value *lg_as_tensor(lg_elab *E, const char *fn, lg_value *v, lg_span at) {
    v = lg_arrayed(E, v, at);
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, LG_NO_DTYPE, at);
    if (v->kind == LG_V_TENSOR)
        return v;
    if (v->kind != LG_V_ERROR && v->kind != LG_V_OPAQUE)
        lg_err(E, "E0220", at, "`%s` wants an array here, got %s", fn, lg_v_type_text(E, v));
    return NULL;
}

bool lg_bool_arg(lg_elab *E, lg_value *v, bool otherwise, const char *fn, const char *name) {
    bool b = otherwise;
    if (v && v->kind != LG_V_ERROR && !lg_v_static_bool(E, v, &b) &&
        !(v->kind == LG_V_NUM && v->num.is_bool))
        lg_err(E, "E0220", v->at, "`%s` wants true or false for %s, got %s", fn, name,
               lg_v_type_text(E, v));
    return b;
}

int64_t lg_int_arg(lg_elab *E, lg_value *v, int64_t otherwise, const char *fn, const char *name) {
    int64_t i = otherwise;
    if (v && v->kind != LG_V_ERROR && !lg_v_static_int(E, v, &i) &&
        !(v->kind == LG_V_NUM && !v->num.known))
        lg_err(E, "E0220", v->at, "`%s` wants a static integer for %s, got %s", fn, name,
               lg_v_type_text(E, v));
    return i;
}

/* ---- elementwise ops by name ---- */

/* Sizes stay sizes: an integer op of sizes is a size of its own. */
static lg_dim *dim_of_call(lg_elab *E, const lg_op *op, int n, lg_value *const *in) {
    lg_dim *d[2] = {0};
    bool named = false;
    for (int i = 0; i < n && i < 2; i++) {
        d[i] = in[i]->num.dim;
        named = named || d[i];
        if (!d[i] && in[i]->num.known && in[i]->num.is_int && in[i]->num.i >= 0)
            d[i] = lg_dim_num(E->dims, in[i]->num.i);
    }
    return n == 2 && named && d[0] && d[1] ? lg_dim_fn(E->dims, lg_intern(op->name), d[0], d[1])
                                           : NULL;
}

/* The op's own kernel on one element. */
static lg_value *run_static(lg_elab *E, const lg_op *op, int n, lg_value *const *in, lg_dtype t,
                            lg_span at) {
    int64_t cell[4] = {0}, out = 0;
    const void *p[4];
    for (int i = 0; i < n; i++) {
        lg_dtype ti = op->flag_in >> i & 1 ? LG_BOOL : t;
        if (ti == LG_F64)
            lg_set_f64(ti, &cell[i], 0, in[i]->num.d);
        else
            lg_set_i64(ti, &cell[i], 0, in[i]->num.i);
        p[i] = &cell[i];
    }
    op->elem[t](1, p, &out);
    lg_dtype to = op->out_dtype == LG_NO_DTYPE ? t : op->out_dtype;
    if (to == LG_BOOL)
        return lg_v_bool(E, lg_get_i64(to, &out, 0) != 0, at);
    return lg_dtype_is_float(to) ? lg_v_real(E, lg_get_f64(to, &out, 0), at)
                                 : lg_v_int(E, lg_get_i64(to, &out, 0), at);
}

static lg_value *elem_static(lg_elab *E, const lg_op *op, int n, lg_value *const *in, lg_span at) {
    bool ints = true, bools = true, known = true;
    for (int i = 0; i < n; i++) {
        known = known && in[i]->num.known;
        if (op->flag_in >> i & 1)
            continue;
        ints = ints && in[i]->num.is_int;
        bools = bools && in[i]->num.is_bool;
    }
    lg_dtype t = bools && op->elem[LG_BOOL] ? LG_BOOL : ints && op->elem[LG_I64] ? LG_I64 : LG_F64;
    if (!op->elem[t])
        return NULL;
    lg_value *r = known ? run_static(E, op, n, in, t, at)
                        : lg_v_unknown(E, t == LG_I64 && op->out_dtype == LG_NO_DTYPE,
                                       op->out_dtype == LG_BOOL || t == LG_BOOL, at);
    if (t == LG_I64 && op->out_dtype == LG_NO_DTYPE)
        r->num.dim = dim_of_call(E, op, n, in);
    for (int i = 0; i < n; i++)
        lg_num_made(r, op->name, r, in[i]);
    return r;
}

lg_value *lg_elem_call(lg_elab *E, const lg_op *op, int n, lg_value *const *in, lg_span at) {
    bool all = n <= 4;
    for (int i = 0; i < n; i++) {
        if (in[i]->kind == LG_V_ERROR)
            return lg_v_error(E, at);
        all = all && in[i]->kind == LG_V_NUM;
    }
    lg_value *r = all ? elem_static(E, op, n, in, at) : NULL;
    return r ? r : lg_elem(E, op, n, in, at);
}

/* Names of the parameters in "(x: T[...S], lo: T) -> T[...S]". */
static int names_of(lg_elab *E, const char *sig, const char **names) {
    int n = 0, depth = 0;
    for (const char *p = sig; *p && n < 4; p++) {
        if (depth == 1 && (p[-1] == '(' || p[-1] == ' ') &&
            strchr("(,", p[-1] == ' ' ? p[-2] : '(')) {
            size_t len =
                strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
            if (len)
                names[n++] = lg_txt(E, "%.*s", (int)len, p);
        }
        depth += strchr("([{", *p) ? 1 : strchr(")]}", *p) ? -1 : 0;
        if (depth == 0 && *p == ')')
            break;
    }
    return n;
}

static lg_value *call_elem(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    const char *names[4];
    lg_value *in[4];
    int count = names_of(E, b->op->sig, names);
    assert(count == b->op->arity);
    if (!lg_args(E, b->name, n, arg, at, count, names, count, in))
        return lg_v_error(E, at);
    lg_value *r = lg_elem_call(E, b->op, count, in, at);
    /* floor(rho*N) as a size: known by what the program calls it */
    if (r->kind == LG_V_NUM && !r->num.known && !r->num.is_bool && !r->num.dim &&
        (b->op->traits & LG_T_NODIFF) && count == 1 && n == 1 && arg[0].ast) {
        const lg_ast *of = arg[0].name ? arg[0].ast->kid[0] : arg[0].ast;
        r->num.dim = lg_dim_opaque(
            E->dims, lg_intern(lg_txt(E, "%s(%s)", b->name, lg_outer_text(E, E->frame, of))), false,
            0);
    }
    return r;
}

/* ---- the table ---- */

static const lg_builtin *const tables[] = {lg_builtins_make, lg_builtins_shape, lg_builtins_rows,
                                           lg_builtins_conv, lg_builtins_misc,
                                           lg_builtins_reduce};
static struct {
    LG_VEC(lg_builtin) row;
    bool made;
} all;

static int by_name(const void *a, const void *b) {
    return strcmp(((const lg_builtin *)a)->name, ((const lg_builtin *)b)->name);
}

static bool in_tables(const char *name) {
    for (size_t i = 0; i < LG_COUNT(tables); i++)
        for (const lg_builtin *b = tables[i]; b->name; b++)
            if (!strcmp(b->name, name))
                return true;
    return false;
}

static void make_table(void) {
    if (all.made)
        return;
    all.made = true;
    for (size_t i = 0; i < LG_COUNT(tables); i++)
        for (const lg_builtin *b = tables[i]; b->name; b++)
            LG_PUSH(all.row, *b);
    for (size_t i = 0; i < lg_op_count(); i++) {
        const lg_op *op = lg_op_at(i);
        lg_builtin b = {.name = op->name, .sig = op->sig, .doc = op->doc, .op = op};
        if (op->cls == LG_C_ELEM)
            b.call = call_elem;
        else if (op->cls == LG_C_KERNEL && op->sig)
            b.call = lg_kernel_call;
        else if (op->cls == LG_C_CUM)
            b.call = lg_cum_call;
        /* what has no example is for the compiler only */
        if (b.call && op->example && !in_tables(op->name))
            LG_PUSH(all.row, b);
    }
    qsort(all.row.at, all.row.n, sizeof *all.row.at, by_name);
}

const lg_builtin *lg_builtin_find(lg_sym name) {
    make_table();
    lg_builtin key = {.name = name};
    return bsearch(&key, all.row.at, all.row.n, sizeof key, by_name);
}

size_t lg_builtin_count(void) {
    make_table();
    return all.row.n;
}

const lg_builtin *lg_builtin_at(size_t i) {
    make_table();
    return &all.row.at[i];
}
