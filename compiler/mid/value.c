/* value.c: abstract values: making, reading as static, walking the leaves, and their names in
 * messages. Nothing here emits nodes or reports errors except lg_v_to_dim. */
#include "compiler/mid/elab.h"
#include "compiler/mid/model.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

lg_value *lg_v_new(lg_elab *E, lg_vkind k, lg_span at) {
    lg_value *v = LG_NEW(E->arena, lg_value);
    v->kind = k;
    v->at = at;
    return v;
}

lg_value *lg_v_error(lg_elab *E, lg_span at) {
    return lg_v_new(E, LG_V_ERROR, at);
}

lg_value *lg_v_int(lg_elab *E, int64_t x, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_NUM, at);
    v->num.known = v->num.is_int = true;
    v->num.i = x;
    v->num.d = (double)x;
    v->num.num = x;
    v->num.den = 1;
    return v;
}

lg_value *lg_v_real(lg_elab *E, double x, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_NUM, at);
    v->num.known = true;
    v->num.d = x;
    return v;
}

lg_value *lg_v_bool(lg_elab *E, bool x, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_NUM, at);
    v->num.known = v->num.is_bool = true;
    v->num.i = x;
    v->num.d = (double)x;
    return v;
}

lg_value *lg_v_unknown(lg_elab *E, bool is_int, bool is_bool, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_NUM, at);
    v->num.is_int = is_int;
    v->num.is_bool = is_bool;
    return v;
}

lg_value *lg_v_dim(lg_elab *E, lg_dim *d, lg_span at) {
    int64_t x;
    lg_value *v = lg_dim_value(d, &x) ? lg_v_int(E, x, at) : lg_v_unknown(E, true, false, at);
    v->num.dim = d;
    return v;
}

lg_value *lg_num_varying(lg_elab *E, const lg_value *v, lg_sym name) {
    lg_value *r = lg_v_copy(E, v);
    r->num.varies = lg_hash(name, strlen(name), 1) | 1;
    return r;
}

/* What names a number in an expression: the expression it comes from, or its value. */
static uint64_t name_of_number(const lg_value *v) {
    return v->num.varies ? v->num.varies : lg_hash_mix(lg_hash(&v->num.d, sizeof v->num.d, 2), (uint64_t)v->num.i);
}

lg_value *lg_num_made(lg_value *r, const char *op, const lg_value *a, const lg_value *b) {
    bool varies = r->kind == LG_V_NUM && r->num.known && !r->num.is_bool && (a->num.varies || b->num.varies);
    if (varies)
        r->num.varies = lg_hash_mix(lg_hash(op, strlen(op), name_of_number(a)), name_of_number(b)) | 1;
    if (r->kind == LG_V_NUM && !r->num.is_int && !r->num.is_bool)
        r->num.as = a->num.as ? a->num.as : b->num.as;
    return r;
}

lg_value *lg_num_fixed(lg_elab *E, lg_value *v) {
    if (v->kind != LG_V_NUM || !v->num.varies)
        return v;
    v = lg_v_copy(E, v);
    v->num.varies = 0;
    return v;
}

lg_value *lg_v_str(lg_elab *E, const char *s, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_STR, at);
    v->str = s;
    return v;
}

lg_value *lg_too_many_dims(lg_elab *E, lg_span at) {
    lg_err(E, "E0213", at, "more than %d dims at once", LG_MAX_RANK);
    return lg_v_error(E, at);
}

lg_value *lg_v_tensor(lg_elab *E, lg_dtype t, int rank, lg_dim *const *dim, lg_node *node,
                      lg_span at) {
    if (rank > LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    lg_value *v = lg_v_new(E, LG_V_TENSOR, at);
    v->t.dtype = t;
    v->t.rank = rank;
    v->t.dim = LG_NEW_N(E->arena, lg_dim *, rank ? rank : 1);
    for (int i = 0; i < rank; i++)
        v->t.dim[i] = dim[i];
    v->t.node = node;
    return v;
}

lg_value *lg_v_record(lg_elab *E, int n, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_RECORD, at);
    v->rec.n = n;
    v->rec.f = LG_NEW_N(E->arena, lg_field, n ? n : 1);
    return v;
}

lg_value *lg_v_list(lg_elab *E, int n, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_LIST, at);
    v->list.n = n;
    v->list.at = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    return v;
}

lg_value *lg_v_copy(lg_elab *E, const lg_value *v) {
    return lg_arena_dup(E->arena, v, sizeof *v);
}

lg_value *lg_v_field(const lg_value *rec, lg_sym name) {
    for (int i = 0; i < rec->rec.n; i++)
        if (rec->rec.f[i].name == name)
            return rec->rec.f[i].value;
    return NULL;
}

void lg_v_set_field(lg_elab *E, lg_value *rec, lg_sym name, lg_value *v) {
    for (int i = 0; i < rec->rec.n; i++)
        if (rec->rec.f[i].name == name) {
            rec->rec.f[i].value = v;
            return;
        }
    lg_field *f = LG_NEW_N(E->arena, lg_field, rec->rec.n + 1);
    if (rec->rec.n)
        memcpy(f, rec->rec.f, sizeof *f * (size_t)rec->rec.n);
    f[rec->rec.n] = (lg_field){name, v, v->at};
    rec->rec.f = f;
    rec->rec.n++;
}

/* ---- names for messages ---- */

static void put_dims(lg_elab *E, lg_buf *b, int n, lg_dim *const *dim) {
    if (n < 1)
        return;
    lg_buf_printf(b, "[");
    for (int i = 0; i < n; i++)
        lg_buf_printf(b, "%s%s", i ? ", " : "", lg_dim_text(E->arena, dim[i]));
    lg_buf_printf(b, "]");
}

static void put_type(lg_elab *E, lg_buf *b, const lg_value *v, int depth) {
    switch (v->kind) {
    case LG_V_ERROR: lg_buf_printf(b, "unknown"); break;
    case LG_V_NUM:
        if (v->num.is_bool)
            lg_buf_printf(b, v->num.known ? (v->num.i ? "true" : "false") : "bool");
        else if (v->num.dim)
            lg_buf_printf(b, "the size %s", lg_dim_text(E->arena, v->num.dim));
        else if (!v->num.known)
            lg_buf_printf(b, v->num.is_int ? "an integer" : "a number");
        else if (v->num.is_int)
            lg_buf_printf(b, "the number %lld", (long long)v->num.i);
        else
            lg_buf_printf(b, "the number %g", v->num.d);
        break;
    case LG_V_STR: lg_buf_printf(b, "text \"%s\"", v->str ? v->str : "..."); break;
    case LG_V_TENSOR:
        lg_buf_printf(b, "%s", lg_dtype_name(v->t.dtype));
        put_dims(E, b, v->t.rank, v->t.dim);
        if (v->t.bound)
            lg_buf_printf(b, " in %s", lg_dim_text(E->arena, v->t.bound));
        break;
    case LG_V_RECORD:
        lg_buf_printf(b, "{");
        for (int i = 0; i < v->rec.n; i++) {
            if (i == 6) {
                lg_buf_printf(b, ", ...");
                break;
            }
            lg_buf_printf(b, "%s%s", i ? ", " : "", v->rec.f[i].name);
            if (depth < 1) {
                lg_buf_printf(b, ": ");
                put_type(E, b, v->rec.f[i].value, depth + 1);
            }
        }
        lg_buf_printf(b, "}");
        break;
    case LG_V_LIST: lg_buf_printf(b, "a list of %d", v->list.n); break;
    case LG_V_RANGE: lg_buf_printf(b, "a range"); break;
    case LG_V_FN: lg_buf_printf(b, "a function"); break;
    case LG_V_BUILTIN: lg_buf_printf(b, "the function `%s`", v->builtin->name); break;
    case LG_V_MODEL: lg_buf_printf(b, "model %s", lg_model_decl(v)->name); break;
    case LG_V_RULE: lg_buf_printf(b, "the optimizer `%s`", v->rule.decl->name); break;
    case LG_V_QUANT: lg_buf_printf(b, "the quantizer `%s`", v->quant.decl->name); break;
    case LG_V_DATA: lg_buf_printf(b, "data"); break;
    case LG_V_SELECTOR: lg_buf_printf(b, "the selector `%s`", v->str); break;
    case LG_V_DTYPE: lg_buf_printf(b, "the dtype %s", lg_dtype_name(v->dtype)); break;
    case LG_V_DECL:
        lg_buf_printf(b, "the %s `%s`", v->decl.decl->text, v->decl.decl->name);
        break;
    case LG_V_MODULE: lg_buf_printf(b, "a module"); break;
    case LG_V_NONE: lg_buf_printf(b, "nothing"); break;
    case LG_V_OPAQUE:
        lg_buf_printf(b, "%s", v->opaque.name);
        put_dims(E, b, v->opaque.rank, v->opaque.dim);
        break;
    case LG_V_HOST: lg_buf_printf(b, "a result"); break;
    }
}

const char *lg_v_type_text(lg_elab *E, const lg_value *v) {
    lg_buf b = {0};
    put_type(E, &b, v, 0);
    char *text = lg_arena_str(E->arena, b.at ? b.at : "");
    lg_buf_free(&b);
    return text;
}

/* ---- static readings ---- */

/* A host scalar that was computed is a constant: its number. */
static const lg_tensor *host_scalar(const lg_value *v) {
    if (v->kind != LG_V_TENSOR || v->t.rank || v->t.n_open || !v->t.node)
        return NULL;
    return v->t.node->op == &lg_op_const && v->t.node->attr.tensor->n == 1
               ? v->t.node->attr.tensor
               : NULL;
}

bool lg_v_static_int(lg_elab *E, const lg_value *v, int64_t *out) {
    (void)E;
    const lg_tensor *x = host_scalar(v);
    if (x && (lg_dtype_is_int(x->dtype) || x->dtype == LG_BOOL)) {
        *out = lg_get_i64(x->dtype, x->data, 0);
        return true;
    }
    double d = x ? lg_get_f64(x->dtype, x->data, 0) : 0.5;
    if (d == floor(d) && fabs(d) < 1 << 24) { /* 6/2 */
        *out = (int64_t)d;
        return true;
    }
    if (v->kind != LG_V_NUM || !v->num.known)
        return false;
    if (!v->num.is_int && !v->num.is_bool) {
        if (v->num.d != floor(v->num.d) || fabs(v->num.d) > 9e15)
            return false;
        *out = (int64_t)v->num.d;
        return true;
    }
    *out = v->num.i;
    return true;
}

bool lg_v_static_real(lg_elab *E, const lg_value *v, double *out) {
    (void)E;
    const lg_tensor *x = host_scalar(v);
    if (x) {
        *out = lg_get_f64(x->dtype, x->data, 0);
        return true;
    }
    if (v->kind != LG_V_NUM || !v->num.known)
        return false;
    *out = v->num.d;
    return true;
}

bool lg_v_static_bool(lg_elab *E, const lg_value *v, bool *out) {
    (void)E;
    const lg_tensor *x = host_scalar(v);
    if (x && x->dtype == LG_BOOL) {
        *out = lg_get_i64(LG_BOOL, x->data, 0) != 0;
        return true;
    }
    if (v->kind != LG_V_NUM || !v->num.known || !v->num.is_bool)
        return false;
    *out = v->num.i != 0;
    return true;
}

lg_dim *lg_v_to_dim(lg_elab *E, const lg_value *v, lg_span at) {
    int64_t x;
    if (v->kind == LG_V_ERROR)
        return NULL;
    if (v->kind == LG_V_NUM && v->num.dim)
        return v->num.dim;
    if (lg_v_static_int(E, v, &x)) {
        if (x < 0) {
            lg_err(E, "E0210", at, "a dim cannot be negative, got %lld", (long long)x);
            return NULL;
        }
        return lg_dim_num(E->dims, x);
    }
    if (v->kind == LG_V_NUM && !v->num.known && !v->num.is_bool)
        return NULL;
    if (v->kind == LG_V_TENSOR && LG_CHECKING(E) && v->t.host)
        return NULL;
    lg_diag *d = lg_err(E, "E0210", at, "a dim must be a static integer, got %s", lg_v_type_text(E, v));
    if (v->kind == LG_V_TENSOR)
        lg_diag_help(d, "sizes are fixed before the graph runs; use a dim, an argument or a host value");
    return NULL;
}

/* ---- leaves ---- */

typedef struct {
    LG_VEC(lg_leaf) v;
} leaf_list;

/* [1, 2], [[1], [2]]: written numbers are one array, not one leaf each. */
static bool is_number_list(const lg_value *v) {
    if (v->kind != LG_V_LIST || !v->list.n)
        return v->kind == LG_V_NUM;
    for (int i = 0; i < v->list.n; i++)
        if (!is_number_list(v->list.at[i]))
            return false;
    return true;
}

/* Fields named "[3]" are kept items of a list (select.c): their paths are those of the list. */
static const char *joined(lg_elab *E, const char *path, lg_sym name) {
    return !*path ? name : lg_txt(E, *name == '[' ? "%s%s" : "%s.%s", path, name);
}

static void walk(lg_elab *E, leaf_list *out, const char *path, lg_value *v) {
    switch (v->kind) {
    case LG_V_RECORD:
        for (int i = 0; i < v->rec.n; i++)
            walk(E, out, joined(E, path, v->rec.f[i].name), v->rec.f[i].value);
        break;
    case LG_V_LIST:
        if (is_number_list(v)) {
            LG_PUSH(out->v, ((lg_leaf){path, v}));
            break;
        }
        for (int i = 0; i < v->list.n; i++)
            walk(E, out, lg_txt(E, "%s[%d]", path, i), v->list.at[i]);
        break;
    case LG_V_MODEL: walk(E, out, path, lg_model_record(E, v)); break;
    default: LG_PUSH(out->v, ((lg_leaf){path, v}));
    }
}

int lg_v_leaves(lg_elab *E, const lg_value *v, lg_leaf **out) {
    leaf_list l = {0};
    walk(E, &l, "", lg_v_copy(E, v));
    *out = lg_arena_dup(E->arena, l.v.at ? (const void *)l.v.at : (const void *)"", sizeof(lg_leaf) * l.v.n);
    int n = (int)l.v.n;
    lg_free(l.v.at);
    return n;
}

static lg_value *rebuild(lg_elab *E, const lg_value *like, lg_value *const *leaf, int *k) {
    switch (like->kind) {
    case LG_V_RECORD: {
        lg_value *r = lg_v_record(E, like->rec.n, like->at);
        r->rec.quant = like->rec.quant;
        for (int i = 0; i < like->rec.n; i++) {
            r->rec.f[i] = like->rec.f[i];
            r->rec.f[i].value = rebuild(E, like->rec.f[i].value, leaf, k);
        }
        return r;
    }
    case LG_V_LIST: {
        if (is_number_list(like))
            return leaf[(*k)++];
        lg_value *r = lg_v_list(E, like->list.n, like->at);
        for (int i = 0; i < like->list.n; i++)
            r->list.at[i] = rebuild(E, like->list.at[i], leaf, k);
        return r;
    }
    case LG_V_MODEL: {
        lg_value *rec = lg_model_record(E, lg_v_copy(E, like));
        return rebuild(E, rec, leaf, k);
    }
    default: return leaf[(*k)++];
    }
}

lg_value *lg_v_rebuild(lg_elab *E, const lg_value *like, lg_value *const *leaf) {
    int k = 0;
    return rebuild(E, like, leaf, &k);
}

lg_value *lg_v_stacked(lg_elab *E, const lg_value *v, int n, lg_dim *const *dim, lg_span at) {
    lg_value *r = lg_v_copy(E, v);
    int had = v->opaque.rank;
    r->at = at;
    r->opaque.rank = n < 0 || had < 0 ? -1 : n + had;
    if (r->opaque.rank < 1)
        return r;
    r->opaque.dim = LG_NEW_N(E->arena, lg_dim *, n + had);
    for (int i = 0; i < n + had; i++)
        r->opaque.dim[i] = i < n ? dim[i] : v->opaque.dim[i - n];
    return r;
}

bool lg_v_is_vector(const lg_value *v) {
    return v->kind == LG_V_RECORD || v->kind == LG_V_MODEL || v->kind == LG_V_OPAQUE ||
           (v->kind == LG_V_LIST && v->list.n && !lg_list_is_array(v));
}

/* ---- lists of numbers as arrays ---- */

static int list_rank(const lg_value *v, int64_t *shape, int depth) {
    if (v->kind == LG_V_NUM || (v->kind == LG_V_TENSOR && !v->t.rank))
        return depth;
    if (v->kind != LG_V_LIST || depth == LG_MAX_RANK || !v->list.n)
        return -1;
    shape[depth] = v->list.n;
    int rank = -1;
    for (int i = 0; i < v->list.n; i++) {
        int64_t inner[LG_MAX_RANK];
        int r = list_rank(v->list.at[i], inner, depth + 1);
        if (r < 0 || (i && (r != rank || memcmp(inner + depth + 1, shape + depth + 1,
                                                sizeof *shape * (size_t)(r - depth - 1)))))
            return -1;
        rank = r;
        memcpy(shape + depth + 1, inner + depth + 1, sizeof *shape * (size_t)(r - depth - 1));
    }
    return rank;
}

bool lg_list_is_array(const lg_value *v) {
    int64_t shape[LG_MAX_RANK + 1];
    return v->kind == LG_V_LIST && list_rank(v, shape, 0) > 0;
}

static void flatten(const lg_value *v, lg_value **out, size_t *k) {
    if (v->kind == LG_V_LIST)
        for (int i = 0; i < v->list.n; i++)
            flatten(v->list.at[i], out, k);
    else
        memcpy(&out[(*k)++], &v, sizeof v);
}

lg_value *lg_list_tensor(lg_elab *E, lg_value *list, lg_dtype t, lg_span at) {
    int64_t shape[LG_MAX_RANK + 1];
    int rank = list_rank(list, shape, 0);
    if (rank < 0) {
        lg_err(E, "E0217", at, "the rows of this list have different lengths or kinds");
        return lg_v_error(E, at);
    }
    size_t n = 1;
    lg_dim *dim[LG_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        n *= (size_t)shape[i];
        dim[i] = lg_dim_num(E->dims, shape[i]);
    }
    lg_value **item = LG_NEW_N(E->arena, lg_value *, n);
    size_t k = 0;
    flatten(list, item, &k);
    bool all_static = true, all_int = true, all_bool = true, all_known = true;
    lg_dtype strong = LG_NO_DTYPE;
    for (size_t i = 0; i < n; i++) {
        all_static = all_static && item[i]->kind == LG_V_NUM;
        if (item[i]->kind != LG_V_NUM) {
            if (!item[i]->t.weak)
                strong = item[i]->t.dtype;
            all_int = all_int && lg_dtype_is_int(item[i]->t.dtype);
            all_bool = all_bool && item[i]->t.dtype == LG_BOOL;
            continue;
        }
        all_int = all_int && item[i]->num.is_int;
        all_bool = all_bool && item[i]->num.is_bool;
        all_known = all_known && item[i]->num.known;
    }
    if (t == LG_NO_DTYPE)
        t = strong != LG_NO_DTYPE ? strong
            : all_bool            ? LG_BOOL
            : all_int             ? LG_I64
                                  : (E->frame ? E->frame->float_dtype : E->float_dtype);
    if (all_static) {
        lg_node *node = NULL;
        if (!LG_CHECKING(E) && !all_known) {
            lg_err(E, "E0212", at, "a number of this list is not known when the plan is made");
            return lg_v_error(E, at);
        }
        if (!LG_CHECKING(E)) {
            lg_tensor *x = lg_tensor_new(t, rank, shape);
            for (size_t i = 0; i < n; i++)
                if (item[i]->num.is_int)
                    lg_set_i64(t, x->data, i, item[i]->num.i);
                else
                    lg_set_f64(t, x->data, i, item[i]->num.d);
            node = lg_g_const(E->g, x, at);
            lg_tensor_release(x);
        }
        return lg_v_tensor(E, t, rank, dim, node, at);
    }
    lg_dim *one = lg_dim_num(E->dims, 1);
    for (size_t i = 0; i < n; i++) {
        lg_value *x = lg_to_tensor(E, item[i], t, at);
        if (x->kind == LG_V_TENSOR && x->t.dtype != t)
            x = lg_cast(E, x, t, at);
        if (x->kind != LG_V_TENSOR)
            return lg_v_error(E, at);
        item[i] = lg_reshape(E, x, 1, &one, at);
    }
    lg_value *flat = lg_concat(E, (int)n, item, 0, at);
    return flat->kind == LG_V_TENSOR ? lg_reshape(E, flat, rank, dim, at) : flat;
}

lg_value *lg_arrayed(lg_elab *E, lg_value *v, lg_span at) {
    return lg_list_is_array(v) ? lg_list_tensor(E, v, LG_NO_DTYPE, at) : v;
}

lg_value *lg_arrays_within(lg_elab *E, lg_value *x, lg_span at) {
    x = lg_arrayed(E, x, at);
    if (x->kind != LG_V_RECORD && x->kind != LG_V_LIST)
        return x;
    lg_value *r = x->kind == LG_V_LIST ? lg_v_list(E, x->list.n, x->at) : lg_v_record(E, x->rec.n, x->at);
    if (x->kind == LG_V_RECORD)
        r->rec.quant = x->rec.quant;
    for (int i = 0; x->kind == LG_V_LIST && i < x->list.n; i++)
        r->list.at[i] = lg_arrays_within(E, x->list.at[i], at);
    for (int i = 0; x->kind == LG_V_RECORD && i < x->rec.n; i++) {
        r->rec.f[i] = x->rec.f[i];
        r->rec.f[i].value = lg_arrays_within(E, x->rec.f[i].value, at);
    }
    return r;
}
