/* builtin_misc.c: builtins over records, models, lists and text, and the products that need more
 * than an op. Everything that can be said in the language is in stdlib/ instead. */
#include "compiler/mid/builtin.h"
#include "compiler/mid/model.h"
#include <ctype.h>
#include <string.h>

static lg_value *sum_all(lg_elab *E, lg_value *v, lg_span at) {
    lg_arg a = {NULL, v, NULL, at};
    return lg_reduce_axis(E, lg_intern("sum"), 1, &a, at);
}

/* The sum of products over all leaves. */
static lg_value *dot(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"a", "b"};
    lg_value *v[2];
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    if (v[0]->kind == LG_V_OPAQUE || v[1]->kind == LG_V_OPAQUE)
        return lg_v_tensor(E, E->frame->float_dtype, 0, NULL, NULL, at);
    lg_value *x = lg_arrayed(E, v[0], at), *y = lg_arrayed(E, v[1], at);
    if (x->kind == LG_V_TENSOR && y->kind == LG_V_TENSOR && x->t.rank != y->t.rank) {
        lg_diag *d = lg_err(E, "E0207", at, "dot wants two arrays of the same dims, got %s and %s",
                            lg_v_type_text(E, x), lg_v_type_text(E, y));
        lg_diag_help(d, "`@` is the matrix product");
        return lg_v_error(E, at);
    }
    lg_value *p = lg_binary(E, "*", x, y, at);
    return p->kind == LG_V_ERROR || p->kind == LG_V_NUM ? p : sum_all(E, p, at);
}

static lg_value *matmul(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"a", "b"};
    lg_value *v[2];
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    return lg_binary(E, "@", v[0], v[1], at);
}

/* The kernel gives v transposed; users know u, s, v. */
static lg_value *svd(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    lg_value *r = lg_kernel_apply(E, lg_op_find(b->name), n, arg, at);
    lg_value *vt = r->kind == LG_V_RECORD ? r->rec.f[2].value : NULL;
    if (!vt)
        return r;
    int perm[LG_MAX_RANK], rank = vt->t.rank;
    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    r->rec.f[2] = (lg_field){lg_intern("v"), lg_permute(E, vt, perm, at), at};
    return r;
}

static lg_value *stop_grad(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x"};
    lg_value *v;
    return lg_args(E, b->name, n, arg, at, 1, names, 1, &v) ? lg_stop_grad(E, v)
                                                            : lg_v_error(E, at);
}

/* ---- models and rules ---- */

static lg_value *apply_part(lg_elab *E, lg_value *part, lg_value *x, bool remat, lg_span at) {
    lg_arg a = {NULL, x, NULL, at};
    size_t mark = remat ? lg_remat_begin(E) : 0;
    lg_value *y = lg_call_value(E, part, 1, &a, at);
    return remat ? lg_remat_end(E, mark, y) : y;
}

static lg_value *chain(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"parts", "x", "remat"};
    lg_value *v[3];
    if (!lg_args(E, b->name, n, arg, at, 3, names, 2, v))
        return lg_v_error(E, at);
    bool remat = lg_bool_arg(E, v[2], false, b->name, "remat");
    if (v[0]->kind != LG_V_LIST) {
        lg_err(E, "E0220", v[0]->at, "`chain` wants a list of parts or functions, got %s",
               lg_v_type_text(E, v[0]));
        return lg_v_error(E, at);
    }
    lg_value *x = v[1];
    for (int i = 0; i < v[0]->list.n && x->kind != LG_V_ERROR; i++)
        x = apply_part(E, v[0]->list.at[i], x, remat, at);
    return x;
}

static lg_value *fresh(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"rule"};
    lg_value *v;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v))
        return lg_v_error(E, at);
    if (v->kind == LG_V_RULE)
        return lg_rule_fresh(E, v);
    lg_err(E, "E0220", v->at, "`fresh` wants an optimizer, got %s", lg_v_type_text(E, v));
    return lg_v_error(E, at);
}

/* ---- lists, records, sizes ---- */

static lg_value *len(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x"};
    lg_value *v;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v))
        return lg_v_error(E, at);
    switch (v->kind) {
    case LG_V_LIST:
        return lg_v_int(E, v->list.n, at);
    case LG_V_RECORD:
        return lg_v_int(E, v->rec.n, at);
    case LG_V_STR:
        return v->str ? lg_v_int(E, (int64_t)strlen(v->str), at) : lg_v_unknown(E, true, false, at);
    case LG_V_NUM: /* a list that is not known yet is an unknown number in check mode */
        if (!v->num.known && LG_CHECKING(E))
            return lg_v_unknown(E, true, false, at);
        break;
    case LG_V_RANGE:
        return lg_binary(E, "-", v->range.hi, v->range.lo, at);
    case LG_V_TENSOR:
        if (v->t.rank)
            return lg_v_dim(E, v->t.dim[0], at);
        break;
    default:
        break;
    }
    if (v->kind == LG_V_MODEL)
        return lg_v_int(E, lg_model_record(E, v)->rec.n, at);
    lg_err(E, "E0220", v->at, "%s has no length", lg_v_type_text(E, v));
    return lg_v_error(E, at);
}

/* Bytes of the arrays of x as they are held: codes as codes. */
static lg_value *bytes(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x"};
    lg_value *v;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v) || v->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    lg_leaf *place, *leaf;
    int64_t sum = 0;
    int k = lg_v_places(E, lg_arrayed(E, v, at), &place);
    for (int i = 0; i < k; i++)
        for (int j = lg_v_leaves(E, place[i].value, &leaf); j-- > 0;) {
            const lg_value *x = leaf[j].value;
            if (x->kind == LG_V_OPAQUE || (x->kind == LG_V_TENSOR && !x->t.node))
                return lg_v_unknown(E, true, false, at);
            if (x->kind == LG_V_TENSOR)
                sum += (int64_t)(lg_type_count(&x->t.node->type[0]) * lg_dtype_size(x->t.dtype));
        }
    return lg_v_int(E, sum, at);
}

static lg_value *shape(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x"};
    lg_value *v;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v))
        return lg_v_error(E, at);
    lg_value *x = lg_as_tensor(E, b->name, v, at);
    if (!x)
        return lg_v_error(E, at);
    lg_value *r = lg_v_list(E, x->t.rank, at);
    for (int i = 0; i < x->t.rank; i++)
        r->list.at[i] = lg_v_dim(E, x->t.dim[i], at);
    return r;
}

static lg_value *fields(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at,
                        bool keys) {
    static const char *const names[] = {"r"};
    lg_value *v;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v))
        return lg_v_error(E, at);
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(E, v);
    if (v->kind != LG_V_RECORD) {
        lg_err(E, "E0220", v->at, "`%s` wants a record, got %s", b->name, lg_v_type_text(E, v));
        return lg_v_error(E, at);
    }
    lg_value *r = lg_v_list(E, v->rec.n, at);
    for (int i = 0; i < v->rec.n; i++)
        r->list.at[i] = keys ? lg_v_str(E, v->rec.f[i].name, at) : v->rec.f[i].value;
    return r;
}

static lg_value *keys(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return fields(E, b, n, arg, at, true);
}

static lg_value *values(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return fields(E, b, n, arg, at, false);
}

/* The leaves in the order of their paths. Those of an unknown record are a stack of unknown things. */
static lg_value *leaves(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"r"};
    lg_value *v;
    lg_leaf *leaf;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v) || v->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    if (v->kind == LG_V_OPAQUE)
        return lg_v_stacked(E, v, -1, NULL, at);
    if (!lg_v_is_vector(v) && v->kind != LG_V_TENSOR) {
        lg_err(E, "E0220", v->at, "`%s` wants a record, got %s", b->name, lg_v_type_text(E, v));
        return lg_v_error(E, at);
    }
    int count = lg_v_leaves(E, v, &leaf);
    lg_value *r = lg_v_list(E, count, at);
    for (int i = 0; i < count; i++)
        r->list.at[i] = leaf[i].value;
    return r;
}

/* ---- text ---- */

static bool text_arg(lg_elab *E, const char *fn, const lg_value *v) {
    if (v->kind == LG_V_STR)
        return true;
    lg_err(E, "E0220", v->at, "`%s` wants text, got %s", fn, lg_v_type_text(E, v));
    return false;
}

static lg_value *letters(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at,
                         int (*to)(int)) {
    static const char *const names[] = {"text"};
    lg_value *v;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v) || !text_arg(E, b->name, v))
        return lg_v_error(E, at);
    if (!v->str)
        return v;
    char *s = lg_arena_str(E->arena, v->str);
    for (char *p = s; *p; p++)
        if (isascii((unsigned char)*p))
            *p = (char)to((unsigned char)*p);
    return lg_v_str(E, lg_intern(s), at);
}

static lg_value *lower(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return letters(E, b, n, arg, at, tolower);
}

static lg_value *upper(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return letters(E, b, n, arg, at, toupper);
}

static lg_value *contains(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"text", "part"};
    lg_value *v[2];
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v) || !text_arg(E, b->name, v[0]) ||
        !text_arg(E, b->name, v[1]))
        return lg_v_error(E, at);
    if (!v[0]->str || !v[1]->str)
        return lg_v_unknown(E, false, true, at);
    return lg_v_bool(E, strstr(v[0]->str, v[1]->str) != NULL, at);
}

static lg_value *join(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"parts", "between"};
    lg_value *v[2];
    if (!lg_args(E, b->name, n, arg, at, 2, names, 1, v))
        return lg_v_error(E, at);
    if (v[0]->kind != LG_V_LIST) {
        lg_err(E, "E0220", v[0]->at, "`join` wants a list of texts, got %s",
               lg_v_type_text(E, v[0]));
        return lg_v_error(E, at);
    }
    const char *between = v[1] && v[1]->kind == LG_V_STR && v[1]->str ? v[1]->str : ", ";
    lg_buf out = {0};
    bool known = true, ok = true;
    for (int i = 0; ok && i < v[0]->list.n; i++) {
        ok = text_arg(E, b->name, v[0]->list.at[i]);
        const char *s = ok ? v[0]->list.at[i]->str : NULL;
        known = known && s;
        lg_buf_printf(&out, "%s%s", i ? between : "", s ? s : "");
    }
    lg_value *r =
        ok ? lg_v_str(E, known ? lg_intern(out.at ? out.at : "") : NULL, at) : lg_v_error(E, at);
    lg_buf_free(&out);
    return r;
}

const lg_builtin lg_builtins_misc[] = {
    {.name = "dot",
     .sig = "(a, b) -> float",
     .doc = "The sum of products over all entries and all leaves.",
     .call = dot},
    {.name = "matmul",
     .sig = "(a: T[...S, M, K], b: T[...S, K, N]) -> T[...S, M, N]",
     .doc = "The matrix product, as a @ b.",
     .call = matmul},
    {.name = "svd",
     .sig = "(a: float[...S, M, N]) -> {u: float[...S, M, min(M, N)], "
            "s: float[...S, min(M, N)], v: float[...S, N, min(M, N)]}",
     .doc = "Reduced singular value decomposition a = u diag(s) v', s descending.",
     .call = svd},
    {.name = "stop_grad",
     .sig = "(x) -> R",
     .doc = "The value, as a constant for derivatives; records leaf by leaf.",
     .call = stop_grad},
    {.name = "chain",
     .sig = "(parts, x, remat = false) -> R",
     .doc = "Parts applied one after the other; with remat each is computed again in the backward "
            "pass and only its input is kept.",
     .call = chain},
    {.name = "fresh",
     .sig = "(rule: optimizer) -> optimizer",
     .doc = "The rule without its memory: applied, it starts from its initial state and leaves "
            "none.",
     .call = fresh},
    {.name = "len",
     .sig = "(x) -> i64",
     .doc = "Items of a list, fields of a record, characters of a text, size of the first dim.",
     .call = len},
    {.name = "bytes",
     .sig = "(x) -> i64",
     .doc = "Bytes that the arrays of x take, an array, a record or a model; weights held as codes "
            "count as the codes do.",
     .call = bytes},
    {.name = "shape",
     .sig = "(x: T[...S]) -> [...S]",
     .doc = "The sizes of an array as a list.",
     .call = shape},
    {.name = "keys", .sig = "(r) -> [str]", .doc = "The names of a record's fields.", .call = keys},
    {.name = "values",
     .sig = "(r) -> [R]",
     .doc = "The values of a record's fields.",
     .call = values},
    {.name = "leaves",
     .sig = "(r) -> [R]",
     .doc = "The leaves of a record, also of records in it, in the order of their paths.",
     .call = leaves},
    {.name = "lower",
     .sig = "(text: str) -> str",
     .doc = "ASCII letters made small.",
     .call = lower},
    {.name = "upper",
     .sig = "(text: str) -> str",
     .doc = "ASCII letters made capital.",
     .call = upper},
    {.name = "contains",
     .sig = "(text: str, part: str) -> bool",
     .doc = "Does the text hold this part?",
     .call = contains},
    {.name = "join",
     .sig = "(parts: [str], between = \", \") -> str",
     .doc = "Texts in one, with something between them.",
     .call = join},
    {.name = NULL}};
