/* aot.c: see aot.h. */
#include "compiler/back/aot.h"
#include "compiler/back/aot_key.h"
#include "compiler/back/cache.h"
#include "compiler/back/cc.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { UNITS = LG_ISA_AVX512 + 1 };
static const char *const words[UNITS][8] = {
    {"-march=x86-64"},
    {"-march=x86-64", "-mavx2", "-mfma"},
    {"-march=x86-64", "-mavx2", "-mfma", "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw"}};
static const char units[] = "x86-64, AVX2, AVX-512";
#else
enum { UNITS = 1 };
static const char *const words[UNITS][8] = {{NULL}};
static const char units[] = "this machine";
#endif

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
    lg_emitted text;
    uint64_t key[2];
    lg_isa isa;
    const char *words[WORDS]; /* for the compiler */
    char cached[1024];        /* "": there is no place for it */
    bool was_cached;
    lg_cc *work; /* NULL: it was in the cache */
} job;

struct lg_aot {
    LG_VEC(job) job;
    LG_VEC(lg_carried) made;
    int plans, kernels, seldom; /* seldom: plans that run seldom */
    char why[256];
};

lg_aot *lg_aot_new(void) {
    return lg_alloc(sizeof(lg_aot));
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
        j->words[n] = "-O1";
}

void lg_aot_add(lg_aot *a, const lg_plan *p, bool often) {
    const int first = often || UNITS == 1 ? 0 : 1;
    for (int isa = first; isa < UNITS; isa++) {
        job j = {.isa = (lg_isa)isa};
        lg_emit_c(p, lg_aot_how(p, j.isa), &j.text);
        lg_aot_key(&j.text, j.isa, j.key);
        if (!j.text.part.n || has(a, j.key)) {
            lg_emitted_free(&j.text);
            continue;
        }
        choose_words(&j, often);
        a->plans += isa == first;
        a->seldom += isa == first && !often;
        a->kernels += isa == first ? (int)(j.text.loop.n + j.text.product.n) : 0;
        LG_PUSH(a->job, j);
    }
}

/* The cache of jit.c, for builds of the same program again; its files have a few bytes behind the
 * object, which do not mind. */
static void look_in_cache(job *j, const char *compiler) {
    uint64_t key[2];
    for (int k = 0; k < 2; k++)
        key[k] = lg_cc_hash(compiler, j->words, j->key[k]);
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

/* The largest first would end soonest; they are begun in order, as many as there are cores. */
static int begin_some(lg_aot *a, const char *compiler, size_t *next, int running) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    while (*next < a->job.n && running < (cores > 1 ? cores : 1)) {
        job *j = &a->job.at[(*next)++];
        look_in_cache(j, compiler);
        if (j->was_cached)
            continue;
        j->work = lg_cc_begin(
            compiler, &(lg_cc_work){.part = j->text.part.at, .n = j->text.part.n, .isa = j->words});
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

bool lg_aot_compile(lg_aot *a, const char **why) {
    char compiler[512];
    const struct timespec moment = {.tv_nsec = 2000000};
    *why = NULL;
    if (!lg_cc_find(compiler, sizeof compiler, why))
        return false;
    *why = NULL;
    size_t next = 0;
    int running = 0;
    while (running >= 0 && a->job.n) {
        begin_some(a, compiler, &next, running);
        nanosleep(&moment, NULL);
        running = look(a, next);
    }
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

int lg_aot_seldom(const lg_aot *a) {
    return UNITS > 1 ? a->seldom : 0;
}

int lg_aot_kernels(const lg_aot *a) {
    return a->kernels;
}

const char *lg_aot_units(void) {
    return units;
}

static bool write_text(const char *path, const char *head, const lg_buf *text) {
    FILE *f = fopen(path, "we");
    bool ok = f && fputs(head, f) >= 0 && fwrite(text->at, 1, text->n, f) == text->n;
    return f && fclose(f) == 0 && ok;
}

/* What a reader of the file wants to know first. */
static void describe(lg_buf *b, const job *j, int plan) {
    lg_buf_printf(b,
                  "/* Plan %d as C: %zu loops, %zu products of fixed size, %zu runs of steps.\n"
                  " *     cc -O2 -w -ffp-contract=off -fwrapv -fno-strict-aliasing -fno-math-errno"
                  " -fno-trapping-math",
                  plan, j->text.loop.n, j->text.product.n, j->text.run.n);
    for (int k = 0; words[j->isa][k]; k++)
        lg_buf_printf(b, " %s", words[j->isa][k]);
    lg_buf_printf(b,
                  " \\\n *         -fPIC -shared plan%d*.c -o plan%d.so -lm\n"
                  " * lgk_<n>(e, beg, end) does units [beg, end) of a loop and gives 0, or 1 + the "
                  "unit in which\n"
                  " * a subscript is out of range. lgd_<n> is a product y = a b. lgs_<n>(e, 0, 0) "
                  "does steps in a\n"
                  " * row on one thread: where a whole step of training is one run, it is that "
                  "step. `e` says where\n"
                  " * inputs, results, constants and the workspace are. %d loops have no text: "
                  "prebuilt kernels do\n"
                  " * them, as they do large products. */\n",
                  plan, plan, j->text.left_out);
}

int lg_aot_write(const lg_aot *a, const char *dir) {
    int files = 0, plan = 0;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return -1;
    for (size_t k = 0; k < a->job.n; k++) {
        const job *j = &a->job.at[k];
        if ((int)j->isa != ((int)lg_isa_of() < UNITS ? (int)lg_isa_of() : 0))
            continue;
        lg_buf head = {0};
        describe(&head, j, ++plan);
        bool ok = true;
        for (size_t i = 0; i < j->text.part.n && ok; i++, files++) {
            char path[1200], letter[16] = "";
            if (j->text.part.n > 1)
                snprintf(letter, sizeof letter, "-%zu", i + 1);
            snprintf(path, sizeof path, "%s/plan%d%s.c", dir, plan, letter);
            ok = write_text(path, head.at, &j->text.part.at[i]);
        }
        lg_buf_free(&head);
        if (!ok)
            return -1;
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
    lg_free(a->job.at);
    lg_free(a->made.at);
    lg_free(a);
}

/* ---- where it runs ---- */

static struct {
    const lg_carried *at;
    size_t n;
} carried; /* set once, before anything runs */

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
