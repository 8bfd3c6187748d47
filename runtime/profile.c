/* profile.c: collects what the steps of plans cost and prints it by kernel and source line. The
 * time of a step is that of the first thread, the wait for the others included. Not for the whole
 * process: reading data, checking and planning are not in it. */
#include "runtime/profile.h"
#include "runtime/diag.h"
#include "runtime/exec.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    char name[96];
    lg_span at;
    double ns, flops, bytes;
    int64_t runs;
} row;

enum { MOST_LINES = 40 };

static struct {
    bool on;
    const lg_machine *(*measure)(void);
    LG_VEC(row) row;
    int64_t loops, compiled; /* of plans that ran */
    lg_crew crew;            /* of the plan that ran most of those that could choose */
    int crew_threads;
    int64_t runs, alone; /* of all of these; those that one thread did by choice */
    double resident;     /* bytes in use when the measurement began */
} profile;

bool lg_profile_on(void) {
    return profile.on;
}

double lg_profile_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* ---- memory ---- */

/* A line of /proc/self/status, in bytes; 0: there is none. */
static double status_of(const char *word) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double kb = 0;
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, word, strlen(word)))
            kb = strtod(line + strlen(word), NULL);
    if (f)
        fclose(f);
    return 1024 * kb;
}

/* 5 makes the largest size so far start again from the present one. */
void lg_profile_memory_begin(void) {
    if (profile.on)
        lg_memory_back();
    FILE *f = profile.on ? fopen("/proc/self/clear_refs", "w") : NULL;
    bool ok = f && fputs("5", f) >= 0;
    if (f)
        ok = fclose(f) == 0 && ok;
    profile.resident = ok ? status_of("VmRSS:") : 0;
}

double lg_profile_memory(void) {
    double peak = profile.resident > 0 ? status_of("VmHWM:") : 0;
    return peak > profile.resident ? peak - profile.resident : 0;
}

/* ---- names ---- */

static void add_word(char *to, size_t cap, const char *word) {
    size_t n = strlen(to);
    if (!strstr(to, word) && n + strlen(word) + 2 < cap)
        snprintf(to + n, cap - n, " %s", word);
}

static void name_loop(const lg_loop *l, char *to, size_t cap) {
    snprintf(to, cap, "loop %" PRId64 "x%" PRId64, l->n_o, l->n_i);
    for (int j = 0; j < l->n_instr; j++) {
        const lg_instr *x = &l->instr[j];
        if (x->kind == LG_I_REDUCE || x->kind == LG_I_RAND || x->kind == LG_I_GATHER ||
            (x->kind == LG_I_ELEM && !(x->node->op->traits & LG_T_CHEAP)))
            add_word(to, cap, x->node->op->name);
    }
    size_t n = strlen(to);
    snprintf(to + n, cap - n, " (%d)", l->n_instr);
}

void lg_profile_name(const lg_step *s, char *to, size_t cap) {
    const lg_product *p = s->product;
    if (s->code)
        snprintf(to, cap, "%d kernels as one", s->n_code);
    else if (s->kind == LG_S_LOOP)
        name_loop(s->loop, to, cap);
    else if (s->kind == LG_S_DOT)
        snprintf(to, cap, "dot %" PRId64 "x[%" PRId64 " %" PRId64 " %" PRId64 "]", p->batch, p->m,
                 p->n, p->k);
    else if (s->kind == LG_S_COPY)
        snprintf(to, cap, "copy %zu", s->bytes);
    else
        snprintf(to, cap, "%s%s", s->node->op->name, s->serial ? " (one thread)" : "");
}

static double work_of(const lg_step *s) {
    if (s->kind == LG_S_DOT)
        return 2 * (double)(s->product->batch * s->product->m * s->product->n) *
               (double)s->product->k;
    if (s->kind == LG_S_RUN)
        return s->node->op->flops ? (double)s->node->op->flops(s->node) : 0;
    double n = 0;
    for (int j = 0; s->loop && j < s->loop->n_instr; j++)
        if (s->loop->instr[j].kind == LG_I_ELEM || s->loop->instr[j].kind == LG_I_REDUCE)
            n += (double)s->loop->n_o * (s->loop->instr[j].row ? 1 : (double)s->loop->n_i);
    return n;
}

/* A step that is compiled together with those after it stands for them all. */
double lg_profile_flops(const lg_step *s) {
    double all = 0;
    for (int k = 0; k < (s->code ? s->n_code : 1); k++)
        all += work_of(s + k);
    return all;
}

static double traffic_of(const lg_step *s) {
    double all = 0;
    for (int k = 0; k < (s->code ? s->n_code : 1); k++)
        all += (double)s[k].traffic;
    return all;
}

/* ---- collecting ---- */

static row *row_of(const char *name, lg_span at) {
    for (size_t k = 0; k < profile.row.n; k++) {
        row *r = &profile.row.at[k];
        if (r->at.file == at.file && r->at.beg == at.beg && !strcmp(r->name, name))
            return r;
    }
    row fresh = {.at = at};
    snprintf(fresh.name, sizeof fresh.name, "%s", name);
    LG_PUSH(profile.row, fresh);
    return &profile.row.at[profile.row.n - 1];
}

/* Of plans that may be compiled, which those that run once are not. */
static void count_loops(const lg_plan *p) {
    for (int k = 0, together = 0; k < p->n_step; k++, together--) {
        const lg_step *s = &p->step[k];
        for (int b = 0; b < 2; b++)
            if (s->sub[b])
                count_loops(s->sub[b]);
        together = s->code ? s->n_code : together;
        profile.loops += s->loop != NULL;
        profile.compiled += s->loop && (s->loop->code || together > 0);
    }
}

static void add(const lg_plan *p) {
    for (int k = 0; k < p->n_step; k++) {
        const lg_step *s = &p->step[k];
        for (int b = 0; b < 2; b++)
            if (s->sub[b])
                add(s->sub[b]);
        if (!s->runs || s->sub[0])
            continue;
        char name[96];
        lg_profile_name(s, name, sizeof name);
        row *r = row_of(name, s->node ? s->node->span : (lg_span){0});
        r->ns += s->ns;
        r->runs += s->runs;
        r->flops += lg_profile_flops(s) * (double)s->runs;
        r->bytes += traffic_of(s) * (double)s->runs;
    }
}

/* Plans that threads may share. */
static void add_crew(const lg_plan *p) {
    profile.runs += p->crew.runs;
    profile.alone += p->crew.alone;
    if (p->crew.runs > profile.crew.runs) {
        profile.crew = p->crew;
        profile.crew_threads = p->threads;
    }
}

void lg_profile_add(const lg_plan *p) {
    add_crew(p);
    if (p->jit)
        count_loops(p);
    add(p);
}

/* ---- printing ---- */

static int dearest(const void *a, const void *b) {
    const row *x = a, *y = b;
    return x->ns != y->ns ? (x->ns > y->ns ? -1 : 1) : strcmp(x->name, y->name);
}

static void print_line(lg_span at, FILE *out) {
    uint32_t line = 0, col;
    if (at.file) {
        const char *name = lg_source_name(at.file), *cut = strrchr(name, '/');
        lg_source_where(at.file, at.beg, &line, &col);
        fprintf(out, "  %s:%" PRIu32, cut ? cut + 1 : name, line);
    }
    fputc('\n', out);
}

/* How many threads ran the plans, and why. */
static void print_crew(FILE *out) {
    const lg_crew *c = &profile.crew;
    if (profile.alone)
        fprintf(out, "one thread did %" PRId64 " of %" PRId64 " runs that more could do%s\n",
                profile.alone, profile.runs,
                c->crowded ? ": other programs keep the cores busy" : "");
    if (c->took[0] > 0 && c->took[1] > 0)
        fprintf(out, "a run took %.1f us on %d threads, %.1f us on one, when last tried\n",
                c->took[0] / 1e3, profile.crew_threads, c->took[1] / 1e3);
}

/* 12.3M */
static const char *scaled(char out[16], double v) {
    static const char *const unit[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    for (; v >= 999.5 && i + 1 < LG_COUNT(unit); i++)
        v /= 1000;
    snprintf(out, 16, "%.3g%s", v, unit[i]);
    return out;
}

double lg_machine_stream(const lg_machine *m, double bytes) {
    int k = 0;
    while (k + 1 < LG_MEMORIES && bytes > m->size[k])
        k++;
    return m->bytes[k];
}

double lg_machine_share(const lg_machine *m, double flops, double bytes, double ns) {
    double stream = lg_machine_stream(m, bytes), work = m->flops > 0 ? flops / m->flops : 0,
           moved = stream > 0 ? bytes / stream : 0;
    return (work > moved ? work : moved) / ns;
}

static void print_machine(const lg_machine *m, FILE *out) {
    char size[3][16];
    fprintf(
        out,
        "roof: %.0f GFLOP/s, and of memory %.0f GB/s up to %sB, %.0f up to %sB, %.0f beyond, on %d "
        "thread%s",
        m->flops, m->bytes[0], scaled(size[0], m->size[0]), m->bytes[1],
        scaled(size[1], m->size[1]), m->bytes[2], m->threads, m->threads > 1 ? "s" : "");
    if (m->threads > 1)
        fprintf(out, ", which meet in %.2f us", m->meeting / 1e3);
    fputc('\n', out);
}

static void print_row(const row *r, double all, const lg_machine *m, FILE *out) {
    char flops[16], bytes[16];
    double n = (double)r->runs, ns = r->ns / n;
    fprintf(out, "%5.1f%% %10.2f %8" PRId64 " %9.1f %7s %7s %8.1f %8.1f", 100 * r->ns / all,
            r->ns / 1e6, r->runs, ns / 1e3, scaled(flops, r->flops / n),
            scaled(bytes, r->bytes / n), r->flops / r->ns, r->bytes / r->ns);
    if (m)
        fprintf(out, " %4.0f%%", 100 * lg_machine_share(m, r->flops / n, r->bytes / n, ns));
    fprintf(out, "  %s", r->name);
    print_line(r->at, out);
}

/* The dearest kernels first. */
static void print(FILE *out) {
    double all = 0;
    for (size_t k = 0; k < profile.row.n; k++)
        all += profile.row.at[k].ns;
    if (!profile.row.n)
        return;
    const lg_machine *m = profile.measure ? profile.measure() : NULL;
    qsort(profile.row.at, profile.row.n, sizeof(row), dearest);
    fprintf(out, "%6s %10s %8s %9s %7s %7s %8s %8s%s  %s\n", "share", "ms", "runs", "us a run",
            "FLOP", "B", "GFLOP/s", "GB/s", m ? "  roof" : "", "kernel");
    for (size_t k = 0; k < profile.row.n && k < MOST_LINES; k++)
        print_row(&profile.row.at[k], all, m, out);
    if (m)
        print_machine(m, out);
    if (profile.loops)
        fprintf(out, "compiled: %" PRId64 " of %" PRId64 " loops of steps\n", profile.compiled,
                profile.loops);
    print_crew(out);
    lg_free(profile.row.at);
    memset(&profile, 0, sizeof profile);
}

static void print_at_exit(void) {
    print(stderr);
}

void lg_profile_start(const lg_machine *(*measure)(void)) {
    profile.measure = measure;
    if (!profile.on)
        atexit(print_at_exit);
    profile.on = true;
}
