/* builtin_kernel.c: calls of kernels (factorisations, transforms, sorting, packing) by the
 * signature in their op: dims are bound by name, static parameters go to attr.p in order, and the
 * results come as a record by the names of the signature. Open indices are one more batch in front.
 * Not for convolutions, whose sizes no signature states. */
#include "compiler/mid/builtin.h"
#include "compiler/mid/index.h"
#include <ctype.h>
#include <string.h>

enum { MOST = 12 };

typedef struct {
    lg_sym name;
    char type[16];       /* dtype word; "" for a static parameter */
    const char *pattern; /* text of the dims, between the brackets, or NULL */
    size_t n_pattern;
    const char *otherwise, *most; /* default and upper bound of a static parameter, or NULL */
} slot;

typedef struct {
    slot in[MOST], out[MOST];
    int n_in, n_out;
    bool record;
} signature;

typedef struct {
    lg_elab *E;
    const lg_op *op;
    lg_span at;
    struct {
        lg_sym name;
        lg_dim *dim;
    } var[16];
    int n_var;
    lg_dim *pack[LG_MAX_RANK];
    int n_pack;    /* -1: not bound yet */
    lg_sym column; /* dim of a right side that was given as one vector, or NULL */
    bool failed;
} matching;

/* ---- reading a signature ---- */

static const char *blank(const char *p) {
    return p + strspn(p, " ");
}

static const char *word(const char *p, lg_sym *out) {
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    *out = lg_intern_n(p, n);
    return blank(p + n);
}

static const char *read_type(const char *p, slot *s) {
    lg_sym t;
    p = word(p, &t);
    strncpy(s->type, t, sizeof s->type - 1);
    if (*p != '[')
        return p;
    s->pattern = p + 1;
    s->n_pattern = strcspn(p + 1, "]");
    return blank(s->pattern + s->n_pattern + 1);
}

static const char *read_slot(const char *p, slot *s) {
    p = word(p, &s->name);
    if (*p == ':')
        p = read_type(blank(p + 1), s);
    if (*p == '=')
        s->otherwise = p = blank(p + 1);
    else if (!strncmp(p, "<=", 2))
        s->most = p = blank(p + 2);
    return p + strcspn(p, ",)}");
}

static void read_signature(const char *p, signature *s) {
    memset(s, 0, sizeof *s);
    for (p = blank(p + 1); *p != ')' && s->n_in < MOST; p = blank(p + (*p == ',')))
        p = read_slot(p, &s->in[s->n_in++]);
    p = blank(strstr(p, "->") + 2);
    s->record = *p == '{';
    if (!s->record) {
        read_type(p, &s->out[s->n_out++]);
        return;
    }
    for (p = blank(p + 1); *p && *p != '}' && s->n_out < MOST; p = blank(p + (*p == ',')))
        p = read_slot(p, &s->out[s->n_out++]);
}

/* ---- dims ---- */

static lg_dim *var(const matching *m, lg_sym name) {
    for (int i = 0; i < m->n_var; i++)
        if (m->var[i].name == name)
            return m->var[i].dim;
    return NULL;
}

static void bind(matching *m, lg_sym name, lg_dim *d) {
    assert(m->n_var < (int)LG_COUNT(m->var));
    m->var[m->n_var].name = name;
    m->var[m->n_var++].dim = d;
}

static lg_dim *expression(matching *m, const char **p);

static lg_dim *factor(matching *m, const char **p) {
    lg_dim *d;
    *p = blank(*p);
    if (isdigit((unsigned char)**p)) {
        int64_t n = 0;
        for (; isdigit((unsigned char)**p); ++*p)
            n = n * 10 + (**p - '0');
        d = lg_dim_num(m->E->dims, n);
    } else {
        lg_sym name;
        *p = word(*p, &name);
        if (**p != '(')
            return var(m, name);
        ++*p;
        lg_dim *a = expression(m, p);
        ++*p;
        lg_dim *b = expression(m, p);
        ++*p;
        d = a && b ? lg_dim_fn(m->E->dims, name, a, b) : NULL;
    }
    *p = blank(*p);
    return d;
}

static lg_dim *term(matching *m, const char **p) {
    lg_dim *a = factor(m, p);
    while (**p == '*' || **p == '/') {
        bool floor = !strncmp(*p, "//", 2);
        char op = **p;
        *p += floor ? 2 : 1;
        lg_dim *b = factor(m, p);
        if (!a || !b)
            a = NULL;
        else if (op == '*')
            a = lg_dim_mul(m->E->dims, a, b);
        else if (floor)
            a = lg_dim_fn(m->E->dims, lg_intern("//"), a, b);
        else {
            lg_dim *q = lg_dim_div(m->E->dims, a, b);
            if (!q && !m->failed) {
                m->failed = true;
                lg_err(m->E, "E0221", m->at, "`%s` needs a size that %s divides, got %s",
                       m->op->name, lg_dim_text(m->E->arena, b), lg_dim_text(m->E->arena, a));
            }
            a = q;
        }
    }
    return a;
}

static lg_dim *expression(matching *m, const char **p) {
    lg_dim *a = term(m, p);
    while (**p == '+' || **p == '-') {
        bool plus = *(*p)++ == '+';
        lg_dim *b = term(m, p);
        a = !a || !b ? NULL : plus ? lg_dim_add(m->E->dims, a, b) : lg_dim_sub(m->E->dims, a, b);
    }
    return a;
}

/* The dims of a pattern one by one: text and length; packs have dots in front. */
static int split(const slot *s, const char **part, size_t *len) {
    int n = 0;
    for (size_t i = 0; i < s->n_pattern && n < MOST;) {
        const char *p = s->pattern + i;
        int depth = 0;
        size_t k = 0;
        for (; i + k < s->n_pattern && (depth || p[k] != ','); k++)
            depth += p[k] == '(' ? 1 : p[k] == ')' ? -1 : 0;
        i += k + 1;
        part[n] = blank(p);
        len[n++] = k - (size_t)(blank(p) - p);
    }
    return n;
}

static bool is_word(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)p[i]) && p[i] != '_')
            return false;
    return n > 0 && !isdigit((unsigned char)*p);
}

static bool wrong_dims(matching *m, const slot *s, const lg_value *v) {
    if (!m->failed) {
        lg_diag *d = lg_err(m->E, "E0221", v->at.file ? v->at : m->at,
                            "`%s` wants [%.*s] for %s, got %s", m->op->name, (int)s->n_pattern,
                            s->pattern ? s->pattern : "", s->name, lg_v_type_text(m->E, v));
        for (int i = 0; i < m->n_var; i++)
            lg_diag_note(d, "%s is %s here", m->var[i].name,
                         lg_dim_text(m->E->arena, m->var[i].dim));
    }
    m->failed = true;
    return false;
}

static bool match_pack(matching *m, lg_dim *const *dim, int n) {
    if (m->n_pack < 0) {
        m->n_pack = n;
        memcpy(m->pack, dim, sizeof *dim * (size_t)n);
        return true;
    }
    bool same = n == m->n_pack;
    for (int i = 0; same && i < n; i++)
        same = lg_dims_match(m->pack[i], dim[i]);
    return same;
}

static bool match_dims(matching *m, const slot *s, lg_value **v) {
    const char *part[MOST];
    size_t len[MOST];
    int n = split(s, part, len), first = n && !strncmp(part[0], "...", 3);
    int lead = (*v)->t.rank - (n - first);
    /* one vector in the place of a matrix of columns */
    if (first && lead < 0 && m->n_pack < 0)
        return wrong_dims(m, s, *v);
    if (first && m->n_pack >= 0 && lead == m->n_pack - 1 && is_word(part[n - 1], len[n - 1]) &&
        !var(m, lg_intern_n(part[n - 1], len[n - 1]))) {
        lg_dim *dim[LG_MAX_RANK + 1];
        memcpy(dim, (*v)->t.dim, sizeof *dim * (size_t)(*v)->t.rank);
        dim[(*v)->t.rank] = lg_dim_num(m->E->dims, 1);
        m->column = lg_intern_n(part[n - 1], len[n - 1]);
        *v = lg_reshape(m->E, *v, (*v)->t.rank + 1, dim, (*v)->at);
        lead++;
    }
    if ((!first && lead) || lead < 0 || (first && !match_pack(m, (*v)->t.dim, lead)))
        return wrong_dims(m, s, *v);
    for (int i = first; i < n; i++) {
        lg_dim *have = (*v)->t.dim[lead + i - first];
        lg_sym name = lg_intern_n(part[i], len[i]);
        if (is_word(part[i], len[i]) && !var(m, name)) {
            bind(m, name, have);
            continue;
        }
        const char *p = part[i];
        lg_dim *want = expression(m, &p);
        if (m->failed || (want && !lg_dims_match(want, have)))
            return wrong_dims(m, s, *v);
    }
    return true;
}

/* ---- arguments ---- */

/* What a dtype word asks for: one dtype, any float (LG_NO_DTYPE with *floats), or anything. */
static lg_dtype wanted(const char *type, bool *floats) {
    *floats = !strcmp(type, "float");
    return *floats ? LG_NO_DTYPE : lg_dtype_from_name(type);
}

static lg_value *tensor_arg(matching *m, const slot *s, lg_value *v, lg_dtype *shared) {
    lg_elab *E = m->E;
    bool floats;
    lg_dtype want = wanted(s->type, &floats);
    lg_dtype hint = want != LG_NO_DTYPE ? want : *shared;
    if (hint == LG_NO_DTYPE && floats)
        hint = E->frame->float_dtype;
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, hint, m->at);
    else if (lg_list_is_array(v))
        v = lg_list_tensor(E, v, floats || want != LG_NO_DTYPE ? hint : LG_NO_DTYPE, m->at);
    if (v->kind == LG_V_ERROR || v->kind == LG_V_OPAQUE)
        return NULL;
    if (v->kind != LG_V_TENSOR) {
        lg_err(E, "E0220", v->at.file ? v->at : m->at, "`%s` wants an array for %s, got %s",
               m->op->name, s->name, lg_v_type_text(E, v));
        return NULL;
    }
    if (v->t.weak && hint != LG_NO_DTYPE && v->t.dtype != hint)
        v = lg_cast(E, v, hint, m->at);
    bool fits = want != LG_NO_DTYPE ? v->t.dtype == want
                : floats            ? lg_dtype_is_float(v->t.dtype)
                                    : true;
    if (!fits || (want == LG_NO_DTYPE && *shared != LG_NO_DTYPE && v->t.dtype != *shared)) {
        bool other = *shared != LG_NO_DTYPE && (!floats || lg_dtype_is_float(*shared));
        const char *name = want == LG_NO_DTYPE && other ? lg_dtype_name(*shared) : s->type;
        lg_diag *d = lg_err(E, "E0206", v->at.file ? v->at : m->at, "`%s` wants %s for %s, got %s",
                            m->op->name, name, s->name, lg_v_type_text(E, v));
        lg_diag_help(d, "write the cast: `%s(...)`", name);
        return NULL;
    }
    if (want == LG_NO_DTYPE)
        *shared = v->t.dtype;
    return v;
}

/* A static parameter: its number for attr.p, and a dim when it is an integer. */
static int64_t static_arg(matching *m, const slot *s, lg_value *v) {
    lg_elab *E = m->E;
    int64_t x = 0;
    bool b;
    if (!v) {
        if (!strncmp(s->otherwise, "true", 4))
            return 1;
        if (!strncmp(s->otherwise, "false", 5))
            return 0;
        for (const char *p = s->otherwise; isdigit((unsigned char)*p); p++)
            x = x * 10 + (*p - '0');
        bind(m, s->name, lg_dim_num(E->dims, x));
        return x;
    }
    if (lg_v_static_bool(E, v, &b))
        return b;
    if (v->kind == LG_V_NUM && v->num.is_bool)
        return 0;
    lg_dim *d = lg_v_to_dim(E, v, v->at.file ? v->at : m->at);
    if (!d) /* an integer that nobody knows yet */
        d = lg_dim_var(E->dims, s->name, m->at);
    bind(m, s->name, d);
    return LG_CHECKING(E) ? 0 : lg_dim_size(E, d, m->at);
}

static void check_most(matching *m, const slot *s) {
    const char *p = s->most;
    lg_dim *have = var(m, s->name), *most = expression(m, &p);
    if (have && most && lg_dim_at_most(have, most) == 0) {
        m->failed = true;
        lg_err(m->E, "E0221", m->at, "`%s` wants %s at most %s, got %s", m->op->name, s->name,
               lg_dim_text(m->E->arena, most), lg_dim_text(m->E->arena, have));
    }
}

/* ---- results ---- */

static int result_dims(matching *m, const slot *s, lg_dim **dim) {
    const char *part[MOST];
    size_t len[MOST];
    int n = split(s, part, len), rank = 0;
    for (int i = 0; i < n; i++) {
        if (!strncmp(part[i], "...", 3)) {
            for (int k = 0; k < m->n_pack; k++)
                dim[rank++] = m->pack[k];
            continue;
        }
        const char *p = part[i];
        lg_dim *d = expression(m, &p);
        if (!d)
            m->failed = true;
        dim[rank++] = d;
    }
    return rank;
}

/* The value without the one column that a vector was made to. */
static lg_value *uncolumn(matching *m, const slot *s, lg_value *v) {
    const char *part[MOST];
    size_t len[MOST];
    int n = split(s, part, len);
    if (!m->column || !n || lg_intern_n(part[n - 1], len[n - 1]) != m->column)
        return v;
    return lg_reshape(m->E, v, v->t.rank - 1, v->t.dim, v->at);
}

/* Kernels of `float` compute in f32 or f64: 16-bit floats are cast there and their results back. */
static lg_dtype computed(const matching *m, lg_dtype t) {
    return lg_dtype_size(t) < 4 && lg_dtype_is_float(t) && strstr(m->op->sig, ": float[") ? LG_F32
                                                                                          : t;
}

static lg_value *emit(matching *m, const signature *s, int n_in, lg_value **in, const lg_attr *attr,
                      lg_dtype shared) {
    lg_elab *E = m->E;
    lg_index **open;
    int n_open = lg_open_union(E, n_in, in, &open);
    lg_value *out[MOST];
    lg_type type[MOST];
    for (int k = 0; k < s->n_out; k++) {
        lg_dim *dim[LG_MAX_RANK];
        bool floats;
        lg_dtype t = wanted(s->out[k].type, &floats);
        int rank = result_dims(m, &s->out[k], dim);
        if (m->failed)
            return lg_v_error(E, m->at);
        out[k] = lg_v_open(E, t == LG_NO_DTYPE ? shared : t, n_open, open, rank, dim, NULL, m->at);
        type[k] = (lg_type){.dtype = computed(m, out[k]->t.dtype), .rank = n_open + rank};
        for (int i = 0; !LG_CHECKING(E) && i < n_open + rank; i++)
            type[k].shape[i] = lg_dim_size(E, i < n_open ? open[i]->dim : dim[i - n_open], m->at);
    }
    if (!LG_CHECKING(E)) {
        lg_node *node[MOST];
        for (int i = 0; i < n_in; i++)
            node[i] = lg_g_cast(
                E->g, lg_node_as(E, in[i], n_open, open, in[i]->t.rank, in[i]->t.dim, m->at),
                computed(m, in[i]->t.dtype), m->at);
        lg_node *y = lg_g_kernel(E->g, m->op, n_in, node, s->n_out, type, attr, m->at);
        for (int k = 0; k < s->n_out; k++)
            out[k]->t.node = lg_g_cast(E->g, lg_g_item(E->g, y, k), out[k]->t.dtype, m->at);
    }
    for (int k = 0; k < s->n_out; k++)
        out[k] = uncolumn(m, &s->out[k], out[k]);
    if (!s->record)
        return out[0];
    lg_value *r = lg_v_record(E, s->n_out, m->at);
    for (int k = 0; k < s->n_out; k++)
        r->rec.f[k] = (lg_field){s->out[k].name, out[k], m->at};
    return r;
}

/* Static parameters first, since dims of arrays may speak of them. */
static lg_value *run(matching *m, const signature *s, lg_value **arg) {
    lg_attr attr = {0};
    int n_p = 0, n_in = 0;
    for (int i = 0; i < s->n_in; i++)
        if (!*s->in[i].type)
            attr.p[n_p++] = static_arg(m, &s->in[i], arg[i]);
    lg_value *in[MOST];
    lg_dtype shared = LG_NO_DTYPE;
    for (int i = 0; i < s->n_in; i++) /* a strong dtype is what lists and numbers follow */
        if (*s->in[i].type && arg[i]->kind == LG_V_TENSOR && !arg[i]->t.weak &&
            lg_dtype_from_name(s->in[i].type) == LG_NO_DTYPE && shared == LG_NO_DTYPE &&
            (strcmp(s->in[i].type, "float") || lg_dtype_is_float(arg[i]->t.dtype)))
            shared = arg[i]->t.dtype;
    for (int i = 0; i < s->n_in; i++) {
        if (!*s->in[i].type)
            continue;
        in[n_in] = tensor_arg(m, &s->in[i], arg[i], &shared);
        if (!in[n_in] || !match_dims(m, &s->in[i], &in[n_in]))
            return lg_v_error(m->E, m->at);
        n_in++;
    }
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i].most)
            check_most(m, &s->in[i]);
    return m->failed ? lg_v_error(m->E, m->at) : emit(m, s, n_in, in, &attr, shared);
}

/* The axis of the first array put last, and back. */
static lg_value *to_last(lg_elab *E, lg_value *v, int axis, bool back, lg_span at) {
    int perm[LG_MAX_RANK], last = v->t.rank - 1;
    for (int i = 0; i <= last; i++)
        perm[i] = back ? (i < axis    ? i
                          : i == axis ? last
                                      : i - 1)
                       : (i < axis    ? i
                          : i == last ? axis
                                      : i + 1);
    return lg_permute(E, v, perm, at);
}

static lg_value *back_from_last(lg_elab *E, lg_value *r, int axis, int rank, lg_span at) {
    if (r->kind == LG_V_TENSOR)
        return r->t.rank == rank ? to_last(E, r, axis, true, at) : r;
    if (r->kind == LG_V_RECORD)
        for (int i = 0; i < r->rec.n; i++)
            r->rec.f[i].value = back_from_last(E, r->rec.f[i].value, axis, rank, at);
    return r;
}

lg_value *lg_kernel_apply(lg_elab *E, const lg_op *op, int n, const lg_arg *arg, lg_span at) {
    signature s;
    read_signature(op->sig, &s);
    const char *names[MOST + 1];
    lg_value *value[MOST + 1];
    int required = 0, count = s.n_in;
    for (int i = 0; i < s.n_in; i++) {
        names[i] = s.in[i].name;
        if (!s.in[i].otherwise)
            required = i + 1;
    }
    bool rows = op->traits & LG_T_PER_ROW;
    if (rows)
        names[count++] = "axis";
    if (!lg_args(E, op->name, n, arg, at, count, names, required, value))
        return lg_v_error(E, at);
    matching m = {.E = E, .op = op, .at = at, .n_pack = -1};
    lg_value *axis = rows ? value[s.n_in] : NULL;
    if (!axis)
        return run(&m, &s, value);
    lg_value *x = lg_as_tensor(E, op->name, value[0], at);
    int a = x ? lg_axis(E, x, axis, at) : -1;
    if (a < 0)
        return lg_v_error(E, at);
    for (int i = 0; i < s.n_in; i++)
        if (*s.in[i].type && (value[i] = lg_as_tensor(E, op->name, value[i], at)) == NULL)
            return lg_v_error(E, at);
        else if (*s.in[i].type && value[i]->t.rank == x->t.rank)
            value[i] = to_last(E, value[i], a, false, at);
    return back_from_last(E, run(&m, &s, value), a, x->t.rank, at);
}

lg_value *lg_kernel_call(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return lg_kernel_apply(E, b->op, n, arg, at);
}

/* cumprod(x, axis=, rev=): running results along one axis. */
lg_value *lg_cum_call(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x", "axis", "rev"};
    lg_value *v[3];
    if (!lg_args(E, b->name, n, arg, at, 3, names, 1, v))
        return lg_v_error(E, at);
    if (v[0]->kind == LG_V_OPAQUE)
        return v[0];
    lg_value *x = lg_as_tensor(E, b->name, v[0], at);
    int axis = x ? lg_axis(E, x, v[1] ? v[1] : lg_v_int(E, -1, at), at) : -1;
    if (axis < 0)
        return lg_v_error(E, at);
    bool rev = lg_bool_arg(E, v[2], false, b->name, "rev");
    if (b->op->traits & LG_T_WIDENS)
        x = lg_widened(E, x, at);
    lg_value *r = lg_v_copy(E, x);
    r->at = at;
    if (!LG_CHECKING(E))
        r->t.node = lg_g_cum(E->g, b->op, lg_import(E, x->t.node), x->t.n_open + axis, rev, at);
    return r;
}
