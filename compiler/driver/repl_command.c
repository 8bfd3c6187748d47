/* repl_command.c: the commands of the prompt: lines that begin with `:` or `?`. */
#include "compiler/driver/repl.h"
#include <stdio.h>
#include <string.h>

typedef bool (*command_fn)(lg_repl *R, const char *argument);

static bool cmd_doc(lg_repl *R, const char *name) {
    const lg_binding *b = lg_find_local(R->module->frame, lg_intern(name), false);
    const lg_value *v = b && b->state == LG_B_VALUE ? b->value : NULL;
    const lg_ast *d = b && b->stmt && b->stmt->kind == LG_A_DECL ? b->stmt
                      : v && v->kind == LG_V_FN                  ? v->fn.decl
                                                                 : NULL;
    if (d && d->kind == LG_A_DECL) {
        lg_help_declaration(d);
        return true;
    }
    if (v) {
        lg_buf text = {0};
        lg_host_display_brief(R->in.E, &text, b->value);
        printf("%s  %s\n", name, text.n ? text.at : "");
        lg_buf_free(&text);
        return true;
    }
    lg_arena *a = lg_arena_new();
    int status = lg_help_name(a, name);
    lg_arena_free(a);
    return status == LG_EXIT_OK;
}

static bool cmd_load(lg_repl *R, const char *path) {
    uint32_t file = lg_session_source(&R->in, path, (lg_span){0});
    if (!file)
        return false;
    size_t n;
    const char *text = lg_source_text(file, &n);
    return lg_repl_statements(R, path, text, n);
}

static bool cmd_vars(lg_repl *R, const char *argument) {
    (void)argument;
    return lg_repl_vars(R);
}

static bool cmd_undo(lg_repl *R, const char *argument) {
    (void)argument;
    return lg_repl_undo(R);
}

static bool cmd_reset(lg_repl *R, const char *argument) {
    (void)argument;
    lg_repl_close(R);
    lg_repl_open(R);
    return true;
}

static bool cmd_quit(lg_repl *R, const char *argument) {
    (void)argument;
    R->quit = true;
    return true;
}

static bool cmd_help(lg_repl *R, const char *argument);

typedef enum { NOTHING, SOME, EITHER } wants;
static const struct {
    const char *name, *use, *help;
    command_fn run;
    wants argument;
} commands[] = {
    {":type", "E", "the type of an expression, dims by name", lg_repl_type, SOME},
    {":grad", "E wrt X", "the derivative as formulas", lg_repl_grad, SOME},
    {":graph", "E [> FILE.dot|svg]", "the graph of an expression", lg_repl_graph, SOME},
    {":plan", "E", "how it runs: kernels, fused groups, memory, work", lg_repl_plan, SOME},
    {":time", "E", "the median of repeats, against what the machine can do", lg_repl_time, SOME},
    {":doc", "NAME", "what a name is; also ?NAME", cmd_doc, SOME},
    {":load", "FILE", "run the statements of a file here", cmd_load, SOME},
    {":save", "FILE", "write a file that makes this state again", lg_repl_save, SOME},
    {":vars", "", "the names in view", cmd_vars, NOTHING},
    {":undo", "", "take the last input back", cmd_undo, NOTHING},
    {":reset", "", "forget everything", cmd_reset, NOTHING},
    {":help", "[NAME]", "this list, or as :doc", cmd_help, EITHER},
    {":quit", "", "leave", cmd_quit, NOTHING},
};

size_t lg_repl_command_names(const char *const **out) {
    static const char *names[LG_COUNT(commands)];
    for (size_t i = 0; i < LG_COUNT(commands); i++)
        names[i] = commands[i].name;
    *out = names;
    return LG_COUNT(commands);
}

static bool cmd_help(lg_repl *R, const char *argument) {
    if (*argument)
        return cmd_doc(R, argument);
    printf("Statements and expressions of the language, and:\n");
    for (size_t i = 0; i < LG_COUNT(commands); i++) {
        char left[48];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].use);
        printf("  %-28s %s\n", left, commands[i].help);
    }
    return true;
}

static bool unknown(lg_repl *R, const char *name) {
    const char *const *all;
    size_t n = lg_repl_command_names(&all);
    const char *near = lg_nearest(name, all, n);
    lg_diag *d = lg_diag_add(&R->in.ds, "E0711", (lg_span){0}, "there is no command `%.60s`", name);
    if (near)
        lg_diag_help(d, "did you mean `%s`?", near);
    else
        lg_diag_help(d, "`:help` lists the commands");
    return false;
}

static bool run(lg_repl *R, const char *name, const char *argument) {
    for (size_t i = 0; i < LG_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        bool given = *argument != 0;
        if (commands[i].argument != EITHER && given != (commands[i].argument == SOME)) {
            lg_diag *d = lg_diag_add(&R->in.ds, "E0713", (lg_span){0}, "`%s` wants %s", name,
                                     given ? "nothing after it" : "something after it");
            lg_diag_help(d, "%s%s%s", name, *commands[i].use ? " " : "", commands[i].use);
            return false;
        }
        return commands[i].run(R, argument);
    }
    return unknown(R, name);
}

/* ":name argument" and "?name"; spaces around the argument do not count. */
bool lg_repl_command(lg_repl *R, const char *text) {
    lg_buf name = {0}, argument = {0};
    size_t n = *text == '?' ? 1 : strcspn(text, " \t\n"), end = strlen(text);
    const char *rest = text + n + strspn(text + n, " \t\n");
    while (text + end > rest && strchr(" \t\n", text[end - 1]))
        end--;
    if (*text == '?')
        lg_buf_printf(&name, ":%s", text + end > rest ? "doc" : "help");
    else
        lg_buf_put(&name, text, n);
    lg_buf_put(&argument, rest, (size_t)(text + end - rest));
    bool ok = run(R, name.at, argument.at ? argument.at : "");
    lg_buf_free(&name);
    lg_buf_free(&argument);
    fflush(stdout);
    return lg_repl_finish(R) && ok;
}
