/* check.c: every declaration of a module checked once, generically: parameters unknown, dims rigid.
 * Not for what hosts run (trains, entries, data: host/). Called by the driver for each user file.
 */
#include "compiler/mid/elab.h"
#include "compiler/mid/model.h"
#include <string.h>

/* The declaration itself, and the name it binds: a value, or what the body is checked with. */
static void check_declaration(lg_elab *E, lg_module *m, const lg_ast *s) {
    static const char *const functions[] = {"fn", "loss", "schedule"};
    if (!s->name)
        return;
    for (size_t i = 0; i < LG_COUNT(functions); i++)
        if (!strcmp(s->text, functions[i])) {
            lg_fn_check(E, s, m->frame, NULL);
            return;
        }
    if (!strcmp(s->text, "model"))
        lg_model_check(E, s, m->frame);
    else if (!strcmp(s->text, "optimizer"))
        lg_rule_check(E, s, m->frame);
    else if (!strcmp(s->text, "quantizer"))
        lg_quant_check(E, s, m->frame);
    else if (!strcmp(s->text, "dim"))
        lg_lookup(E, m->frame, s->name, s->name_span);
}

/* ---- calls form a DAG ---- */

/* Signatures say enough for a check, so bodies never meet their callers: cycles are found by name.
 */
typedef struct {
    lg_elab *E;
    lg_module *m;
    const lg_ast **decl; /* functions of the module */
    const lg_ast **via;  /* the place that leads on from decl[i], while it is on the path */
    char *mark;          /* 0 new, 1 on the path, 2 done */
    int n;
} call_graph;

static bool defines(const lg_ast *e, lg_sym name) {
    if ((e->kind == LG_A_PARAM || e->kind == LG_A_NAMED) && e->name == name)
        return e->kind == LG_A_PARAM;
    if (e->kind == LG_A_LET && e->kid[0]->name == name)
        return true;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && defines(e->kid[i], name))
            return true;
    return false;
}

static int function_named(const call_graph *c, lg_sym name) {
    for (int i = 0; i < c->n; i++)
        if (c->decl[i]->name == name)
            return i;
    return -1;
}

static void follow(call_graph *c, int at);

static void report_cycle(call_graph *c, int at, int to) {
    lg_buf chain = {0};
    int k = to, steps = 0;
    do {
        lg_buf_printf(&chain, "%s -> ", c->decl[k]->name);
        k = k == at ? to : function_named(c, c->via[k]->name);
    } while (k != to && steps++ < c->n);
    lg_diag *d = lg_err(c->E, "E0326", c->via[at]->span, "`%s` calls itself", c->decl[to]->name);
    lg_diag_note(d, "%s%s", chain.at, c->decl[to]->name);
    lg_diag_help(d, "repeat with `scan`, or with `static for` over a list");
    lg_buf_free(&chain);
}

static void follow_in(call_graph *c, int at, const lg_ast *e) {
    int to = e->kind == LG_A_NAME ? function_named(c, e->name) : -1;
    if (to >= 0 && !defines(c->decl[at], e->name)) {
        c->via[at] = e;
        if (c->mark[to] == 1)
            report_cycle(c, at, to);
        else if (!c->mark[to])
            follow(c, to);
    }
    if (e->kind == LG_A_RAND && e->kid[0]->kind == LG_A_CALL) { /* names of distributions */
        for (uint32_t i = 1; i < e->kid[0]->n; i++)
            follow_in(c, at, e->kid[0]->kid[i]);
        return;
    }
    bool indexed = e->kind == LG_A_INDEX || e->kind == LG_A_INDEXPAT;
    for (uint32_t i = 0; i < e->n; i++) {
        bool is_index =
            indexed && e->kid[i] && e->kid[i]->kind == LG_A_NAME && (i || e->kind == LG_A_INDEXPAT);
        if (e->kid[i] && !is_index)
            follow_in(c, at, e->kid[i]);
    }
}

static void follow(call_graph *c, int at) {
    c->mark[at] = 1;
    follow_in(c, at, c->decl[at]);
    c->mark[at] = 2;
}

static void check_calls(lg_elab *E, lg_module *m) {
    call_graph c = {.E = E, .m = m};
    c.decl = LG_NEW_N(E->arena, const lg_ast *, m->tree->n + 1);
    for (uint32_t i = 0; i < m->tree->n; i++) {
        const lg_ast *s = m->tree->kid[i];
        bool callable =
            s->kind == LG_A_DECL && s->name &&
            (!strcmp(s->text, "fn") || !strcmp(s->text, "loss") || !strcmp(s->text, "schedule"));
        if (callable)
            c.decl[c.n++] = s;
    }
    c.via = LG_NEW_N(E->arena, const lg_ast *, c.n + 1);
    c.mark = LG_NEW_N(E->arena, char, c.n + 1);
    for (int i = 0; i < c.n; i++)
        if (!c.mark[i])
            follow(&c, i);
}

void lg_elab_check_module(lg_elab *E, lg_module *m) {
    lg_frame *was = E->frame;
    lg_graph *g = E->g;
    bool host = E->host;
    E->g = NULL;
    E->host = false;
    E->frame = m->frame;
    check_calls(E, m);
    for (uint32_t i = 0; i < m->tree->n; i++) {
        E->frame = m->frame;
        if (m->tree->kid[i]->kind == LG_A_DECL)
            check_declaration(E, m, m->tree->kid[i]);
    }
    E->host = host;
    E->g = g;
    E->frame = was;
}
