/* rows.c: the fields of data as a map over rows: `field x = e` and the functions of map and filter,
 * elaborated once as a graph over many rows. Not for where rows come from (source.c, data.c). */
#include "compiler/host/inside.h"
#include <string.h>

enum { CHUNK = 1024 };

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
        bool shown = m->plan == NULL; /* for types all are there, so that messages know them */
        if (m->s->block && !shown && !mentions(m->s->block, p->col[i].name))
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
        if (bound)
            lg_late(E, d->span, "`%s` is within 0..%s in each row", d->name,
                    lg_dim_text(E->arena, bound));
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
    size_t trouble = lg_diags_trouble(E->diags);
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
        return lg_diags_trouble(E->diags) == trouble;
    }
    for (uint32_t i = 0; i < m->s->block->n && *n < most; i++) {
        const lg_ast *d = m->s->block->kid[i];
        if (d->kind == LG_A_DECL && !strcmp(d->text, "field")) {
            lg_value *v = field(m, d);
            for (int k = 0; k < *n; k++)
                if (name[k] == d->name)
                    lg_err(E, "E0304", d->name_span, "`%s` is a field twice", d->name);
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
    return lg_diags_trouble(E->diags) == trouble;
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
    E->lasting++;
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
    E->lasting++; /* it stays with the source */
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

/* ---- running it ---- */

static void release_all(lg_tensor **x, int n) {
    for (int i = 0; i < n; i++) {
        lg_tensor_release(x[i]);
        x[i] = NULL;
    }
}

/* Rows [at, at + n) of `all`: out[], which is made when it is not there. */
static bool run_rows(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, int64_t at,
                     int64_t all, lg_tensor **out) {
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
        lg_type t = *p->g->output.at[i].node->type;
        t.shape[0] = all;
        if (!out[i])
            out[i] = lg_tensor_new(t.dtype, t.rank, t.shape);
        res[i] =
            (char *)out[i]->data + (all ? lg_tensor_bytes(out[i]) / (size_t)all : 0) * (size_t)at;
    }
    lg_fault fault = {.row = -1};
    if (ok && !lg_plan_run(p->plan, buf, res, &fault)) {
        lg_host_fault(E, &fault, s->block ? s->block->span : s->fn->at);
        ok = false;
    }
    release_all(in, np);
    return ok;
}

bool lg_source_mapped(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, lg_tensor **out) {
    for (int i = 0; i < s->n_cols; i++)
        out[i] = NULL;
    bool ok = true;
    for (int64_t at = 0; ok && (at < n || at == 0); at += CHUNK)
        ok = run_rows(E, s, row + at, n - at < CHUNK ? n - at : CHUNK, at, n, out);
    if (!ok)
        release_all(out, s->n_cols);
    return ok;
}
