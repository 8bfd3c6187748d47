/* logs.c: lines of a log come in order, once and whole, whether they are held or not: after a
 * flush, at the close, when the process ends without either, and where nothing can be written. */
#define _XOPEN_SOURCE 700
#include "tests/io/check.h"
#include <signal.h>
#include <sys/wait.h>

enum { LINES = 5000 };

static void put(lg_log *l, int n) {
    lg_log_int(l, "n", n);
    lg_log_real(l, "x", n * 0.1, false);
    lg_log_text(l, "say", n % 7 ? "plain" : "\"quoted\" \\ \n\xff");
}

/* How many lines there are, each the next one; -1: one of them is wrong. */
static int lines_of(const char *path) {
    FILE *f = fopen(path, "r");
    char line[256], want[256];
    int n = 0;
    for (; f && fgets(line, sizeof line, f); n++) {
        lg_buf text = {0};
        char number[40];
        lg_json_string(&text, n % 7 ? "plain" : "\"quoted\" \\ \n\xff");
        snprintf(want, sizeof want, "{\"n\": %d, \"x\": %s, \"say\": %s}\n", n,
                 lg_number_text(number, n * 0.1, false), text.at);
        lg_buf_free(&text);
        if (strcmp(line, want)) {
            n = -1;
            break;
        }
    }
    if (f)
        fclose(f);
    return n;
}

static void test_order(const char *path) {
    lg_log *l = NULL;
    check(lg_log_open(fresh(), path, false, &l) == LG_OK, "opens");
    put(l, 0);
    lg_log_line_soon(fresh(), l);
    check(lines_of(path) == 1, "the first line is written at once");
    for (int n = 1; n < LINES; n++) {
        put(l, n);
        (n % 1000 == 999 ? lg_log_line : lg_log_line_soon)(fresh(), l);
        if (n % 1000 == 999)
            check(lines_of(path) == n + 1, "a line brings those before it");
    }
    put(l, LINES);
    lg_log_line_soon(fresh(), l);
    check(lg_log_flush(fresh(), l) == LG_OK && lines_of(path) == LINES + 1, "flushed");
    put(l, LINES + 1);
    lg_log_line_soon(fresh(), l);
    lg_log_close(l);
    check(lines_of(path) == LINES + 2, "closed");
}

/* Another process writes lines and ends so. */
static void test_end(const char *path, int number) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (number)
            signal(number, SIG_DFL); /* whoever runs this may ignore it */
        lg_log *l = NULL;
        if (lg_log_open(fresh(), path, false, &l) != LG_OK)
            _exit(1);
        for (int n = 0; n < 50; n++) {
            put(l, n);
            lg_log_line_soon(fresh(), l);
        }
        if (number)
            raise(number);
        exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(lines_of(path) == 50, "50 lines before the process ends by signal %d", number);
    check(number ? WIFSIGNALED(status) && WTERMSIG(status) == number : WIFEXITED(status),
          "and it ends by signal %d", number);
}

static void test_full(void) {
    lg_log *l = NULL;
    if (access("/dev/full", W_OK) != 0 || lg_log_open(fresh(), "/dev/full", false, &l) != LG_OK)
        return;
    put(l, 0);
    lg_log_line_soon(fresh(), l);
    check_error("a full disk", "E0610", "cannot be written");
    put(l, 1);
    check(lg_log_line(fresh(), l) == LG_OK && check_ds.list.n == 0, "is reported once");
    lg_log_close(l);
}

int main(void) {
    if (!open_scratch())
        return 1;
    const char *path = in_scratch("log.jsonl");
    test_order(path);
    const int ends[] = {0, SIGHUP, SIGTERM, SIGINT, SIGPIPE};
    for (size_t k = 0; k < LG_COUNT(ends); k++)
        test_end(path, ends[k]);
    test_full();
    return close_scratch();
}
