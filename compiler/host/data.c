/* data.c: declarations `data name(args) from ... { field x = e }`: instances, the map from raw rows
 * to fields, and rows by position. Not for files (source.c) and stages such as shuffle
 * (pipeline.c). */
#include "compiler/host/inside.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1024 };
static const size_t KEEP_BYTES = (size_t)1 << 31; /* more than that is made batch by batch */

/* ---- fields as a map over rows ---- */

typedef struct lg_row_plan {
    int64_t n;
    lg_graph *g;
    lg_plan *plan;
    int *
        slot_col; /* parent column of each input slot; -1: row numbers, -2: position of the first */
    int n_slots;
    bool *want; /* columns of the parent that are read */
    struct lg_row_plan *next;
} row_plan;

static bool mentions(const lg_ast *e, lg_sym name) {
    if (!e)
        return false;
    if ((e->kind == LG_A_NAME || e->kind == LG_A_INDEXPAT) && e->name == name)
        return true;
    for (uint32_t i = 0; i < e->n; i++)
        if (mentions(e->kid[i], name))
            return true;
    return false;
}

typedef struct {
    lg_elab *E;
    lg_source *s;
    lg_index *idx;
    row_plan *plan; /* NULL: types only */
    lg_frame *f;
    LG_VEC(int) slot;
} mapping;

static lg_value *open_input(mapping *m, lg_value *type, int col, lg_span at) {
    lg_node *node = NULL;
    if (m->plan) {
        lg_type ty = {.dtype = type->t.dtype, .rank = type->t.rank + 1};
        ty.shape[0] = m->plan->n;
        for (int i = 0; i < type->t.rank; i++)
            ty.shape[i + 1] = lg_dim_size(m->E, type->t.dim[i], at);
        node = lg_g_input(m->plan->g, ty, at);
        LG_PUSH(m->slot, col);
    }
    lg_value *v = lg_v_open(m->E, type->t.dtype, 1, &m->idx, type->t.rank, type->t.dim, node, at);
    v->t.bound = type->t.bound;
    v->t.weak = type->t.weak;
    return v;
}

static lg_value *row_numbers(mapping *m, lg_span at) {
    lg_value *type = lg_v_tensor(m->E, LG_I64, 0, NULL, NULL, at);
    type->t.weak = true;
    return open_input(m, type, -1, at);
}

static void bind_columns(mapping *m) {
    const lg_source *p = m->s->from ? m->s->from->src : NULL;
    lg_span at = m->s->block ? m->s->block->span : m->s->fn->at;
    lg_value *row = m->s->fn ? lg_v_record(m->E, 0, at) : NULL;
    for (int i = 0; p && i < p->n_cols; i++) {
        if (m->s->block && !mentions(m->s->block, p->col[i].name))
            continue;
        if (row && !strcmp(p->col[i].name, "columns"))
            continue;
        lg_value *v = open_input(m, p->col[i].type, i, at);
        if (m->plan)
            m->plan->want[i] = true;
        if (row)
            lg_v_set_field(m->E, row, p->col[i].name, v);
        else
            lg_bind(m->E, m->f, p->col[i].name, v, at);
    }
    lg_sym index = lg_intern("index");
    if (row) {
        lg_bind(m->E, m->f, lg_intern("row"), row, at);
        lg_bind(m->E, m->f, index, row_numbers(m, at), at);
    } else if (mentions(m->s->block, index) && !lg_find_local(m->f, index, false)) {
        lg_bind(m->E, m->f, index, row_numbers(m, at), at);
    }
}

/* Labels come as i64 and table cells as f64: the declared dtype of the field decides. */
static lg_value *as_declared(mapping *m, const lg_ast *type, lg_value *v, lg_span at) {
    lg_dtype t = lg_type_dtype(m->E, m->f, type);
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(m->E, v, t, at);
    if (v->kind != LG_V_TENSOR || t == LG_NO_DTYPE || v->t.dtype == t)
        return v;
    bool ints = lg_dtype_is_int(t) && lg_dtype_is_int(v->t.dtype);
    bool floats = lg_dtype_is_float(t) && lg_dtype_is_float(v->t.dtype);
    return ints || floats ? lg_cast(m->E, v, t, at) : v;
}

static lg_value *field(mapping *m, const lg_ast *d) {
    lg_elab *E = m->E;
    const lg_ast *e = d->kid[LG_D_VALUE], *type = d->kid[LG_D_TYPE];
    if (!e) {
        lg_err(E, "E0625", d->span, "the field `%s` has no value", d->name);
        return lg_v_error(E, d->span);
    }
    lg_value *v = lg_arrayed(E, lg_expr_in(E, m->f, e), e->span);
    if (type) {
        v = as_declared(m, type, v, e->span);
        if (v->kind != LG_V_ERROR)
            v = lg_type_check(E, m->f, type, v, e->span, lg_txt(E, "field `%s`", d->name), true);
    }
    if (!v || v->kind == LG_V_ERROR)
        return lg_v_error(E, d->span);
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, LG_NO_DTYPE, e->span);
    if (v->kind != LG_V_TENSOR) {
        lg_err(E, "E0625", e->span, "a field is a number or an array, got %s",
               lg_v_type_text(E, v));
        return lg_v_error(E, d->span);
    }
    if (d->kid[LG_D_IN]) {
        lg_dim *bound = lg_dim_expr(E, m->f, d->kid[LG_D_IN]);
        v = lg_v_copy(E, v);
        v->t.bound = bound;
    }
    return v;
}

/* The type of one row: the value without its open row. */
static lg_value *row_type(lg_elab *E, lg_frame *env, const lg_value *v, lg_span at) {
    lg_value *t = lg_v_tensor(E, v->t.dtype, v->t.rank, v->t.dim, NULL, at);
    t->t.bound = v->t.bound;
    return lg_value_seen_from(E, env, t);
}

static bool fields_of(mapping *m, int *n, lg_sym *name, lg_value **out, int most) {
    lg_elab *E = m->E;
    size_t errors = E->diags->errors;
    *n = 0;
    if (m->s->fn) {
        lg_arg arg[2] = {
            {NULL, lg_find_local(m->f, lg_intern("row"), false)->value, NULL, m->s->fn->at},
            {NULL, lg_find_local(m->f, lg_intern("index"), false)->value, NULL, m->s->fn->at}};
        const lg_ast *params = m->s->fn->kind == LG_V_FN && m->s->fn->fn.decl->kind == LG_A_LAMBDA
                                   ? m->s->fn->fn.decl->kid[0]
                                   : NULL;
        lg_value *r =
            lg_call_value(E, m->s->fn, params && params->n > 1 ? 2 : 1, arg, m->s->fn->at);
        if (r->kind == LG_V_RECORD) {
            for (int i = 0; i < r->rec.n && *n < most; i++) {
                name[*n] = r->rec.f[i].name;
                out[(*n)++] = lg_to_tensor(E, r->rec.f[i].value, LG_NO_DTYPE, r->at);
            }
        } else if (r->kind != LG_V_ERROR) {
            name[0] = lg_intern("value");
            out[(*n)++] = lg_to_tensor(E, r, LG_NO_DTYPE, r->at);
        }
        return E->diags->errors == errors;
    }
    for (uint32_t i = 0; i < m->s->block->n && *n < most; i++) {
        const lg_ast *d = m->s->block->kid[i];
        if (d->kind == LG_A_DECL && !strcmp(d->text, "field")) {
            lg_value *v = field(m, d);
            name[*n] = d->name;
            out[(*n)++] = v;
            lg_binding *was = lg_find_local(m->f, d->name, false); /* later fields may use it */
            if (was)
                was->value = v;
            else
                lg_bind(E, m->f, d->name, v, d->span);
        } else if (d->kind == LG_A_LET || d->kind == LG_A_REQUIRE) {
            lg_statement(E, m->f, d);
        } else {
            lg_err(E, "E0625", d->span,
                   "only `field`, `let` and `require` stand in the rows of data");
        }
    }
    return E->diags->errors == errors;
}

enum { MOST_FIELDS = 256 };

/* Elaborates the fields: with a plan of n rows, or their types alone. */
static bool map_rows(lg_elab *E, lg_source *s, row_plan *plan, int *n, lg_sym *name,
                     lg_value **out) {
    lg_context c = lg_host_enter(E, plan ? plan->g : NULL, false);
    mapping m = {.E = E, .s = s, .plan = plan};
    lg_span at = s->block ? s->block->span : s->fn->at;
    lg_dim *rows = lg_dim_var(E->dims, lg_intern("rows"), at);
    if (plan)
        lg_dim_set(rows, plan->n);
    m.idx = LG_NEW(E->arena, lg_index);
    *m.idx = (lg_index){
        .name = lg_intern("row"), .dim = rows, .at = at, .lo_known = true, .seq = ++E->index_seq};
    lg_step step = lg_host_step(E, s->seed);
    step.batch = rows;
    if (plan) {
        lg_node *first = lg_g_input(plan->g, lg_type_make(LG_I64, 0, NULL), at);
        LG_PUSH(m.slot, -2);
        step.first_item = lg_v_tensor(E, LG_I64, 0, NULL, first, at);
    } else {
        step.first_item = lg_v_tensor(E, LG_I64, 0, NULL, NULL, at);
    }
    E->step = &step;
    lg_lane lane = {m.idx, NULL};
    E->lanes = &lane;
    E->frame = s->frame;
    m.f = lg_frame_new(E, LG_F_BLOCK, s->frame);
    m.f->path_hash =
        lg_hash(s->name, strlen(s->name), 23); /* every elaboration counts its draws anew */
    E->frame = m.f;
    bind_columns(&m);
    bool ok = fields_of(&m, n, name, out, MOST_FIELDS);
    for (int i = 0; ok && i < *n; i++) {
        ok = out[i]->kind == LG_V_TENSOR;
        if (ok && plan) {
            lg_node *node = lg_node_as(E, out[i], 1, &m.idx, out[i]->t.rank, out[i]->t.dim, at);
            lg_g_output(plan->g, node, -1, name[i]);
        }
        if (ok)
            out[i] = row_type(E, s->frame, out[i], out[i]->at);
    }
    if (plan) {
        plan->n_slots = (int)m.slot.n;
        plan->slot_col = lg_arena_dup(E->arena, m.slot.at, sizeof *m.slot.at * m.slot.n);
    }
    lg_free(m.slot.at);
    lg_host_leave(E, &c);
    return ok;
}

bool lg_source_type(lg_elab *E, lg_source *s) {
    lg_sym name[MOST_FIELDS];
    lg_value *type[MOST_FIELDS];
    int n = 0;
    if (!map_rows(E, s, NULL, &n, name, type))
        return false;
    s->n_cols = n;
    s->col = LG_NEW_N(E->arena, lg_col, n ? n : 1);
    for (int i = 0; i < n; i++) {
        s->col[i] = (lg_col){.name = name[i], .type = type[i]};
        int64_t k;
        if (s->classes < 0 && type[i]->t.bound && lg_dim_value(type[i]->t.bound, &k))
            s->classes = k;
    }
    return true;
}

static row_plan *plan_for(lg_elab *E, lg_source *s, int64_t n) {
    for (row_plan *p = s->plan; p; p = p->next)
        if (p->n == n)
            return p;
    row_plan *p = LG_NEW(E->arena, row_plan);
    p->n = n;
    p->g = lg_graph_new(NULL);
    p->want = LG_NEW_N(E->arena, bool, s->from && s->from->src->n_cols ? s->from->src->n_cols : 1);
    lg_sym name[MOST_FIELDS];
    lg_value *type[MOST_FIELDS];
    int k = 0;
    if (!map_rows(E, s, p, &k, name, type))
        return NULL;
    p->plan = lg_plan_new(p->g, &(lg_plan_opts){.threads = lg_host_of(E)->o.threads});
    p->next = s->plan;
    s->plan = p;
    return p;
}

/* ---- rows of a source ---- */

lg_tensor *lg_take_rows(lg_tensor *x, const int64_t *row, int64_t n) {
    int64_t shape[LG_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[0] = n;
    lg_tensor *y = lg_tensor_new(x->dtype, x->rank, shape);
    size_t bytes = x->shape[0] ? lg_tensor_bytes(x) / (size_t)x->shape[0] : 0;
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)y->data + (size_t)i * bytes, (const char *)x->data + (size_t)row[i] * bytes,
               bytes);
    return y;
}

static lg_tensor *take_windows(const lg_source *s, const int64_t *row, int64_t n) {
    int64_t shape[LG_MAX_RANK] = {n, s->window};
    for (int i = 1; i < s->tokens->rank; i++)
        shape[i + 1] = s->tokens->shape[i];
    lg_tensor *y = lg_tensor_new(s->tokens->dtype, s->tokens->rank + 1, shape);
    size_t one = lg_tensor_bytes(s->tokens) / (size_t)s->tokens->shape[0],
           bytes = one * (size_t)s->window;
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)y->data + (size_t)i * bytes,
               (const char *)s->tokens->data + (size_t)(row[i] * s->stride) * one, bytes);
    return y;
}

static void release_all(lg_tensor **x, int n) {
    for (int i = 0; i < n; i++) {
        lg_tensor_release(x[i]);
        x[i] = NULL;
    }
}

static bool run_rows(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, lg_tensor **out) {
    row_plan *p = plan_for(E, s, n);
    if (!p)
        return false;
    int np = s->from ? s->from->src->n_cols : 0;
    lg_tensor **in = LG_NEW_N(E->arena, lg_tensor *, np + 1);
    int64_t first = n ? row[0] : 0;
    const void **buf = LG_NEW_N(E->arena, const void *, p->n_slots + 1);
    void **res = LG_NEW_N(E->arena, void *, s->n_cols + 1);
    bool ok = true;
    if (s->from) {
        int64_t *pos = lg_alloc(sizeof *pos * (size_t)(n ? n : 1));
        for (int64_t i = 0; i < n; i++)
            pos[i] = s->from->order ? s->from->order[row[i]] : row[i];
        ok = lg_source_fetch(E, s->from->src, pos, n, p->want, in);
        lg_free(pos);
    }
    for (int i = 0; ok && i < p->n_slots; i++)
        buf[i] = p->slot_col[i] == -1   ? (const void *)row
                 : p->slot_col[i] == -2 ? (const void *)&first
                                        : in[p->slot_col[i]]->data;
    for (int i = 0; ok && i < s->n_cols; i++) {
        const lg_type *t = p->g->output.at[i].node->type;
        out[i] = lg_tensor_new(t->dtype, t->rank, t->shape);
        res[i] = out[i]->data;
    }
    lg_fault fault = {.row = -1};
    if (ok && !lg_plan_run(p->plan, buf, res, &fault)) {
        lg_host_fault(E, &fault, s->block ? s->block->span : s->fn->at);
        release_all(out, s->n_cols);
        ok = false;
    }
    release_all(in, np);
    return ok;
}

static bool fetch_mapped(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, lg_tensor **out) {
    if (n <= CHUNK)
        return run_rows(E, s, row, n, out);
    for (int i = 0; i < s->n_cols; i++)
        out[i] = NULL;
    lg_tensor **part = LG_NEW_N(E->arena, lg_tensor *, s->n_cols + 1);
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t m = n - at < CHUNK ? n - at : CHUNK;
        if (!run_rows(E, s, row + at, m, part)) {
            release_all(out, s->n_cols);
            return false;
        }
        for (int i = 0; i < s->n_cols; i++) {
            if (!out[i]) {
                int64_t shape[LG_MAX_RANK];
                memcpy(shape, part[i]->shape, sizeof shape);
                shape[0] = n;
                out[i] = lg_tensor_new(part[i]->dtype, part[i]->rank, shape);
            }
            size_t one = lg_tensor_bytes(part[i]) / (size_t)m;
            memcpy((char *)out[i]->data + (size_t)at * one, part[i]->data,
                   lg_tensor_bytes(part[i]));
            lg_tensor_release(part[i]);
        }
    }
    return true;
}

/* Windows of rows: the rows one after another, then a dim more. */
static bool fetch_windows(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, const bool *want,
                          lg_tensor **out) {
    int64_t *flat = lg_alloc(sizeof *flat * (size_t)(n * s->window + 1));
    for (int64_t i = 0; i < n * s->window; i++) {
        int64_t r = row[i / s->window] * s->stride + i % s->window;
        flat[i] = s->from->order ? s->from->order[r] : r;
    }
    bool ok = lg_source_fetch(E, s->from->src, flat, n * s->window, want, out);
    lg_free(flat);
    for (int k = 0; ok && k < s->n_cols; k++)
        if (out[k] && out[k]->rank < LG_MAX_RANK) {
            memmove(out[k]->shape + 1, out[k]->shape, sizeof *out[k]->shape * (size_t)out[k]->rank);
            out[k]->rank++;
            out[k]->shape[0] = n;
            out[k]->shape[1] = s->window;
        }
    return ok;
}

bool lg_source_fetch(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, const bool *want,
                     lg_tensor **out) {
    if (s->block || s->fn)
        return fetch_mapped(E, s, row, n, out);
    if (s->from)
        return fetch_windows(E, s, row, n, want, out);
    for (int i = 0; i < s->n_cols; i++)
        out[i] = want && !want[i] ? NULL
                 : s->col[i].x    ? lg_take_rows(s->col[i].x, row, n)
                                  : take_windows(s, row, n);
    return true;
}

/* ---- what the values must fulfil ---- */

static bool check_column(lg_elab *E, const lg_data *d, int k, const lg_tensor *x, lg_span at) {
    size_t row_size = x->shape[0] ? x->n / (size_t)x->shape[0] : 1;
    const lg_value *type = d->src->col[k].type;
    int64_t bound;
    if (lg_dtype_is_float(x->dtype) && !d->src->nonfinite) {
        for (size_t i = 0; i < x->n; i++)
            if (!isfinite(lg_get_f64(x->dtype, x->data, i))) {
                lg_diag *e = lg_err(E, "E0621", at, "`%s` of %s is not finite in row %zu",
                                    d->src->col[k].name, d->name, i / row_size);
                lg_diag_help(e, "leave such rows out with `filter`, or say `nonfinite=true` where "
                                "the file is read");
                return false;
            }
    } else if (type->t.bound && lg_dim_value(type->t.bound, &bound)) {
        for (size_t i = 0; i < x->n; i++) {
            int64_t v = lg_get_i64(x->dtype, x->data, i);
            if (v < 0 || v >= bound) {
                lg_err(E, "E0622", at, "`%s` of %s is %lld in row %zu, outside 0..%lld",
                       d->src->col[k].name, d->name, (long long)v, i / row_size, (long long)bound);
                return false;
            }
        }
    }
    return true;
}

static bool make_all(lg_elab *E, lg_data *d) {
    size_t bytes = 0;
    for (int i = 0; i < d->src->n_cols; i++) {
        size_t one = lg_dtype_size(d->src->col[i].type->t.dtype);
        for (int k = 0; k < d->src->col[i].type->t.rank; k++) {
            int64_t n;
            one *= lg_dim_value(d->src->col[i].type->t.dim[k], &n) ? (size_t)n : 1;
        }
        bytes += one * (size_t)d->n;
    }
    if (bytes > KEEP_BYTES)
        return true;
    int64_t *row = lg_alloc(sizeof *row * (size_t)(d->n ? d->n : 1));
    for (int64_t i = 0; i < d->n; i++)
        row[i] = d->order ? d->order[i] : i;
    lg_tensor **all = LG_NEW_N(E->arena, lg_tensor *, d->src->n_cols + 1);
    bool ok = lg_source_fetch(E, d->src, row, d->n, NULL, all);
    lg_free(row);
    for (int i = 0; ok && i < d->src->n_cols; i++)
        ok = check_column(E, d, i, all[i], d->at);
    if (ok)
        d->all = all;
    return ok;
}

bool lg_data_rows(lg_elab *E, lg_data *d, const int64_t *pos, int64_t n, lg_tensor **out) {
    if (d->n >= 0 && !d->all && !make_all(E, d))
        return false;
    if (d->all) {
        bool run = true; /* neighbours in order: a view is enough */
        for (int64_t i = 1; run && i < n; i++)
            run = pos[i] == pos[0] + i;
        for (int i = 0; i < d->src->n_cols; i++)
            out[i] = run && n ? lg_tensor_rows(d->all[i], pos[0], pos[0] + n)
                              : lg_take_rows(d->all[i], pos, n);
        return true;
    }
    int64_t *row = lg_alloc(sizeof *row * (size_t)(n ? n : 1));
    for (int64_t i = 0; i < n; i++)
        row[i] = d->order ? d->order[pos[i]] : pos[i];
    bool ok = lg_source_fetch(E, d->src, row, n, NULL, out);
    lg_free(row);
    return ok;
}

/* ---- instances ---- */

lg_value *lg_data_value(lg_elab *E, lg_data *d, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_DATA, at);
    v->ptr = d;
    return v;
}

lg_data *lg_data_derive(lg_elab *E, const lg_data *d) {
    lg_data *r = lg_arena_dup(E->arena, d, sizeof *d);
    r->decl = NULL;
    r->all = NULL;
    r->rows = NULL;
    return r;
}

lg_data *lg_data_of(lg_elab *E, lg_value *v, lg_span at) {
    if (v->kind == LG_V_DATA)
        return v->ptr;
    if (v->kind == LG_V_DECL && !strcmp(v->decl.decl->text, "data"))
        return lg_data_call(E, v->decl.decl, v->decl.env, 0, NULL, at);
    if (v->kind != LG_V_ERROR)
        lg_err(E, "E0208", at, "data are wanted here, got %s", lg_v_type_text(E, v));
    return NULL;
}

static bool has_fields(const lg_ast *block) {
    for (uint32_t i = 0; block && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_DECL && !strcmp(block->kid[i]->text, "field"))
            return true;
    return false;
}

/* Fields over the rows of `from` (NULL: random rows), declared in frame f. */
static lg_data *with_fields(lg_elab *E, lg_data *from, const lg_ast *decl, lg_frame *f) {
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    lg_source *s = LG_NEW(E->arena, lg_source);
    s->name = decl->name ? decl->name : "data";
    s->classes = from ? from->src->classes : -1;
    s->class_names = from ? from->src->class_names : NULL;
    s->nonfinite = from ? from->src->nonfinite : true;
    s->vocab = from ? from->src->vocab : NULL;
    s->contiguous = from && (from->src->contiguous || from->src->window);
    s->block = block;
    s->frame = f;
    s->n = from ? from->n : -1;
    s->seed = lg_host_of(E)->o.seed;
    lg_data *d = LG_NEW(E->arena, lg_data);
    if (from) {
        *d = *from;
        lg_data *base = lg_data_derive(E, from);
        s->from = base;
        d->order = NULL;
        d->all = NULL;
        d->rows = NULL;
    }
    d->src = s;
    d->n = s->n;
    d->name = s->name;
    d->at = decl->name_span;
    if (from && from->src->unknown) {
        s->unknown = true; /* only the declared types are known */
        for (uint32_t i = 0; i < block->n; i++) {
            const lg_ast *k = block->kid[i];
            if (k->kind != LG_A_DECL || strcmp(k->text, "field") != 0 || !k->kid[LG_D_TYPE])
                continue;
            lg_frame *was = E->frame;
            E->frame = f;
            lg_value *v = lg_type_placeholder(E, f, k->kid[LG_D_TYPE], k->span);
            E->frame = was;
            if (v->kind != LG_V_TENSOR)
                continue;
            lg_col *c = LG_NEW_N(E->arena, lg_col, s->n_cols + 1);
            if (s->n_cols)
                memcpy(c, s->col, sizeof *c * (size_t)s->n_cols);
            s->col = c;
            c[s->n_cols++] = (lg_col){.name = k->name, .type = v};
        }
        return d;
    }
    return lg_source_type(E, s) ? d : NULL;
}

static lg_data *raw_data(lg_elab *E, lg_source *s, lg_span at) {
    lg_data *d = LG_NEW(E->arena, lg_data);
    d->src = s;
    d->n = s->n;
    d->name = s->name;
    d->at = at;
    if (!s->n && !s->unknown) {
        lg_err(E, "E0623", at, "%s has no rows", s->name);
        return NULL;
    }
    return d;
}

lg_data *lg_data_expr(lg_elab *E, lg_frame *f, const lg_ast *e, const lg_ast *decl) {
    if (e->kind == LG_A_BINARY && !strcmp(e->name, "|>")) {
        lg_data *d = lg_data_expr(E, f, e->kid[0], decl);
        if (!d)
            return NULL;
        const lg_ast *stage = e->kid[1], *name = stage->kind == LG_A_CALL ? stage->kid[0] : stage;
        lg_arg arg[16];
        int n = 0;
        if (name->kind != LG_A_NAME) {
            lg_err(E, "E0626", stage->span,
                   "a stage of data is one of shuffle, batch, split, take, filter, map ...");
            return NULL;
        }
        for (uint32_t i = 1; stage->kind == LG_A_CALL && i < stage->n && n < 16; i++) {
            const lg_ast *k = stage->kid[i], *x = k->kind == LG_A_NAMED ? k->kid[0] : k;
            arg[n++] =
                (lg_arg){k->kind == LG_A_NAMED ? k->name : NULL, lg_host_expr(E, f, x), x, x->span};
        }
        return lg_data_stage(E, d, name->name, n, arg, stage->span);
    }
    bool reader = e->kind == LG_A_CALL && e->kid[0]->kind == LG_A_NAME &&
                  lg_is_reader(e->kid[0]->name) && !lg_lookup_user(E, f, e->kid[0]->name);
    lg_data *d = NULL;
    if (reader) {
        lg_source *s = lg_source_read(E, f, e);
        d = s ? raw_data(E, s, e->span) : NULL;
    } else {
        d = lg_data_of(E, lg_host_expr(E, f, e), e->span);
    }
    return d && decl && has_fields(decl->kid[LG_D_BLOCK]) ? with_fields(E, d, decl, f) : d;
}

lg_data *lg_data_call(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                      lg_span at) {
    lg_host *H = lg_host_of(E);
    lg_context c = lg_host_enter(E, H->keep, true);
    lg_frame *f = lg_frame_new(E, LG_F_HOST, env);
    f->decl = decl;
    f->call_at = at;
    size_t errors = E->diags->errors;
    lg_data *d = NULL;
    if (lg_bind_params(E, f, decl->kid[LG_D_PARAMS], n, arg, at,
                       lg_txt(E, "data `%s`", decl->name))) {
        lg_buf key = {0};
        lg_buf_put(&key, "", 0);
        const lg_ast *params = decl->kid[LG_D_PARAMS];
        for (uint32_t i = 0; params && i < params->n; i++) {
            lg_binding *b = lg_find_local(f, params->kid[i]->name, false);
            if (b && b->value)
                lg_format_value(E, &key, b->value, NULL, at);
            lg_buf_put(&key, "\n", 1);
        }
        const char *k = lg_intern_n(key.at ? key.at : "", key.n);
        lg_buf_free(&key);
        for (size_t i = 0; H->keep && i < H->data.n; i++)
            if (H->data.at[i]->decl == decl && H->data.at[i]->key == k)
                d = H->data.at[i];
        if (!d) {
            E->frame = f;
            const lg_ast *from =
                decl->kid[LG_D_FROM] ? decl->kid[LG_D_FROM] : decl->kid[LG_D_VALUE];
            if (from)
                d = lg_data_expr(E, f, from, decl);
            else if (has_fields(decl->kid[LG_D_BLOCK]))
                d = with_fields(E, NULL, decl, f);
            else
                lg_err(E, "E0625", decl->span, "`%s` has neither a source nor fields", decl->name);
            if (d && E->diags->errors == errors) {
                d = lg_arena_dup(E->arena, d, sizeof *d);
                d->decl = decl;
                d->key = k;
                d->name = decl->name;
                if (H->keep)
                    LG_PUSH(H->data, d);
            }
        }
    }
    lg_host_leave(E, &c);
    return E->diags->errors == errors ? d : NULL;
}

/* ---- data as arrays ---- */

lg_value *lg_data_whole(lg_elab *E, lg_data *d, int64_t most, lg_span at) {
    lg_value *r = lg_v_record(E, 0, at);
    if (!lg_host_of(E)->keep || d->src->unknown) {
        if (!d->rows)
            d->rows = lg_dim_var(E->dims, lg_intern("N"), at);
        if (d->n >= 0 && !d->src->unknown)
            lg_dim_set(d->rows, d->n);
        lg_dim *rows = d->rows;
        for (int i = 0; i < d->src->n_cols; i++) {
            const lg_value *t = d->src->col[i].type;
            lg_dim *dim[LG_MAX_RANK] = {rows};
            for (int k = 0; k < t->t.rank && k + 1 < LG_MAX_RANK; k++)
                dim[k + 1] = t->t.dim[k];
            lg_value *v = lg_v_tensor(E, t->t.dtype, t->t.rank + 1, dim, NULL, at);
            v->t.bound = t->t.bound;
            lg_v_set_field(E, r, d->src->col[i].name, v);
        }
        return d->src->unknown ? lg_v_error(E, at) : r;
    }
    int64_t n = d->n < 0 ? most : d->n;
    if (n < 0) {
        lg_err(E, "E0627", at, "%s is endless: say how many rows with `take(n)`", d->name);
        return lg_v_error(E, at);
    }
    int64_t *pos = lg_data_epoch(d, 0);
    if (!pos) {
        pos = lg_alloc(sizeof *pos * (size_t)(n ? n : 1));
        for (int64_t i = 0; i < n; i++)
            pos[i] = i;
    }
    lg_tensor **x = LG_NEW_N(E->arena, lg_tensor *, d->src->n_cols + 1);
    bool ok = lg_data_rows(E, d, pos, n, x);
    lg_free(pos);
    if (!ok)
        return lg_v_error(E, at);
    if (!d->rows) {
        d->rows = lg_dim_var(E->dims, lg_intern("N"), at);
        lg_dim_set(d->rows, n);
    }
    lg_dim *rows = d->rows;
    for (int i = 0; i < d->src->n_cols; i++) {
        const lg_value *t = d->src->col[i].type;
        lg_dim *dim[LG_MAX_RANK] = {rows};
        for (int k = 0; k < t->t.rank && k + 1 < LG_MAX_RANK; k++)
            dim[k + 1] = t->t.dim[k];
        lg_value *v =
            lg_host_const(E, lg_v_tensor(E, t->t.dtype, x[i]->rank, dim, NULL, at), x[i], at);
        v->t.bound = t->t.bound;
        lg_v_set_field(E, r, d->src->col[i].name, v);
        lg_tensor_release(x[i]);
    }
    return r;
}

lg_value *lg_data_field(lg_elab *E, lg_data *d, lg_sym field, lg_span at) {
    bool later = d->src->unknown || !lg_host_of(E)->keep; /* may show when it runs */
    if (!strcmp(field, "vocab"))
        return d->src->vocab ? lg_v_int(E, (int64_t)lg_vocab_size(d->src->vocab), at)
               : later       ? lg_v_unknown(E, true, false, at)
                       : (lg_err(E, "E0313", at, "%s is no text: it has no vocabulary", d->name),
                          lg_v_error(E, at));
    if (!strcmp(field, "classes"))
        return d->src->classes >= 0 ? lg_v_int(E, d->src->classes, at)
               : later              ? lg_v_unknown(E, true, false, at)
                       : (lg_err(E, "E0313", at, "%s has no labels of classes", d->name),
                          lg_v_error(E, at));
    if (!strcmp(field, "rows"))
        return d->n >= 0 ? lg_v_int(E, d->n, at) : lg_v_unknown(E, true, false, at);
    if (d->src->unknown)
        return lg_v_error(E, at);
    for (int i = 0; i < d->src->n_cols; i++)
        if (d->src->col[i].name == field) {
            lg_value *r = lg_data_whole(E, d, -1, at);
            return r->kind == LG_V_RECORD ? lg_v_field(r, field) : r;
        }
    lg_diag *x = lg_err(E, "E0313", at, "%s has no field `%s`", d->name, field);
    const char **names = LG_NEW_N(E->arena, const char *, d->src->n_cols + 3);
    int n = 0;
    for (; n < d->src->n_cols; n++)
        names[n] = d->src->col[n].name;
    names[n++] = "vocab";
    names[n++] = "classes";
    names[n++] = "rows";
    const char *near = lg_nearest(field, names, (size_t)n);
    if (near)
        lg_diag_help(x, "did you mean `%s`?", near);
    return lg_v_error(E, at);
}
