/* index.c: opening and closing the indices of index notation: patterns, ranges, where an index gets
 * its dim from, and definitions `let y[i, j] = e`. Not for subscripts (subscript.c) nor for
 * reductions (reduce.c). Called by the statements, by expressions and by the reductions. */
#include "compiler/mid/index.h"
#include <string.h>

/* ---- indices as names ---- */

lg_index *lg_index_of(lg_elab *E, lg_frame *f, lg_sym name) {
    (void)E;
    for (; f; f = f->up) {
        lg_binding *b = lg_find_local(f, name, false);
        if (b)
            return b->index;
        for (size_t i = 0; i < f->dims.n; i++)
            if (f->dims.at[i].name == name)
                return NULL;
    }
    return NULL;
}

lg_index *lg_index_new(lg_elab *E, lg_sym name, lg_dim *dim, lg_span at) {
    lg_index *i = LG_NEW(E->arena, lg_index);
    *i = (lg_index){.name = name, .dim = dim, .at = at, .lo_known = true, .seq = ++E->index_seq};
    return i;
}

lg_value *lg_index_value(lg_elab *E, lg_index *i) {
    lg_value *v = lg_v_open(E, LG_I64, 1, &i, 0, NULL, NULL, i->at);
    v->t.weak = true;
    if (i->lo_known && i->lo == 0)
        v->t.bound = i->dim;
    if (LG_CHECKING(E))
        return v;
    int64_t n = lg_dim_size(E, i->dim, i->at);
    v->t.node = lg_g_iota(E->g, 1, &n, 0, i->at);
    if (i->lo == 0)
        return v;
    lg_value *r = lg_v_copy(E, lg_binary(E, "+", v, lg_v_int(E, i->lo, i->at), i->at));
    r->t.weak = true;
    return r;
}

bool lg_has_open(const lg_value *v, const lg_index *i) {
    for (int k = 0; v->kind == LG_V_TENSOR && k < v->t.n_open; k++)
        if (v->t.open[k] == i)
            return true;
    return false;
}

static lg_binding *bind_index(lg_elab *E, lg_frame *f, lg_index *i) {
    lg_bind(E, f, i->name, i->dim ? lg_index_value(E, i) : lg_v_error(E, i->at), i->at);
    f->names->index = i;
    return f->names;
}

/* What a name stands for where an index of that name would be opened: its place, or nowhere. */
static bool is_in_view(lg_frame *f, lg_sym name, lg_span *where) {
    bool inside = false; /* of a declaration: its indices may be called like lets of the file */
    for (; f; f = f->up) {
        inside = inside || f->kind == LG_F_FN || f->kind == LG_F_MODEL || f->kind == LG_F_RULE;
        lg_binding *b = lg_find_local(f, name, false);
        bool let = b && b->stmt && b->stmt->kind == LG_A_LET;
        bool later = let && (b->state == LG_B_PENDING || (inside && f->kind == LG_F_MODULE));
        if (b && !later) {
            *where = b->at;
            return true;
        }
        for (size_t i = 0; i < f->dims.n; i++)
            if (f->dims.at[i].name == name) {
                *where = lg_dim_where(f->dims.at[i].dim);
                return true;
            }
    }
    return false;
}

/* ---- trials ---- */

/* Definitions that are still to come are made now: within a trial they would be made without
 * nodes and kept. */
static void force_names(lg_elab *E, const lg_ast *e) {
    if (!e)
        return;
    if (e->kind == LG_A_NAME) {
        bool prime = e->flags & LG_AF_PRIME;
        for (lg_frame *f = E->frame; f; f = f->up) {
            lg_binding *b = lg_find_local(f, e->name, prime);
            if (b && b->state == LG_B_PENDING)
                lg_force(E, f, b, e->span);
            if (b)
                break;
        }
        return;
    }
    for (uint32_t i = 0; i < e->n; i++)
        force_names(E, e->kid[i]);
}

lg_value *lg_trial(lg_elab *E, const lg_ast *e) {
    force_names(E, e);
    enum { DEPTH = 64 };
    unsigned draws[DEPTH], calls[DEPTH];
    int n = 0;
    for (lg_frame *f = E->frame; f && n < DEPTH; f = f->up, n++) {
        draws[n] = f->rand_count;
        calls[n] = f->call_count;
    }
    lg_graph *g = E->g;
    lg_store *store = E->store, *states = E->states;
    struct lg_probe_list *probe = E->probe;
    E->g = NULL;
    E->states = E->store = NULL;
    E->probe = NULL;
    E->diags->muted++;
    lg_value *v = lg_expr(E, e);
    E->diags->muted--;
    E->g = g;
    E->store = store;
    E->states = states;
    E->probe = probe;
    n = 0;
    for (lg_frame *f = E->frame; f && n < DEPTH; f = f->up, n++) {
        f->rand_count = draws[n];
        f->call_count = calls[n];
    }
    return v;
}

/* ---- where an index gets its dim from ---- */

typedef struct {
    lg_elab *E;
    lg_opened *o;
    lg_sym shadow[64];
    int n_shadow;
    bool progress, met[LG_MAX_RANK],
        met_pack; /* met: subscripts something whose dims are unknown */
    bool labels;  /* no subscript says more: take what labels are compared with */
} resolver;

static void visit(resolver *r, const lg_ast *e);

static bool is_shadowed(const resolver *r, lg_sym name) {
    for (int i = 0; i < r->n_shadow; i++)
        if (r->shadow[i] == name)
            return true;
    return false;
}

static void shadow(resolver *r, const lg_ast *pattern) {
    if (!pattern || r->n_shadow == (int)LG_COUNT(r->shadow))
        return;
    if (pattern->kind == LG_A_NAME || pattern->kind == LG_A_INDEXPAT ||
        pattern->kind == LG_A_PARAM || pattern->kind == LG_A_NAMED)
        r->shadow[r->n_shadow++] = pattern->name;
    else if (pattern->kind == LG_A_FIELDV && pattern->kid[0])
        shadow(r, pattern->kid[0]);
    else if (pattern->kind == LG_A_FIELDV)
        r->shadow[r->n_shadow++] = pattern->name;
    else
        for (uint32_t i = 0; i < pattern->n; i++)
            shadow(r, pattern->kid[i]);
}

static bool names_shadowed(const resolver *r, const lg_ast *e) {
    if (!e)
        return false;
    if (e->kind == LG_A_NAME)
        return is_shadowed(r, e->name);
    for (uint32_t i = 0; i < e->n; i++)
        if (names_shadowed(r, e->kid[i]))
            return true;
    return false;
}

static bool is_ellipsis(const lg_ast *s) {
    return s->kind == LG_A_ELLIPSIS || s->kind == LG_A_PACK;
}

/* The dims of a base as a value with rank and dims; NULL when they cannot be told. */
static lg_value *shape_of(resolver *r, const lg_ast *e) {
    lg_elab *E = r->E;
    lg_value *v = NULL;
    if (e->kind == LG_A_INDEX) {
        v = shape_of(r, e->kid[0]);
        if (!v)
            return NULL;
        int drop = 0;
        bool simple = true;
        for (uint32_t i = 1; i < e->n; i++) {
            simple = simple && e->kid[i]->kind != LG_A_SLICE && !is_ellipsis(e->kid[i]);
            drop++;
        }
        if (!simple) {
            v = names_shadowed(r, e) ? NULL : lg_trial(E, e);
            return v && v->kind == LG_V_TENSOR ? v : NULL;
        }
        if (drop > v->t.rank)
            return NULL;
        return lg_v_tensor(E, v->t.dtype, v->t.rank - drop, v->t.dim + drop, NULL, v->at);
    }
    const lg_ast *root = e;
    while (root->kind == LG_A_FIELD || root->kind == LG_A_FIELDSEL)
        root = root->kid[0];
    if (root->kind == LG_A_NAME) {
        if (is_shadowed(r, root->name) ||
            (!(root->flags & LG_AF_PRIME) && !lg_lookup_user(E, E->frame, root->name)))
            return NULL;
        for (lg_frame *f = E->frame; f; f = f->up) { /* what is being defined has no dims yet */
            lg_binding *b = lg_find_local(f, root->name, root->flags & LG_AF_PRIME);
            if (b && b->state == LG_B_RUNNING)
                return NULL;
            if (b)
                break;
        }
        lg_value *guard = E->guard;
        E->guard = NULL;
        v = lg_expr(E, e);
        E->guard = guard;
    } else {
        v = lg_trial(E, e);
    }
    if (v->kind == LG_V_LIST && !lg_list_is_array(v) && v->list.n) {
        lg_dim *n = lg_dim_num(E->dims, v->list.n);
        return lg_v_tensor(E, LG_F32, 1, &n, NULL, v->at);
    }
    v = lg_arrayed(E, v, e->span);
    if (v->kind == LG_V_RECORD || v->kind == LG_V_MODEL) {
        lg_leaf *leaf;
        if (lg_v_leaves(E, v, &leaf))
            v = lg_arrayed(E, leaf[0].value, e->span);
    }
    if (v->kind == LG_V_OPAQUE && v->opaque.rank > 0)
        return lg_v_tensor(E, LG_F32, v->opaque.rank, v->opaque.dim, NULL, v->at);
    return v->kind == LG_V_TENSOR ? v : NULL;
}

static void give_dim(resolver *r, int k, lg_dim *d, lg_span at) {
    lg_index *i = r->o->at[k];
    i->dim = d;
    i->from = at;
    r->progress = true;
    lg_binding *b = lg_find_local(r->o->frame, i->name, false);
    if (b && b->index == i)
        b->value = lg_index_value(r->E, i);
}

/* `...` gets an index for each leading dim of the first array that it subscripts. */
static void give_pack(resolver *r, const lg_value *x, int first, int n, lg_span at) {
    lg_opened *o = r->o;
    if (n < 0 || o->n + n > LG_MAX_RANK)
        return;
    memmove(o->at + o->pack_at + n, o->at + o->pack_at,
            sizeof *o->at * (size_t)(o->n - o->pack_at));
    memmove(r->met + o->pack_at + n, r->met + o->pack_at, (size_t)(o->n - o->pack_at));
    lg_value *list = lg_v_list(r->E, n, at);
    for (int k = 0; k < n; k++) {
        lg_dim *d = x->t.dim[first + k];
        lg_sym name = lg_dim_is_var(d) ? lg_dim_name(d) : lg_intern("...");
        lg_index *i = lg_index_new(r->E, name, d, at);
        i->from = at;
        o->at[o->pack_at + k] = i;
        o->reused[o->pack_at + k] = false;
        list->list.at[k] = lg_index_value(r->E, i);
        lg_lane *lane = LG_NEW(r->E->arena, lg_lane);
        *lane = (lg_lane){i, r->E->lanes};
        r->E->lanes = lane;
    }
    o->n += n;
    o->pack_n = n;
    o->pack_known = r->progress = true;
    lg_find_local(o->frame, lg_intern("..."), false)->value = list;
}

static int index_at(const resolver *r, const lg_ast *s) {
    if (s->kind == LG_A_NAME && !(s->flags & LG_AF_PRIME) && !is_shadowed(r, s->name))
        for (int k = 0; k < r->o->n; k++)
            if (r->o->at[k]->name == s->name && !r->o->at[k]->dim)
                return k;
    return -1;
}

/* Subscripts that say what an index without a range runs over. */
static void visit_index(resolver *r, const lg_ast *e) {
    bool wanted = false;
    uint32_t n = e->n;
    while (n > 1 && e->kid[n - 1]->kind == LG_A_WHERE)
        n--;
    int dots = -1;
    for (uint32_t i = 1; i < n; i++) {
        wanted = wanted || index_at(r, e->kid[i]) >= 0;
        if (is_ellipsis(e->kid[i])) {
            dots = (int)i;
            wanted = wanted || (r->o->pack_at >= 0 && !r->o->pack_known);
        }
    }
    if (!wanted)
        return;
    lg_value *x = shape_of(r, e->kid[0]);
    int subs = (int)n - 1 - (dots > 0);
    if (!x) {
        for (uint32_t i = 1; i < n; i++)
            if (index_at(r, e->kid[i]) >= 0)
                r->met[index_at(r, e->kid[i])] = true;
        r->met_pack = r->met_pack || dots > 0;
        return;
    }
    int lead = x->t.rank - subs; /* dims under `...` */
    if (lead < 0)
        return; /* reported where it is evaluated */
    for (uint32_t i = 1; i < n; i++) {
        int k = index_at(r, e->kid[i]);
        int d = (int)i - 1 + (dots > 0 && (int)i > dots ? lead - 1 : 0);
        if (k >= 0)
            give_dim(r, k, x->t.dim[d], e->kid[i]->span);
    }
    if (dots > 0 && r->o->pack_at >= 0 && !r->o->pack_known)
        give_pack(r, x, dots - 1, lead, e->span);
}

/* `y[i] == c`, y being labels of C classes: c runs over C, unless something else says what it does.
 */
static void visit_labels(resolver *r, const lg_ast *e) {
    if (strcmp(e->name, "==") != 0)
        return;
    for (int side = 0; side < 2; side++) {
        int k = index_at(r, e->kid[side]);
        const lg_ast *other = e->kid[1 - side];
        lg_value *v = NULL;
        if (k >= 0 && other->kind == LG_A_INDEX)
            v = shape_of(r, other->kid[0]);
        if (v && v->t.bound)
            give_dim(r, k, v->t.bound, other->span);
    }
}

static void visit(resolver *r, const lg_ast *e) {
    if (!e)
        return;
    int mark = r->n_shadow;
    switch ((lg_ast_kind)e->kind) {
    case LG_A_LAMBDA:
        shadow(r, e->kid[0]);
        break;
    case LG_A_SCAN:
        shadow(r, e->kid[0]);
        shadow(r, e->kid[1]);
        break;
    case LG_A_BLOCK:
        for (uint32_t i = 0; i < e->n; i++)
            if (e->kid[i] && e->kid[i]->kind == LG_A_LET)
                shadow(r, e->kid[i]->kid[0]);
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < e->n; i++)
        visit(r, e->kid[i]);
    if (e->kind == LG_A_INDEX)
        visit_index(r, e);
    if (e->kind == LG_A_BINARY && r->labels)
        visit_labels(r, e);
    r->n_shadow = mark;
}

static bool resolve(lg_elab *E, lg_opened *o, int n, const lg_ast *const *scope,
                    const lg_value *old) {
    resolver r = {.E = E, .o = o};
    bool open = true;
    for (int round = 0; open && round < 2 * LG_MAX_RANK; round++) {
        r.progress = false;
        for (int k = 0; k < n; k++)
            visit(&r, scope[k]);
        open = o->pack_at >= 0 && !o->pack_known;
        for (int k = 0; k < o->n; k++)
            open = open || !o->at[k]->dim;
        if (!r.progress && r.labels)
            break;
        r.labels = r.labels || !r.progress;
    }
    bool pack = o->pack_at >= 0 && !o->pack_known;
    for (int k = 0; open && !pack && k < o->n; k++)
        if (!o->at[k]->dim && old && old->kind == LG_V_TENSOR && k < old->t.rank)
            give_dim(&r, k, old->t.dim[k], old->at);
    bool ok = true;
    for (int k = 0; k < o->n; k++) {
        if (o->at[k]->dim)
            continue;
        if (r.met[k] && LG_CHECKING(E)) { /* what it subscripts is not known: reported there */
            give_dim(&r, k,
                     lg_dim_opaque(E->dims, lg_txt(E, "range of %s", o->at[k]->name), false, 0),
                     o->at[k]->at);
            continue;
        }
        ok = false;
        if (r.met[k] && E->diags->errors) /* the same when it runs */
            continue;
        lg_diag *d =
            lg_err(E, "E0254", o->at[k]->at, "nothing says what `%s` runs over", o->at[k]->name);
        lg_diag_help(
            d,
            "an index gets its range from an array that it subscripts alone, or is given it: "
            "`%s in K` or `%s in 0..n`",
            o->at[k]->name, o->at[k]->name);
    }
    return ok;
}

/* ---- opening ---- */

lg_dim *lg_num_dim(lg_elab *E, const lg_value *v, const lg_ast *text) {
    int64_t x;
    if (v->kind == LG_V_NUM && v->num.dim)
        return v->num.dim;
    if (lg_v_static_int(E, v, &x))
        return lg_dim_num(E->dims, x);
    return text ? lg_dim_written(E, E->frame, text) : lg_dim_opaque(E->dims, lg_intern("?"), false, 0);
}

/* A bound of a range or slice: static, or unknown while checking. */
static bool is_static_int(lg_elab *E, const lg_value *v) {
    int64_t x;
    return v->kind == LG_V_ERROR || lg_v_static_int(E, v, &x) ||
           (v->kind == LG_V_NUM && !v->num.known && !v->num.is_bool) ||
           (LG_CHECKING(E) && v->kind == LG_V_TENSOR && v->t.host && !v->t.rank && !v->t.n_open);
}

/* `i in K`, `i in lo..hi` */
static bool set_range(lg_elab *E, lg_index *i, const lg_ast *range) {
    lg_value *v = lg_expr(E, range);
    if (v->kind == LG_V_ERROR) {
        i->dim = lg_dim_opaque(E->dims, lg_intern(lg_ast_text(E->arena, range)), false, 0);
        return LG_CHECKING(E);
    }
    lg_value *lo = v->kind == LG_V_RANGE ? v->range.lo : NULL;
    lg_value *hi = v->kind == LG_V_RANGE ? v->range.hi : v;
    if ((lo && !is_static_int(E, lo)) || !is_static_int(E, hi)) {
        lg_diag *d = lg_err(E, "E0254", range->span,
                            "the range of `%s` must be known before the graph runs, got %s",
                            i->name, lg_v_type_text(E, lo && !is_static_int(E, lo) ? lo : hi));
        lg_diag_help(d, "take the largest range and leave out the rest: `where %s < n`", i->name);
        return false;
    }
    bool is_range = range->kind == LG_A_BINARY && !strcmp(range->name, "..");
    i->dim = lg_num_dim(E, hi, is_range ? range->kid[1] : range);
    i->ranged = lo != NULL || !lg_dim_is_var(i->dim);
    if (lo) {
        lg_dim *first = lg_num_dim(E, lo, is_range ? range->kid[0] : range);
        i->dim = lg_dim_sub(E->dims, i->dim, first);
        i->lo_known = lg_dim_value(first, &i->lo);
    }
    int64_t n;
    if (!lg_dim_value(i->dim, &n) || n >= 0)
        return true;
    lg_err(E, "E0211", range->span, "the range of `%s` has a negative length: %lld", i->name,
           (long long)n);
    return false;
}

static bool open_name(lg_elab *E, lg_opened *o, const lg_ast *s, bool reuse) {
    const lg_ast *range = NULL;
    lg_sym name = s->name;
    lg_span at = s->span, seen;
    if (s->kind == LG_A_BINARY && !strcmp(s->name, "in") && s->kid[0]->kind == LG_A_NAME) {
        range = s->kid[1];
        name = s->kid[0]->name;
        at = s->kid[0]->span;
    } else if (s->kind != LG_A_NAME) {
        lg_diag *d = lg_err(E, "E0256", at, "an index is a name here");
        lg_diag_help(d, "write `i`, `i in K` or `i in 0..n`, and conditions after `where`");
        return false;
    }
    lg_index *known = reuse && !range ? lg_index_of(E, E->frame, name) : NULL;
    for (int k = 0; k < o->n; k++)
        if (o->at[k]->name == name) {
            lg_err(E, "E0255", at, "the index `%s` stands there twice", name);
            return false;
        }
    if (!known && is_in_view(E->frame, name, &seen)) {
        bool open = lg_index_of(E, E->frame, name) != NULL;
        lg_diag *d = lg_err(E, "E0255", at,
                            open ? "the index `%s` is open already"
                                 : "`%s` is a value here, so it cannot be an index",
                            name);
        if (seen.file)
            lg_diag_label(d, seen, "`%s` is this", name);
        lg_diag_help(d, "give the index another name");
        return false;
    }
    if (o->n == LG_MAX_RANK) {
        lg_err(E, "E0213", at, "more than %d indices at once", LG_MAX_RANK);
        return false;
    }
    lg_index *i = known ? known : lg_index_new(E, name, NULL, at);
    o->reused[o->n] = known != NULL;
    o->at[o->n++] = i;
    return known || !range || set_range(E, i, range);
}

static void restore(lg_elab *E, const lg_opened *o) {
    E->frame = o->was_frame;
    E->lanes = o->was_lanes;
}

bool lg_open(lg_elab *E, lg_opened *o, const lg_ast *list, uint32_t from, int n,
             const lg_ast *const *scope, bool reuse, const lg_value *old) {
    *o = (lg_opened){
        .pack_at = -1, .was_frame = E->frame, .was_lanes = E->lanes, .probed = lg_probe_mark(E)};
    bool ok = true;
    for (uint32_t k = from; k < list->n; k++) {
        const lg_ast *s = list->kid[k];
        if (s->kind == LG_A_WHERE)
            o->where = s->kid[0];
        else if (is_ellipsis(s) && o->pack_at < 0)
            o->pack_at = o->n;
        else
            ok = open_name(E, o, s, reuse) && ok;
    }
    if (!ok)
        return false;
    o->frame = lg_frame_new(E, LG_F_BLOCK, E->frame);
    E->frame = o->frame;
    for (int k = 0; k < o->n; k++) {
        if (o->reused[k])
            continue;
        bind_index(E, o->frame, o->at[k]);
        lg_lane *lane = LG_NEW(E->arena, lg_lane);
        *lane = (lg_lane){o->at[k], E->lanes};
        E->lanes = lane;
    }
    if (o->pack_at >= 0) {
        lg_bind(E, o->frame, lg_intern("..."), lg_v_error(E, list->span), list->span);
    }
    const lg_ast *all[4];
    assert(n < (int)LG_COUNT(all));
    for (int k = 0; k < n; k++)
        all[k] = scope[k];
    all[n] = o->where;
    if (resolve(E, o, n + 1, all, old))
        return true;
    restore(E, o);
    return false;
}

void lg_open_end(lg_elab *E, const lg_opened *o) {
    lg_index *own[LG_MAX_RANK];
    int n = 0;
    for (int k = 0; k < o->n; k++)
        if (!o->reused[k])
            own[n++] = o->at[k];
    lg_probe_close(E, o->probed, n, own, E->frame->call_at);
    restore(E, o);
}

/* ---- closing ---- */

typedef struct {
    int n, dims_at;
    lg_index *const *at;
} closing;

static lg_value *close_leaf(lg_elab *E, void *ctx, int n_leaf, lg_value *const *leaf,
                            lg_span span) {
    (void)n_leaf;
    const closing *c = ctx;
    lg_value *v = leaf[0];
    if (v->kind == LG_V_ERROR)
        return v;
    if (v->kind == LG_V_OPAQUE) {
        lg_dim *dim[LG_MAX_RANK];
        for (int k = 0; k < c->n; k++)
            dim[k] = c->at[k]->dim;
        return lg_v_stacked(E, v, c->n, dim, span);
    }
    v = lg_arrayed(E, v, span);
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, LG_NO_DTYPE, span);
    if (v->kind == LG_V_TENSOR && v->t.weak && v->t.dtype == LG_F64)
        v = lg_cast(E, v, E->frame->float_dtype, span);
    if (v->kind != LG_V_TENSOR) {
        if (v->kind != LG_V_ERROR)
            lg_err(E, "E0256", span, "%s cannot be mapped over indices", lg_v_type_text(E, v));
        return lg_v_error(E, span);
    }
    lg_index *open[LG_MAX_RANK * 2];
    lg_dim *dim[LG_MAX_RANK * 2];
    int n_open = 0, from[LG_MAX_RANK * 2], rank = 0;
    for (int k = 0; k < v->t.n_open; k++) {
        bool closed = false;
        for (int j = 0; j < c->n; j++)
            closed = closed || c->at[j] == v->t.open[k];
        if (!closed) {
            from[n_open] = k;
            open[n_open++] = v->t.open[k];
        }
    }
    if (n_open + c->n + v->t.rank > LG_MAX_RANK)
        return lg_too_many_dims(E, span);
    for (int j = 0; j <= c->n; j++) {
        for (int d = 0; j == c->dims_at && d < v->t.rank; d++) {
            from[n_open + rank] = v->t.n_open + d;
            dim[rank++] = v->t.dim[d];
        }
        if (j == c->n)
            break;
        from[n_open + rank] = -1;
        for (int k = 0; k < v->t.n_open; k++)
            if (v->t.open[k] == c->at[j])
                from[n_open + rank] = k;
        dim[rank++] = c->at[j]->dim;
    }
    lg_value *r = lg_v_open(E, v->t.dtype, n_open, open, rank, dim, NULL, span);
    r->t.bound = v->t.bound;
    if (LG_CHECKING(E))
        return r;
    int64_t shape[LG_MAX_RANK * 2];
    for (int k = 0; k < n_open + rank; k++)
        shape[k] = lg_dim_size(E, k < n_open ? open[k]->dim : dim[k - n_open], span);
    r->t.node = lg_g_broadcast(E->g, lg_import(E, v->t.node), n_open + rank, shape, from, span);
    return r;
}

lg_value *lg_close(lg_elab *E, lg_value *v, int n, lg_index *const *at, int dims_at, lg_span span) {
    closing c = {n, dims_at, at};
    lg_value *r;
    if (v->kind == LG_V_RECORD || v->kind == LG_V_MODEL || (v->kind == LG_V_LIST && v->list.n)) {
        v = lg_arrayed(E, v, span);
        r = v->kind == LG_V_TENSOR ? close_leaf(E, &c, 1, &v, span)
                                   : lg_leafwise(E, close_leaf, &c, 1, &v, span);
    } else {
        r = close_leaf(E, &c, 1, &v, span);
    }
    if (v->weight && r->kind == LG_V_TENSOR)
        r->weight = close_leaf(E, &c, 1, &v->weight, span);
    if (v->rounds && r->kind != LG_V_ERROR)
        r->rounds = close_leaf(E, &c, 1, &v->rounds, span);
    return r;
}

/* ---- definitions ---- */

/* The condition of a pattern, or of a definition: what it leaves out is zero. */
static lg_value *defined_where(lg_elab *E, const lg_ast *e, const lg_ast *where) {
    lg_value *c = lg_expr(E, where), *guard = E->guard;
    bool all;
    if (lg_v_static_bool(E, c, &all) && all)
        return lg_expr(E, e);
    c = lg_to_tensor(E, c, LG_BOOL, where->span);
    if (c->kind != LG_V_TENSOR || c->t.dtype != LG_BOOL) {
        if (c->kind != LG_V_ERROR)
            lg_err(E, "E0260", where->span, "`where` wants a bool, got %s", lg_v_type_text(E, c));
        return lg_v_error(E, where->span);
    }
    E->guard = guard ? lg_binary(E, "and", guard, c, where->span) : c;
    lg_value *v = lg_expr(E, e);
    E->guard = guard;
    return lg_select(E, c, v, lg_v_int(E, 0, where->span), e->span);
}

lg_value *lg_index_define(lg_elab *E, const lg_ast *pattern, const lg_ast *e, const lg_ast *where) {
    lg_opened o;
    const lg_ast *scope[2] = {e, where};
    const lg_value *old = NULL;
    if ((pattern->flags & LG_AF_PRIME) && pattern->name)
        old = lg_lookup(E, E->frame, pattern->name, pattern->span);
    if (!lg_open(E, &o, pattern, 0, 2, scope, false, old)) {
        return lg_v_error(E, e->span);
    }
    if (!where)
        where = o.where;
    lg_value *v = where ? defined_where(E, e, where) : lg_expr(E, e);
    lg_open_end(E, &o);
    int dims_at = o.pack_at >= 0 && !o.pack_n ? o.pack_at : o.n;
    return lg_close(E, v, o.n, o.at, dims_at, e->span);
}
