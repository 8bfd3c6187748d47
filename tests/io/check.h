/* check.h: what the programs of tests/io share: counting checks, a scratch directory, an lg_io.
 * Included once by each of them. */
#ifndef LG_TESTS_IO_CHECK_H
#define LG_TESTS_IO_CHECK_H
#include "runtime/io.h"
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int n_passed, n_failed;

__attribute__((format(printf, 2, 3), unused)) static bool check(bool ok, const char *fmt, ...) {
    if (ok) {
        n_passed++;
        return true;
    }
    n_failed++;
    va_list ap;
    va_start(ap, fmt);
    fputs("FAILED ", stdout);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    return false;
}

static lg_diags check_ds;
static lg_io check_io = {&check_ds, {0, 0, 0}, 0};

/* Forgets what was reported. */
__attribute__((unused)) static lg_io *fresh(void) {
    lg_diags_fini(&check_ds);
    lg_diags_init(&check_ds);
    return &check_io;
}

/* What was reported is this code alone, and its message holds `part`. */
__attribute__((unused)) static void check_error(const char *name, const char *code,
                                                const char *part) {
    bool one = check_ds.list.n == 1 && strcmp(check_ds.list.at[0]->code, code) == 0;
    const char *said = check_ds.list.n ? check_ds.list.at[0]->message : "nothing";
    check(one && strstr(said, part), "%s: wanted %s with `%s`, got %zu: %s", name, code, part,
          check_ds.list.n, said);
}

static char scratch[64];

__attribute__((unused)) static char *in_scratch(const char *name) {
    static char paths[8][160];
    static int turn;
    char *p = paths[turn++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", scratch, name);
    return p;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where) {
    (void)st;
    (void)flag;
    (void)where;
    return remove(path);
}

__attribute__((unused)) static bool open_scratch(void) {
    const char *base = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.40s/lg-io-XXXXXX", base && *base ? base : P_tmpdir);
    lg_diags_init(&check_ds);
    return mkdtemp(scratch) != NULL;
}

__attribute__((unused)) static int close_scratch(void) {
    lg_diags_fini(&check_ds);
    nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
#endif
