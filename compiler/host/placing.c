/* placing.c: what may stand where in a train, its phases and evals, and how often `every` is: all
 * that the text alone says. Not for values and types: step.c elaborates those. */
#include "compiler/host/train.h"
#include <string.h>

static bool one_of(const lg_ast *s, size_t n, const char *const *words) {
    for (size_t i = 0; i < n; i++)
        if (lg_is_word(s, words[i]))
            return true;
    return false;
}

static void misplaced(lg_elab *E, const lg_ast *s, const char *where) {
    lg_diag *d = lg_err(E, "E0443", s->span, "`%s` does not stand in %s", s->text, where);
    if (lg_is_word(s, "phase"))
        lg_diag_help(d, "phases follow one another in the train itself");
    else if (lg_is_word(s, "field"))
        lg_diag_help(d, "fields belong to a `data` declaration");
    else
        lg_diag_help(d, "it stands at the top of a file");
}

/* `every n epochs`, `every n steps`. */
static void check_every(lg_train *T, const lg_ast *every) {
    lg_elab *E = T->E;
    if (!every)
        return;
    if (!every->name || (strcmp(every->name, "epochs") && strcmp(every->name, "steps"))) {
        lg_diag *d =
            lg_err(E, "E0439", every->name_span.file ? every->name_span : every->span,
                   "`every` counts epochs or steps, not `%s`", every->name ? every->name : "");
        static const char *const units[] = {"epochs", "steps"};
        const char *near = every->name ? lg_nearest(every->name, units, 2) : NULL;
        if (near)
            lg_diag_help(d, "did you mean `%s`?", near);
    }
    const lg_ast *count = every->kid[0];
    lg_value *v = lg_host_expr(E, T->settings_frame, count);
    int64_t n = 1;
    bool fits = v->kind == LG_V_ERROR ||
                (v->kind == LG_V_NUM && !v->num.known && !v->num.is_bool) ||
                (lg_v_static_int(E, v, &n) && n >= 1);
    if (!fits)
        lg_err(E, "E0439", count->span, "`every` wants a count from 1, got %s",
               lg_v_type_text(E, v));
}

static void check_save(lg_train *T, const lg_ast *s) {
    lg_elab *E = T->E;
    const lg_ast *every = s->n && s->kid[s->n - 1]->kind == LG_A_EVERY ? s->kid[s->n - 1] : NULL;
    check_every(T, every);
    if (strcmp(s->name, "save") != 0 || s->n != (every ? 2u : 1u))
        return;
    lg_value *dir = lg_host_expr(E, T->settings_frame, s->kid[0]);
    if (dir->kind != LG_V_STR && dir->kind != LG_V_ERROR)
        lg_diag_help(lg_err(E, "E0243", s->kid[0]->span,
                            "`save` of a train wants the name of a directory, got %s",
                            lg_v_type_text(E, dir)),
                     "write `save \"runs/name\" every 10 epochs`");
}

static void check_eval(lg_train *T, const lg_ast *s) {
    const lg_ast *block = s->kid[LG_D_BLOCK];
    check_every(T, s->kid[LG_D_EVERY]);
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *x = block->kid[i];
        bool fits = x->kind == LG_A_SETTING || x->kind == LG_A_LET || x->kind == LG_A_EFFECT ||
                    x->kind == LG_A_WHEN || x->kind == LG_A_ERROR;
        if (fits)
            continue;
        lg_diag *d =
            lg_err(T->E, "E0443", x->span, "an `eval` has lines `name = value`, `let` and effects");
        if (x->kind == LG_A_ASSIGN)
            lg_diag_note(d, "evaluations change nothing: states are primed in the train itself");
    }
}

static void check_statement(lg_train *T, const lg_ast *s, bool in_phase) {
    static const char *const never[] = {"entry", "train", "arg", "field", "import"};
    const char *where = in_phase ? "a phase" : "a train";
    if (one_of(s, LG_COUNT(never), never) || (in_phase && lg_is_word(s, "phase")))
        misplaced(T->E, s, where);
    else if (lg_is_word(s, "eval"))
        check_eval(T, s);
    else if (s->kind == LG_A_EFFECT)
        check_save(T, s);
}

static bool says_length(const lg_ast *block) {
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (s->kind == LG_A_SETTING &&
            (!strcmp(s->name, "epochs") || !strcmp(s->name, "max_steps")))
            return true;
    }
    return false;
}

static void no_length(lg_elab *E, const lg_ast *what, const char *word) {
    lg_diag *d =
        lg_err(E, "E0435", what->name_span.file ? what->name_span : what->span,
               "the %s `%s` does not say how long it runs", word, what->name ? what->name : "");
    lg_diag_help(d, "add `epochs = ...` or `max_steps = ...`");
}

static void check_phases(lg_train *T, const lg_ast *block, bool wrong) {
    const lg_ast *decl = T->decl;
    bool phases = false, length = says_length(block);
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (!lg_is_word(s, "phase"))
            continue;
        phases = true;
        for (uint32_t k = 0; k < i; k++)
            if (s->name && lg_is_word(block->kid[k], "phase") && block->kid[k]->name == s->name) {
                lg_diag *d =
                    lg_err(T->E, "E0304", s->name_span, "there are two phases `%s`", s->name);
                lg_diag_label(d, block->kid[k]->name_span, "first here");
                break;
            }
        const lg_ast *body = s->kid[LG_D_BLOCK];
        if (!length && !wrong && !says_length(body))
            no_length(T->E, s, "phase");
        for (uint32_t k = 0; body && k < body->n; k++)
            check_statement(T, body->kid[k], true);
    }
    if (!phases && !length && !wrong)
        no_length(T->E, decl, "train");
}

void lg_train_places(lg_train *T, bool wrong) {
    const lg_ast *block = T->decl->kid[LG_D_BLOCK];
    size_t errors = T->E->diags->errors;
    for (uint32_t i = 0; block && i < block->n; i++)
        check_statement(T, block->kid[i], false);
    check_phases(T, block, wrong || T->E->diags->errors != errors);
}
