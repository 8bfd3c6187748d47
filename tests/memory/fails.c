/* fails.c: an allocation that fails, whichever it is: the program ends with a message and an exit
 * status, leaves no temporary file and no half of a save; the prompt goes on with what it had. Each
 * try is a child of its own. MEMORY_FAILS=all tries every allocation, else some are. */
#include "compiler/driver/command.h"
#include "runtime/base.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60, TRIES = 60 };
static int passed, failed;
static char scratch[] = "/tmp/lg-fails-XXXXXX";

static void check(bool ok, const char *what, const char *how, int64_t n) {
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAILED %s, allocation %lld: %s\n", what, (long long)n, how);
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    if (!f || fputs(text, f) < 0 || fclose(f))
        exit(2);
}

static void read_file(const char *name, char *out, size_t room) {
    FILE *f = fopen(name, "r");
    size_t n = f ? fread(out, 1, room - 1, f) : 0;
    out[n] = 0;
    if (f)
        fclose(f);
}

/* ---- commands ---- */

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *words[8];
    int every; /* a try costs so many */
} trial;

static void out_of_memory(size_t wanted) {
    fprintf(stderr, "lg: out of memory (%zu bytes wanted)\n", wanted);
    exit(LG_EXIT_FAILED);
}

/* In the child: the command, whose allocation number `n` fails; how many are left goes to `left`.
 */
static void child(const trial *t, int64_t n) {
    char words[8][64], *argv[8];
    int argc = 0, log = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (; t->words[argc]; argc++) {
        snprintf(words[argc], sizeof words[argc], "%s", t->words[argc]);
        argv[argc] = words[argc];
    }
    if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        exit(2);
    alarm(SECONDS);
    lg_out_of_memory = out_of_memory;
    lg_alloc_left = n;
    int status = t->run(argc, argv);
    char text[40];
    snprintf(text, sizeof text, "%lld", (long long)(n - lg_alloc_left));
    lg_alloc_left = -1;
    write_file("used", text);
    exit(status);
}

static int try_one(const trial *t, int64_t n) {
    int status = -1;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid)
        child(t, n);
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Names in a folder that end in `tail` or begin with `head`. */
static bool any_like(const char *folder, const char *head, const char *tail) {
    DIR *d = opendir(folder);
    bool found = false;
    for (struct dirent *e; d && (e = readdir(d)) && !found;) {
        size_t n = strlen(e->d_name), k = strlen(tail);
        found =
            !strncmp(e->d_name, head, strlen(head)) || (n > k && !strcmp(e->d_name + n - k, tail));
    }
    if (d)
        closedir(d);
    return found;
}

static void sweep(void) {
    if (system("rm -rf runs out tmp/* made log"))
        exit(2);
}

static void look(const trial *t, int64_t n, int status) {
    char said[4000], how[4200];
    read_file("log", said, sizeof said);
    snprintf(how, sizeof how, "%s %d: %s", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said);
    bool ended = WIFEXITED(status) && WEXITSTATUS(status) <= 1;
    check(ended && (!WEXITSTATUS(status) || strstr(said, "memory")), t->name, how, n);
    check(!any_like("tmp", "lossgraph-", ".tmp") && !any_like("runs/fit", "\n", ".tmp") &&
              !any_like(".", "\n", ".tmp"),
          t->name, "something is left", n);
}

static void sweep_of(const trial *t) {
    char text[40] = "";
    const char *all = getenv("MEMORY_FAILS");
    int status = try_one(t, INT64_MAX);
    read_file("used", text, sizeof text);
    int64_t used = atoll(text), tries = all ? used : TRIES / t->every;
    check(WIFEXITED(status) && !WEXITSTATUS(status) && used > 100, t->name, "it does not run", -1);
    sweep();
    for (int64_t k = 0; k < tries && used > 100; k++) {
        int64_t n = tries == used ? k : used * k / tries;
        look(t, n, try_one(t, n));
        sweep();
    }
}

/* ---- the prompt ---- */

static void (*given)(size_t wanted);
static int64_t fail_at;
static int arm[2]; /* pipe: from the first byte on, allocations are counted */

/* Only the one allocation fails. */
static void once(size_t wanted) {
    lg_alloc_left = -1;
    given(wanted);
}

/* A prompt that has ended by then is looked at later. */
static void type_in(int to, const char *text) {
    if (write(to, text, strlen(text)) < 0 && errno != EPIPE)
        exit(2);
}

static void *count_when_told(void *ctx) {
    char byte;
    if (read(arm[0], &byte, 1) == 1) {
        given = lg_out_of_memory;
        lg_out_of_memory = once;
        lg_alloc_left = fail_at;
        type_in(1, "counted\n");
    }
    return ctx;
}

/* In the child: the prompt of a pipe. */
static void prompt(int in, int out) {
    char keep[] = "--keep-going", *argv[] = {keep};
    pthread_t waiting;
    alarm(SECONDS);
    close(arm[1]);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || close(in) || close(out) ||
        pthread_create(&waiting, NULL, count_when_told, NULL))
        _exit(2);
    int status = lg_cmd_repl(1, argv);
    fflush(stdout);
    _exit(status);
}

/* Reads on until `text` is shown, or to the end. */
static void await(int from, char *all, size_t room, const char *text) {
    for (size_t n = strlen(all); !text || !strstr(all, text);) {
        ssize_t got = n + 1 < room ? read(from, all + n, room - 1 - n) : 0;
        if (got <= 0)
            return;
        all[n += (size_t)got] = 0;
    }
}

/* A line of a pipe is read once the next one is there. Of the last two attempts one is after what
 * fails. True when the prompt went on. */
static bool typed(int64_t n) {
    static const char again[] = "let y = f(x) + x\nprint \"last {y} {sum(f(y))}\"\n";
    char all[20000] = "", how[20100];
    int in[2], out[2], status = 0;
    if (pipe(in) || pipe(out) || pipe(arm))
        exit(2);
    fail_at = n;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        close(in[1]);
        close(out[0]);
        prompt(in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
    close(arm[0]);
    type_in(in[1], "let x = [1.0, 2.0]\nfn f(v: float[N]) -> float[N] = 2*v\n"
                   "print \"ready {sum(x)}\"\n0\n");
    await(out[0], all, sizeof all, "ready 3");
    type_in(arm[1], "!");
    await(out[0], all, sizeof all, "counted");
    type_in(in[1], "for i in 0..2 { print \"then {i} {grad(fn (v) = sum(f(v)^2), at=x)}\" }\n");
    type_in(in[1], again);
    type_in(in[1], again);
    close(in[1]);
    await(out[0], all, sizeof all, NULL);
    close(out[0]);
    close(arm[1]);
    waitpid(pid, &status, 0);
    bool on = strstr(all, "last [3, 6] 18"), told = strstr(all, "out of memory");
    snprintf(how, sizeof how, "wait status %d: %s", status, all);
    check(WIFEXITED(status) && WEXITSTATUS(status) <= 1 && (on || told), "prompt", how, n);
    return on && told;
}

static void prompts(void) {
    enum { MOST = 700 }; /* what the loop and the attempts take */
    int step = getenv("MEMORY_FAILS") ? 1 : MOST / TRIES, on = 0;
    signal(SIGPIPE, SIG_IGN);
    for (int64_t n = 0; n < MOST; n += step)
        on += typed(n);
    check(2 * on > MOST / step, "prompt", "it seldom goes on", on);
}

int main(void) {
    static const trial trials[] = {
        {"run", lg_cmd_run, {"fit.lg", "--quiet", "--threads", "1", "--jit", "off"}, 1},
        {"run, compiled", lg_cmd_run, {"fit.lg", "--quiet", "--threads", "1", "--jit", "on"}, 4},
        {"check", lg_cmd_check, {"fit.lg", "--quiet"}, 1},
        {"build", lg_cmd_build, {"fit.lg", "--no-compile", "-o", "made"}, 2},
    };
    if (!mkdtemp(scratch) || chdir(scratch) || system("mkdir tmp cache"))
        return 2;
    char tmp[80], cache[80];
    snprintf(tmp, sizeof tmp, "%s/tmp", scratch);
    snprintf(cache, sizeof cache, "%s/cache", scratch);
    setenv("TMPDIR", tmp, 1);
    setenv("XDG_CACHE_HOME", cache, 1);
    write_file("rows.csv", "a,b,label\n1,2.5,red\n2,3.5,blue\n3,4.5,red\n4,1.5,blue\n");
    write_file("fit.lg",
               "data d(part: str) from csv(\"rows.csv\") |> split(part, at=0.5, seed=1) {\n"
               "  field x: float[2] = float(columns[0:2])\n"
               "  field y: i32 in 2 = label\n"
               "}\n"
               "train fit {\n"
               "  part net = Linear(2, 2)\n"
               "  data = d(\"train\") |> batch(2)\n"
               "  loss = cross_entropy(net(x), y)\n"
               "  optimizer = adam(0.1)\n"
               "  epochs = 3\n"
               "  eval d(\"test\") every 1 epochs { acc = accuracy(net(x), y) }\n"
               "  save \"runs/fit\" every 2 epochs\n"
               "}\n"
               "entry main {\n"
               "  let r = run fit()\n"
               "  let s = svd(r.net.w).s\n"
               "  write \"out\", \"{r.loss} {s}\"\n"
               "}\n");
    for (size_t k = 0; k < LG_COUNT(trials); k++)
        sweep_of(&trials[k]);
    prompts();
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    if (chdir("/") || system(command))
        printf("%s is left\n", scratch);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
