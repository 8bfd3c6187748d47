/* jit.c: see jit.h. The work goes on in child processes; this side only looks now and then. Not for
 * what the C says (emit_*.c) nor for the files of the cache (cache.c). */
#include "compiler/back/jit.h"
#include "compiler/back/cache.h"
#include "compiler/back/emit_c.h"
#include "compiler/back/load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

extern char **environ;

enum { MOST_AT_ONCE = 2, NICE = 10, POLL_NS = 1000000 };

typedef enum { WATCHING, COMPILING, LINKING, DONE } stage;

/* The cache is asked when so much time is still to come, ns; compiling must pay so many times. */
enum { ASK_NS = 20000000, PAYS = 3, LOOK_EVERY = 16 };

typedef struct lg_jit {
    lg_plan *plan;
    lg_jit_mode mode;
    void (*told)(const char *why);
    int64_t runs, done, since; /* expected, so far; when the first one began */
    bool asked;                /* the cache */
    lg_emitted text;
    lg_code_data data;
    stage stage;
    char compiler[512], dir[256], cached[1024];
    bool keep; /* `cached` is a place */
    pid_t child[MOST_AT_ONCE];
    size_t next, running; /* parts: the next to begin, those in work */
    int64_t looked;       /* when */
    void *library;
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

/* ---- the compiler ---- */

static const char *const options[] = {"-std=gnu17",
                                      "-O2",
                                      "-ftree-vectorize",
                                      "-march=native",
                                      "-fno-math-errno",
                                      "-fno-trapping-math",
                                      "-ffp-contract=off",
                                      "-fwrapv",
                                      "-fno-strict-aliasing",
                                      "-fPIC",
                                      "-pipe",
                                      "-w",
                                      "-x",
                                      "c"};

/* At -O2 gcc leaves most loops alone unless told; clang does not know the word. */
static const char cost_model[] = "-fvect-cost-model=dynamic";

static bool is_clang(const char *compiler) {
    char *path = realpath(compiler, NULL), *slash = path ? strrchr(path, '/') : NULL;
    bool yes = slash && strstr(slash, "clang");
    free(path);
    return yes;
}

static bool in_path(const char *name, char *out, size_t room) {
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n = strcspn(path, ":");
        int m = snprintf(out, room, "%.*s/%s", (int)n, path, name);
        if (n && m > 0 && (size_t)m < room && access(out, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static bool find_compiler(char *out, size_t room) {
    static const char *const names[] = {"cc", "gcc", "clang"};
    for (size_t k = 0; k < LG_COUNT(names); k++)
        if (in_path(names[k], out, room))
            return true;
    return false;
}

/* ---- the key ---- */

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
        uint64_t h = lg_hash(j->compiler, strlen(j->compiler), k + 1);
        struct stat st;
        if (stat(j->compiler, &st) == 0) {
            int64_t made[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
            h = lg_hash(made, sizeof made, h);
        }
        for (size_t i = 0; i < LG_COUNT(options); i++)
            h = lg_hash(options[i], strlen(options[i]) + 1, h);
        h = hash_cpu(lg_hash(cost_model, sizeof cost_model, h));
        for (size_t i = 0; i < j->text.part.n; i++)
            h = lg_hash(j->text.part.at[i].at, j->text.part.at[i].n, h);
        key[k] = h;
    }
}

/* ---- taking over ---- */

static void load(lg_jit *j, const char *path) {
    char name[32];
    const char *why = NULL;
    j->stage = DONE;
    j->library = lg_load(path, &why);
    if (!j->library) {
        give_up(j, "what was compiled cannot be loaded", why);
        return;
    }
    j->data = (lg_code_data){j->text.konst.at, j->text.fn.at, j->text.draw.at};
    for (size_t k = 0; k < j->text.loop.n; k++) {
        snprintf(name, sizeof name, "lgk_%zu", k);
        j->text.loop.at[k]->data = &j->data;
        j->count += lg_load_loop(j->library, name, &j->text.loop.at[k]->code);
    }
    for (size_t k = 0; k < j->text.product.n; k++) {
        snprintf(name, sizeof name, "lgd_%zu", k);
        j->count += lg_load_product(j->library, name, &j->text.product.at[k]->product_fn);
    }
}

/* ---- child processes ---- */

static void file_of(const lg_jit *j, const char *kind, size_t k, char out[300]) {
    snprintf(out, 300, "%s/%zu.%s", j->dir, k, kind);
}

/* Low priority, a group of its own so that it can be stopped with its children; what it says goes
 * to a file. */
static pid_t begin(const lg_jit *j, char *const *argv) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    char said[300];
    pid_t pid = -1;
    file_of(j, "err", 0, said);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, said, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    int status = posix_spawn(&pid, j->compiler, &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    if (status != 0)
        return -1;
    setpriority(PRIO_PROCESS, (id_t)pid, NICE);
    return pid;
}

static bool start(lg_jit *j, char *const *argv) {
    for (int k = 0; k < MOST_AT_ONCE; k++) {
        if (j->child[k])
            continue;
        pid_t pid = begin(j, argv);
        if (pid < 0)
            return false;
        j->child[k] = pid;
        j->running++;
        return true;
    }
    return false;
}

/* With one part alone there is nothing to link. */
static bool compile_part(lg_jit *j, size_t k) {
    char from[300], to[300];
    char *argv[LG_COUNT(options) + 12];
    size_t n = 0;
    bool alone = j->text.part.n == 1;
    file_of(j, "c", k, from);
    file_of(j, alone ? "so" : "o", k, to);
    argv[n++] = j->compiler;
    for (size_t i = 0; i < LG_COUNT(options); i++)
        argv[n++] = (char *)(uintptr_t)options[i];
    if (!is_clang(j->compiler))
        argv[n++] = (char *)(uintptr_t)cost_model;
    argv[n++] = (char *)(uintptr_t)(alone ? "-shared" : "-c");
    if (alone)
        argv[n++] = (char *)(uintptr_t) "-nostdlib";
    argv[n++] = (char *)(uintptr_t) "-o";
    argv[n++] = to;
    argv[n++] = from;
    argv[n] = NULL;
    return start(j, argv);
}

static bool link_parts(lg_jit *j) {
    size_t n = 0, parts = j->text.part.n;
    char to[300], (*object)[300] = lg_alloc(parts * sizeof *object);
    char **argv = lg_alloc((parts + 8) * sizeof *argv);
    file_of(j, "so", 0, to);
    argv[n++] = j->compiler;
    argv[n++] = (char *)(uintptr_t) "-shared";
    argv[n++] = (char *)(uintptr_t) "-nostdlib";
    argv[n++] = (char *)(uintptr_t) "-o";
    argv[n++] = to;
    for (size_t k = 0; k < parts; k++) {
        file_of(j, "o", k, object[k]);
        argv[n++] = object[k];
    }
    bool ok = start(j, argv);
    lg_free(argv);
    lg_free(object);
    return ok;
}

static void stop_children(lg_jit *j) {
    for (int k = 0; k < MOST_AT_ONCE; k++)
        if (j->child[k]) {
            kill(-j->child[k], SIGKILL);
            while (waitpid(j->child[k], NULL, 0) < 0 && errno == EINTR)
                continue;
            j->child[k] = 0;
        }
    j->running = 0;
}

static void remove_directory(lg_jit *j) {
    static const char *const kinds[] = {"c", "o", "so", "err"};
    char path[300];
    if (!j->dir[0])
        return;
    for (size_t k = 0; k < j->text.part.n; k++)
        for (size_t i = 0; i < LG_COUNT(kinds); i++) {
            file_of(j, kinds[i], k, path);
            unlink(path);
        }
    rmdir(j->dir);
    j->dir[0] = 0;
}

/* The first line of what the compiler said. */
static void compiler_failed(lg_jit *j) {
    char path[300], line[200] = "";
    file_of(j, "err", 0, path);
    FILE *f = fopen(path, "r");
    if (f) {
        if (!fgets(line, sizeof line, f))
            line[0] = 0;
        fclose(f);
    }
    line[strcspn(line, "\n")] = 0;
    stop_children(j);
    give_up(j, "the C compiler failed", line);
}

static void finished(lg_jit *j) {
    char made[300];
    file_of(j, "so", 0, made);
    load(j, made);
    if (j->keep && j->library)
        lg_cache_store(j->cached, made);
}

/* The children that have ended. False: one of them failed. */
static bool reap(lg_jit *j, bool wait) {
    bool ok = true;
    for (int k = 0; k < MOST_AT_ONCE; k++) {
        int status = 0;
        if (!j->child[k])
            continue;
        pid_t pid = waitpid(j->child[k], &status, wait ? 0 : WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR))
            continue;
        j->child[k] = 0;
        j->running--;
        ok = ok && pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        wait = false;
    }
    return ok;
}

static void advance(lg_jit *j, bool wait) {
    bool ok = reap(j, wait);
    while (ok && j->stage == COMPILING && j->next < j->text.part.n && j->running < MOST_AT_ONCE)
        ok = compile_part(j, j->next++);
    if (ok && j->running == 0 && j->stage == COMPILING && j->text.part.n > 1) {
        j->stage = LINKING;
        ok = link_parts(j);
    } else if (ok && j->running == 0) {
        finished(j);
    }
    if (!ok)
        compiler_failed(j);
    if (j->stage == DONE)
        remove_directory(j);
}

/* ---- when ---- */

static bool write_texts(lg_jit *j) {
    const char *base = getenv("TMPDIR");
    int n = snprintf(j->dir, sizeof j->dir, "%s/lossgraph-XXXXXX", base && *base ? base : "/tmp");
    if (n < 0 || (size_t)n >= sizeof j->dir || !mkdtemp(j->dir)) {
        j->dir[0] = 0;
        return false;
    }
    bool ok = true;
    for (size_t k = 0; k < j->text.part.n && ok; k++) {
        char path[300];
        file_of(j, "c", k, path);
        FILE *f = fopen(path, "w");
        ok = f && fwrite(j->text.part.at[k].at, 1, j->text.part.at[k].n, f) == j->text.part.at[k].n;
        ok = f && fclose(f) == 0 && ok;
    }
    return ok;
}

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

static void ask_cache(lg_jit *j) {
    uint64_t key[2];
    j->asked = true;
    lg_emit_c(j->plan, &j->text);
    if (!j->text.part.n) {
        j->stage = DONE;
        return;
    }
    if (!find_compiler(j->compiler, sizeof j->compiler)) {
        give_up(j, "there is no C compiler (cc, gcc or clang) in PATH", NULL);
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
    if (write_texts(j))
        advance(j, false);
    else
        give_up(j, "there is no room for temporary files", strerror(errno));
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
    if (j->mode == LG_JIT_ON) {
        compile(j);
        while (j->stage != DONE)
            advance(j, true);
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
        tell(j);
    }
}

static void gone(lg_plan *p) {
    lg_jit *j = p->jit;
    stop_children(j);
    remove_directory(j);
    lg_unload(j->library);
    lg_emitted_free(&j->text);
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
    if (mode == LG_JIT_OFF || p->jit)
        return;
    if (!lg_can_load()) {
        if (told)
            told("a static program loads nothing");
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
    lg_emit_c(p, &e);
    for (size_t k = 0; k < e.part.n; k++) {
        if (k)
            fprintf(out, "\n/* ---- another file ---- */\n");
        fwrite(e.part.at[k].at, 1, e.part.at[k].n, out);
    }
    lg_emitted_free(&e);
}
