/* typing.c: the prompt as a person uses it, on a pseudo-terminal: typing, TAB, blocks, pasting,
 * searching the history, breaking off a line and a train. LG names the program. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 20, SECONDS = 20 };
static int passed, failed;
static int terminal = -1;
static pid_t child;
static char said[ROOM];
static size_t n_said, seen; /* seen: what was expected already ends here */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void begin(const char *home) {
    struct winsize size = {.ws_row = 40, .ws_col = 100};
    n_said = seen = 0;
    said[0] = 0;
    child = forkpty(&terminal, NULL, NULL, &size);
    if (child < 0) {
        perror("forkpty");
        exit(1);
    }
    if (child > 0)
        return;
    setenv("TERM", "xterm", 1);
    setenv("HOME", home, 1);
    unsetenv("XDG_STATE_HOME");
    setenv("NO_COLOR", "1", 1);
    const char *lg = getenv("LG");
    execl(lg, lg, "--threads", "1", (char *)NULL);
    perror(lg);
    _exit(127);
}

/* Reads what there is within `wait` seconds; false when nothing came. */
static bool more(double wait) {
    struct pollfd p = {.fd = terminal, .events = POLLIN};
    if (poll(&p, 1, (int)(wait * 1000)) <= 0 || n_said + 1 >= ROOM)
        return false;
    ssize_t n = read(terminal, said + n_said, ROOM - 1 - n_said);
    if (n <= 0)
        return false;
    for (ssize_t i = 0; i < n; i++) /* the search below is one of strings */
        if (!said[n_said + (size_t)i])
            said[n_said + (size_t)i] = ' ';
    n_said += (size_t)n;
    said[n_said] = 0;
    return true;
}

static void send_keys(const char *keys) {
    size_t n = strlen(keys);
    while (n) {
        ssize_t k = write(terminal, keys, n);
        if (k < 0 && errno != EINTR)
            return;
        keys += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
}

static void expect(const char *what, const char *text) {
    double end = now() + SECONDS;
    char *at;
    while (!(at = strstr(said + seen, text)) && now() < end)
        more(0.1);
    if (at) {
        passed++;
        seen = (size_t)(at - said) + strlen(text);
        return;
    }
    failed++;
    printf("FAILED %s: `%s` did not come; what came:\n%s\n", what, text, said + seen);
    seen = n_said;
}

static void type(const char *what, const char *keys, const char *text) {
    more(0.1); /* as somebody who has seen the prompt */
    send_keys(keys);
    expect(what, text);
    expect(what, "lg> ");
}

static void finish(const char *what) {
    int status = -1;
    double end = now() + SECONDS;
    send_keys("\004");
    while (waitpid(child, &status, WNOHANG) == 0 && now() < end)
        more(0.05);
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    passed += good;
    failed += !good;
    if (!good) {
        printf("FAILED %s: it does not leave (status %d)\n", what, status);
        kill(child, SIGKILL);
    }
    close(terminal);
}

static const char train[] = "\033[200~train slow {\n"
                            "  part net = Linear(4, 2)\n"
                            "  data = gaussians(classes=2, dim=4, n=256) |> batch(32)\n"
                            "  loss = cross_entropy(net(x), y)\n"
                            "  optimizer = sgd(0.01)\n"
                            "  max_steps = 1000000000\n"
                            "}\n\033[201~\r";

static void first_session(const char *home) {
    begin(home);
    expect("a prompt", "lg> ");
    type("a sum", "1 + 2\r", "integer: 3");
    type("a name", "let elephant = 4\r", "elephant");
    type("TAB completes a name", "eleph\t + 1\r", "integer: 5");
    send_keys("cross_entropy(z, smo\t");
    expect("TAB completes an argument", "oth");
    type("Ctrl-C leaves the line", "\003", "");
    type("a record", "let rec = {alpha: 1, beta: 7}\r", "beta");
    type("TAB completes a field", "rec.be\t\r", "integer: 7");
    type("TAB completes a command", ":he\t\r", ":quit");
    type("a model", "part net = Linear(3, 2)\r", "Linear");
    send_keys("`ne\t");
    expect("TAB completes a path", "t.");
    type("Ctrl-C leaves the line", "\003", "");
    send_keys("fn twice(x: float[N]) -> float {\r");
    expect("a block goes on", "... ");
    send_keys("return 2*sum(x)\r");
    expect("a block goes on", "... ");
    type("the block ends", "}\r", "}");
    type("it can be called", "twice([1.0, 2.0])\r", "f32: 6");
    send_keys("\033[200~let p = 10\nlet q = p + 5\n\033[201~");
    type("a pasted block waits for Enter", "\rq\r", "integer: 15");
    type("a pasted block is one input", "\033[200~let a1 = 1\nlet a2 = nobody\033[201~\r", "E0301");
    type("none of it ran", "a1\r", "nothing here is called `a1`");
    type("Ctrl-R finds a line", "\0222.0\r", "f32: 6");
    send_keys("fn broken(\r");
    expect("an open bracket goes on", "... ");
    type("Ctrl-C leaves a block", "\003", "");
    type("bytes that are no UTF-8", "\377\3761\r", "integer: 1");
    type("a train", train, "}");
    send_keys("let r = run slow()\r");
    expect("it trains", "slow");
    for (double end = now() + 1; now() < end;)
        more(0.1);
    type("Ctrl-C stops a train", "\003", "stopped at step");
    type("what it reached is kept", "r.steps > 0\r", "bool: true");
    send_keys("for i in 0..300000 { let z = sum(rand normal([1000])) }\r");
    for (double end = now() + 0.3; now() < end;)
        more(0.1);
    type("Ctrl-C stops a loop", "\003", "runtime[R0"); /* between rounds, or in one */
    send_keys("scan (x = 0.5) for k in 0..2000000000 { x' = sin(x) }\r");
    for (double end = now() + 0.3; now() < end;)
        more(0.1);
    type("Ctrl-C stops an expression", "\003", "R0104");
    finish("Ctrl-D");
}

static void second_session(const char *home) {
    begin(home);
    expect("a prompt", "lg> ");
    type("the history was kept", "\022let eleph\r", "elephant");
    type("and its line runs", "elephant\r", "integer: 4");
    finish("Ctrl-D");
}

int main(void) {
    char home[] = "/tmp/lg-typing-XXXXXX", command[128];
    if (!getenv("LG") || !mkdtemp(home)) {
        printf("LG is not set\n0 passed, 1 failed\n");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    first_session(home);
    second_session(home);
    snprintf(command, sizeof command, "rm -rf %s", home);
    if (system(command) != 0)
        failed++;
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
