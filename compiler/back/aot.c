/* aot.c: see aot.h. */
#include "compiler/back/aot.h"
#include "compiler/back/aot_key.h"
#include "compiler/back/cache.h"
#include "compiler/back/cc.h"
#include "runtime/io.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HOT_NS 1e9   /* of a run: what is compiled for every processor */
#define SHORT_NS 1e5 /* of a step: what is compiled as one function */

#if defined(__x86_64__)
enum { UNITS = LG_ISA_AVX512 + 1, RARE_UNIT = LG_ISA_AVX2 };
static const char *const words[UNITS][8] = {
    {"-march=x86-64"},
    {"-march=x86-64", "-mavx2", "-mfma"},
    {"-march=x86-64", "-mavx2", "-mfma", "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw"}};
static const char units[] = "AVX2, AVX-512", more_units[] = "x86-64, AVX2, AVX-512";
#else
enum { UNITS = 1, RARE_UNIT = 0 };
static const char *const words[UNITS][8] = {{NULL}};
static const char units[] = "this machine", *const more_units = units;
#endif

bool lg_aot_whole(const lg_plan *p) {
    return p->small || p->cost < SHORT_NS;
}

lg_emit_how lg_aot_how(const lg_plan *p, lg_isa isa) {
    return (lg_emit_how){.isa = isa, .alone = p->small, .runs = true};
}

void lg_aot_key(const lg_emitted *e, lg_isa isa, uint64_t key[2]) {
    for (uint64_t k = 0; k < 2; k++) {
        key[k] = lg_cc_hash_options(words[(int)isa < UNITS ? (int)isa : 0], k + 1);
        for (size_t i = 0; i < e->part.n; i++)
            key[k] = lg_hash(e->part.at[i].at, e->part.at[i].n, key[k]);
    }
}

/* ---- where it is built ---- */

enum { WORDS = 10 };
typedef struct {
    lg_emitted text; /* of a plan */
    const lg_buf *part;
    size_t n_part;
    uint64_t key[2], hash[2]; /* hash: of the text */
    lg_isa isa;
    bool rare;                /* newer units have it too */
    const char *words[WORDS]; /* for the compiler */
    char cached[1024];        /* "": there is no place for it */
    bool was_cached;
    lg_cc *work; /* NULL: it was in the cache */
} job;

struct lg_aot {
    LG_VEC(job) job;
    lg_kernels *often[UNITS];
    /* Kernels that plans which run often do not have, or that serve them for other sizes of the
     * data only, as they travel whole: for one unit, which newer ones have too. */
    lg_kernels *rare;
    LG_VEC(lg_carried) made;
    int plans, hot; /* hot: plans that are compiled for the oldest processors too */
    char why[256];
};

lg_aot *lg_aot_new(void) {
    lg_aot *a = lg_alloc(sizeof *a);
    for (int isa = 0; isa < UNITS; isa++)
        a->often[isa] = lg_kernels_new(NULL);
    a->rare = lg_kernels_new(a->often[RARE_UNIT]);
    return a;
}

static bool has(const lg_aot *a, const uint64_t key[2]) {
    for (size_t k = 0; k < a->job.n; k++)
        if (a->job.at[k].key[0] == key[0] && a->job.at[k].key[1] == key[1])
            return true;
    return false;
}

/* What runs seldom is not worth the time of better code. */
static void choose_words(job *j, bool often) {
    int n = 0;
    for (; words[j->isa][n]; n++)
        j->words[n] = words[j->isa][n];
    if (!often)
        j->words[n] = LG_CC_QUICK;
}

/* A small plan as it is: its steps are one function, with every size a constant. */
static void add_whole(lg_aot *a, const lg_plan *p, lg_isa isa) {
    job j = {.isa = isa};
    lg_emit_c(p, lg_aot_how(p, isa), &j.text);
    lg_aot_key(&j.text, isa, j.key);
    if (!j.text.part.n || has(a, j.key)) {
        lg_emitted_free(&j.text);
        return;
    }
    memcpy(j.hash, j.key, sizeof j.hash);
    choose_words(&j, true);
    LG_PUSH(a->job, j);
}

/* On old processors only what takes long: they are few, and prebuilt kernels do the rest. */
static bool is_hot(const lg_plan *p, int64_t runs) {
    return p->cost * (double)runs > HOT_NS;
}

/* Kernels for other sizes are as good as those for these sizes where the data decide how many items
 * a step has, and there must be good ones where the plan does not travel whole. */
void lg_aot_add(lg_aot *a, const lg_plan *p, int64_t runs, bool sized) {
    size_t kernels = 0;
    bool often = runs > 0, whole = often && lg_aot_whole(p), good = often && (sized || !whole);
    for (int isa = UNITS == 1 || is_hot(p, runs) ? 0 : 1; isa < UNITS; isa++) {
        lg_emitted e;
        lg_kernels *rare = isa == RARE_UNIT ? a->rare : NULL, *all = good ? a->often[isa] : rare;
        lg_emit_open(p, lg_aot_how(p, (lg_isa)isa), often && !whole, all, rare, &e);
        kernels += e.open.n;
        lg_emitted_free(&e);
        if (whole)
            add_whole(a, p, (lg_isa)isa);
    }
    a->plans += kernels > 0;
    a->hot += kernels > 0 && is_hot(p, runs);
}

static void add_files(lg_aot *a, lg_isa isa, bool often) {
    const lg_buf *file;
    size_t n = lg_kernels_files(often ? a->often[isa] : a->rare, &file);
    for (size_t k = 0; k < n; k++) {
        job j = {.isa = isa, .rare = !often, .part = &file[k], .n_part = 1};
        j.key[0] = LG_AOT_KERNELS;
        j.key[1] = often ? (uint64_t)(int)isa : LG_AOT_RARE;
        for (uint64_t h = 0; h < 2; h++)
            j.hash[h] = lg_hash(file[k].at, file[k].n, h + 1);
        choose_words(&j, often);
        LG_PUSH(a->job, j);
    }
}

/* Files of kernels as jobs. */
static void add_kernels(lg_aot *a) {
    for (int isa = 0; isa < UNITS; isa++)
        add_files(a, (lg_isa)isa, true);
    add_files(a, (lg_isa)RARE_UNIT, false);
}

/* The cache of jit.c, for builds of the same program again; its files have a few bytes behind the
 * object, which do not mind. */
static void look_in_cache(job *j, const char *compiler) {
    uint64_t key[2];
    for (int k = 0; k < 2; k++)
        key[k] = lg_cc_hash(compiler, j->words, j->hash[k]);
    if (!lg_cache_path(key, j->cached, sizeof j->cached))
        *j->cached = 0;
    j->was_cached = *j->cached && lg_cache_has(j->cached);
}

static bool read_made(const char *path, lg_carried *out) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    bool ok = f && fstat(fileno(f), &st) == 0 && st.st_size > 0;
    if (ok) {
        uint8_t *bytes = lg_alloc((size_t)st.st_size);
        out->n = (size_t)st.st_size;
        out->bytes = bytes;
        ok = fread(bytes, 1, out->n, f) == out->n;
    }
    if (f)
        fclose(f);
    return ok;
}

static size_t parts_of(const job *j) {
    return j->part ? j->n_part : j->text.part.n;
}

static const lg_buf *part_of(const job *j, size_t i) {
    return j->part ? &j->part[i] : &j->text.part.at[i];
}

static size_t length_of(const job *j) {
    size_t n = 0;
    for (size_t i = 0; i < parts_of(j); i++)
        n += part_of(j, i)->n;
    return n;
}

static int by_length(const void *a, const void *b) {
    const job *x = a, *y = b;
    size_t n = length_of(x), m = length_of(y);
    return n != m ? (n > m ? -1 : 1) : memcmp(x->hash, y->hash, sizeof x->hash);
}

/* As many as there are cores. */
static int begin_some(lg_aot *a, const char *compiler, size_t *next, int running) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    while (*next < a->job.n && running < (cores > 1 ? cores : 1)) {
        job *j = &a->job.at[(*next)++];
        look_in_cache(j, compiler);
        if (j->was_cached)
            continue;
        j->work = lg_cc_begin(
            compiler, &(lg_cc_work){.part = part_of(j, 0), .n = parts_of(j), .isa = j->words});
        running += lg_cc_running(j->work);
    }
    return running;
}

/* Looks at every compilation; the number of processes that still run, -1 when all has ended. */
static int look(lg_aot *a, size_t begun) {
    int running = 0;
    bool all = begun == a->job.n;
    for (size_t k = 0; k < begun; k++) {
        lg_cc *work = a->job.at[k].work;
        if (!work)
            continue;
        all = lg_cc_look(work, false) != LG_CC_WORKING && all;
        running += lg_cc_running(work);
    }
    return all ? -1 : running;
}

/* The bytes of a job; NULL when it failed: *why says. */
static bool bytes_of(job *j, lg_carried *c, const char **why) {
    *why = "what the C compiler made is not there";
    if (j->was_cached) {
        if (!read_made(j->cached, c))
            return false;
        c->n = lg_cache_size(c->n);
        return true;
    }
    bool made = lg_cc_look(j->work, false) == LG_CC_MADE;
    if (!made && *lg_cc_fault(j->work))
        *why = lg_cc_fault(j->work);
    if (!made || !read_made(lg_cc_made(j->work), c))
        return false;
    if (*j->cached)
        lg_cache_store(j->cached, lg_cc_made(j->work));
    return true;
}

/* What was made must be loadable: a compiler may succeed and make nonsense. */
static void gather(lg_aot *a) {
    for (size_t k = 0; k < a->job.n; k++) {
        job *j = &a->job.at[k];
        lg_carried c = {.key = {j->key[0], j->key[1]}};
        const char *why;
        lg_image *x = bytes_of(j, &c, &why) ? lg_image_load(c.bytes, c.n, &why) : NULL;
        if (x)
            LG_PUSH(a->made, c);
        else
            lg_free((void *)(uintptr_t)c.bytes);
        if (!x && !*a->why)
            snprintf(a->why, sizeof a->why, "%s", why);
        lg_image_free(x);
    }
}

/* ---- how far it is ---- */

typedef struct {
    double since;
    bool on;
} progress;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Only what takes more than a second. */
static void show(progress *p, const lg_aot *a, size_t begun) {
    int64_t done = 0;
    for (size_t k = 0; k < begun; k++)
        done += !a->job.at[k].work || lg_cc_look(a->job.at[k].work, false) != LG_CC_WORKING;
    if (!p->on && seconds() - p->since > 1) {
        p->on = true;
        lg_progress_begin("compiling kernels", (int64_t)a->job.n, NULL);
    }
    if (p->on)
        lg_progress_step(done);
}

/* ---- a signal ends compilers and removes their files before it ends the build ---- */

static volatile sig_atomic_t stopped;
static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

static void on_signal(int sig) {
    stopped = sig;
}

static void listen(struct sigaction was[LG_COUNT(ends)]) {
    struct sigaction now = {.sa_handler = on_signal};
    sigemptyset(&now.sa_mask);
    stopped = 0;
    for (size_t k = 0; k < LG_COUNT(ends); k++)
        sigaction(ends[k], &now, &was[k]);
}

static void listen_no_more(lg_aot *a, const struct sigaction was[LG_COUNT(ends)]) {
    for (size_t k = 0; k < LG_COUNT(ends); k++)
        sigaction(ends[k], &was[k], NULL);
    if (!stopped)
        return;
    for (size_t k = 0; k < a->job.n; k++) {
        lg_cc_free(a->job.at[k].work);
        a->job.at[k].work = NULL;
    }
    raise(stopped);
}

bool lg_aot_compile(lg_aot *a, const char **why) {
    char compiler[512];
    const struct timespec moment = {.tv_nsec = 2000000};
    *why = NULL;
    if (!lg_cc_find(compiler, sizeof compiler, why))
        return false;
    *why = NULL;
    add_kernels(a);
    if (a->job.n) /* the longest first: then all cores are busy until the end */
        qsort(a->job.at, a->job.n, sizeof *a->job.at, by_length);
    size_t next = 0;
    int running = 0;
    progress shown = {.since = seconds()};
    struct sigaction was[LG_COUNT(ends)];
    listen(was);
    while (running >= 0 && a->job.n && !stopped) {
        begin_some(a, compiler, &next, running);
        nanosleep(&moment, NULL);
        running = look(a, next);
        show(&shown, a, next);
    }
    if (shown.on)
        lg_progress_end();
    listen_no_more(a, was);
    gather(a);
    if (*a->why)
        *why = a->why;
    return true;
}

size_t lg_aot_made(const lg_aot *a, const lg_carried **out) {
    *out = a->made.at;
    return a->made.n;
}

int lg_aot_plans(const lg_aot *a) {
    return a->plans;
}

int lg_aot_kernels(const lg_aot *a) {
    return lg_kernels_count(a->often[UNITS - 1]) + lg_kernels_count(a->rare);
}

const char *lg_aot_units(const lg_aot *a) {
    return a->hot ? more_units : units;
}

static bool write_text(const char *path, const char *head, const lg_buf *text) {
    FILE *f = fopen(path, "we");
    bool ok = f && fputs(head, f) >= 0 && fwrite(text->at, 1, text->n, f) == text->n;
    return f && fclose(f) == 0 && ok;
}

static void describe_call(lg_buf *b, const job *j, const char *name) {
    lg_buf_printf(b,
                  " *     cc -O2 -w -ffp-contract=off -fwrapv -fno-strict-aliasing -fno-math-errno"
                  " -fno-trapping-math");
    for (int k = 0; words[j->isa][k]; k++)
        lg_buf_printf(b, " %s", words[j->isa][k]);
    lg_buf_printf(b, " \\\n *         -fPIC -shared %s*.c -o %s.so -lm\n", name, name);
}

/* What a reader of the file wants to know first. */
static void describe_kernels(lg_buf *b, const job *j, const char *name) {
    lg_buf_printf(b, "/* Kernels for plans of any size of the data.\n");
    describe_call(b, j, name);
    lg_buf_printf(b,
                  " * lgo_<key>(e, beg, end) does units [beg, end) of a loop and gives 0, or 1 + "
                  "the unit in which\n"
                  " * a subscript is out of range; e->num has its sizes and where values stand. "
                  "Others are products\n"
                  " * y = a b. The key is that of the text. */\n");
}

static void describe(lg_buf *b, const job *j, const char *name) {
    lg_buf_printf(b, "/* A plan as C: %zu loops, %zu products of fixed size, %zu runs of steps.\n",
                  j->text.loop.n, j->text.product.n, j->text.run.n);
    describe_call(b, j, name);
    lg_buf_printf(b,
                  " * lgk_<n>(e, beg, end) does units [beg, end) of a loop and gives 0, or 1 + the "
                  "unit in which\n"
                  " * a subscript is out of range. lgd_<n> is a product y = a b. lgs_<n>(e, 0, 0) "
                  "does steps in a\n"
                  " * row on one thread: where a whole step of training is one run, it is that "
                  "step. `e` says where\n"
                  " * inputs, results, constants and the workspace are. %d loops have no text: "
                  "prebuilt kernels do\n"
                  " * them, as they do large products. */\n",
                  j->text.left_out);
}

/* The files of a job: NAME.c, or NAME-1.c, NAME-2.c ... The number of files, -1: errno says why. */
static int write_job(const job *j, const char *dir, const char *name) {
    lg_buf head = {0};
    bool ok = true;
    int files = 0;
    (j->part ? describe_kernels : describe)(&head, j, name);
    for (size_t i = 0; i < parts_of(j) && ok; i++, files++) {
        char path[1200], letter[24] = "";
        if (parts_of(j) > 1)
            snprintf(letter, sizeof letter, "-%zu", i + 1);
        snprintf(path, sizeof path, "%s/%s%s.c", dir, name, letter);
        ok = write_text(path, head.at, part_of(j, i));
    }
    lg_buf_free(&head);
    return ok ? files : -1;
}

int lg_aot_write(lg_aot *a, const char *dir) {
    int files = 0, plans = 0, kernels = 0;
    lg_isa mine = (int)lg_isa_of() < UNITS ? lg_isa_of() : (lg_isa)0;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return -1;
    add_kernels(a);
    for (size_t k = 0; k < a->job.n; k++) {
        const job *j = &a->job.at[k];
        char name[32];
        if (j->isa != mine && !(j->rare && mine > j->isa))
            continue;
        snprintf(name, sizeof name, "%s%d", j->part ? "kernels" : "plan",
                 j->part ? ++kernels : ++plans);
        int n = write_job(j, dir, name);
        if (n < 0)
            return -1;
        files += n;
    }
    return files;
}

void lg_aot_free(lg_aot *a) {
    for (size_t k = 0; k < a->job.n; k++) {
        lg_cc_free(a->job.at[k].work);
        lg_emitted_free(&a->job.at[k].text);
    }
    for (size_t k = 0; k < a->made.n; k++)
        lg_free((void *)(uintptr_t)a->made.at[k].bytes);
    for (int isa = 0; isa < UNITS; isa++) {
        lg_kernels_free(a->often[isa]);
    }
    lg_kernels_free(a->rare);
    lg_free(a->job.at);
    lg_free(a->made.at);
    lg_free(a);
}

/* ---- where it runs ---- */

static struct {
    const lg_carried *at;
    size_t n;
    LG_VEC(lg_image *) kernels; /* of this machine's unit, once somebody wanted one */
    bool loaded;
} carried; /* set before anything runs */

void lg_aot_carry(const lg_carried *all, size_t n) {
    carried.at = all;
    carried.n = n;
}

bool lg_aot_any(void) {
    return carried.n > 0;
}

lg_image *lg_aot_find(const uint64_t key[2]) {
    const char *why;
    for (size_t k = 0; k < carried.n; k++)
        if (carried.at[k].key[0] == key[0] && carried.at[k].key[1] == key[1])
            return lg_image_load(carried.at[k].bytes, carried.at[k].n, &why);
    return NULL;
}

/* Code may be in use until the process ends, so it stays. */
static void load_kernels(lg_isa isa) {
    const char *why;
    carried.loaded = carried.n > 0;
    for (size_t k = 0; k < carried.n; k++) {
        const lg_carried *c = &carried.at[k];
        bool ours =
            c->key[1] == (uint64_t)isa || (c->key[1] == LG_AOT_RARE && (int)isa >= RARE_UNIT);
        if (c->key[0] != LG_AOT_KERNELS || !ours)
            continue;
        lg_image *x = lg_image_load(c->bytes, c->n, &why);
        if (x)
            LG_PUSH(carried.kernels, x);
    }
}

void *lg_aot_kernel(const uint64_t key[2], lg_isa isa) {
    char name[LG_NAME_ROOM];
    void *at = NULL;
    if (!carried.loaded)
        load_kernels(isa);
    lg_open_name(key, name);
    for (size_t k = 0; k < carried.kernels.n && !at; k++)
        at = lg_image_find(carried.kernels.at[k], name);
    return at;
}
