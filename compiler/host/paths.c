/* paths.c: which parameters and outputs of a train a selector names, and what to say when it names
 * none. Called by step.c (freeze, quantize) and update.c (optimizer lines). */
#include "compiler/host/train.h"
#include "compiler/mid/select.h"
#include <string.h>

typedef struct {
    LG_VEC(const char *) v;
} path_list;

static void add_parameters(lg_build *b, path_list *all) {
    for (size_t k = 0; k < b->group.n; k++) {
        const lg_group *g = &b->group.at[k];
        for (int l = 0; l < g->n; l++)
            if (!g->leaf[l].is_state)
                LG_PUSH(all->v, *g->leaf[l].path ? lg_txt(b->E, "%s.%s", g->name, g->leaf[l].path)
                                                 : g->name);
    }
}

static void add_outputs(lg_build *b, path_list *all) {
    for (size_t k = 0; k < b->group.n; k++) {
        const lg_group *g = &b->group.at[k];
        const char **part;
        int n = g->is_param ? 0 : lg_model_parts(b->E, g->model, &part);
        for (int i = 0; i < n; i++)
            LG_PUSH(all->v, lg_txt(b->E, "%s%s%s.output", g->name, *part[i] ? "." : "", part[i]));
    }
}

bool lg_build_names(lg_build *b, const char *selector, bool outputs, lg_span at) {
    path_list all = {0};
    add_parameters(b, &all);
    if (outputs)
        add_outputs(b, &all);
    bool any = false;
    for (size_t i = 0; i < all.v.n; i++)
        any = any || lg_path_matches(selector, all.v.at[i]);
    bool whole = lg_diags_trouble(b->E->diags) == b->trouble; /* else parts may be missing */
    if (!any && at.file && whole) {
        lg_diag *d = lg_err(b->E, "E0311", at, "selector `%s` matches no parameter%s", selector,
                            outputs ? " and no output" : "");
        lg_selector_help(b->E, d, selector, (int)all.v.n, all.v.at);
    }
    lg_free(all.v.at);
    return any;
}

const char *lg_selector_text(lg_elab *E, const lg_ast *s, const char *word) {
    if (s->kind == LG_A_SELECTOR)
        return s->text;
    if (s->kind == LG_A_NAME)
        return lg_txt(E, "%s, %s.**", s->name, s->name);
    lg_diag *d = lg_err(E, "E0208", s->span, "`%s` wants a selector", word);
    if (s->kind == LG_A_FIELD || s->kind == LG_A_INDEX)
        lg_diag_help(d, "write `%s` in backquotes", lg_ast_text(E->arena, s));
    else
        lg_diag_help(d, "selectors stand in backquotes and name parameters by path: `net.*.w`");
    return NULL;
}
