/* cc.c: see cc.h. */
#include "compiler/back/cc.h"
#include "runtime/ending.h"
#include "runtime/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
    MOST_AT_ONCE = 2,
    NICE = 10,
    MOST_ALIVE = 64,
    WORDS = 24,
    SECONDS = 300,
    MOMENT_NS = 1000000
};

struct lg_cc {
    lg_cc_work work;
    lg_cc_state state;
    bool linking, interrupted;
    char compiler[512], made[300];
    lg_scratch dir;
    pid_t child[MOST_AT_ONCE];
    time_t late[MOST_AT_ONCE]; /* when a child has taken too long */
    size_t next, running;      /* parts: the next to begin, those in work */
    char fault[256];
};

/* ---- the compiler ---- */

static const char *const options[] = {"-std=gnu17",
                                      "-O2",
                                      "-ftree-vectorize",
                                      "-fno-math-errno",
                                      "-fno-trapping-math",
                                      "-ffp-contract=off",
                                      "-fwrapv",
                                      "-fno-strict-aliasing",
                                      "-fPIC",
                                      "-fno-stack-protector",
                                      "-fno-asynchronous-unwind-tables",
                                      "-fno-ident",
                                      "-pipe",
                                      "-w",
                                      "-x",
                                      "c"};
static const char *const linking[] = {"-shared",
                                      "-nostdlib",
                                      "-s",
                                      "-Wl,--hash-style=sysv",
                                      "-Wl,-Bsymbolic",
                                      "-Wl,-z,noexecstack",
                                      "-Wl,--build-id=none"};

/* At -O2 gcc leaves most loops alone unless told; clang does not know the word. */
static const char cost_model[] = "-fvect-cost-model=dynamic";

/* What is left of a loop after whole vectors goes element by element, not by narrower ones: less
 * text, which is most of the time of compiling. */
static const char quick_ends[] = "--param=vect-epilogues-nomask=0";

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

bool lg_cc_find(char *out, size_t room, const char **why) {
    static const char *const names[] = {"cc", "gcc", "clang"};
    const char *named = getenv("CC");
    if (named && *named) {
        bool path = strchr(named, '/') != NULL;
        *why = "the C compiler that CC names is not there";
        if (!path)
            return in_path(named, out, room);
        snprintf(out, room, "%s", named);
        return strlen(named) < room && access(named, X_OK) == 0;
    }
    *why = "there is no C compiler (cc, gcc or clang) in PATH";
    for (size_t k = 0; k < LG_COUNT(names); k++)
        if (in_path(names[k], out, room))
            return true;
    return false;
}

uint64_t lg_cc_hash_options(const char *const *isa, uint64_t h) {
    for (; *isa; isa++)
        h = lg_hash(*isa, strlen(*isa) + 1, h);
    for (size_t i = 0; i < LG_COUNT(options); i++)
        h = lg_hash(options[i], strlen(options[i]) + 1, h);
    for (size_t i = 0; i < LG_COUNT(linking); i++)
        h = lg_hash(linking[i], strlen(linking[i]) + 1, h);
    h = lg_hash(quick_ends, sizeof quick_ends, h);
    return lg_hash(cost_model, sizeof cost_model, h);
}

uint64_t lg_cc_hash(const char *compiler, const char *const *isa, uint64_t h) {
    struct stat st;
    h = lg_hash(compiler, strlen(compiler), h);
    if (stat(compiler, &st) == 0) {
        int64_t made[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
        h = lg_hash(made, sizeof made, h);
    }
    return lg_cc_hash_options(isa, h);
}

/* ---- child processes ---- */

static void file_of(const lg_cc *c, const char *kind, size_t k, char out[300]) {
    snprintf(out, 300, "%s/%zu.%s", c->dir.path, k, kind);
}

/* A group of its own so that it can be stopped with its children; what it says goes to a file. */
static pid_t begin(const lg_cc *c, char *const *argv) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    char said[300];
    pid_t pid = -1;
    file_of(c, "err", 0, said);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, said, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    int status = posix_spawn(&pid, c->compiler, &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    if (status != 0)
        return -1;
    if (c->work.gentle)
        setpriority(PRIO_PROCESS, (id_t)pid, NICE);
    return pid;
}

/* ---- compilers go when this process does ---- */

static volatile pid_t alive[MOST_ALIVE];
static pid_t parent;

static void kill_all(void) {
    for (int k = 0; k < MOST_ALIVE && parent == getpid(); k++)
        if (alive[k] > 0)
            kill(-alive[k], SIGKILL);
}

static void born(pid_t pid) {
    parent = getpid();
    for (int k = 0; k < MOST_ALIVE; k++)
        if (!alive[k]) {
            alive[k] = pid;
            break;
        }
}

static void gone(pid_t pid) {
    for (int k = 0; k < MOST_ALIVE; k++)
        if (alive[k] == pid)
            alive[k] = 0;
}

static time_t seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* How long a compiler may take for one file: one that hangs must not hang its caller. */
static long most_seconds(void) {
    const char *s = getenv("LG_CC_SECONDS");
    long n = s ? strtol(s, NULL, 10) : 0;
    return n > 0 && n < 1000000 ? n : SECONDS;
}

static bool start(lg_cc *c, char *const *argv) {
    for (int k = 0; k < MOST_AT_ONCE; k++) {
        if (c->child[k])
            continue;
        pid_t pid = begin(c, argv);
        if (pid < 0)
            return false;
        c->child[k] = pid;
        born(pid);
        c->late[k] = seconds() + most_seconds();
        c->running++;
        return true;
    }
    return false;
}

static void word(char **argv, size_t *n, const char *text) {
    argv[(*n)++] = (char *)(uintptr_t)text;
}

/* With one part alone there is nothing to link afterwards. */
static bool compile_part(lg_cc *c, size_t k) {
    char from[300], to[300];
    char *argv[LG_COUNT(options) + LG_COUNT(linking) + WORDS];
    size_t n = 0;
    bool alone = c->work.n == 1;
    file_of(c, "c", k, from);
    file_of(c, alone ? "so" : "o", k, to);
    word(argv, &n, c->compiler);
    for (size_t i = 0; i < LG_COUNT(options); i++)
        word(argv, &n, options[i]);
    bool quick = false, clang = is_clang(c->compiler);
    for (size_t i = 0; c->work.isa[i] && i < WORDS / 2; i++) {
        word(argv, &n, c->work.isa[i]);
        quick = quick || !strcmp(c->work.isa[i], LG_CC_QUICK);
    }
    if (!clang)
        word(argv, &n, cost_model);
    if (!clang && quick)
        word(argv, &n, quick_ends);
    for (size_t i = 0; alone && i < LG_COUNT(linking); i++)
        word(argv, &n, linking[i]);
    if (!alone)
        word(argv, &n, "-c");
    word(argv, &n, "-o");
    word(argv, &n, to);
    word(argv, &n, from);
    argv[n] = NULL;
    return start(c, argv);
}

static bool link_parts(lg_cc *c) {
    size_t n = 0, parts = c->work.n;
    char to[300], (*object)[300] = lg_alloc(parts * sizeof *object);
    char **argv = lg_alloc((parts + LG_COUNT(linking) + WORDS) * sizeof *argv);
    file_of(c, "so", 0, to);
    word(argv, &n, c->compiler);
    for (size_t i = 0; i < LG_COUNT(linking); i++)
        word(argv, &n, linking[i]);
    word(argv, &n, "-o");
    word(argv, &n, to);
    for (size_t k = 0; k < parts; k++) {
        file_of(c, "o", k, object[k]);
        word(argv, &n, object[k]);
    }
    bool ok = start(c, argv);
    lg_free(argv);
    lg_free(object);
    return ok;
}

static void stop_children(lg_cc *c) {
    for (int k = 0; k < MOST_AT_ONCE; k++)
        if (c->child[k]) {
            kill(-c->child[k], SIGKILL);
            while (waitpid(c->child[k], NULL, 0) < 0 && errno == EINTR)
                continue;
            gone(c->child[k]);
            c->child[k] = 0;
        }
    c->running = 0;
}

static void fail(lg_cc *c, const char *why, const char *more) {
    snprintf(c->fault, sizeof c->fault, "%s%s%s", why, more && *more ? ": " : "", more ? more : "");
    c->state = LG_CC_FAILED;
}

/* The first line of what the compiler said, unless it is known what became of it. */
static void compiler_failed(lg_cc *c) {
    char path[300], line[200] = "";
    if (c->state == LG_CC_FAILED) {
        stop_children(c);
        return;
    }
    file_of(c, "err", 0, path);
    FILE *f = fopen(path, "r");
    if (f) {
        if (!fgets(line, sizeof line, f))
            line[0] = 0;
        fclose(f);
    }
    line[strcspn(line, "\n")] = 0;
    stop_children(c);
    fail(c, "the C compiler failed", line);
}

static void too_late(lg_cc *c) {
    char text[80];
    stop_children(c);
    snprintf(text, sizeof text, "it gave nothing within %ld s, so it was stopped", most_seconds());
    fail(c, "the C compiler failed", text);
}

static bool ended_well(lg_cc *c, pid_t pid, int status) {
    char text[80];
    if (pid > 0 && WIFSIGNALED(status)) {
        snprintf(text, sizeof text, "it was ended by signal %d", WTERMSIG(status));
        fail(c, "the C compiler failed", text);
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The children that have ended. False: one of them failed, or takes too long. */
static bool reap(lg_cc *c) {
    bool ok = true;
    for (int k = 0; k < MOST_AT_ONCE && ok; k++) {
        int status = 0;
        if (!c->child[k])
            continue;
        pid_t pid = waitpid(c->child[k], &status, WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR)) {
            ok = seconds() < c->late[k];
            if (!ok)
                too_late(c);
            continue;
        }
        gone(c->child[k]);
        c->child[k] = 0;
        c->running--;
        ok = ended_well(c, pid, status);
    }
    return ok;
}

/* Waits until one of the children has ended, or a signal came. */
static bool wait_for_one(lg_cc *c) {
    const struct timespec moment = {.tv_nsec = MOMENT_NS};
    size_t running = c->running;
    bool ok = reap(c);
    c->interrupted = false;
    while (ok && running && c->running == running && !c->interrupted) {
        c->interrupted = nanosleep(&moment, NULL) != 0 && errno == EINTR;
        ok = reap(c);
    }
    return ok;
}

lg_cc_state lg_cc_look(lg_cc *c, bool wait) {
    if (c->state != LG_CC_WORKING)
        return c->state;
    bool ok = wait ? wait_for_one(c) : reap(c);
    while (ok && !c->linking && c->next < c->work.n && c->running < MOST_AT_ONCE)
        ok = compile_part(c, c->next++);
    if (ok && c->running == 0 && !c->linking && c->work.n > 1) {
        c->linking = true;
        ok = link_parts(c);
    } else if (ok && c->running == 0) {
        file_of(c, "so", 0, c->made);
        c->state = LG_CC_MADE;
    }
    if (!ok)
        compiler_failed(c);
    return c->state;
}

/* ---- from outside ---- */

static bool write_texts(lg_cc *c) {
    bool ok = lg_scratch_make(&c->dir);
    for (size_t k = 0; k < c->work.n && ok; k++) {
        char path[300];
        file_of(c, "c", k, path);
        FILE *f = fopen(path, "w");
        ok = f && fwrite(c->work.part[k].at, 1, c->work.part[k].n, f) == c->work.part[k].n;
        ok = f && fclose(f) == 0 && ok;
    }
    return ok;
}

bool lg_cc_call(const char *compiler, const char *const *words, char *why, size_t room) {
    size_t n = 0;
    while (words[n])
        n++;
    lg_cc *c = lg_alloc(sizeof *c);
    char **argv = lg_alloc((n + 2) * sizeof *argv);
    *c = (lg_cc){.work = {.n = 1}};
    lg_at_end(kill_all);
    snprintf(c->compiler, sizeof c->compiler, "%s", compiler);
    argv[0] = c->compiler;
    for (size_t k = 0; k < n; k++)
        argv[k + 1] = (char *)(uintptr_t)words[k];
    bool ok = lg_scratch_make(&c->dir) && start(c, argv);
    while (ok && c->running)
        ok = wait_for_one(c);
    if (!ok)
        compiler_failed(c);
    snprintf(why, room, "%s", c->fault);
    lg_free(argv);
    lg_cc_free(c);
    return ok;
}

lg_cc *lg_cc_begin(const char *compiler, const lg_cc_work *work) {
    lg_cc *c = lg_alloc(sizeof *c);
    *c = (lg_cc){.work = *work};
    snprintf(c->compiler, sizeof c->compiler, "%s", compiler);
    lg_at_end(kill_all); /* before files are removed */
    if (write_texts(c))
        lg_cc_look(c, false);
    else
        fail(c, "there is no room for temporary files", strerror(errno));
    return c;
}

bool lg_cc_interrupted(const lg_cc *c) {
    return c->interrupted;
}

int lg_cc_running(const lg_cc *c) {
    return (int)c->running;
}

const char *lg_cc_made(const lg_cc *c) {
    return c->made;
}

const char *lg_cc_fault(const lg_cc *c) {
    return c->fault;
}

void lg_cc_free(lg_cc *c) {
    if (!c)
        return;
    stop_children(c);
    lg_scratch_remove(&c->dir);
    lg_free(c);
}
