/* arith.c: operators: exact arithmetic of numbers and sizes that are known beforehand, elementwise
 * ops of arrays, and both leaf by leaf between records. Not for how operands align (align.c). */
#include "compiler/mid/emit.h"
#include "ops/vmath.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

lg_value *lg_leafwise(lg_elab *E, lg_leaf_fn fn, void *ctx, int n, lg_value *const *v, lg_span at) {
    const lg_value *like = NULL;
    lg_leaf *leaf[8];
    int count = 0;
    for (int i = 0; i < n; i++)
        if (v[i]->kind == LG_V_RECORD || v[i]->kind == LG_V_MODEL || v[i]->kind == LG_V_LIST) {
            int k = lg_v_leaves(E, v[i], &leaf[i]);
            if (v[i]->kind == LG_V_LIST && k == 1 && !*leaf[i][0].path) /* numbers, and no array */
                return lg_list_tensor(E, v[i], LG_NO_DTYPE, at);
            if (!like) {
                like = v[i];
                count = k;
                continue;
            }
            lg_leaf *first = NULL;
            int kf = lg_v_leaves(E, like, &first);
            for (int j = 0; j < (k > kf ? k : kf); j++)
                if (j >= k || j >= kf || strcmp(first[j].path, leaf[i][j].path)) {
                    const char *have = j < kf ? first[j].path : leaf[i][j].path;
                    lg_err(E, "E0312", at,
                           "the records have different paths: `%s` stands in only one of them",
                           have);
                    return lg_v_error(E, at);
                }
        }
    lg_value **out = LG_NEW_N(E->arena, lg_value *, count ? count : 1);
    for (int j = 0; j < count; j++) {
        lg_value *arg[8];
        for (int i = 0; i < n; i++) {
            bool vec =
                v[i]->kind == LG_V_RECORD || v[i]->kind == LG_V_MODEL || v[i]->kind == LG_V_LIST;
            if (!vec && v[i]->kind == LG_V_TENSOR && v[i]->t.rank) {
                lg_err(E, "E0312", at, "a record meets %s: only scalars meet every leaf",
                       lg_v_type_text(E, v[i]));
                return lg_v_error(E, at);
            }
            arg[i] = vec ? lg_arrayed(E, leaf[i][j].value, at) : v[i];
        }
        out[j] = fn(E, ctx, n, arg, at);
    }
    return lg_v_rebuild(E, like, out);
}

/* ---- operators ---- */

static lg_value *static_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at);

static bool is_weak_int(const lg_value *v) {
    return v->kind == LG_V_NUM ? v->num.is_int && !v->num.is_bool
                               : v->kind == LG_V_TENSOR && v->t.weak && lg_dtype_is_int(v->t.dtype);
}

/* Integers that were written take the dtype around them, chosen by an array too. */
lg_value *lg_select(lg_elab *E, lg_value *c, lg_value *a, lg_value *b, lg_span at) {
    lg_value *in[3] = {c, a, b};
    lg_value *r = lg_elem_named(E, "where", 3, in, at);
    if (r->kind == LG_V_TENSOR && is_weak_int(a) && is_weak_int(b))
        r->t.weak = true;
    return r;
}

static const struct {
    const char *sign, *op;
} operators[] = {{"+", "add"}, {"-", "sub"}, {"*", "mul"}, {"/", "div"},   {"//", "floordiv"},
                 {"%", "mod"}, {"^", "pow"}, {"==", "eq"}, {"!=", "ne"},   {"<", "lt"},
                 {"<=", "le"}, {">", "gt"},  {">=", "ge"}, {"and", "and"}, {"or", "or"}};

/* Of integers, exactly; NULL after reporting what i64 cannot hold. */
static lg_value *exact_integer(lg_elab *E, char op, int64_t a, int64_t b, lg_span at) {
    int64_t z = 1;
    bool over = op == '+'   ? __builtin_add_overflow(a, b, &z)
                : op == '-' ? __builtin_sub_overflow(a, b, &z)
                : op == '*' ? __builtin_mul_overflow(a, b, &z)
                            : false;
    for (bool more = op == '^' && b > 0; more && !over; more = b > 0) { /* squares, then products */
        over = (b & 1) && __builtin_mul_overflow(z, a, &z);
        b >>= 1;
        over = over || (b > 0 && __builtin_mul_overflow(a, a, &a));
    }
    if (!over)
        return lg_v_int(E, z, at);
    lg_diag *d = lg_err(E, "E0218", at, "this integer does not fit in 64 bits");
    lg_diag_help(d, "of real numbers, as in `2.0^64`, it is rounded instead");
    return NULL;
}

/* Exact arithmetic on static numbers. Sizes known only in names stay in names. */
static lg_value *static_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at) {
    bool ints = (a->num.is_int || a->num.is_bool) && (b->num.is_int || b->num.is_bool);
    char o = op[0];
    if (!strcmp(op, "and") || !strcmp(op, "or")) {
        if (!a->num.is_bool || !b->num.is_bool) {
            lg_err(E, "E0206", at, "`%s` wants bools", op);
            return lg_v_error(E, at);
        }
        bool is_and = o == 'a';
        if ((a->num.known && (a->num.i != 0) != is_and) ||
            (b->num.known && (b->num.i != 0) != is_and))
            return lg_v_bool(E, !is_and, at);
        return a->num.known && b->num.known ? lg_v_bool(E, is_and, at)
                                            : lg_v_unknown(E, false, true, at);
    }
    bool compare = strchr("=!<>", o) != NULL;
    if (!a->num.known || !b->num.known) {
        if (compare && a->num.dim && b->num.dim && lg_dim_equal(a->num.dim, b->num.dim))
            return lg_v_bool(E, !strcmp(op, "==") || !strcmp(op, "<=") || !strcmp(op, ">="), at);
        if (compare)
            return lg_v_unknown(E, false, true, at);
    }
    if (compare) {
        double x = a->num.d, y = b->num.d;
        bool eq = ints ? a->num.i == b->num.i : x <= y && x >= y; /* NaN equals nothing */
        bool lt = ints ? a->num.i < b->num.i : x < y;
        bool gt = ints ? a->num.i > b->num.i : x > y;
        return lg_v_bool(E,
                         o == '='   ? eq
                         : o == '!' ? !eq
                         : o == '<' ? lt || (op[1] && eq)
                                    : gt || (op[1] && eq),
                         at);
    }
    /* in names */
    lg_dim *da = a->num.dim                      ? a->num.dim
                 : a->num.known && a->num.is_int ? lg_dim_num(E->dims, a->num.i)
                                                 : NULL;
    lg_dim *db = b->num.dim                      ? b->num.dim
                 : b->num.known && b->num.is_int ? lg_dim_num(E->dims, b->num.i)
                                                 : NULL;
    lg_dim *d = NULL;
    if (da && db && (a->num.dim || b->num.dim)) {
        if (o == '+')
            d = lg_dim_add(E->dims, da, db);
        else if (o == '-')
            d = lg_dim_sub(E->dims, da, db);
        else if (o == '*')
            d = lg_dim_mul(E->dims, da, db);
        else if (!strcmp(op, "//"))
            d = lg_dim_fn(E->dims, lg_intern("//"), da, db);
        else if (o == '%')
            d = lg_dim_fn(E->dims, lg_intern("%"), da, db);
        else if (o == '/') {
            int64_t x, y;
            bool exact = lg_dim_value(da, &x) && lg_dim_value(db, &y) ? y && x % y == 0 : true;
            d = exact ? lg_dim_div(E->dims, da, db) : NULL;
        }
    }
    if (!a->num.known || !b->num.known) {
        bool is_int = ints && o != '/' && o != '^';
        lg_value *r = lg_v_unknown(E, is_int || !strcmp(op, "//") || d, false, at);
        if (o == '/' && !strcmp(op, "/"))
            r->num.is_int = false;
        r->num.dim = d;
        return r;
    }
    lg_value *r = NULL;
    double x = a->num.d, y = b->num.d;
    if (o == '+' || o == '-' || (o == '*' && !op[1])) {
        if (ints && !(r = exact_integer(E, o, a->num.i, b->num.i, at)))
            return lg_v_error(E, at);
        if (!r)
            r = lg_v_real(E, o == '+' ? x + y : o == '-' ? x - y : x * y, at);
        /* keep exact ratios exact */
        if (!ints && a->num.den > 0 && b->num.den > 0 && llabs(a->num.num) < 1000000 &&
            llabs(b->num.num) < 1000000 && a->num.den < 1000000 && b->num.den < 1000000) {
            int64_t p =
                o == '*' ? a->num.num * b->num.num
                         : a->num.num * b->num.den + (o == '+' ? 1 : -1) * b->num.num * a->num.den;
            int64_t q = a->num.den * b->num.den;
            bool whole = p % q == 0; /* may serve as a size, but an array of it is of reals */
            r->num.num = whole ? p / q : p;
            r->num.den = whole ? 1 : q;
            r->num.d = (double)p / (double)q;
        }
    } else if (!strcmp(op, "//") || o == '%') {
        if (ints && b->num.i == -1) { /* -2^63 has no opposite */
            r = o == '/' ? exact_integer(E, '-', 0, a->num.i, at) : lg_v_int(E, 0, at);
            if (!r)
                return lg_v_error(E, at);
        } else if (y < 0 || y > 0 || isnan(y)) {
            if (ints) {
                int64_t iq = a->num.i / b->num.i;
                if (a->num.i % b->num.i != 0 && (a->num.i < 0) != (b->num.i < 0))
                    iq--;
                r = lg_v_int(E, o == '/' ? iq : a->num.i - iq * b->num.i, at);
            } else {
                r = lg_v_real(E, o == '/' ? lg_floordiv_f64(x, y) : lg_mod_f64(x, y), at);
            }
        } else {
            lg_err(E, "E0214", at, "division by zero");
            return lg_v_error(E, at);
        }
    } else if (o == '/') {
        if (ints && b->num.i == 0) {
            lg_err(E, "E0214", at, "division by zero");
            return lg_v_error(E, at);
        }
        if (ints && b->num.i == -1) {
            r = exact_integer(E, '-', 0, a->num.i, at);
            if (!r)
                return lg_v_error(E, at);
        } else if (ints && a->num.i % b->num.i == 0) {
            r = lg_v_int(E, a->num.i / b->num.i, at);
        } else {
            r = lg_v_real(E, x / y, at);
            if (ints) {
                r->num.num = b->num.i < 0 ? -a->num.i : a->num.i;
                r->num.den = b->num.i < 0 ? -b->num.i : b->num.i;
            }
        }
    } else { /* ^ */
        bool whole = ints && b->num.i >= 0;
        r = whole ? exact_integer(E, o, a->num.i, b->num.i, at) : lg_v_real(E, pow(x, y), at);
        if (!r)
            return lg_v_error(E, at);
    }
    r->num.dim = d;
    return r;
}

/* `x in lo..hi`, `x in [a, b]` */
static lg_value *membership(lg_elab *E, lg_value *x, lg_value *set, lg_span at) {
    if (set->kind == LG_V_RANGE) {
        lg_value *lo = lg_binary(E, "<=", set->range.lo, x, at);
        bool whole = set->range.hi->kind == LG_V_NUM && set->range.hi->num.is_int;
        lg_value *hi = lg_binary(E, whole ? "<" : "<=", x, set->range.hi, at);
        return lg_binary(E, "and", lo, hi, at);
    }
    if (set->kind == LG_V_LIST) {
        lg_value *r = lg_v_bool(E, false, at);
        for (int i = 0; i < set->list.n; i++)
            r = lg_binary(E, "or", r, lg_binary(E, "==", x, set->list.at[i], at), at);
        return r;
    }
    if (set->kind == LG_V_RECORD && x->kind == LG_V_STR)
        return lg_v_bool(E, lg_v_field(set, lg_intern(x->str)) != NULL, at);
    if (set->kind != LG_V_ERROR && x->kind != LG_V_ERROR)
        lg_err(E, "E0208", at, "`in` wants a range or a list, got %s", lg_v_type_text(E, set));
    return lg_v_error(E, at);
}

static lg_value *binary_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    return lg_binary(E, ctx, leaf[0], leaf[1], at);
}

/* A vector whose leaves are known. */
static bool is_structure(const lg_value *v) {
    return v->kind != LG_V_OPAQUE && lg_v_is_vector(v);
}

lg_value *lg_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at) {
    if (a->kind == LG_V_ERROR || b->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    if (lg_is_schedule(a) || lg_is_schedule(b)) {
        a = lg_schedule_now(E, a);
        b = lg_schedule_now(E, b);
        if (lg_is_schedule(a) || lg_is_schedule(b))
            return lg_schedule_binary(E, op, a, b, at);
    }
    if (a->weight || b->weight) {
        lg_value *w = a->weight ? a->weight : b->weight;
        const lg_value *other = a->weight ? b : a;
        bool scalar = other->kind == LG_V_NUM || (other->kind == LG_V_TENSOR && !other->t.rank);
        if (!scalar || (a->weight && b->weight) ||
            (strcmp(op, "*") && (strcmp(op, "/") || !a->weight))) {
            lg_diag *d =
                lg_err(E, "E0431", at, "a weighted loss can only be scaled by a number here");
            lg_diag_help(d, "write several `loss` lines: each is divided by its own weights");
            return lg_v_error(E, at);
        }
        lg_value *pa = lg_v_copy(E, a), *pb = lg_v_copy(E, b);
        pa->weight = pb->weight = NULL;
        lg_value *r = lg_v_copy(E, lg_binary(E, op, pa, pb, at));
        r->weight = w;
        return r;
    }
    if (!strcmp(op, "@"))
        return lg_matmul(E, lg_arrayed(E, a, at), lg_arrayed(E, b, at), at);
    if (!strcmp(op, "in"))
        return membership(E, a, b, at);
    if (!strcmp(op, "..")) {
        lg_value *r = lg_v_new(E, LG_V_RANGE, at);
        r->range.lo = a;
        r->range.hi = b;
        return r;
    }
    if (a->kind == LG_V_STR && b->kind == LG_V_STR) {
        if (!strcmp(op, "==") || !strcmp(op, "!=")) {
            if (!a->str || !b->str)
                return lg_v_unknown(E, false, true, at);
            return lg_v_bool(E, !strcmp(a->str, b->str) == (op[0] == '='), at);
        }
        if (!strcmp(op, "+"))
            return lg_v_str(E, a->str && b->str ? lg_txt(E, "%s%s", a->str, b->str) : NULL, at);
    }
    if (a->kind == LG_V_NUM && b->kind == LG_V_NUM)
        return lg_num_made(static_binary(E, op, a, b, at), op, a, b);
    a = lg_arrayed(E, a, at);
    b = lg_arrayed(E, b, at);
    if (is_structure(a) || is_structure(b)) {
        lg_value *two[2] = {a, b};
        union {
            const char *c;
            void *p;
        } u = {op};
        return lg_leafwise(E, binary_leaf, u.p, 2, two, at);
    }
    bool whole = false;     /* two integers are divided */
    if (!strcmp(op, "/")) { /* true division: integers give float */
        lg_value **side[2] = {&a, &b};
        bool all_int = true;
        for (int i = 0; i < 2; i++)
            if ((*side[i])->kind == LG_V_TENSOR
                    ? lg_dtype_is_float((*side[i])->t.dtype)
                    : (*side[i])->kind != LG_V_NUM || !(*side[i])->num.is_int)
                all_int = false;
        whole = all_int && (b->kind != LG_V_NUM || !b->num.known || b->num.i);
        for (int i = 0; all_int && i < 2; i++)
            if ((*side[i])->kind == LG_V_TENSOR) {
                bool weak = (*side[i])->t.weak;
                *side[i] = lg_cast(E, *side[i], weak ? LG_F64 : E->frame->float_dtype, at);
                (*side[i])->t.weak = weak;
            }
    }
    if (!strcmp(op, "/") && whole) {
        lg_value *two[2] = {a, b}, *r = lg_elem_named(E, "div", 2, two, at);
        lg_emit_fold_integers(E, r, lg_emit_all_host(2, two), at);
        return r;
    }
    bool divides = op[0] == '/' || op[0] == '%';
    if (divides && b->kind == LG_V_NUM && b->num.known && b->num.is_int && b->num.i == 0) {
        lg_err(E, "E0214", at, "division by zero");
        return lg_v_error(E, at);
    }
    if (!strcmp(op, "^") && b->kind == LG_V_NUM)
        b = lg_num_fixed(E, b); /* which power it is decides what is computed */
    if (!strcmp(op, "^") && b->kind == LG_V_NUM && b->num.known && b->num.is_int &&
        a->kind != LG_V_NUM) {
        if (b->num.i < 0 && a->kind == LG_V_TENSOR && lg_dtype_is_int(a->t.dtype)) {
            lg_diag *d = lg_err(E, "E0214", at, "an integer to a negative power");
            lg_diag_help(d, "write `float(...)` around what is raised");
            return lg_v_error(E, at);
        }
        /* small integer powers are products: exact, and they have plain derivatives */
        if (b->num.i == 2)
            return lg_elem_named(E, "square", 1, &a, at);
        if (b->num.i == 1)
            return a;
    }
    for (size_t i = 0; i < LG_COUNT(operators); i++)
        if (!strcmp(op, operators[i].sign)) {
            lg_value *in[2] = {a, b}, *r = lg_elem_named(E, operators[i].op, 2, in, at);
            if ((divides || op[0] == '^') && r->kind == LG_V_TENSOR && lg_dtype_is_int(r->t.dtype))
                lg_right_side(E, op, b, at);
            return r;
        }
    lg_err(E, "E0208", at, "`%s` is not defined here", op);
    return lg_v_error(E, at);
}

lg_value *lg_unary(lg_elab *E, const char *op, lg_value *a, lg_span at) {
    if (a->kind == LG_V_ERROR)
        return a;
    if (lg_is_schedule(a) && op[0] == '-')
        return lg_binary(E, "-", lg_v_int(E, 0, at), a, at);
    if (a->kind == LG_V_NUM) {
        if (op[0] == 'n') {
            if (!a->num.is_bool) {
                lg_err(E, "E0206", at, "`not` wants a bool");
                return lg_v_error(E, at);
            }
            return a->num.known ? lg_v_bool(E, !a->num.i, at) : lg_v_unknown(E, false, true, at);
        }
        bool zero = a->num.known && !a->num.is_int && fpclassify(a->num.d) == FP_ZERO;
        lg_value *none = lg_v_int(E, 0, at);
        if (zero) /* -0.0: 0 - x would lose its sign */
            return lg_num_made(lg_v_real(E, -a->num.d, at), "-", none, a);
        return lg_num_made(static_binary(E, "-", none, a, at), "-", none, a);
    }
    return lg_elem_named(E, op[0] == 'n' ? "not" : "neg", 1, &a, at);
}
