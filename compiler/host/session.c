/* session.c: a program that is given piece by piece: statements, arrays that come in under a name,
 * expressions whose arrays go out. For the C interface and the prompt; files run in host.c. */
#include "compiler/host/inside.h"
#include <stdio.h>
#include <string.h>

/* Host code of module m from here to lg_host_leave. */
static lg_context enter(lg_elab *E, lg_module *m) {
    lg_host_attach(E, NULL);
    lg_host *H = lg_host_of(E);
    H->main = m;
    if (!H->keep) {
        lg_pool_init(H->o.threads);
        H->keep = lg_graph_new(NULL);
    }
    E->g = H->keep;
    lg_context c = lg_host_enter(E, H->keep, true);
    E->frame = m->frame;
    E->step = &H->step;
    return c;
}

void lg_host_start(lg_elab *E, lg_module *m, const lg_host_opts *o) {
    lg_host_attach(E, o);
    lg_host_afresh(E);
    lg_host_foresee(E, m);
}

void lg_host_detach(lg_elab *E) {
    lg_host *H = E->host_ctx;
    if (!H)
        return;
    lg_host_flush(E);
    lg_plans_forget(H);
    lg_graph_free(H->keep);
    H->keep = NULL;
    lg_free(H->spare.at);
    lg_arena_free(H->spare_arena);
    H->spare_arena = NULL;
    H->spare.at = NULL;
    H->spare.n = H->spare.cap = 0;
}

bool lg_host_statement(lg_elab *E, lg_module *m, const lg_ast *s, bool show) {
    size_t errors = E->diags->errors;
    lg_context c = enter(E, m);
    if (show && s->kind == LG_A_EXPR) {
        lg_value *v = lg_host_expr(E, m->frame, s->kid[0]);
        lg_buf b = {0};
        if (v->kind != LG_V_NONE && v->kind != LG_V_ERROR)
            lg_format_array(E, &b, v);
        if (b.n)
            puts(b.at);
        lg_buf_free(&b);
    } else if (s->kind == LG_A_DECL && s->name) {
        lg_bind(E, m->frame, s->name, NULL, s->name_span);
        m->frame->names->state = LG_B_PENDING;
        m->frame->names->stmt = s;
        if (lg_host_runs_at_top(s))
            lg_force(E, m->frame, m->frame->names, s->span);
    } else {
        lg_host_do(E, m->frame, s);
    }
    lg_host_flush(E);
    lg_host_leave(E, &c);
    return E->diags->errors == errors;
}

void lg_host_bind(lg_elab *E, lg_module *m, lg_sym name, lg_tensor *x) {
    lg_context c = enter(E, m);
    lg_bind(E, m->frame, name, lg_host_array(E, x, NULL, (lg_span){0}), (lg_span){0});
    lg_host_leave(E, &c);
}

lg_tensor *lg_host_array_of(lg_elab *E, lg_module *m, const lg_ast *e) {
    lg_context c = enter(E, m);
    lg_round round;
    lg_round_begin(E, &round);
    size_t errors = E->diags->errors;
    lg_value *v = lg_host_expr(E, m->frame, e);
    lg_tensor *made = NULL, *x = E->diags->errors == errors ? lg_host_tensor(E, v, &made) : NULL;
    if (!x && E->diags->errors == errors)
        lg_err(E, "E0208", e->span, "an array or a number is wanted here, got %s",
               lg_v_type_text(E, v));
    x = x && !made ? lg_tensor_retain(x) : x;
    lg_round_end(E, &round, 0, NULL);
    lg_host_leave(E, &c);
    return x;
}

/* ---- pieces of text: the prompt ---- */

lg_host_point lg_host_here(const lg_module *m) {
    return (lg_host_point){m->frame->names, m->frame->dims.n, m->tree};
}

void lg_host_return(lg_module *m, lg_host_point p) {
    m->frame->names = p.names;
    m->frame->dims.n = p.dims;
    m->tree = p.tree;
}

static bool is_declaration(const lg_ast *s) {
    return s->kind == LG_A_DECL && s->name;
}

/* Was this name given between p and now? */
static lg_binding *given_since(const lg_module *m, lg_host_point p, lg_sym name) {
    for (lg_binding *b = m->frame->names; b && b != p.names; b = b->next)
        if (b->name == name && !b->prime)
            return b;
    return NULL;
}

static bool shares_its_name(const lg_ast *a, const lg_ast *b) {
    return !strcmp(a->text, "optimizer") || !strcmp(b->text, "optimizer");
}

/* Makes the names of a piece known before any of it runs. A part that replaces one of the same name
 * may be made from it, so that name waits for its turn. */
static void declare(lg_elab *E, lg_module *m, const lg_ast *piece, lg_host_point p, bool report) {
    for (uint32_t i = 0; i < piece->n; i++) {
        const lg_ast *s = piece->kid[i];
        if (!is_declaration(s) ||
            (lg_host_runs_at_top(s) && lg_find_local(m->frame, s->name, false)))
            continue;
        lg_binding *b = given_since(m, p, s->name);
        if (b && report && !(b->stmt && b->stmt->text && shares_its_name(b->stmt, s)))
            lg_diag_label(lg_err(E, "E0304", s->name_span, "`%s` is declared twice", s->name),
                          b->at, "first declared here");
        if (b)
            continue;
        lg_bind(E, m->frame, s->name, NULL, s->name_span.file ? s->name_span : s->span);
        m->frame->names->state = LG_B_PENDING;
        m->frame->names->stmt = s;
    }
}

/* The piece as a file has it: an expression by itself has a user, who types. */
static lg_ast *as_file(lg_elab *E, const lg_ast *piece) {
    lg_ast *t = lg_ast_new(E->arena, LG_A_BLOCK, piece->span, 0);
    for (uint32_t i = 0; i < piece->n; i++) {
        lg_ast *s = piece->kid[i];
        if (s->kind == LG_A_EXPR && s->kid[0]->kind != LG_A_RUN) {
            lg_ast *let = lg_ast_new(E->arena, LG_A_LET, s->span, 2);
            let->kid[0] = lg_ast_new(E->arena, LG_A_NAME, s->span, 0);
            let->kid[0]->name = lg_intern("_");
            let->kid[1] = s->kid[0];
            s = let;
        }
        lg_ast_add(E->arena, t, s);
    }
    return t;
}

static bool check(lg_elab *E, lg_module *m, const lg_ast *piece) {
    size_t errors = E->diags->errors;
    lg_frame *f = m->frame;
    lg_host_point p = lg_host_here(m);
    unsigned calls = f->call_count, draws = f->rand_count;
    declare(E, m, piece, p, true);
    m->tree = as_file(E, piece);
    if (E->diags->errors == errors) {
        lg_elab_check_module(E, m);
        lg_host_check_module(E, m);
    }
    lg_host_return(m, p);
    f->call_count = calls;
    f->rand_count = draws;
    return E->diags->errors == errors;
}

/* The declarations in view: those of a piece go before older ones of the same name. */
static lg_ast *joined(lg_elab *E, const lg_ast *old, const lg_ast *piece) {
    lg_ast *t = lg_ast_new(E->arena, LG_A_BLOCK, piece->span, 0);
    for (uint32_t i = 0; i < old->n; i++) {
        bool gone = false;
        for (uint32_t k = 0; k < piece->n; k++)
            gone =
                gone || (is_declaration(piece->kid[k]) && piece->kid[k]->name == old->kid[i]->name);
        if (!gone)
            lg_ast_add(E->arena, t, old->kid[i]);
    }
    for (uint32_t i = 0; i < piece->n; i++)
        if (is_declaration(piece->kid[i]) && !lg_host_runs_at_top(piece->kid[i]))
            lg_ast_add(E->arena, t, piece->kid[i]);
    return t;
}

/* After a fault: names of the piece that have no value are not there. */
static void drop_unmade(lg_module *m, lg_host_point p) {
    lg_binding **at = &m->frame->names;
    while (*at && *at != p.names) {
        lg_binding *b = *at;
        bool made = b->state == LG_B_VALUE ? b->value && b->value->kind != LG_V_ERROR
                                           : b->stmt && !lg_host_runs_at_top(b->stmt);
        if (made)
            at = &b->next;
        else
            *at = b->next;
    }
}

static void one(lg_elab *E, lg_module *m, const lg_ast *s, lg_host_show_fn show, void *ctx) {
    lg_binding *b = lg_host_defined_by(m->frame, s);
    if (s->kind == LG_A_EXPR) {
        size_t errors = E->diags->errors;
        lg_value *v = lg_host_expr(E, m->frame, s->kid[0]);
        if (E->diags->errors == errors && v->kind != LG_V_ERROR && v->kind != LG_V_NONE)
            show(ctx, E, v, s->kid[0]);
    } else if (b) {
        lg_force(E, m->frame, b, s->span);
    } else if (lg_host_runs_at_top(s)) {
        lg_host_do(E, m->frame, s);
    } else if (s->kind == LG_A_EFFECT && !lg_host_check_line(E, m, s, stdout)) {
        lg_host_of(E)->status = 1; /* as an `accept` that falls short */
    }
}

/* Such a piece leaves nothing behind: it is a round by itself. */
static bool defines_nothing(const lg_ast *piece) {
    for (uint32_t i = 0; i < piece->n; i++)
        switch ((lg_ast_kind)piece->kid[i]->kind) {
        case LG_A_EXPR:
        case LG_A_EFFECT:
        case LG_A_FOR:
        case LG_A_WHEN:
        case LG_A_REQUIRE:
            break;
        default:
            return false;
        }
    return true;
}

bool lg_host_piece(lg_elab *E, lg_module *m, const lg_ast *piece, lg_host_show_fn show, void *ctx) {
    size_t errors = E->diags->errors;
    lg_host *H = lg_host_of(E);
    bool passing = defines_nothing(piece);
    lg_round round;
    if (!H->session)
        H->pieces = lg_host_mark(E);
    H->session = true;
    lg_context c = H->outside = enter(E, m);
    if (passing)
        lg_round_begin(E, &round);
    lg_host_point p = lg_host_here(m);
    bool ok = check(E, m, piece);
    if (ok && !passing) {
        declare(E, m, piece, p, false);
        m->tree = joined(E, p.tree, piece);
        lg_ast own = *piece;
        lg_module sight = *m;
        sight.tree = &own;
        lg_host_foresee(E, &sight);
    }
    for (uint32_t i = 0; ok && i < piece->n && !lg_host_signal; i++) {
        one(E, m, piece->kid[i], show, ctx);
        ok = E->diags->errors == errors;
    }
    if (!ok || lg_host_signal)
        drop_unmade(m, p);
    lg_host_flush(E);
    lg_host_leave(E, &c);
    if (passing)
        lg_round_end(E, &round, 0, NULL);
    lg_host_sweep(E, m->frame, &H->pieces, NULL, 0); /* pieces are the rounds of a long loop */
    return E->diags->errors == errors;
}

bool lg_host_check_piece(lg_elab *E, lg_module *m, const lg_ast *piece) {
    lg_context c = enter(E, m);
    bool ok = check(E, m, piece);
    lg_host_leave(E, &c);
    return ok;
}

void lg_host_recover(lg_elab *E, lg_module *m, lg_host_point p) {
    lg_host *H = lg_host_of(E);
    lg_host_leave(E, &H->outside);
    E->arena = E->home;
    lg_dims_recover(E->dims);
    E->diags->muted = 0;
    E->depth = 0;
    E->asking = NULL;
    H->in_run = false;
    H->trial = 0;
    H->table.n = 0;
    lg_host_return(m, p);
}

lg_value *lg_host_look(lg_elab *E, lg_module *m, const lg_ast *e) {
    size_t errors = E->diags->errors;
    lg_context c = enter(E, m);
    lg_value *v = lg_host_expr(E, m->frame, e);
    lg_host_leave(E, &c);
    return E->diags->errors == errors && v->kind != LG_V_ERROR ? v : NULL;
}

const lg_value *lg_host_type_of(lg_elab *E, lg_module *m, const lg_ast *e) {
    size_t errors = E->diags->errors;
    lg_context c = enter(E, m);
    lg_host *H = lg_host_of(E);
    lg_graph *keep = H->keep;
    H->keep = NULL;
    E->g = NULL;
    const lg_value *v = lg_host_expr(E, m->frame, e);
    H->keep = keep;
    lg_host_leave(E, &c);
    return E->diags->errors == errors ? v : NULL;
}

/* ---- graphs over what is in view ---- */

typedef struct {
    const char *name;
    lg_tensor *x;
    const lg_value *v;
} seen_array;

typedef struct {
    LG_VEC(seen_array) v;
} seen_arrays;

static void see(lg_elab *E, seen_arrays *all, lg_sym name, lg_value *v) {
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    for (int i = 0; i < n; i++) {
        lg_value *x = leaf[i].value;
        bool array = x->kind == LG_V_TENSOR && x->t.node && x->t.node->op == &lg_op_const;
        const char *path = !*leaf[i].path         ? name
                           : *leaf[i].path == '[' ? lg_txt(E, "%s%s", name, leaf[i].path)
                                                  : lg_txt(E, "%s.%s", name, leaf[i].path);
        if (array)
            LG_PUSH(all->v, ((seen_array){path, x->t.node->attr.tensor, x}));
    }
}

static seen_arrays arrays_in_view(lg_elab *E, const lg_module *m) {
    seen_arrays all = {0};
    for (lg_binding *b = m->frame->names; b; b = b->next)
        if (b->state == LG_B_VALUE && b->value && lg_find_local(m->frame, b->name, false) == b)
            see(E, &all, b->name, b->value);
    return all;
}

static const char *const *dim_names(lg_elab *E, const lg_value *v) {
    const char **name = LG_NEW_N(E->arena, const char *, v->t.rank + 1);
    for (int i = 0; i < v->t.rank; i++) {
        int64_t n;
        name[i] = lg_dim_is_num(v->t.dim[i], &n) ? NULL : lg_dim_text(E->arena, v->t.dim[i]);
    }
    return name;
}

/* The nodes of g that an output needs, with arrays in view as inputs. */
static void picture(lg_elab *E, const lg_module *m, const lg_graph *g, lg_node **out,
                    lg_host_picture *p) {
    seen_arrays all = arrays_in_view(E, m);
    lg_node **map = LG_NEW_N(E->arena, lg_node *, g->node.n + 1);
    p->g = lg_graph_new(NULL);
    p->name = LG_NEW_N(E->arena, const char *, g->node.n + 1);
    p->x = LG_NEW_N(E->arena, lg_tensor *, g->node.n + 1);
    p->dim = LG_NEW_N(E->arena, const char *const *, g->node.n + 1);
    for (size_t i = 0; i < g->node.n; i++) {
        lg_node *c = g->node.at[i];
        for (int k = 0; k < p->n_in && c->op == &lg_op_const; k++)
            map[i] = p->x[k] == c->attr.tensor ? p->g->input.at[k] : map[i];
        for (size_t k = 0; k < all.v.n && c->op == &lg_op_const && !map[i]; k++)
            if (all.v.at[k].x == c->attr.tensor) {
                map[i] = lg_g_input(p->g, c->type[0], c->span);
                p->name[p->n_in] = all.v.at[k].name;
                p->dim[p->n_in] = dim_names(E, all.v.at[k].v);
                p->x[p->n_in++] = all.v.at[k].x;
            }
    }
    lg_graph_copy(p->g, g, map, p->n_out, out);
    for (int k = 0; k < p->n_out; k++)
        lg_g_output(p->g, map[out[k]->id], -1, NULL);
    lg_free(all.v.at);
}

/* Lists of numbers in view as arrays of their own, so that a graph says their names. Gives what the
 * bindings were; `named_again` puts that back. */
typedef struct {
    lg_binding *b;
    lg_value *was;
} named_list;
typedef LG_VEC(named_list) named_lists;

static named_lists name_lists(lg_elab *E, const lg_module *m) {
    named_lists all = {0};
    for (lg_binding *b = m->frame->names; b; b = b->next)
        if (b->state == LG_B_VALUE && b->value && b->value->kind == LG_V_LIST &&
            lg_list_is_array(b->value)) {
            LG_PUSH(all, ((named_list){b, b->value}));
            b->value = lg_host_settle(E, lg_list_tensor(E, b->value, LG_NO_DTYPE, b->value->at));
        }
    return all;
}

static void named_again(named_lists *all) {
    for (size_t i = 0; i < all->n; i++)
        all->at[i].b->value = all->at[i].was;
    lg_free(all->at);
}

bool lg_host_picture_of(lg_elab *E, lg_module *m, const lg_ast *e, lg_host_picture *p) {
    size_t errors = E->diags->errors;
    *p = (lg_host_picture){0};
    lg_context outside = enter(E, m);
    lg_graph *g = lg_graph_new(NULL);
    lg_context c = lg_host_enter(E, g, true);
    E->frame = m->frame;
    E->step = &lg_host_of(E)->step;
    named_lists lists = name_lists(E, m);
    lg_value *v = lg_arrays_within(E, lg_expr_in(E, m->frame, e), e->span);
    lg_leaf *leaf;
    int n = E->diags->errors == errors ? lg_v_leaves(E, v, &leaf) : 0;
    lg_node **out = LG_NEW_N(E->arena, lg_node *, n + 1);
    p->path = LG_NEW_N(E->arena, const char *, n + 1);
    for (int k = 0; k < n; k++) {
        lg_value *x = leaf[k].value;
        if (x->kind == LG_V_NUM && x->num.known)
            x = lg_to_tensor(E, x, LG_NO_DTYPE, e->span);
        if (x->kind != LG_V_TENSOR || !x->t.node)
            continue;
        p->path[p->n_out] = leaf[k].path;
        out[p->n_out++] = lg_import(E, x->t.node);
    }
    if (E->diags->errors == errors && !p->n_out)
        lg_err(E, "E0208", e->span, "an array or a number is wanted here, got %s",
               lg_v_type_text(E, v));
    bool ok = E->diags->errors == errors;
    if (ok)
        picture(E, m, g, out, p);
    named_again(&lists);
    lg_host_leave(E, &c);
    lg_host_leave(E, &outside);
    lg_graph_free(g);
    return ok;
}

bool lg_host_admit(lg_elab *E, lg_module *m) {
    size_t errors = E->diags->errors;
    lg_graph *g = E->g;
    lg_host_foresee(E, m);
    lg_elab_check_module(E, m);
    lg_host_check_module(E, m);
    lg_host_forget(m);
    lg_host_foresee(E, m);
    E->g = g;
    return E->diags->errors == errors;
}

bool lg_host_fell_short(lg_elab *E) {
    return lg_host_of(E)->status != 0;
}

void lg_host_ask_to_stop(int sig) {
    lg_host_signal = sig;
}

bool lg_host_asked_to_stop(void) {
    return lg_host_signal != 0;
}
