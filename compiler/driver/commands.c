/* commands.c: the table of the commands of `lg`: what each is for, its words and its options. Help,
 * completion and manual pages are all written from it. What a command does is in its own file. */
#include "compiler/driver/command.h"
#include <stdio.h>
#include <string.h>

static const lg_command commands[] = {
    {"run", "FILE [ENTRY] [--name value ...]", "check a program and run it",
     "Checks a program and runs its top level, its entry ENTRY, or its only train. Options\n"
     "that are not listed here are the program's own: `lg run FILE --help` lists them.",
     LG_WORD_PROGRAM, lg_rows_run, lg_cmd_run},
    {"build", "FILE [-o EXE] [--with NAME=VALUE ...]", "make one executable of a program",
     "Checks a program and makes one executable of it, which runs without lg:\n"
     "EXE [ENTRY] [--name value ...], as `lg run FILE` would. Its kernels are compiled by $CC, or\n"
     "cc; they serve data of other lengths too. A compiler that gives nothing within 300 s, or\n"
     "LG_CC_SECONDS, is stopped, and prebuilt kernels do its work.",
     LG_WORD_PROGRAM, lg_rows_build, lg_cmd_build},
    {"check", "FILE [ENTRY] ... [--name value ...]", "check programs without running them",
     "Checks programs without running them, tells what their trains will take, tries their\n"
     "`check` lines, and lists what only a run can check (none of it with --quiet). Options of a\n"
     "program are not unknown then: what depends on them is checked as well. ENTRY says whose they\n"
     "are where several trains or entries have such a parameter.",
     LG_WORD_PROGRAM, lg_rows_run, lg_cmd_check},
    {"fmt", "FILE ...", "lay programs out tidily",
     "Lays programs out tidily, in place; `-` reads the standard input.", LG_WORD_PROGRAM,
     lg_rows_fmt, lg_cmd_fmt},
    {"info", "FILE ...", "what stands in a save, an array file or a built program",
     "Names, types, shapes and sizes of the arrays in safetensors, npy, npz and saves, which\n"
     "program and seed made a save and whether its checksums hold; of a built program, what it\n"
     "carries. A directory means its newest save.",
     LG_WORD_FILE, NULL, lg_cmd_info},
    {"diff", "A B", "what differs between two files of arrays",
     "Compares two files of arrays (safetensors, npy, npz, saves) by name: names that only one\n"
     "has, types, shapes, the largest absolute and relative difference of the values. The exit\n"
     "status is 0 when nothing differs, 1 when something does, 2 when a file cannot be read.",
     LG_WORD_FILE, lg_rows_diff, lg_cmd_diff},
    {"plot", "LOG ... [-o x.svg]", "curves of training logs",
     "Draws what `lg run FILE --log LOG.jsonl` logged, a panel a column, several logs over each\n"
     "other: on the terminal, or to a file .svg or .html. A directory of saves does as well.",
     LG_WORD_FILE, lg_rows_plot, lg_cmd_plot},
    {"report", "RUN [-o PAGE.html]", "one page of a run: curves, tables, pictures, plan",
     "Makes one HTML page of a log (`lg run FILE --log LOG.jsonl`) or of a directory of saves,\n"
     "which needs nothing beside it: curves, arguments, claims, what `table`, `plot` and `print`\n"
     "showed, the pictures (.png, .svg), sounds (.wav) and matrices (.npy) that `write` wrote,\n"
     "the saved arrays, plan and graph of a step.",
     LG_WORD_FILE, lg_rows_report, lg_cmd_report},
    {"help", "[NAME [FILE]]", "what a function, loss, optimizer, op or word is",
     "What NAME is, in the library or in FILE; without NAME, all names.", LG_WORD_NAME, NULL,
     lg_cmd_help},
    {"doc", "[FILE] [-o DIR]", "reference pages of the library, or of a file",
     "Writes the reference of the standard library as one page with a search, DIR/index.html,\n"
     "as manual pages of section 3lg, DIR/man3, and those of the commands, DIR/man1. With FILE\n"
     "only the page, of the declarations and doc comments (##) in it.",
     LG_WORD_PROGRAM, lg_rows_doc, lg_cmd_doc},
    {"completion", "bash|zsh|fish", "what TAB offers in a shell",
     "Prints the script that makes TAB complete commands, options, programs, their entries and\n"
     "their own options: source <(lg completion bash), or for good in the shell's folder for\n"
     "completions.",
     LG_WORD_SHELL, NULL, lg_cmd_completion},
    {"explain", "[CODE]", "what an error code means",
     "What an error code means; without CODE, all codes.", LG_WORD_CODE, NULL, lg_cmd_explain},
    {"ops", "", "every op with its signature",
     "Every op with its signature; `lg help NAME` tells more.", LG_WORD_NONE, NULL, lg_cmd_ops},
    {"repl", "[--keep-going]", "the prompt: statements line by line; also `lg` alone",
     "Statements and expressions, line by line; `:help` lists the commands of the prompt. With a\n"
     "pipe for input there is no prompt, and the first error ends it unless --keep-going.",
     LG_WORD_NONE, lg_rows_repl, lg_cmd_repl},
    {"version", "", "the version", "The version of this program.", LG_WORD_NONE, NULL,
     lg_cmd_version},
};

size_t lg_command_count(void) {
    return LG_COUNT(commands);
}

const lg_command *lg_command_at(size_t i) {
    return &commands[i];
}

const lg_command *lg_command_find(const char *name) {
    for (size_t i = 0; i < LG_COUNT(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

size_t lg_command_rows(const lg_command *c, lg_option_row out[LG_MOST_ROWS]) {
    size_t n = c->rows ? c->rows(out) : 0;
    assert(n <= LG_MOST_ROWS);
    return n;
}

void lg_command_help(const lg_command *c) {
    lg_option_row rows[LG_MOST_ROWS];
    size_t n = lg_command_rows(c, rows);
    printf("lg %s%s%s\n\n%s\n", c->name, *c->use ? " " : "", c->use, c->about);
    if (n)
        printf("\n");
    lg_print_options(stdout, rows, n);
}

void lg_commands_usage(FILE *out) {
    fprintf(out, "lg COMMAND ...\n\n");
    for (size_t i = 0; i < LG_COUNT(commands); i++) {
        char left[96];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].use);
        fprintf(out, "  lg %-45s %s\n", left, commands[i].help);
    }
    fprintf(out, "\n`lg COMMAND --help` lists the options of a command.\n");
}
