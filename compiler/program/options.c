/* options.c: reads the options of a command by its table, and reports what is not understood. */
#include "compiler/program/options.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *lg_command_prefix = "lg ";

void lg_show(const lg_diags *ds) {
    fflush(stdout);
    lg_diags_print(ds, stderr, isatty(STDERR_FILENO) != 0);
}

int lg_usage_fault(const char *code, const char *message, const char *help) {
    lg_diags ds;
    lg_diags_init(&ds);
    lg_diag *d = lg_diag_add(&ds, code, (lg_span){0}, "%s", message);
    if (help)
        lg_diag_help(d, "%s", help);
    lg_show(&ds);
    lg_diags_fini(&ds);
    return LG_EXIT_USAGE;
}

/* name: behind its dashes, as it was typed. */
static int unknown_option(const char *command, const char *dashes, const char *name, size_t n,
                          const lg_option_row *rows, size_t n_rows) {
    const char *names[32];
    char word[64], message[160], help[96];
    size_t count = 0;
    for (; count < n_rows && count < LG_COUNT(names); count++)
        names[count] = rows[count].name;
    snprintf(word, sizeof word, "%.*s", (int)n, name);
    snprintf(message, sizeof message, "`%s%s` has no option %.*s%s", lg_command_prefix, command,
             (int)(name - dashes), dashes, word);
    const char *near = lg_nearest(word, names, count);
    if (near)
        snprintf(help, sizeof help, "did you mean --%s?", near);
    else
        snprintf(help, sizeof help, "`%s%s --help` lists its options", lg_command_prefix, command);
    return lg_usage_fault("E0712", message, help);
}

static const lg_option_row *find(const lg_option_row *rows, size_t n, const char *name,
                                 size_t len) {
    for (size_t i = 0; i < n; i++)
        if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
            return &rows[i];
    return NULL;
}

/* Sets an option; *i moves on when the value is the next argument. */
static int set(const char *command, const lg_option_row *r, const char *eq, int argc, char **argv,
               int *i) {
    char message[160];
    if (r->flag && !eq) {
        *r->flag = true;
        return 0;
    }
    if (r->flag) {
        snprintf(message, sizeof message, "--%s of `%s%s` takes no value", r->name,
                 lg_command_prefix, command);
        return lg_usage_fault("E0713", message, NULL);
    }
    if (!eq && *i + 1 >= argc) {
        snprintf(message, sizeof message, "%s%s of `%s%s` wants %s", r->name[1] ? "--" : "-",
                 r->name, lg_command_prefix, command, r->value);
        return lg_usage_fault("E0713", message, r->help);
    }
    *r->text = eq ? eq + 1 : argv[++*i];
    return 0;
}

int lg_read_options(const char *command, int argc, char **argv, const lg_option_row *rows, size_t n,
                    bool keep_unknown, lg_words *out) {
    for (int i = 0; i < argc; i++) {
        char *s = argv[i];
        if (!strcmp(s, "--")) {
            for (i++; i < argc; i++)
                if (keep_unknown)
                    LG_PUSH(out->rest, argv[i]);
                else
                    LG_PUSH(out->words, argv[i]);
            return 0;
        }
        if (s[0] != '-' || !s[1] || (s[1] != '-' && keep_unknown && out->rest.n)) {
            LG_PUSH(out->words, s);
            continue;
        }
        const char *name = s + (s[1] == '-' ? 2 : 1), *eq = strchr(name, '=');
        size_t len = eq ? (size_t)(eq - name) : strlen(name);
        const lg_option_row *r = find(rows, n, name, len);
        int status = 0;
        if (r) {
            status = set(command, r, eq, argc, argv, &i);
        } else if (!keep_unknown || (out->after_word && !out->words.n)) {
            status = unknown_option(command, s, name, len, rows, n);
        } else {
            LG_PUSH(out->rest, s);
            bool value = !eq && i + 1 < argc && (argv[i + 1][0] != '-' || argv[i + 1][1] != '-');
            if (value)
                LG_PUSH(out->rest, argv[++i]);
        }
        if (status)
            return status;
    }
    return 0;
}

void lg_words_fini(lg_words *w) {
    lg_free(w->words.at);
    lg_free(w->rest.at);
}

bool lg_wants_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

void lg_print_options(FILE *out, const lg_option_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s%s", rows[i].name[1] ? "--" : "-", rows[i].name,
                 rows[i].value ? " " : "", rows[i].value ? rows[i].value : "");
        fprintf(out, "  %-20s %s\n", left, rows[i].help);
    }
}
