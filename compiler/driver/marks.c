/* marks.c: what `lg help` says of the numbers among the parameters: which are static, so that each
 * value makes a plan of its own, and which are run-time scalars. Found in mid/static.c. */
#include "compiler/driver/command.h"
#include "compiler/mid/embedded.h"
#include "compiler/mid/static.h"
#include <stdio.h>
#include <string.h>

enum { MOST_MODULES = 64 };

typedef struct {
    lg_arena *arena;
    const lg_ast *tree; /* of the file, searched before the library */
    const lg_ast *library[MOST_MODULES];
} trees;

static const lg_ast *declared_in(const lg_ast *tree, lg_sym name) {
    for (uint32_t i = 0; tree && i < tree->n; i++)
        if (tree->kid[i]->kind == LG_A_DECL && tree->kid[i]->name == name)
            return tree->kid[i];
    return NULL;
}

static const lg_ast *find(void *ctx, lg_sym name) {
    trees *t = ctx;
    const lg_ast *d = declared_in(t->tree, name);
    for (size_t i = 0; !d && lg_stdlib[i].name && i < MOST_MODULES; i++) {
        const lg_embedded *e = &lg_stdlib[i];
        if (!t->library[i])
            t->library[i] = lg_ast_read(t->arena, e->tree, e->n_tree, 0);
        d = declared_in(t->library[i], name);
    }
    return d;
}

static bool planned(const lg_ast *d) {
    static const char *const words[] = {"fn",        "loss",     "model", "optimizer",
                                        "quantizer", "schedule", "train"};
    for (size_t i = 0; i < LG_COUNT(words); i++)
        if (!strcmp(d->text, words[i]))
            return true;
    return false;
}

static void list(const lg_ast *params, uint64_t mask, bool wanted, const char *word, lg_buf *b) {
    size_t from = b->n, n = 0;
    for (uint32_t i = 0; i < params->n && i < 64; i++)
        if (lg_param_is_scalar(params->kid[i]) && (mask >> i & 1) == wanted)
            lg_buf_printf(b, "%s%s", n++ ? ", " : from ? "; " : "", params->kid[i]->name);
    if (n)
        lg_buf_printf(b, " %s", word);
}

void lg_help_marks(const lg_ast *tree, const lg_ast *d) {
    const lg_ast *params = d->kid[LG_D_PARAMS];
    if (!params || !planned(d))
        return;
    trees t = {.arena = lg_arena_new(), .tree = tree};
    uint64_t mask = lg_static_params(lg_statics_new(t.arena, find, &t), d);
    lg_buf b = {0};
    list(params, mask, true, "static", &b);
    list(params, mask, false, "run-time", &b);
    if (b.n)
        printf("  %s\n", b.at);
    lg_buf_free(&b);
    lg_arena_free(t.arena);
}
