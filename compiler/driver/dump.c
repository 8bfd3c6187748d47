/* dump.c: what a phase made of a program, for --dump. */
#include "compiler/driver/command.h"
#include "compiler/front/parse.h"
#include "compiler/host/host.h"
#include <stdio.h>
#include <string.h>

static const char *const phases[] = {"tokens", "ast", "typed", "graph", "grad", "plan", "dot", "c"};

bool lg_is_dump(const char *what) {
    for (size_t i = 0; i < LG_COUNT(phases); i++)
        if (!strcmp(phases[i], what))
            return true;
    return false;
}

/* Every declared name with the type of its value. */
static void dump_typed(lg_session *s, lg_module *m) {
    for (uint32_t i = 0; i < m->tree->n; i++) {
        const lg_ast *d = m->tree->kid[i];
        lg_binding *b =
            d->kind == LG_A_DECL && d->name ? lg_find_local(m->frame, d->name, false) : NULL;
        if (b && b->value)
            printf("%s %s: %s\n", d->text, d->name, lg_v_type_text(s->E, b->value));
        else if (b)
            printf("%s %s\n", d->text, d->name);
    }
}

int lg_dump(lg_session *s, const char *path, const char *what, const lg_host_opts *h) {
    if (!strcmp(what, "tokens")) {
        uint32_t file = lg_session_source(s, path, (lg_span){0});
        if (file)
            lg_tokens_dump(file, stdout);
        return file ? LG_EXIT_OK : LG_EXIT_FAILED;
    }
    bool has_options = h->argc || h->entry;
    if (h->float_dtype != LG_NO_DTYPE)
        s->E->float_dtype = h->float_dtype;
    lg_module *m = lg_session_load(s, path);
    if (m && !strcmp(what, "ast")) {
        lg_ast_dump(m->tree, stdout);
        return LG_EXIT_OK;
    }
    if (!m || (has_options && !lg_host_options(s->E, h)) || !lg_session_check(s) ||
        (has_options && !lg_host_check_options(s->E, m)))
        return LG_EXIT_FAILED;
    if (!strcmp(what, "typed")) {
        dump_typed(s, m);
        return LG_EXIT_OK;
    }
    /* the graphs of the trains */
    FILE *nowhere = fopen("/dev/null", "w");
    lg_host_opts quiet = *h;
    quiet.dump = what;
    quiet.quiet = true;
    bool good = lg_host_predict(s->E, m, &quiet, nowhere ? nowhere : stderr);
    if (nowhere)
        fclose(nowhere);
    return good && !s->ds.errors ? LG_EXIT_OK : LG_EXIT_FAILED;
}
