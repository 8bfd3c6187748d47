/* repl_log.c: what was typed: which values keep what an older definition gave them, the names in
 * view, going back a step, and a file that makes the same state again. */
#include "compiler/driver/repl.h"
#include "compiler/front/print.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names of statements ---- */

static void names_of_pattern(const lg_ast *p, lg_repl_name_fn fn, void *ctx) {
    if ((p->kind == LG_A_NAME || p->kind == LG_A_INDEXPAT) && strcmp(p->name, "_") != 0)
        fn(ctx, p->name);
    for (uint32_t i = 0; p->kind == LG_A_RECPAT && i < p->n; i++)
        if (p->kid[i]->n && p->kid[i]->kid[0])
            names_of_pattern(p->kid[i]->kid[0], fn, ctx);
        else
            fn(ctx, p->kid[i]->name);
}

void lg_repl_names_of(const lg_ast *s, lg_repl_name_fn fn, void *ctx) {
    if (s->kind == LG_A_LET)
        names_of_pattern(s->kid[0], fn, ctx);
    else if (s->kind == LG_A_DECL && s->name)
        fn(ctx, s->name);
}

typedef struct {
    LG_VEC(lg_sym) v;
} name_set;

static bool has(const name_set *s, lg_sym name) {
    for (size_t i = 0; i < s->v.n; i++)
        if (s->v.at[i] == name)
            return true;
    return false;
}

static void add(void *ctx, lg_sym name) {
    name_set *s = ctx;
    if (!has(s, name))
        LG_PUSH(s->v, name);
}

/* Does the tree read one of these names? */
static bool reads(const lg_ast *t, const name_set *s) {
    if (!t)
        return false;
    if ((t->kind == LG_A_NAME || t->kind == LG_A_TYPE) && has(s, t->name))
        return true;
    for (uint32_t i = 0; i < t->n; i++)
        if (reads(t->kid[i], s))
            return true;
    return false;
}

/* Is it a value that was computed once, when its turn came? Others are looked up when used. */
static bool is_computed(const lg_ast *s) {
    return s->kind == LG_A_LET ||
           (s->kind == LG_A_DECL && s->name &&
            (!strcmp(s->text, "part") || !strcmp(s->text, "param") || !strcmp(s->text, "state")));
}

/* ---- definitions that replace others ---- */

static bool was_there(lg_host_point p, lg_sym name) {
    for (const lg_binding *b = p.names; b; b = b->next)
        if (b->name == name)
            return true;
    return false;
}

/* Names of the piece that were there before it. */
static name_set replaced_by(const lg_repl_piece *piece) {
    name_set given = {0}, out = {0};
    for (uint32_t i = 0; i < piece->tree->n; i++)
        lg_repl_names_of(piece->tree->kid[i], add, &given);
    for (size_t i = 0; i < given.v.n; i++)
        if (was_there(piece->before, given.v.at[i]))
            add(&out, given.v.at[i]);
    lg_free(given.v.at);
    return out;
}

static lg_binding *in_view(const lg_repl *R, lg_sym name) {
    return lg_find_local(R->module->frame, name, false);
}

/* Is what the piece gave as `name` still what the name means? */
static bool still(const lg_repl *R, const lg_repl_piece *p, lg_sym name) {
    const lg_binding *now = in_view(R, name);
    for (const lg_binding *b = p->after.names; b && b != p->before.names; b = b->next)
        if (b->name == name && b == now)
            return true;
    return false;
}

typedef struct {
    const lg_repl *R;
    const lg_repl_piece *piece;
    name_set *affected;
    lg_buf *told;
    const lg_ast *s;
    lg_ast *users; /* declarations that see the new definition from now on */
} telling;

static void tell(void *ctx, lg_sym name) {
    telling *t = ctx;
    if (!still(t->R, t->piece, name))
        return;
    add(t->affected, name);
    if (is_computed(t->s))
        lg_buf_printf(t->told, "%s`%s`", t->told->n ? ", " : "", name);
    else
        lg_ast_add(t->R->in.arena, t->users, (lg_ast *)(uintptr_t)t->s);
}

/* Tells what keeps the old value, and which declarations do not fit the new definition. */
static void tell_users(lg_repl *R, const lg_repl_piece *latest) {
    name_set affected = replaced_by(latest);
    size_t n = affected.v.n;
    lg_buf told = {0};
    lg_ast *users = lg_ast_new(R->in.arena, LG_A_BLOCK, (lg_span){0}, 0);
    for (size_t i = 0; n && i + 1 < R->log.n; i++)
        for (uint32_t k = 0; k < R->log.at[i].tree->n; k++) {
            const lg_ast *s = R->log.at[i].tree->kid[k];
            telling t = {R, &R->log.at[i], &affected, &told, s, users};
            if (reads(s->kind == LG_A_LET ? s->kid[1] : s, &affected))
                lg_repl_names_of(s, tell, &t);
        }
    fflush(stdout);
    if (told.n)
        fprintf(stderr, "note: %s keep%s what the old `%s` gave\n", told.at,
                strchr(told.at, ',') ? "" : "s", affected.v.at[0]);
    if (users->n && !R->in.ds.errors && !lg_host_check_piece(R->in.E, R->module, users)) {
        fprintf(stderr, "note: what uses `%s` does not fit the new one:\n", affected.v.at[0]);
        lg_repl_finish(R);
    }
    lg_buf_free(&told);
    lg_free(affected.v.at);
}

enum { MOST_UNDO = 100 };

/* The oldest input that could be taken back no longer can: what it replaced is let go. */
static void settle_oldest(lg_repl *R) {
    const lg_repl_piece *p = &R->log.at[R->settled++];
    for (const lg_binding *b = p->after.names; b && b != p->before.names; b = b->next)
        for (lg_binding *old = p->before.names; old; old = old->next)
            if (old->name == b->name && old->state == LG_B_VALUE)
                old->value = NULL;
}

void lg_repl_note(lg_repl *R, const char *text, const lg_ast *tree, lg_host_point before) {
    lg_buf b = {0};
    lg_buf_printf(&b, "%s", text);
    lg_repl_piece p = {b.at, tree, before, lg_host_here(R->module)};
    LG_PUSH(R->log, p);
    if (R->log.n - R->settled > MOST_UNDO)
        settle_oldest(R);
    tell_users(R, &R->log.at[R->log.n - 1]);
}

void lg_repl_log_clear(lg_repl *R) {
    for (size_t i = 0; i < R->log.n; i++)
        lg_free(R->log.at[i].text);
    lg_free(R->log.at);
    R->log.at = NULL;
    R->log.n = R->log.cap = R->settled = 0;
}

/* ---- what lies between two names ---- */

static void put_statement(const lg_ast *s, lg_buf *out) {
    size_t n;
    const char *text = lg_source_text(s->span.file, &n);
    lg_buf_put(out, text + s->span.beg, s->span.end - s->span.beg);
    lg_buf_put(out, "\n", 1);
}

typedef struct {
    const lg_repl *R;
    const lg_repl_piece *piece;
    bool any;
    name_set *names;
} viewing;

static void view_name(void *ctx, lg_sym name) {
    viewing *v = ctx;
    if (!still(v->R, v->piece, name))
        return;
    v->any = true;
    add(v->names, name);
}

void lg_repl_between(lg_repl *R, const char *x, const char *e, lg_buf *out) {
    name_set from = {0}, read = {0};
    add(&from, lg_intern(x));
    for (size_t i = 0; i < R->log.n; i++)
        for (uint32_t k = 0; k < R->log.at[i].tree->n; k++) {
            const lg_ast *s = R->log.at[i].tree->kid[k];
            viewing v = {R, &R->log.at[i], false, &read};
            if (s->kind != LG_A_LET || !reads(s->kid[1], &from))
                continue;
            lg_repl_names_of(s, view_name, &v);
            if (v.any) {
                lg_repl_names_of(s, add, &from);
                put_statement(s, out);
            }
        }
    (void)e;
    lg_free(from.v.at);
    lg_free(read.v.at);
}

/* ---- what is in view, in order ---- */

/* Has a later piece replaced something that s read, directly or through declarations? */
static bool is_outdated(const lg_repl *R, size_t at, const lg_ast *s) {
    name_set changed = {0};
    for (size_t i = at + 1; i < R->log.n; i++) {
        name_set r = replaced_by(&R->log.at[i]);
        for (size_t k = 0; k < r.v.n; k++)
            add(&changed, r.v.at[k]);
        lg_free(r.v.at);
    }
    for (size_t i = 0; changed.v.n && i < R->log.n; i++)
        for (uint32_t k = 0; k < R->log.at[i].tree->n; k++) {
            const lg_ast *d = R->log.at[i].tree->kid[k];
            if (!is_computed(d) && d->kind == LG_A_DECL && reads(d, &changed))
                lg_repl_names_of(d, add, &changed);
        }
    bool old = is_computed(s) && reads(s->kind == LG_A_LET ? s->kid[1] : s, &changed);
    lg_free(changed.v.at);
    return old;
}

void lg_repl_in_view(lg_repl *R, lg_repl_statement_fn fn, void *ctx) {
    for (size_t i = 0; i < R->log.n; i++)
        for (uint32_t k = 0; k < R->log.at[i].tree->n; k++) {
            const lg_ast *s = R->log.at[i].tree->kid[k];
            name_set none = {0};
            viewing v = {R, &R->log.at[i], s->kind == LG_A_IMPORT, &none};
            lg_repl_names_of(s, view_name, &v);
            if (v.any)
                fn(ctx, s, is_outdated(R, i, s));
            lg_free(none.v.at);
        }
}

/* ---- :undo, :vars ---- */

bool lg_repl_undo(lg_repl *R) {
    if (R->log.n == R->settled) {
        lg_diag *d = lg_diag_add(&R->in.ds, "E0713", (lg_span){0}, "there is nothing to undo");
        if (R->settled)
            lg_diag_note(d, "the last %d inputs can be taken back: older values are let go",
                         MOST_UNDO);
        return false;
    }
    lg_repl_piece *p = &R->log.at[--R->log.n];
    lg_host_return(R->module, p->before);
    size_t n = strcspn(p->text, "\n");
    printf("undone: %.*s%s\n", (int)n, p->text, p->text[n] ? " ..." : "");
    lg_free(p->text);
    return true;
}

static void put_variable(lg_repl *R, const lg_binding *b) {
    lg_buf text = {0};
    if (!b->value || b->state != LG_B_VALUE)
        return;
    lg_host_display_brief(R->in.E, &text, b->value);
    printf("  %-14s %s\n", b->name, text.n ? text.at : "");
    lg_buf_free(&text);
}

bool lg_repl_vars(lg_repl *R) {
    LG_VEC(const lg_binding *) all = {0};
    name_set seen = {0};
    for (const lg_binding *b = R->module->frame->names; b; b = b->next)
        if (!b->prime && !has(&seen, b->name)) {
            add(&seen, b->name);
            LG_PUSH(all, b);
        }
    for (size_t i = all.n; i-- > 0;)
        put_variable(R, all.at[i]);
    if (!all.n)
        printf("nothing is defined yet\n");
    lg_free(all.at);
    lg_free(seen.v.at);
    return true;
}
