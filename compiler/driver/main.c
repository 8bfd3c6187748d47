/* main.c: the command line of `lg`: finds the command and hands over. */
#include "compiler/driver/command.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown_command(const char *word) {
    enum { MOST = 64 };
    const char *names[MOST];
    char message[160], help[96];
    size_t count = lg_command_count(), n = strlen(word);
    count = count < MOST ? count : MOST;
    for (size_t i = 0; i < count; i++)
        names[i] = lg_command_at(i)->name;
    const char *near = lg_nearest(word, names, count);
    snprintf(message, sizeof message, "there is no command `%.60s`", word);
    if (n > 3 && !strcmp(word + n - 3, ".lg"))
        snprintf(help, sizeof help, "write `lg run %.60s`", word);
    else if (near)
        snprintf(help, sizeof help, "did you mean `lg %s`?", near);
    else
        snprintf(help, sizeof help, "`lg --help` lists the commands");
    return lg_usage_fault("E0711", message, help);
}

/* Behind a program, --help is the program's own. */
static bool asks_for_help(const lg_command *c, int argc, char **argv) {
    bool of_program = c->run == lg_cmd_run && argc > 1 && argv[0][0] != '-';
    return !of_program && lg_wants_help(argc, argv);
}

static void out_of_memory(size_t wanted) {
    fprintf(stderr, "lg: out of memory (%zu bytes wanted)\n", wanted);
    exit(LG_EXIT_FAILED);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_IGN); /* a file at its largest is an error like a full disk */
    lg_out_of_memory = out_of_memory;
    const char *word = argc < 2 ? "--" : argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        lg_commands_usage(stdout);
        return lg_finish("lg", LG_EXIT_OK);
    }
    if (!strcmp(word, "--version"))
        word = "version";
    if (word[0] == '-') /* options of the prompt */
        return lg_finish("lg", lg_cmd_repl(argc - 1, argv + 1));
    const lg_command *c = lg_command_find(word);
    if (!c)
        return unknown_command(word);
    if (asks_for_help(c, argc - 2, argv + 2)) {
        lg_command_help(c);
        return lg_finish("lg", LG_EXIT_OK);
    }
    return lg_finish("lg", c->run(argc - 2, argv + 2));
}
