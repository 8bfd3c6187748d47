/* machine.c: the roof that kernels are held against: what is measured of this machine makes sense,
 * and shares of a machine that is made up. */
#include "ops/machine.h"
#include "runtime/plan.h"
#include <stdio.h>

static int passed, failed;

static void check(bool ok, const char *what) {
    passed += ok;
    failed += !ok;
    printf("%s %s\n", ok ? "ok" : "FAILED", what);
}

static bool near(double a, double b) {
    return a > b - 1e-9 && a < b + 1e-9;
}

static void test_share(void) {
    lg_machine m = {2, 100, {1000, 10000, 100000}, {50, 10, 2}, 200};
    check(near(lg_machine_share(&m, 5000, 0, 100), 0.5), "arithmetic alone");
    check(near(lg_machine_share(&m, 0, 1000, 100), 0.2), "what fits into the inner caches");
    check(near(lg_machine_share(&m, 0, 5000, 1000), 0.5), "into the outer one");
    check(near(lg_machine_share(&m, 0, 50000, 100000), 0.25), "into none");
    check(near(lg_machine_share(&m, 0, 500000, 500000), 0.5), "or not by far");
    check(near(lg_machine_share(&m, 5000, 1000, 100), 0.5), "of both what takes longer");
}

static void test_measured(void) {
    lg_pool_init(2);
    const lg_machine *m = lg_machine_here();
    check(m && m == lg_machine_here(), "measured once");
    check(m->threads == 2 && m->flops > 0.1, "multiply-adds");
    check(m->size[0] < m->size[1] && m->size[1] < m->size[2], "sizes grow");
    check(m->bytes[0] > 0.1 && m->bytes[1] > 0.1 && m->bytes[2] > 0.1, "memory");
    check(m->meeting > 0, "meetings");
}

int main(void) {
    test_share();
    test_measured();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
