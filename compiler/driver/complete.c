/* complete.c: `lg completion`: scripts for shells, and what they ask for: the words that can stand
 * where the cursor is. Commands and options come from the tables that they are read by, entries and
 * a program's own options from the program. */
#include "compiler/driver/command.h"
#include <stdio.h>
#include <string.h>

/* ---- the scripts ---- */

/* They pass the words after `lg`, the last one the one to complete, and get lines WORD<tab>HELP; a
 * line ":files" asks for names of files. */
static const char bash[] =
    "_lg() {\n"
    "    local line cur=${COMP_WORDS[COMP_CWORD]}\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        if [ \"$line\" = :files ]; then\n"
    "            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "            compopt -o filenames 2>/dev/null\n"
    "        else\n"
    "            COMPREPLY+=(\"${line%%$'\\t'*}\")\n"
    "        fi\n"
    "    done < <(\"${COMP_WORDS[0]}\" completion words -- "
    "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _lg lg\n";
static const char zsh[] = "#compdef lg\n"
                          "_lg() {\n"
                          "    local line\n"
                          "    local -a found\n"
                          "    while IFS= read -r line; do\n"
                          "        if [[ $line = :files ]]; then\n"
                          "            _files\n"
                          "        else\n"
                          "            found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
                          "        fi\n"
                          "    done < <(\"$words[1]\" completion words -- "
                          "\"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
                          "    _describe lg found\n"
                          "}\n"
                          "if [ \"$funcstack[1]\" = _lg ]; then _lg; else compdef _lg lg; fi\n";
static const char fish[] = "function __lg_words\n"
                           "    set -l all (commandline -opc) (commandline -ct)\n"
                           "    for line in ($all[1] completion words -- $all[2..-1] 2>/dev/null)\n"
                           "        if test $line = :files\n"
                           "            __fish_complete_path (commandline -ct)\n"
                           "        else\n"
                           "            echo $line\n"
                           "        end\n"
                           "    end\n"
                           "end\n"
                           "complete -c lg -f -a '(__lg_words)'\n";

static const struct {
    const char *name, *script;
} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

/* ---- words ---- */

static void offer(const char *cur, const char *word, const char *help) {
    if (strncmp(word, cur, strlen(cur)) != 0)
        return;
    printf("%s\t", word);
    for (; *help && *help != '\n'; help++)
        putchar(*help == '\t' ? ' ' : *help);
    putchar('\n');
}

static void offer_option(const char *cur, const char *name, const char *help) {
    char word[128];
    snprintf(word, sizeof word, "%s%.120s", name[1] ? "--" : "-", name);
    offer(cur, word, help);
}

/* The values that "off|auto|on" lists; anything else in capitals is the name of a file or free. */
static void offer_values(const char *cur, const char *value) {
    static const char *const files[] = {"FILE", "DIR", "EXE"};
    for (size_t i = 0; i < LG_COUNT(files); i++)
        if (!strcmp(files[i], value))
            printf(":files\n");
    while (strchr(value, '|') || (*value >= 'a' && *value <= 'z')) {
        char word[64];
        size_t n = strcspn(value, "|");
        snprintf(word, sizeof word, "%.*s", (int)n, value);
        offer(cur, word, "");
        if (!value[n])
            return;
        value += n + 1;
    }
}

static const lg_option_row *row_of(const lg_option_row *rows, size_t n, const char *word) {
    if (word[0] != '-')
        return NULL;
    word += word[1] == '-' ? 2 : 1;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rows[i].name, word))
            return &rows[i];
    return NULL;
}

/* ---- a program's own words ---- */

static bool is_decl(const lg_ast *d, const char *word) {
    return d->kind == LG_A_DECL && d->name && d->text && !strcmp(d->text, word);
}

static void parameters(const char *cur, const lg_ast *d) {
    const lg_ast *params = d->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        if (params->kid[i]->name)
            offer_option(cur, params->kid[i]->name, params->kid[i]->doc ? params->kid[i]->doc : "");
}

/* Entries and trains, or the options of the program: its args, and the parameters of the entry that
 * is named, or of its only train. */
static void of_program(const char *path, const char *entry, const char *cur, bool options) {
    lg_session s;
    lg_session_init(&s);
    lg_module *m = lg_session_load(&s, path);
    const lg_ast *only = NULL;
    size_t trains = 0;
    for (uint32_t i = 0; m && i < m->tree->n; i++) {
        const lg_ast *d = m->tree->kid[i];
        bool chosen = is_decl(d, "entry") || is_decl(d, "train");
        if (is_decl(d, "train")) {
            only = d;
            trains++;
        }
        if (!options && chosen)
            offer(cur, d->name, d->doc ? d->doc : d->text);
        else if (options && is_decl(d, "arg"))
            offer_option(cur, d->name, d->doc ? d->doc : "");
        else if (options && chosen && entry && !strcmp(d->name, entry))
            parameters(cur, d);
    }
    if (options && !entry && trains == 1)
        parameters(cur, only);
    lg_session_fini(&s);
}

/* ---- where the cursor is ---- */

static void offer_commands(const char *cur) {
    for (size_t i = 0; i < lg_command_count(); i++)
        offer(cur, lg_command_at(i)->name, lg_command_at(i)->help);
    offer(cur, "--help", "the commands");
    offer(cur, "--version", "the version");
}

static void offer_names(const char *cur) {
    lg_arena *a = lg_arena_new();
    const char **names;
    size_t n = lg_help_names(a, &names);
    for (size_t i = 0; i < n; i++)
        if (names[i][0] != '_')
            offer(cur, names[i], "");
    lg_arena_free(a);
}

static void offer_words(const lg_command *c, const char *cur, size_t before, const char *file) {
    const char *const *codes;
    switch (c->words) {
    case LG_WORD_PROGRAM:
        if (c->run == lg_cmd_run && before == 1)
            of_program(file, NULL, cur, false);
        else if (c->run != lg_cmd_run || !before)
            printf(":files\n");
        return;
    case LG_WORD_FILE:
        printf(":files\n");
        return;
    case LG_WORD_NAME:
        if (before)
            printf(":files\n");
        else
            offer_names(cur);
        return;
    case LG_WORD_CODE:
        for (size_t i = 0, n = lg_diag_codes(&codes); i < n; i++)
            offer(cur, codes[i], lg_diag_title(codes[i]));
        return;
    case LG_WORD_SHELL:
        for (size_t i = 0; i < LG_COUNT(shells); i++)
            offer(cur, shells[i].name, "");
        return;
    case LG_WORD_NONE:
        return;
    }
}

/* word[0] is the command, word[n - 1] what is completed. */
static void complete(size_t n, const char *const *word) {
    const char *cur = n ? word[n - 1] : "", *words[2] = {NULL, NULL};
    const lg_command *c = n > 1 ? lg_command_find(word[0]) : NULL;
    lg_option_row rows[LG_MOST_ROWS];
    size_t n_rows = c ? lg_command_rows(c, rows) : 0, before = 0;
    if (n < 2) {
        offer_commands(cur);
        return;
    }
    if (!c)
        return;
    for (size_t i = 1; i + 1 < n; i++) {
        const lg_option_row *r = row_of(rows, n_rows, word[i]);
        bool own = !r && !strncmp(word[i], "--", 2); /* of the program: it takes a value */
        if ((r && !r->flag) || own)
            i++;
        else if (!r && before < 2)
            words[before++] = word[i];
    }
    const lg_option_row *last = n > 2 ? row_of(rows, n_rows, word[n - 2]) : NULL;
    if (last && !last->flag) {
        offer_values(cur, last->value);
        return;
    }
    if (cur[0] != '-') {
        offer_words(c, cur, before, words[0]);
        return;
    }
    for (size_t i = 0; i < n_rows; i++)
        offer_option(cur, rows[i].name, rows[i].help);
    offer(cur, "--help", "what the command does, and its options");
    if (c->run == lg_cmd_run && words[0])
        of_program(words[0], words[1], cur, true);
}

int lg_cmd_completion(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[0], "words") && !strcmp(argv[1], "--")) {
        complete((size_t)argc - 2, (const char *const *)argv + 2);
        return LG_EXIT_OK;
    }
    for (size_t i = 0; argc == 1 && i < LG_COUNT(shells); i++)
        if (!strcmp(shells[i].name, argv[0])) {
            fputs(shells[i].script, stdout);
            return LG_EXIT_OK;
        }
    char message[96] = "`lg completion` wants the name of a shell";
    if (argc)
        snprintf(message, sizeof message, "there is no completion for `%.40s`", argv[0]);
    return lg_usage_fault("E0713", message,
                          "shells are bash, zsh and fish: source <(lg completion bash)");
}
