/* program.h: runs a program of the language in a child process, so that a crash is one failed test,
 * and keeps what it said. For the C programs of tests/ that write programs; they write results to
 * files in the scratch folder. */
#ifndef LG_TESTS_PROGRAM_H
#define LG_TESTS_PROGRAM_H
#include "compiler/driver/command.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAM_SECONDS = 60 };

static char scratch[] = "/tmp/lg-tests-XXXXXX";
static char program_path[80], log_path[80];

static bool scratch_make(void) {
    if (!mkdtemp(scratch))
        return false;
    snprintf(program_path, sizeof program_path, "%s/case.lg", scratch);
    snprintf(log_path, sizeof log_path, "%s/log", scratch);
    return true;
}

/* Empties the scratch folder. */
static void scratch_sweep(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s/*", scratch);
    if (system(command))
        fprintf(stderr, "%s is left\n", scratch);
}

/* In the child: what `lg run` does; with `builder`, an `lg`, builds the program and becomes the
 * executable. */
static int program_child(const char *builder, const char *dtype) {
    char main_word[] = "main", option[] = "--float", value[8], threads[] = "--threads", one[] = "1";
    char *run_args[] = {program_path, main_word, option, value, threads, one};
    char binary[80];
    snprintf(value, sizeof value, "%s", dtype);
    int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        return 1;
    alarm(PROGRAM_SECONDS);
    if (!builder)
        return lg_cmd_run(LG_COUNT(run_args), run_args);
    snprintf(binary, sizeof binary, "%s/case", scratch);
    pid_t pid = fork();
    int status = 1;
    if (pid == 0) {
        execl(builder, builder, "build", program_path, "-o", binary, option, value, (char *)NULL);
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        return 1;
    execl(binary, binary, "main", (char *)NULL);
    return 1;
}

static bool program_run(const lg_buf *program, const char *builder, const char *dtype, char *why,
                        size_t n_why) {
    FILE *f = fopen(program_path, "w");
    bool written = f && fwrite(program->at, 1, program->n, f) == program->n;
    if (!f || fclose(f) || !written) {
        snprintf(why, n_why, "the program could not be written");
        return false;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int status = program_child(builder, dtype);
        fflush(stdout);
        fflush(stderr);
        _exit(status);
    }
    int status = 1;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status == 0)
        return pid > 0 && status == 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(why, n_why, "not done after %d s", PROGRAM_SECONDS);
    else if (WIFSIGNALED(status))
        snprintf(why, n_why, "died of signal %d", WTERMSIG(status));
    else
        snprintf(why, n_why, "exit status %d", WEXITSTATUS(status));
    return false;
}

/* What the program said (heap); the first error of it, if any, goes to `why`. */
static char *program_log(bool ok, char *why, size_t n_why) {
    lg_buf out = {0};
    char chunk[4096];
    FILE *f = fopen(log_path, "r");
    for (size_t k; f && (k = fread(chunk, 1, sizeof chunk, f)) > 0;)
        lg_buf_put(&out, chunk, k);
    if (f)
        fclose(f);
    lg_buf_put(&out, "", 1);
    const char *error = strstr(out.at, "error[");
    error = error ? error : strstr(out.at, "runtime[");
    if (!ok && error)
        snprintf(why, n_why, "%.*s", (int)strcspn(error, "\n"), error);
    return out.at;
}
#endif
