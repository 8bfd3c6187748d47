/* main.c: the command line of `lg`: finds the command and hands over. */
#include "compiler/driver/command.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *use, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "FILE [ENTRY] [--name value ...]", "check a program and run it", lg_cmd_run},
    {"build", "FILE [-o EXE]", "make one executable of a program", lg_cmd_build},
    {"check", "FILE ...", "check programs without running them", lg_cmd_check},
    {"fmt", "FILE ...", "lay programs out tidily", lg_cmd_fmt},
    {"help", "[NAME]", "what a function, loss, optimizer, op or word is", lg_cmd_help},
    {"explain", "CODE", "what an error code means", lg_cmd_explain},
    {"ops", "", "every op with its signature", lg_cmd_ops},
    {"version", "", "the version", lg_cmd_version},
};

static void usage(FILE *out) {
    fprintf(out, "lg COMMAND ...\n\n");
    for (size_t i = 0; i < LG_COUNT(commands); i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].use);
        fprintf(out, "  lg %-36s %s\n", left, commands[i].help);
    }
    fprintf(out, "\n`lg COMMAND --help` lists the options of a command.\n");
}

static int unknown_command(const char *word) {
    const char *names[LG_COUNT(commands)];
    char message[160], help[96];
    for (size_t i = 0; i < LG_COUNT(commands); i++)
        names[i] = commands[i].name;
    size_t n = strlen(word);
    const char *near = lg_nearest(word, names, LG_COUNT(names));
    snprintf(message, sizeof message, "there is no command `%.60s`", word);
    if (n > 3 && !strcmp(word + n - 3, ".lg"))
        snprintf(help, sizeof help, "write `lg run %.60s`", word);
    else if (near)
        snprintf(help, sizeof help, "did you mean `lg %s`?", near);
    else
        snprintf(help, sizeof help, "`lg --help` lists the commands");
    return lg_usage_fault("E0711", message, help);
}

static void out_of_memory(size_t wanted) {
    fprintf(stderr, "lg: out of memory (%zu bytes wanted)\n", wanted);
    exit(LG_EXIT_FAILED);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_DFL);
    lg_out_of_memory = out_of_memory;
    if (argc < 2) {
        usage(stderr);
        return LG_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        usage(stdout);
        return lg_finish("lg", LG_EXIT_OK);
    }
    if (!strcmp(word, "--version"))
        word = "version";
    for (size_t i = 0; i < LG_COUNT(commands); i++)
        if (!strcmp(commands[i].name, word))
            return lg_finish("lg", commands[i].run(argc - 2, argv + 2));
    return unknown_command(word);
}
