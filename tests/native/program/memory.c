/* memory.c: a C program whose library of points.lg finds no memory: calls fail and say so, the
 * process and other handles go on. Every limit is tried in a process of its own. Prints how many
 * limits were too low and how many were enough; 1 when something is not as it should be. */
#define _DEFAULT_SOURCE
#include "points.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 16, STEP = 96 << 10, MOST = 200, HUGE_BATCH = 1 << 24 };

static float x[BATCH * 3], out[BATCH * 2];
static int32_t y[BATCH];

/* Bytes of address space that this process has. */
static rlim_t used(void) {
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu", &pages) != 1)
        exit(1);
    fclose(f);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void limit(rlim_t most) {
    struct rlimit r = {most, RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &r) != 0)
        exit(1);
}

/* 0: all went well; 2: memory ran out, was told, and another handle works once there is more. */
static int try(rlim_t room) {
    double loss;
    limit(used() + room);
    points *a = points_new(NULL);
    int bad = points_train_step(a, BATCH, x, y, &loss) || points_predict(a, BATCH, x, NULL, out);
    limit(RLIM_INFINITY);
    if (bad && !strstr(points_error(a), "memory"))
        return 1;
    points_free(a);
    if (!bad)
        return 0;
    points *b = points_new(NULL);
    if (points_train_step(b, BATCH, x, y, &loss) != 0)
        return 1;
    points_free(b);
    return 2;
}

int main(void) {
    int failed = 0, enough = 0;
    for (int k = 0; k < MOST && enough < 3; k++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(try((rlim_t)k * STEP));
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) == 1) {
            fprintf(stderr, "with %d bytes more: status %x\n", k * STEP, (unsigned)status);
            return 1;
        }
        failed += WEXITSTATUS(status) == 2;
        enough += WEXITSTATUS(status) == 0;
    }
    /* a batch that is too large leaves the handle as it was */
    double loss;
    points *a = points_new(NULL);
    if (points_train_step(a, BATCH, x, y, &loss) != 0)
        return 1;
    limit(used() + (64 << 20));
    float *wide = malloc(1);
    if (points_predict(a, HUGE_BATCH, wide, NULL, wide) == 0 || !strstr(points_error(a), "memory"))
        return 1;
    limit(RLIM_INFINITY);
    if (points_train_step(a, BATCH, x, y, &loss) != 0)
        return 1;
    points_free(a);
    free(wide);
    printf("%d too low, %d enough\n", failed, enough);
    return failed == 0 || enough == 0;
}
