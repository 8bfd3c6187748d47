/* jit.c: see jit.h. The work goes on in child processes; this side only looks now and then. Not for
 * what the C says (emit_*.c) nor for the files of the cache (cache.c). */
#include "compiler/back/jit.h"
#include "compiler/back/aot.h"
#include "compiler/back/aot_key.h"
#include "compiler/back/cache.h"
#include "compiler/back/cc.h"
#include "compiler/back/emit_c.h"
#include "compiler/back/load.h"
#include "runtime/profile.h"
#include "runtime/trace.h"
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

typedef enum { WATCHING, COMPILING, DONE } stage;

/* The cache is asked when so much time is still to come, ns; compiling must pay so many times; how
 * often compilers are looked at, ns. */
enum { ASK_NS = 20000000, PAYS = 3, LOOK_EVERY = 16, POLL_NS = 1000000 };

typedef struct lg_jit {
    lg_plan *plan;
    lg_jit_mode mode;
    void (*told)(const char *why);
    int64_t runs, done, since; /* expected, so far; when the first one began */
    bool looked_within;        /* for what came with the program */
    bool asked;                /* the cache */
    lg_emitted text, within;   /* within: kernels that came with the program */
    lg_code_data data, data_within;
    stage stage;
    char compiler[512], cached[1024];
    bool keep; /* `cached` is a place */
    lg_cc *work;
    int64_t looked; /* when */
    void *library;
    lg_image *image;
    int count;
    char fault[256];
} lg_jit;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void give_up(lg_jit *j, const char *why, const char *more) {
    snprintf(j->fault, sizeof j->fault, "%s%s%s", why, more && *more ? ": " : "", more ? more : "");
    j->stage = DONE;
}

/* ---- the key ---- */

static const char *const native[] = {"-march=native", NULL};

static uint64_t hash_cpu(uint64_t h) {
#if defined(__x86_64__)
    unsigned r[4];
    for (unsigned leaf = 0; leaf < 8; leaf++) {
        if ((leaf != 0 && leaf != 1 && leaf != 7) ||
            !__get_cpuid_count(leaf, 0, r, r + 1, r + 2, r + 3))
            continue;
        if (leaf == 1)
            r[1] = 0; /* which core this is */
        h = lg_hash(r, sizeof r, h);
    }
#endif
    return h;
}

/* What the result depends on: the text, the compiler, its options, this machine. */
static void make_key(const lg_jit *j, uint64_t key[2]) {
    for (uint64_t k = 0; k < 2; k++) {
        uint64_t h = hash_cpu(lg_cc_hash(j->compiler, native, k + 1));
        for (size_t i = 0; i < j->text.part.n; i++)
            h = lg_hash(j->text.part.at[i].at, j->text.part.at[i].n, h);
        key[k] = h;
    }
}

/* ---- taking over ---- */

/* Code by its name in what was loaded; no cast leads from data to code. */
static bool find(const lg_jit *j, const char *kind, size_t k, void *fn) {
    char name[32];
    snprintf(name, sizeof name, "%s_%zu", kind, k);
    void *at = j->image ? lg_image_find(j->image, name) : lg_load_find(j->library, name);
    if (at)
        memcpy(fn, &at, sizeof at);
    return at != NULL;
}

static void take_over(lg_jit *j) {
    const lg_emitted *e = &j->text;
    j->data = (lg_code_data){e->konst.at, e->fn.at, e->draw.at};
    j->count = 0;
    for (size_t k = 0; k < e->run.n; k++) {
        lg_step *s = e->run.at[k].first;
        s->data = &j->data;
        s->n_code = e->run.at[k].n;
        find(j, "lgs", k, &s->code);
    }
    for (size_t k = 0; k < e->loop.n; k++) {
        e->loop.at[k]->data = &j->data;
        j->count += e->within.at[k] || find(j, "lgk", k, &e->loop.at[k]->code);
    }
    for (size_t k = 0; k < e->product.n; k++)
        j->count += e->product_within.at[k] || find(j, "lgd", k, &e->product.at[k]->product_fn);
    j->stage = DONE;
}

static void load(lg_jit *j, const char *path) {
    const char *why = NULL;
    j->library = lg_load(path, &why);
    if (j->library)
        take_over(j);
    else
        give_up(j, "what was compiled cannot be loaded", why);
}

static void finished(lg_jit *j) {
    load(j, lg_cc_made(j->work));
    if (j->keep && j->library)
        lg_cache_store(j->cached, lg_cc_made(j->work));
}

/* Kernels that serve any size of the data; what is still missing may be compiled. */
static void look_for_kernels(lg_jit *j, lg_isa isa) {
    lg_emitted *e = &j->within;
    lg_emit_open(j->plan, lg_aot_how(j->plan, isa), true, NULL, NULL, e);
    j->data_within = (lg_code_data){e->konst.at, e->fn.at, e->draw.at};
    bool all = e->left_out == 0 && e->open.n > 0;
    for (size_t k = 0; k < e->open.n; k++) {
        lg_opened *o = &e->open.at[k];
        void *at = lg_aot_kernel(o->key, isa);
        all = all && (at || o->step->kind == LG_S_DOT); /* which have prebuilt ones as good */
        if (!at)
            continue;
        j->count++;
        if (o->step->kind == LG_S_DOT) {
            memcpy(&o->step->product_fn, &at, sizeof at);
            continue;
        }
        memcpy(&o->step->loop->code, &at, sizeof at);
        o->step->loop->data = &j->data_within;
        o->step->loop->num = o->num;
    }
    if (all)
        j->stage = DONE;
}

/* What came with the program costs nothing but to look. */
static void look_within(lg_jit *j) {
    j->looked_within = true;
    if (!lg_aot_any())
        return;
    lg_isa isa = lg_isa_of();
    uint64_t key[2];
    if (lg_aot_whole(j->plan)) {
        lg_emit_c(j->plan, lg_aot_how(j->plan, isa), &j->text);
        lg_aot_key(&j->text, isa, key);
        j->image = j->text.part.n ? lg_aot_find(key) : NULL;
    }
    if (j->image) {
        take_over(j);
        return;
    }
    lg_emitted_free(&j->text);
    look_for_kernels(j, isa);
}

/* ---- compiling ---- */

static void advance(lg_jit *j, bool wait) {
    lg_cc_state state = lg_cc_look(j->work, wait);
    if (state == LG_CC_WORKING)
        return;
    if (state == LG_CC_FAILED)
        give_up(j, lg_cc_fault(j->work), NULL);
    else
        finished(j);
    lg_cc_free(j->work);
    j->work = NULL;
}

/* ---- when ---- */

static int count_loops(const lg_plan *p) {
    int n = 0;
    for (int k = 0; k < p->n_step; k++) {
        n += p->step[k].kind == LG_S_LOOP;
        for (int b = 0; b < 2; b++)
            n += p->step[k].sub[b] ? count_loops(p->step[k].sub[b]) : 0;
    }
    return n;
}

/* Of compiling, ns. Measured: a file costs its start, then each kernel in it. */
static double cost_of(const lg_plan *p) {
    int n = count_loops(p);
    return 6e7 * (1 + n / LG_KERNELS_A_FILE) + 2e7 * n;
}

/* A profile or a trace asks for the time of every step. */
static lg_emit_how how_of(const lg_plan *p) {
    return (lg_emit_how){
        .isa = lg_isa_of(), .alone = p->threads == 1, .runs = !lg_profile_on() && !lg_trace_on()};
}

static void ask_cache(lg_jit *j) {
    uint64_t key[2];
    const char *why = NULL;
    j->asked = true;
    if (!lg_can_load()) {
        give_up(j, "a static program loads nothing", NULL);
        return;
    }
    lg_emit_c(j->plan, how_of(j->plan), &j->text);
    if (!j->text.part.n) {
        j->stage = DONE;
        return;
    }
    if (!lg_cc_find(j->compiler, sizeof j->compiler, &why)) {
        give_up(j, why, NULL);
        return;
    }
    make_key(j, key);
    j->keep = lg_cache_path(key, j->cached, sizeof j->cached);
    if (j->keep && lg_cache_has(j->cached))
        load(j, j->cached);
}

static void compile(lg_jit *j) {
    if (!j->asked)
        ask_cache(j);
    if (j->stage != WATCHING)
        return;
    j->stage = COMPILING;
    j->work = lg_cc_begin(
        j->compiler,
        &(lg_cc_work){.part = j->text.part.at, .n = j->text.part.n, .isa = native, .gentle = true});
    advance(j, false);
}

/* Time that the plan will still take: that of the runs to come, or as much again as it took. Other
 * work may lie between its runs: a run takes no more than a few times what was estimated. */
static double to_come(const lg_jit *j, int64_t t) {
    double spent = (double)(t - j->since), most = 4 * j->plan->cost * (double)j->done;
    spent = spent < most ? spent : most;
    return j->runs ? spent / (double)j->done * (double)(j->runs - j->done) : spent;
}

/* Nothing is done before time has shown that it pays. */
static void watch(lg_jit *j) {
    if (j->done++ == 0)
        j->since = now();
    if (j->done < 4 || (j->done % LOOK_EVERY && j->done > LOOK_EVERY))
        return;
    double left = to_come(j, now());
    if (!j->asked && left > ASK_NS)
        ask_cache(j);
    if (j->stage == WATCHING && left > PAYS * cost_of(j->plan))
        compile(j);
}

static void tell(lg_jit *j) {
    if (j->fault[0] && j->told)
        j->told(j->fault);
    j->told = NULL;
}

static void before(lg_plan *p) {
    lg_jit *j = p->jit;
    if (j->stage == DONE)
        return;
    if (!j->looked_within)
        look_within(j);
    if (j->stage == DONE) {
        /* it came with the program */
    } else if (j->mode == LG_JIT_ON) {
        compile(j);
        while (j->stage != DONE && !(j->work && lg_cc_interrupted(j->work)))
            advance(j, true);
        j->mode = LG_JIT_AUTO; /* after a signal nobody waits: the run shall see it */
    } else if (j->stage == WATCHING) {
        watch(j);
    } else {
        int64_t t = now();
        if (t - j->looked < POLL_NS)
            return;
        j->looked = t;
        advance(j, false);
    }
    if (j->stage == DONE) {
        p->before = NULL;
        lg_crew_again(&p->crew);
        tell(j);
    }
}

static void gone(lg_plan *p) {
    lg_jit *j = p->jit;
    lg_cc_free(j->work);
    lg_unload(j->library);
    lg_image_free(j->image);
    lg_emitted_free(&j->text);
    lg_emitted_free(&j->within);
    lg_free(j);
}

/* ---- from outside ---- */

bool lg_jit_mode_named(const char *text, lg_jit_mode *out) {
    static const char *const names[] = {"off", "auto", "on"};
    for (size_t k = 0; k < LG_COUNT(names); k++)
        if (!strcmp(text, names[k])) {
            *out = (lg_jit_mode)k;
            return true;
        }
    return false;
}

void lg_jit_attach(lg_plan *p, lg_jit_mode mode, int64_t runs, void (*told)(const char *why)) {
    if (mode == LG_JIT_OFF)
        return;
    if (p->jit) { /* a plan that serves again */
        lg_jit *again = p->jit;
        again->runs = again->runs && runs ? again->runs + runs : 0;
        return;
    }
    lg_jit *j = lg_alloc(sizeof *j);
    *j = (lg_jit){.plan = p, .mode = mode, .runs = runs, .told = told};
    p->jit = j;
    p->before = before;
    p->gone = gone;
}

int lg_jit_count(const lg_plan *p) {
    return p->jit ? p->jit->count : 0;
}

void lg_jit_print(const lg_plan *p, FILE *out) {
    lg_emitted e;
    lg_emit_c(p, how_of(p), &e);
    for (size_t k = 0; k < e.part.n; k++) {
        if (k)
            fprintf(out, "\n/* ---- another file ---- */\n");
        fwrite(e.part.at[k].at, 1, e.part.at[k].n, out);
    }
    lg_emitted_free(&e);
}
