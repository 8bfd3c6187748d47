/* finish.c: what needs the whole tree of a file: documentation comments are given to what they
 * document, settings are told from forgotten `let`s, and trees too deep to walk are cut. */
#include "compiler/front/front.h"
#include <string.h>

/* ---- documentation ---- */

typedef struct {
    lg_parser *p;
    const lg_comment *at;
    size_t n;
} docs;

static uint32_t line_at(const lg_parser *p, uint32_t offset) {
    uint32_t line, col;
    lg_source_where(p->file, offset, &line, &col);
    return line;
}

/* Text of comments [i, end) without their ## and one space, joined by line breaks. */
static const char *text_of(const docs *d, size_t i, size_t end, const char *before) {
    lg_buf b = {0};
    if (before)
        lg_buf_printf(&b, "%s", before);
    for (; i < end; i++) {
        const char *s = d->p->text + d->at[i].at.beg + 2;
        size_t n = d->at[i].at.end - d->at[i].at.beg - 2;
        if (n && *s == ' ')
            s++, n--;
        while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
            n--;
        if (b.n)
            lg_buf_put(&b, "\n", 1);
        lg_buf_put(&b, s, n);
    }
    const char *text = lg_arena_str(d->p->arena, b.at ? b.at : "");
    lg_buf_free(&b);
    return text;
}

static bool holds_docs(const lg_ast *t) {
    return t->kind == LG_A_BLOCK || t->kind == LG_A_PARAMS || t->kind == LG_A_RECTYPE;
}

/* The innermost node that holds the offset and whose kids can be documented; *owner: the
 * statement around it. */
static lg_ast *holder_of(lg_ast *t, uint32_t offset, lg_ast **owner) {
    lg_ast *best = t;
    for (bool deeper = true; deeper;) {
        deeper = false;
        for (uint32_t i = 0; i < t->n && !deeper; i++) {
            lg_ast *k = t->kid[i];
            if (!k || k->span.beg > offset || k->span.end <= offset)
                continue;
            if (k->kind == LG_A_DECL)
                *owner = k;
            if (holds_docs(k))
                best = k;
            t = k;
            deeper = true;
        }
    }
    return best;
}

static void give_before(const docs *d, lg_ast *file, size_t i, size_t end) {
    lg_ast *owner = NULL, *holder = holder_of(file, d->at[i].at.beg, &owner);
    uint32_t line = line_at(d->p, d->at[end - 1].at.beg);
    for (uint32_t k = 0; k < holder->n; k++) {
        lg_ast *t = holder->kid[k];
        if (!t || t->span.beg < d->at[end - 1].at.beg)
            continue;
        if (line_at(d->p, t->span.beg) == line + 1)
            t->doc = text_of(d, i, end, NULL);
        return;
    }
}

static void give_behind(const docs *d, lg_ast *file, size_t i) {
    lg_ast *owner = NULL, *holder = holder_of(file, d->at[i].at.beg, &owner), *last = NULL;
    uint32_t line = line_at(d->p, d->at[i].at.beg);
    for (uint32_t k = 0; k < holder->n; k++)
        if (holder->kid[k] && holder->kid[k]->span.end <= d->at[i].at.beg)
            last = holder->kid[k];
    if (last && line_at(d->p, last->span.end) != line)
        last = NULL;
    if (!last && owner && line_at(d->p, holder->span.beg) == line)
        last = owner;
    if (last)
        last->doc = text_of(d, i, i + 1, last->doc);
}

static void give_docs(lg_parser *p, lg_ast *file) {
    docs d = {p, p->filter.sc.s.comments.at, p->filter.sc.s.comments.n};
    for (size_t i = 0; i < d.n;) {
        size_t end = i + 1;
        if (d.at[i].doc && !d.at[i].trailing) {
            while (end < d.n && d.at[end].doc && !d.at[end].trailing &&
                   line_at(p, d.at[end].at.beg) == line_at(p, d.at[end - 1].at.beg) + 1)
                end++;
            give_before(&d, file, i, end);
        } else if (d.at[i].doc) {
            give_behind(&d, file, i);
        }
        i = end;
    }
}

/* ---- settings, depth ---- */

enum { LINKS = 10 };
typedef enum { PLAIN, SETTINGS, TRAINING } place; /* what `x = e` means in a block */

static place place_of(const lg_ast *decl) {
    if (!strcmp(decl->text, "train") || !strcmp(decl->text, "phase"))
        return TRAINING;
    return !strcmp(decl->text, "eval") || !strcmp(decl->text, "data") ? SETTINGS : PLAIN;
}

static lg_ast *as_declaration(lg_parser *p, const lg_ast *s) {
    static const char *const words[] = {"loss", "data", "optimizer"};
    for (size_t i = 0; i < LG_COUNT(words); i++) {
        if (strcmp(s->name, words[i]) != 0)
            continue;
        lg_decl_parts d = {.value = s->kid[0]};
        return lg_build_declared(p, s->name, s->span, NULL, s->name_span, &d);
    }
    return NULL;
}

static lg_ast *setting(lg_parser *p, lg_ast *s, place where) {
    if (where == SETTINGS)
        return s;
    if (where == TRAINING) {
        lg_ast *d = as_declaration(p, s);
        return d ? d : s;
    }
    lg_diag *d =
        lg_diag_add(p->ds, "E0111", s->name_span, "`%s` is given a value without `let`", s->name);
    lg_diag_help(d, "write `let %s = e` for a new name, `%s' = e` for the next value of a state",
                 s->name, s->name);
    return s;
}

/* `depth` counts LINKS for each level; a further link of a chain of operators (a + b + c ...),
 * which is cheaper to walk, is one. */
static void visit(lg_parser *p, lg_ast *t, place where, int depth) {
    for (uint32_t i = 0; i < t->n; i++) {
        lg_ast *k = t->kid[i];
        if (!k)
            continue;
        if (depth > LG_TREE_DEPTH_MOST * LINKS) {
            lg_diag_add(p->ds, "E0106", k->span, "this is nested too deeply");
            t->kid[i] = lg_ast_new(p->arena, LG_A_ERROR, k->span, 0);
            return;
        }
        if (k->kind == LG_A_SETTING)
            k = t->kid[i] = setting(p, k, where);
        bool own_block = t->kind == LG_A_DECL && k->kind == LG_A_BLOCK && i == LG_D_BLOCK;
        bool link = i == 0 && t->kind == LG_A_BINARY && k->kind == LG_A_BINARY;
        visit(p, k, own_block ? place_of(t) : PLAIN, depth + (link ? 1 : LINKS));
    }
}

void lg_finish_tree(lg_parser *p, lg_ast *file) {
    give_docs(p, file);
    visit(p, file, PLAIN, 0);
}
