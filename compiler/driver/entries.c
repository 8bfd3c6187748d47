/* entries.c: lists what `lg help` knows, each with its signature and its doc comment. */
#include "compiler/driver/entries.h"
#include "compiler/front/print.h"
#include "compiler/host/host.h"
#include "compiler/mid/embedded.h"
#include "ops/ops.h"
#include <string.h>

static void add(lg_entries *e, lg_entry x) {
    x.doc = x.doc ? x.doc : "";
    LG_PUSH(e->list, x);
}

void lg_entries_tree(lg_entries *e, const lg_ast *tree, uint32_t file, const char *group) {
    size_t n;
    const char *text = lg_source_text(file, &n);
    for (uint32_t i = 0; i < tree->n; i++) {
        const lg_ast *d = tree->kid[i];
        if (d->kind != LG_A_DECL || !d->name || d->name[0] == '_' || !text)
            continue;
        lg_buf head = {0};
        lg_print_head(d, &head);
        uint32_t end = d->span.end < n ? d->span.end : (uint32_t)n;
        add(e, (lg_entry){.name = d->name,
                          .kind = d->text,
                          .group = group,
                          .head = lg_arena_str(e->arena, head.at ? head.at : d->text),
                          .doc = d->doc,
                          .text = lg_arena_printf(e->arena, "%.*s", (int)(end - d->span.beg),
                                                  text + d->span.beg)});
        lg_buf_free(&head);
    }
}

static void builtin(lg_entries *e, const lg_builtin *b, const char *group) {
    bool named = b->sig && !strncmp(b->sig, b->name, strlen(b->name));
    add(e, (lg_entry){.name = b->name,
                      .kind = "builtin",
                      .group = group,
                      .head = lg_arena_printf(e->arena, "%s%s", named ? "" : b->name,
                                              b->sig ? b->sig : ""),
                      .doc = b->doc});
}

static bool is_listed(const lg_entries *e, const char *name) {
    for (size_t i = 0; i < e->list.n; i++)
        if (!strcmp(e->list.at[i].name, name))
            return true;
    return false;
}

static void op(lg_entries *e, const lg_op *x) {
    lg_buf doc = {0};
    if (!x->sig || is_listed(e, x->name))
        return;
    lg_buf_printf(&doc, "%s", x->doc ? x->doc : "");
    if (x->example && x->result)
        lg_buf_printf(&doc, "\nexample: %s ~ %s", x->example, x->result);
    add(e, (lg_entry){.name = x->name,
                      .kind = "op",
                      .group = "ops",
                      .head = lg_arena_printf(e->arena, "%s%s", x->name, x->sig),
                      .doc = lg_arena_str(e->arena, doc.at)});
    lg_buf_free(&doc);
}

void lg_entries_library(lg_entries *e) {
    for (const lg_embedded *m = lg_stdlib; m->name; m++) {
        uint32_t file =
            lg_source_add(lg_arena_printf(e->arena, "std/%s.lg", m->name), m->text, m->n_text);
        const lg_ast *tree = lg_ast_read(e->arena, m->tree, m->n_tree, file);
        if (tree)
            lg_entries_tree(e, tree, file, lg_arena_printf(e->arena, "std.%s", m->name));
    }
    for (size_t i = 0; i < lg_builtin_count(); i++)
        builtin(e, lg_builtin_at(i), "built in");
    for (size_t i = 0; i < lg_host_builtin_count(); i++)
        builtin(e, lg_host_builtin_at(i), "data and host");
    for (size_t i = 0; i < lg_op_count(); i++)
        op(e, lg_op_at(i));
    const char *form, *text, *word;
    for (size_t i = 0; (word = lg_help_word_at(i, &form, &text)); i++)
        if (!is_listed(e, word))
            add(e, (lg_entry){
                       .name = word, .kind = "word", .group = "words", .head = form, .doc = text});
}

void lg_entries_fini(lg_entries *e) {
    lg_free(e->list.at);
    e->list.at = NULL;
    e->list.n = 0;
}
