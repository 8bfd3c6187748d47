/* repl_complete.c: what TAB offers: names, keyword arguments of the call around the cursor, fields
 * after a point, parameter paths in backquotes, commands, and names of files. */
#include "compiler/driver/repl.h"
#include "compiler/mid/model.h"
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    lg_repl *R;
    const char *text; /* up to the cursor */
    size_t n, from;
    lg_words_found *out;
} completing;

static void offer(completing *c, const char *word, const char *tail) {
    size_t n = c->n - c->from;
    if (strncmp(word, c->text + c->from, n) != 0 || (*word == '_' && !n))
        return;
    lg_buf b = {0};
    lg_buf_printf(&b, "%s%s", word, tail);
    LG_PUSH(c->out->word, b.at);
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* ---- files ---- */

static void files(completing *c, size_t from) {
    lg_buf dir = {0};
    c->from = from;
    for (size_t i = from; i < c->n; i++)
        if (c->text[i] == '/')
            c->from = i + 1;
    lg_buf_put(&dir, c->text + from, c->from - from);
    DIR *d = opendir(dir.n ? dir.at : ".");
    lg_buf_free(&dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.' || (c->n > c->from && c->text[c->from] == '.'))
            offer(c, e->d_name, "");
    closedir(d);
}

/* ---- fields ---- */

/* The value of a chain of names like r.net.l1 that ends before `end`; nothing is called. */
static lg_value *chain_before(completing *c, size_t end) {
    size_t beg = end;
    while (beg && (is_word(c->text[beg - 1]) || c->text[beg - 1] == '.'))
        beg--;
    if (beg == end || isdigit((unsigned char)c->text[beg]))
        return NULL;
    char *name = lg_arena_printf(c->R->in.arena, "%.*s", (int)(end - beg), c->text + beg);
    const lg_ast *e = lg_repl_expression(c->R, name);
    c->R->inputs--; /* not one that was typed */
    return e && !c->R->in.ds.errors ? lg_host_look(c->R->in.E, c->R->module, e) : NULL;
}

static void fields(completing *c) {
    lg_value *v = chain_before(c, c->from - 1);
    if (v && v->kind == LG_V_MODEL) {
        lg_leaf *leaf;
        int n = lg_v_leaves(c->R->in.E, lg_model_record(c->R->in.E, v), &leaf);
        for (int i = 0; i < n; i++) {
            size_t len = strcspn(leaf[i].path, ".[");
            offer(c, lg_arena_printf(c->R->in.arena, "%.*s", (int)len, leaf[i].path), "");
        }
        offer(c, "at", "(");
        offer(c, "state", "");
    }
    for (int i = 0; v && v->kind == LG_V_RECORD && i < v->rec.n; i++)
        offer(c, v->rec.f[i].name, "");
    for (lg_binding *b = v && v->kind == LG_V_MODULE ? v->module->frame->names : NULL; b;
         b = b->next)
        offer(c, b->name, "");
}

/* ---- selectors ---- */

static void paths(completing *c, size_t from) {
    lg_elab *E = c->R->in.E;
    c->from = from;
    for (size_t i = from; i < c->n; i++)
        if (strchr(", ", c->text[i]))
            c->from = i + 1;
    for (lg_binding *b = c->R->module->frame->names; b; b = b->next) {
        if (!b->value || b->state != LG_B_VALUE || b->value->kind != LG_V_MODEL)
            continue;
        lg_leaf *leaf;
        int n = lg_v_leaves(E, lg_model_record(E, b->value), &leaf);
        for (int i = 0; i < n; i++)
            offer(c, lg_txt(E, "%s.%s", b->name, leaf[i].path), "");
    }
}

/* ---- names ---- */

static void arguments_of(completing *c, const lg_ast *d) {
    const lg_ast *params = d && d->kind == LG_A_DECL     ? d->kid[LG_D_PARAMS]
                           : d && d->kind == LG_A_LAMBDA ? d->kid[0]
                                                         : NULL;
    for (uint32_t i = 0; params && i < params->n; i++)
        if (params->kid[i]->name)
            offer(c, params->kid[i]->name, "=");
}

/* The names of parameters in "(x, axis?, k=1) -> ...". */
static void arguments_in(completing *c, const char *sig) {
    const char *p = sig ? strchr(sig, '(') : NULL;
    for (int depth = 0; p && *p; p++) {
        depth += (*p == '(' || *p == '[' || *p == '{') - (*p == ')' || *p == ']' || *p == '}');
        if (depth < 1)
            return;
        if (depth != 1 || (*p != '(' && *p != ','))
            continue;
        p += strspn(p + 1, " ");
        size_t n = 0;
        while (is_word(p[1 + n]))
            n++;
        if (n)
            offer(c, lg_arena_printf(c->R->in.arena, "%.*s", (int)n, p + 1), "=");
    }
}

/* Where the name of the call around the cursor ends, or 0. */
static size_t call_around(const completing *c) {
    int depth = 0;
    for (size_t i = c->from; i > 0; i--) {
        char x = c->text[i - 1];
        if (strchr(")]}", x))
            depth++;
        else if (strchr("([{", x) && depth-- == 0)
            return x == '(' ? i - 1 : 0;
    }
    return 0;
}

static void names(completing *c) {
    size_t call = call_around(c);
    lg_value *v = call ? chain_before(c, call) : NULL;
    lg_repl_begin(c->R);
    if (v && v->kind == LG_V_FN)
        arguments_of(c, v->fn.decl);
    else if (v && v->kind == LG_V_DECL)
        arguments_of(c, v->decl.decl);
    else if (v && v->kind == LG_V_BUILTIN)
        arguments_in(c, v->builtin->sig);
    else if (v && v->kind == LG_V_MODEL)
        arguments_of(c, lg_model_decl(v));
    if (c->n == c->from)
        return; /* nothing typed: all names would be too many */
    for (lg_binding *b = c->R->module->frame->names; b; b = b->next)
        if (!b->prime)
            offer(c, b->name, "");
    lg_arena *a = lg_arena_new();
    const char **all;
    size_t n = lg_help_names(a, &all);
    for (size_t i = 0; i < n; i++)
        offer(c, all[i], "");
    lg_arena_free(a);
}

/* ---- */

static void commands(completing *c) {
    const char *const *all;
    size_t n = lg_repl_command_names(&all);
    c->from = 0;
    for (size_t i = 0; i < n; i++)
        offer(c, all[i], "");
}

/* Does the cursor stand in a string or a selector? Where it began; 0: no. */
static size_t inside(const completing *c, char mark) {
    size_t at = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->text[i] == '\\' && mark == '"')
            i++;
        else if (c->text[i] == mark)
            at = at ? 0 : i + 1;
    return at;
}

static bool is_file_command(const char *text, size_t n) {
    return (n >= 6 && !strncmp(text, ":load ", 6)) || (n >= 6 && !strncmp(text, ":save ", 6));
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(lg_words_found *w) {
    if (!w->word.n)
        return;
    qsort(w->word.at, w->word.n, sizeof *w->word.at, by_text);
    size_t n = 1;
    for (size_t i = 1; i < w->word.n; i++)
        if (strcmp(w->word.at[i], w->word.at[n - 1]) != 0)
            w->word.at[n++] = w->word.at[i];
        else
            lg_free(w->word.at[i]);
    w->word.n = n;
}

void lg_repl_complete(lg_repl *R, const char *text, size_t n, lg_words_found *out) {
    completing c = {R, text, n, n, out};
    lg_repl_begin(R);
    while (c.from && is_word(text[c.from - 1]))
        c.from--;
    size_t string = inside(&c, '"'), selector = inside(&c, '`');
    if (is_file_command(text, n))
        files(&c, 6 + strspn(text + 6, " "));
    else if (*text == ':' && !memchr(text, ' ', n))
        commands(&c);
    else if (string)
        files(&c, string);
    else if (selector)
        paths(&c, selector);
    else if (c.from && text[c.from - 1] == '.')
        fields(&c);
    else
        names(&c);
    lg_repl_begin(R);
    out->from = c.from;
    sort(out);
}

void lg_words_found_fini(lg_words_found *w) {
    for (size_t i = 0; i < w->word.n; i++)
        lg_free(w->word.at[i]);
    lg_free(w->word.at);
    *w = (lg_words_found){0};
}
