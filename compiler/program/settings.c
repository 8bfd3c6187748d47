/* settings.c: the options that every run of a program takes, under `lg run` and in built programs.
 */
#include "compiler/program/options.h"
#include "ops/machine.h"
#include "runtime/profile.h"
#include "runtime/trace.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void lg_run_rows(lg_run_settings *o, lg_option_row out[LG_RUN_ROWS]) {
    const lg_option_row rows[LG_RUN_ROWS] = {
        {"seed", "N", "seed of the random draws (0)", NULL, &o->seed},
        {"threads", "N", "threads to use, at most one a core (all of the machine)", NULL,
         &o->threads},
        {"float", "f32|f64", "what `float` means", NULL, &o->dtype},
        {"log", "FILE", "write the training log as JSON lines", NULL, &o->log},
        {"resume", "DIR", "go on from the newest save in DIR", NULL, &o->resume},
        {"mem", "SIZE", "most memory a step may take, as in 512M", NULL, &o->memory},
        {"jit", "off|auto|on", "compile steps while they run (auto)", NULL, &o->jit},
        {"quiet", NULL, "no progress lines", &o->quiet, NULL},
        {"allow-foreign", NULL, "allow functions from shared libraries", &o->foreign, NULL},
        {"profile", NULL, "say at the end what each kernel took", &o->profile, NULL},
        {"trace", "FILE", "write when each thread ran which kernel, as trace events", NULL,
         &o->trace},
        {"no-fuse", NULL, "run op by op", &o->no_fuse, NULL},
        {"no-simplify", NULL, "run the graphs as they were built", &o->no_simplify, NULL},
    };
    memcpy(out, rows, sizeof rows);
}

int lg_bad_value(const char *option, const char *text, const char *wanted) {
    char message[200];
    snprintf(message, sizeof message, "--%s wants %s, got `%.60s`", option, wanted, text);
    return lg_usage_fault("E0713", message, NULL);
}

static bool integer(const char *text, int64_t least, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && !*end && !errno && *out >= least;
}

static bool size(const char *text, int64_t *out) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    end += unit != NULL;
    if (end == text || *end || errno || *out < 1 || *out > INT64_MAX >> shift)
        return false;
    *out <<= shift;
    return true;
}

lg_dtype lg_float_named(const char *text) {
    bool known = !strcmp(text, "f32") || !strcmp(text, "f64");
    return known ? lg_dtype_from_name(text) : LG_NO_DTYPE;
}

/* More threads than cores wait for each other; results do not depend on how many there are. Two are
 * always allowed, for comparisons. */
static int cores(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 2 ? 2 : n > 1024 ? 1024 : (int)n;
}

int lg_run_options(const lg_run_settings *o, lg_host_opts *h) {
    int64_t n = 0;
    *h = (lg_host_opts){.log = o->log,
                        .resume = o->resume,
                        .quiet = o->quiet,
                        .allow_foreign = o->foreign,
                        .float_dtype = LG_NO_DTYPE,
                        .jit = LG_JIT_AUTO,
                        .no_fuse = o->no_fuse,
                        .no_simplify = o->no_simplify};
    if (o->seed && !integer(o->seed, INT64_MIN, &h->seed))
        return lg_bad_value("seed", o->seed, "an integer");
    h->seed_given = o->seed != NULL;
    if (o->threads && (!integer(o->threads, 1, &n) || n > 1024))
        return lg_bad_value("threads", o->threads, "a number from 1 to 1024");
    h->threads = n > cores() ? cores() : (int)n;
    if (o->memory && !size(o->memory, &h->memory))
        return lg_bad_value("mem", o->memory, "a size like 512M");
    if (o->jit && !lg_jit_mode_named(o->jit, &h->jit))
        return lg_bad_value("jit", o->jit, "off, auto or on");
    if (o->dtype)
        h->float_dtype = lg_float_named(o->dtype);
    if (o->dtype && h->float_dtype == LG_NO_DTYPE)
        return lg_bad_value("float", o->dtype, "f32 or f64");
    if (o->profile)
        lg_profile_start(lg_machine_here);
    if (o->trace && !lg_trace_start(o->trace)) {
        char message[300];
        snprintf(message, sizeof message, "%.200s cannot be written: %s", o->trace,
                 strerror(errno));
        return lg_usage_fault("E0610", message, NULL);
    }
    return 0;
}

int lg_finish(const char *name, int status) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "%s: the output could not be written\n", name);
    return status ? status : LG_EXIT_FAILED;
}
