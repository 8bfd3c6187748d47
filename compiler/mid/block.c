/* block.c: statements of graph code. Names are pending until somebody asks for them, so that
 * definitions of next values are simultaneous and may use each other in any order. Not for the
 * statements of hosts and trains (host/), which lg_statement hands on. */
#include "compiler/mid/elab.h"
#include <string.h>

/* ---- what a block defines ---- */

static const char *const given_in_rule[] = {"p", "g", "t"};
static const char *const given_in_step[] = {"step", "epoch", "steps"};

static bool is_given(lg_frame *f, lg_sym name, bool prime) {
    for (; f && f->kind != LG_F_MODULE; f = f->up) {
        bool schedule = f->kind == LG_F_FN && f->decl && f->decl->kind == LG_A_DECL &&
                        !strcmp(f->decl->text, "schedule");
        for (size_t i = 0; f->kind == LG_F_RULE && i < LG_COUNT(given_in_rule); i++)
            if (!strcmp(name, given_in_rule[i]))
                return !prime || strcmp(name, "p") != 0;
        for (size_t i = 0; (schedule || f->kind == LG_F_TRAIN) && i < LG_COUNT(given_in_step); i++)
            if (!strcmp(name, given_in_step[i]))
                return true;
        if (f->kind == LG_F_FN || f->kind == LG_F_RULE)
            return false;
    }
    return false;
}

bool lg_refuse_given(lg_elab *E, lg_frame *f, lg_sym name, lg_span at) {
    if (!is_given(f, name, false))
        return false;
    lg_diag *d = lg_err(E, "E0425", at, "`%s` is given here and cannot be redefined", name);
    lg_diag_help(d, "give it another name");
    return true;
}

static void pend(lg_elab *E, lg_frame *f, lg_sym name, bool prime, const lg_ast *s, lg_span at) {
    lg_binding *was = lg_find_local(f, name, prime);
    if (was && was->stmt == s)
        return;
    if (is_given(f, name, prime)) {
        lg_err(E, "E0425", at, "`%s` is given here and cannot be redefined", name);
        return;
    }
    if (was) {
        lg_diag *d = lg_err(E, prime ? "E0424" : "E0304", at,
                            prime ? "%s' is defined twice" : "`%s` is defined twice here", name);
        lg_diag_label(d, was->at, "first here");
        if (prime)
            lg_diag_help(d, "a next value has one definition; choose with `if` or `when ... else`");
        else
            lg_diag_help(d, "a name has one value: give the second one a name of its own");
        return;
    }
    lg_bind(E, f, name, NULL, at);
    f->names->state = LG_B_PENDING;
    f->names->stmt = s;
    f->names->prime = prime;
    f->names->is_let = !prime;
}

static void pend_pattern(lg_elab *E, lg_frame *f, const lg_ast *p, bool prime, const lg_ast *s) {
    if (p->kind == LG_A_NAME || p->kind == LG_A_INDEXPAT) {
        if (strcmp(p->name, "_") != 0)
            pend(E, f, p->name, prime, s, p->name_span.file ? p->name_span : p->span);
    } else if (p->kind == LG_A_RECPAT) {
        for (uint32_t i = 0; i < p->n; i++) {
            const lg_ast *k = p->kid[i];
            if (k->n && k->kid[0])
                pend_pattern(E, f, k->kid[0], prime, s);
            else
                pend(E, f, k->name, prime, s, k->name_span.file ? k->name_span : k->span);
        }
    }
}

static void pend_when(lg_elab *E, lg_frame *f, const lg_ast *when, const lg_ast *s) {
    for (int b = 1; b < 3; b++) {
        const lg_ast *block = when->kid[b];
        if (!block)
            continue;
        if (block->kind == LG_A_WHEN) {
            pend_when(E, f, block, s);
            continue;
        }
        for (uint32_t i = 0; i < block->n; i++)
            if (block->kid[i]->kind == LG_A_ASSIGN)
                pend_pattern(E, f, block->kid[i]->kid[0], true, s);
            else if (block->kid[i]->kind == LG_A_WHEN)
                pend_when(E, f, block->kid[i], s);
    }
}

/* Declarations that graph code may have inside; `state` and the like belong to those who own them.
 */
static bool is_local_decl(const lg_ast *s) {
    static const char *const words[] = {"fn",    "dim",       "loss",     "schedule",
                                        "model", "optimizer", "quantizer"};
    if (s->kind != LG_A_DECL || !s->name)
        return false;
    for (size_t i = 0; i < LG_COUNT(words); i++)
        if (!strcmp(s->text, words[i]))
            return true;
    return false;
}

void lg_block_declare(lg_elab *E, lg_frame *f, const lg_ast *block) {
    f->scoped = true;
    f->g = E->g;
    f->guard = E->guard;
    f->draw_lane = E->draw_lane;
    f->lanes = E->lanes;
    for (uint32_t i = 0; block->kind == LG_A_BLOCK && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (s->kind == LG_A_LET)
            pend_pattern(E, f, s->kid[0], false, s);
        else if (s->kind == LG_A_ASSIGN)
            pend_pattern(E, f, s->kid[0], true, s);
        else if (s->kind == LG_A_WHEN)
            pend_when(E, f, s, s);
        else if (is_local_decl(s))
            pend(E, f, s->name, false, s, s->name_span.file ? s->name_span : s->span);
    }
}

lg_frame *lg_inner_frame(lg_elab *E, lg_fkind kind, lg_frame *f) {
    lg_frame *b = lg_frame_new(E, kind, f);
    b->decl = f->decl;
    b->call_at = f->call_at;
    b->path_hash = lg_next_place(f);
    return b;
}

/* ---- definitions ---- */

static void define(lg_elab *E, lg_frame *f, lg_sym name, bool prime, lg_value *v, lg_span at) {
    lg_binding *b = lg_find_local(f, name, prime);
    if (!b || (b->state == LG_B_VALUE && b->value && !b->stmt)) {
        lg_bind(E, f, name, v, at);
        f->names->prime = prime;
        return;
    }
    b->value = v;
    b->state = LG_B_VALUE;
}

bool lg_bind_pattern(lg_elab *E, lg_frame *f, const lg_ast *p, lg_value *v, bool prime) {
    switch ((lg_ast_kind)p->kind) {
    case LG_A_HOLE:
        return true;
    case LG_A_NAME:
        if (strcmp(p->name, "_") != 0)
            define(E, f, p->name, prime, v, p->span);
        return true;
    case LG_A_RECPAT: {
        bool ok = true;
        for (uint32_t i = 0; i < p->n; i++) {
            const lg_ast *k = p->kid[i];
            lg_span at = k->name_span.file ? k->name_span : k->span;
            lg_value *x = v->kind == LG_V_ERROR ? v : lg_field_of(E, v, k->name, at);
            ok = ok && x->kind != LG_V_ERROR;
            if (k->n && k->kid[0])
                ok = lg_bind_pattern(E, f, k->kid[0], x, prime) && ok;
            else
                define(E, f, k->name, prime, x, at);
        }
        return ok;
    }
    default:
        lg_err(E, "E0111", p->span, "this cannot be assigned");
        return false;
    }
}

/* Every pending name of s is being worked on: whoever needs it meanwhile makes a cycle. */
static bool begin(lg_frame *f, const lg_ast *s) {
    bool open = false, any = false;
    for (lg_binding *b = f->names; b; b = b->next)
        if (b->stmt == s) {
            any = true;
            open = open || b->state != LG_B_VALUE;
            if (b->state == LG_B_PENDING)
                b->state = LG_B_RUNNING;
        }
    return open || !any;
}

static void end(lg_elab *E, lg_frame *f, const lg_ast *s) {
    for (lg_binding *b = f->names; b; b = b->next)
        if (b->stmt == s && b->state != LG_B_VALUE) {
            b->state = LG_B_VALUE;
            if (!b->value)
                b->value = lg_v_error(E, s->span);
        }
}

static const lg_ast *where_of(const lg_ast *p) {
    return p->n && p->kid[p->n - 1] && p->kid[p->n - 1]->kind == LG_A_WHERE ? p->kid[p->n - 1]
                                                                            : NULL;
}

static void assign(lg_elab *E, lg_frame *f, const lg_ast *s, bool prime) {
    const lg_ast *p = s->kid[0];
    lg_sym target = E->target;
    if (prime && p->kind == LG_A_NAME)
        E->target = p->name;
    if (p->kind == LG_A_INDEXPAT) {
        lg_value *v = lg_index_define(E, p, s->kid[1], where_of(p));
        define(E, f, p->name, prime, v, p->span);
    } else {
        lg_value *v = lg_expr(E, s->kid[1]);
        if (v->kind == LG_V_NONE) {
            lg_err(E, "E0219", s->kid[1]->span, "this has no value");
            v = lg_v_error(E, s->span);
        }
        lg_bind_pattern(E, f, p, v, prime);
    }
    E->target = target;
}

/* ---- single statements ---- */

static bool is_host_frame(const lg_frame *f) {
    while (f && (f->kind == LG_F_BLOCK || f->kind == LG_F_SCAN))
        f = f->up;
    return !f || f->kind == LG_F_HOST || f->kind == LG_F_TRAIN || f->kind == LG_F_MODULE;
}

static void give_back(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_value *v = lg_expr(E, s->kid[0]);
    if (f->kind == LG_F_BLOCK || f->kind == LG_F_SCAN) {
        lg_diag *d = lg_err(E, "E0423", s->span,
                            "`return` stands at the end of the function, not inside a %s",
                            f->kind == LG_F_SCAN ? "loop" : "`when`");
        lg_diag_help(d, f->kind == LG_F_SCAN ? "stop a loop early with `while`"
                                             : "choose a value with `if c then a else b`");
        return;
    }
    if (v->kind == LG_V_NONE) {
        lg_err(E, "E0219", s->kid[0]->span, "this has no value");
        v = lg_v_error(E, s->span);
    }
    if (!f->result)
        f->result = v;
}

static void unused(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_value *v = lg_expr(E, s->kid[0]);
    if (v->kind == LG_V_NONE || v->kind == LG_V_ERROR)
        return;
    lg_diag *d = lg_err(E, "E0219", s->span, "nobody uses this value");
    if (f->kind == LG_F_FN)
        lg_diag_help(d, "write `return ...` to give it back, or `let name = ...` to keep it");
    else if (f->kind == LG_F_SCAN)
        lg_diag_help(d, "write `yield ...` to collect it, or `let name = ...` to keep it");
    else
        lg_diag_help(d, "write `let name = ...` to keep it");
}

/* A number that is no size; a quotient says what does not divide what. */
static void no_size(lg_elab *E, lg_frame *f, const lg_ast *s, double size) {
    const lg_ast *e = s->kid[LG_D_VALUE];
    lg_diag *d = lg_err(E, "E0214", e->span, "`%s` would be %g, which is no size", s->name, size);
    int64_t x, y;
    if (e->kind == LG_A_BINARY && !strcmp(e->name, "/") &&
        lg_v_static_int(E, lg_expr_in(E, f, e->kid[0]), &x) &&
        lg_v_static_int(E, lg_expr_in(E, f, e->kid[1]), &y))
        lg_diag_note(d, "%s must divide %s, and %s is %lld/%lld", lg_ast_text(E->arena, e->kid[1]),
                     lg_ast_text(E->arena, e->kid[0]), lg_ast_text(E->arena, e), (long long)x,
                     (long long)y);
}

static void local_dim(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_dim *d = NULL;
    lg_span at = s->name_span.file ? s->name_span : s->span;
    if (s->kid[LG_D_VALUE]) {
        lg_value *v = lg_expr(E, s->kid[LG_D_VALUE]);
        int64_t n;
        if (v->kind == LG_V_NUM && v->num.known && !v->num.is_bool && !lg_v_static_int(E, v, &n)) {
            no_size(E, f, s, v->num.d);
            define(E, f, s->name, false, lg_v_error(E, at), at);
            return;
        }
        if (v->kind == LG_V_NUM && v->num.dim) {
            d = v->num.dim; /* a synonym */
        } else if (lg_v_static_int(E, v, &n)) {
            lg_dim *size = lg_v_to_dim(E, v, s->kid[LG_D_VALUE]->span);
            /* outside a model or function its own names for sizes mean nothing: there it is the
             * size */
            if (size && (f->kind == LG_F_MODEL || f->kind == LG_F_FN)) {
                d = lg_dim_fresh(E, f, s->name, size, at);
            } else if (size) {
                d = lg_dim_var(E->dims, s->name, at);
                lg_dim_set(d, n);
            }
        } else {
            lg_v_to_dim(E, v, s->kid[LG_D_VALUE]->span);
        }
    }
    if (!d)
        d = lg_dim_var(E->dims, s->name, at);
    lg_frame_add_dim(E, f, s->name, d);
    define(E, f, s->name, false, lg_v_dim(E, d, at), at);
}

static void declaration(lg_elab *E, lg_frame *f, const lg_ast *s) {
    static const char *const functions[] = {"fn", "loss", "schedule", "metric"};
    static const char *const others[] = {"model", "optimizer", "quantizer",
                                         "train", "entry",     "data"};
    lg_span at = s->name_span.file ? s->name_span : s->span;
    if (!strcmp(s->text, "dim")) {
        local_dim(E, f, s);
        return;
    }
    for (size_t i = 0; i < LG_COUNT(functions); i++)
        if (!strcmp(s->text, functions[i]) && s->name) {
            lg_value *v = lg_v_new(E, LG_V_FN, at);
            v->fn.decl = s;
            v->fn.env = f;
            if (LG_CHECKING(E) && s->kid[LG_D_WITH] && f->kind != LG_F_MODULE)
                lg_fn_check(E, s, f, f->self); /* calls may do with its signature */
            define(E, f, s->name, false, v, at);
            return;
        }
    for (size_t i = 0; i < LG_COUNT(others); i++)
        if (!strcmp(s->text, others[i]) && s->name) {
            lg_value *v = lg_v_new(E, LG_V_DECL, at);
            v->decl.decl = s;
            v->decl.env = f;
            define(E, f, s->name, false, v, at);
            return;
        }
    if (!strcmp(s->text, "state") && f->self && s->name && lg_find_local(f->self, s->name, false))
        return; /* bound already by the loss that has it */
    lg_diag *d = lg_err(E, "E0443", s->span, "`%s` does not stand here", s->text);
    if (!strcmp(s->text, "param") || !strcmp(s->text, "part") || !strcmp(s->text, "state"))
        lg_diag_help(d, "it belongs to a model or a train; a value of a function is a `let`");
}

static void static_loop(lg_elab *E, lg_frame *f, const lg_ast *s) {
    if (!(s->flags & LG_AF_STATIC)) {
        lg_diag *d = lg_err(E, "E0442", s->span, "there is no plain `for` in graph code");
        lg_diag_help(d, "write `let y[i] = ...` for all at once, `scan` for one after the other, "
                        "`static for` over a list");
        return;
    }
    const lg_ast *from_its_end = lg_rev_of(E, s->kid[1]);
    lg_value *over = lg_expr(E, from_its_end ? from_its_end : s->kid[1]), **item;
    const char **path;
    int n = lg_loop_items(E, over, s->kid[0], &item, &path, s->kid[1]->span);
    for (int i = 0; i < n; i++) {
        lg_frame *b = lg_inner_frame(E, LG_F_BLOCK, f);
        lg_bind_pattern(E, b, s->kid[0], item[from_its_end ? n - 1 - i : i], false);
        lg_block(E, b, s->kid[2]);
        for (lg_binding *x = b->names; x; x = x->next)
            if (x->prime) {
                lg_diag *d = lg_err(E, "E0422", x->at, "%s' inside a loop", x->name);
                lg_diag_help(d, "carry it: `scan (%s = ...) static for ...`", x->name);
                return;
            }
    }
}

static void not_here(lg_elab *E, lg_frame *f, const lg_ast *s) {
    if (s->kind == LG_A_SETTING && !is_host_frame(f)) {
        lg_diag *d = lg_err(E, "E0111", s->span, "`%s = ...` is a setting, and there are none here",
                            s->name);
        lg_diag_help(d, "write `let %s = ...`", s->name);
        return;
    }
    if (s->kind == LG_A_IMPORT) {
        lg_err(E, "E0443", s->span, "`import` stands at the top of a file");
        return;
    }
    const char *word = s->kind == LG_A_EFFECT && s->name ? s->name
                       : s->kind == LG_A_STOP            ? "stop"
                       : s->kind == LG_A_FREEZE          ? "freeze"
                       : s->kind == LG_A_QUANTIZE        ? "quantize"
                                                         : "this statement";
    lg_diag *d = lg_err(E, "E0440", s->span, "`%s` is an effect, and graph code has none", word);
    lg_diag_help(d, "effects stand at the top level, in an `entry`, and in `when` of a `train`");
}

static void statement(lg_elab *E, lg_frame *f, const lg_ast *s) {
    switch ((lg_ast_kind)s->kind) {
    case LG_A_LET:
        assign(E, f, s, false);
        break;
    case LG_A_ASSIGN:
        assign(E, f, s, true);
        break;
    case LG_A_RETURN:
        give_back(E, f, s);
        break;
    case LG_A_YIELD:
        lg_scan_yield(E, f, s);
        break;
    case LG_A_WHEN:
        lg_when(E, f, s);
        break;
    case LG_A_FOR:
        static_loop(E, f, s);
        break;
    case LG_A_EXPR:
        unused(E, f, s);
        break;
    case LG_A_REQUIRE:
        lg_require(E, f, s);
        break;
    case LG_A_DECL:
        declaration(E, f, s);
        break;
    case LG_A_PARAM:
        lg_param_default(E, f, s);
        break;
    case LG_A_ERROR:
        break;
    default:
        not_here(E, f, s);
        break;
    }
}

void lg_statement(lg_elab *E, lg_frame *f, const lg_ast *s) {
    if (E->host_statement && is_host_frame(f) && E->host_statement(E, f, s))
        return;
    if (!begin(f, s))
        return;
    lg_frame *was = E->frame;
    E->frame = f;
    statement(E, f, s);
    E->frame = was;
    end(E, f, s);
}

lg_value *lg_block(lg_elab *E, lg_frame *f, const lg_ast *block) {
    lg_frame *was = E->frame;
    E->frame = f;
    if (block->kind != LG_A_BLOCK) {
        f->result = lg_expr(E, block);
        E->frame = was;
        return f->result;
    }
    lg_block_declare(E, f, block);
    for (uint32_t i = 0; i < block->n; i++) {
        lg_statement(E, f, block->kid[i]);
        if (block->kid[i]->kind == LG_A_RETURN && i + 1 < block->n) {
            lg_diag *d = lg_err(E, "E0219", block->kid[i + 1]->span, "nothing runs after `return`");
            lg_diag_label(d, block->kid[i]->span, "returned here");
            break;
        }
        if (block->kid[i]->kind == LG_A_REQUIRE && f->result)
            break;
    }
    E->frame = was;
    return f->result ? f->result : lg_v_new(E, LG_V_NONE, block->span);
}
