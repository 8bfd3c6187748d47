/* fuzz.c: lines that nobody meant: those of the examples and the library with characters and words
 * changed, left out, doubled and mixed, always the same ones. The prompt reports and goes on; it
 * never dies and never hangs. LG names the program. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES = 2000, BATCH = 250, SECONDS = 20, MOST_LINES = 20000, LONGEST = 400 };
static char *line[MOST_LINES];
static size_t n_lines;
static uint64_t state = 7;

static uint64_t next(void) {
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static size_t below(size_t n) {
    return n ? (size_t)(next() % n) : 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_file(const char *path) {
    char text[LONGEST];
    FILE *f = fopen(path, "r");
    while (f && n_lines < MOST_LINES && fgets(text, sizeof text, f))
        if (strlen(text) > 3)
            line[n_lines++] = strdup(text);
    if (f)
        fclose(f);
}

static void read_folder(const char *path) {
    char *name[512], file[1024];
    size_t n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) && n < 512;)
        if (strstr(e->d_name, ".lg"))
            name[n++] = strdup(e->d_name);
    if (d)
        closedir(d);
    qsort(name, n, sizeof *name, by_text);
    for (size_t i = 0; i < n; i++) {
        snprintf(file, sizeof file, "%s/%s", path, name[i]);
        read_file(file);
        free(name[i]);
    }
}

/* Words that change a run's length, wait or leave would make the test slow, not better. */
static bool is_tame(const char *s) {
    static const char *const wild[] = {":q", ":s", ":time", "0000", "99999", "epochs", "max_steps"};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++)
        if (strstr(s, wild[i]))
            return false;
    return true;
}

static void mutate(char *s, size_t room) {
    static const char marks[] = "(){}[]`\"'.,:;=+-*/^@<>|&!?#_ \t0199xyn\001\177\200\303\377";
    for (size_t times = below(3); times > 0; times--) {
        size_t n = strlen(s), at = below(n + 1);
        const char *other = line[below(n_lines)];
        switch (below(6)) {
        case 0:
            if (n)
                s[below(n)] = marks[below(sizeof marks - 1)];
            break;
        case 1:
            if (n + 1 < room) {
                memmove(s + at + 1, s + at, n - at + 1);
                s[at] = marks[below(sizeof marks - 1)];
            }
            break;
        case 2:
            memmove(s + at, s + at + (at < n), n - at + (at >= n));
            break;
        case 3: /* the end of another line */
            snprintf(s + at, room - at, "%s", other + below(strlen(other)));
            break;
        case 4:
            s[at] = 0;
            break;
        default: /* a piece twice */
            if (n > at && n + (n - at) + 1 < room)
                memmove(s + n, s + at, n - at + 1);
            break;
        }
    }
}

/* One line changed, or a stretch of a file in which few are. */
static void put_lines(FILE *f) {
    char s[2 * LONGEST];
    size_t many = below(2) ? 1 : 1 + below(12), at = below(n_lines);
    for (size_t i = 0; i < many && at + i < n_lines; i++) {
        snprintf(s, sizeof s, "%s", line[at + i]);
        if (many == 1 || !below(many))
            mutate(s, sizeof s - 2);
        s[strcspn(s, "\n")] = 0;
        if (is_tame(s))
            fprintf(f, "%s\n", s);
    }
    /* what was left open ends, mostly: else the lines to come would all be one piece */
    if (below(8))
        fprintf(f, "}}))\"\n))\n");
}

static int run(const char *lg, const char *folder) {
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        struct rlimit cpu = {SECONDS, SECONDS};
        setrlimit(RLIMIT_CPU, &cpu);
        if (chdir(folder) != 0 || !freopen("lines", "r", stdin) ||
            !freopen("/dev/null", "w", stdout) || !freopen("said", "w", stderr))
            _exit(127);
        alarm(4 * SECONDS);
        execl(lg, lg, "--keep-going", "--quiet", "--threads", "1", (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return status;
}

int main(void) {
    char folder[] = "/tmp/lg-fuzz-XXXXXX", path[64], command[128];
    const char *lg = getenv("LG"), *keep = getenv("LG_FUZZ_KEEP");
    int passed = 0, failed = 0;
    read_folder("examples");
    read_folder("stdlib");
    if (!lg || !n_lines || !mkdtemp(folder)) {
        printf("LG is not set, or this is not the root of the project\n0 passed, 1 failed\n");
        return 1;
    }
    snprintf(path, sizeof path, "%s/lines", folder);
    for (int k = 0; k < LINES / BATCH; k++) {
        FILE *f = fopen(path, "w");
        for (int i = 0; f && i < BATCH; i++)
            put_lines(f);
        if (!f || fclose(f))
            return 1;
        int status = run(lg, folder);
        bool good = WIFEXITED(status) && WEXITSTATUS(status) <= 1;
        passed += good;
        failed += !good;
        if (!good) {
            printf("FAILED batch %d: status %d; its lines stand in %s\n", k, status, path);
            break;
        }
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (!failed && !keep && system(command) != 0)
        failed++;
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
