/* dim.c: dims are simplified, compared, solved and printed as the language page says. */
#include "compiler/mid/dim.h"
#include <stdio.h>
#include <string.h>

static int passed, failed;

static void check(const char *name, bool ok) {
    if (ok)
        passed++;
    else {
        failed++;
        printf("FAIL %s\n", name);
    }
}

static lg_arena *arena;
static lg_dims *c;

static void text_is(const lg_dim *d, const char *want) {
    const char *got = d ? lg_dim_text(arena, d) : "(none)";
    if (strcmp(got, want) == 0) {
        passed++;
        return;
    }
    failed++;
    printf("FAIL text: got %s, want %s\n", got, want);
}

static lg_dim *var(const char *name) {
    return lg_dim_var(c, lg_intern(name), (lg_span){1, 2, 3});
}
static lg_dim *num(int64_t v) {
    return lg_dim_num(c, v);
}
static lg_dim *add(lg_dim *a, lg_dim *b) {
    return lg_dim_add(c, a, b);
}
static lg_dim *sub(lg_dim *a, lg_dim *b) {
    return lg_dim_sub(c, a, b);
}
static lg_dim *mul(lg_dim *a, lg_dim *b) {
    return lg_dim_mul(c, a, b);
}
static lg_dim *quo(lg_dim *a, lg_dim *b) {
    return lg_dim_div(c, a, b);
}
static lg_dim *fn(const char *name, lg_dim *a, lg_dim *b) {
    return lg_dim_fn(c, lg_intern(name), a, b);
}

static void test_algebra(void) {
    lg_dim *D = var("D"), *H = var("H"), *T = var("T"), *D2 = var("D");
    check("equal names are not equal atoms", D != D2);
    check("sums commute", add(D, H) == add(H, D));
    check("H*(D/H) = D", mul(H, quo(D, H)) == D);
    check("(3*D)/D = 3", quo(mul(num(3), D), D) == num(3));
    check("2*(T/2) = T", mul(num(2), quo(T, num(2))) == T);
    check("(D*H)/H = D", quo(mul(D, H), H) == D);
    lg_dim *H1 = add(H, num(1)), *q = quo(D, H1);
    check("(H+1)*(D/(H+1)) = D", mul(H1, q) == D);
    check("H*q + q = D", add(mul(H, q), q) == D);
    check("(H*H - 1)/(H+1) = H-1", quo(sub(mul(H, H), num(1)), H1) == sub(H, num(1)));
    check("D/(D/H1) = H1", quo(D, q) == H1);
    check("D/(2*H+2) = D/(H+1)/2", quo(D, mul(num(2), H1)) == quo(q, num(2)));
    check("T - T = 0", sub(T, T) == num(0));
    check("5/2 is none", quo(num(5), num(2)) == NULL);
    check("D/0 is none", quo(D, num(0)) == NULL);
    check("6/2 = 3", quo(num(6), num(2)) == num(3));
}

static void test_text(void) {
    lg_dim *D = var("D"), *H = var("H"), *T = var("T"), *N = var("N");
    text_is(mul(num(3), D), "3*D");
    text_is(add(T, num(1)), "T + 1");
    text_is(sub(T, num(1)), "T - 1");
    text_is(quo(D, H), "D/H");
    text_is(quo(D, num(2)), "D/2");
    text_is(sub(N, quo(T, num(2))), "N - T/2");
    text_is(sub(num(0), T), "-T");
    text_is(sub(N, D), "N - D");
    text_is(num(0), "0");
    text_is(mul(D, D), "D^2");
    text_is(quo(D, add(H, num(1))), "D/(H + 1)");
    text_is(fn("//", add(N, num(1)), num(2)), "(N + 1)//2");
    text_is(add(fn("//", N, num(2)), num(1)), "N//2 + 1");
    text_is(fn("min", N, D), "min(D, N)");
    text_is(lg_dim_opaque(c, lg_intern("floor(rho*N)"), false, 0), "floor(rho*N)");
}

static void test_functions(void) {
    lg_dim *N = var("N"), *M = var("M");
    check("fold //", fn("//", num(7), num(2)) == num(3));
    check("fold // floored", fn("//", num(-7), num(2)) == num(-4));
    check("fold %", fn("%", num(-7), num(4)) == num(1));
    check("(2N)//2 = N", fn("//", mul(num(2), N), num(2)) == N);
    check("(N-1)//2 + 1 = (N+1)//2",
          add(fn("//", sub(N, num(1)), num(2)), num(1)) == fn("//", add(N, num(1)), num(2)));
    check("N//1 = N", fn("//", N, num(1)) == N);
    check("(N+4)%2 = N%2", fn("%", add(N, num(4)), num(2)) == fn("%", N, num(2)));
    check("equal arguments, equal atom", fn("//", N, M) == fn("//", N, M));
    check("min commutes", fn("min", N, M) == fn("min", M, N));
    check("min(N, N+1) = N", fn("min", N, add(N, num(1))) == N);
    check("max(N, N+1) = N+1", fn("max", N, add(N, num(1))) == add(N, num(1)));
    check("min(0, N-M) lives", fn("min", num(0), sub(N, M)) == fn("min", sub(N, M), num(0)));
    check("other functions", fn("count", N, NULL) == fn("count", N, NULL));
}

static void test_values(void) {
    lg_dim *N = var("N"), *H = var("H");
    int64_t v;
    check("unknown", !lg_dim_value(N, &v));
    lg_dim *e = add(quo(N, H), fn("//", N, num(5)));
    lg_dim_set(N, 12);
    lg_dim_set(H, 4);
    check("12/4 + 12//5 = 5", lg_dim_value(e, &v) && v == 5);
    check("12/5 does not divide", quo(N, num(5)) == NULL);
    check("equal values are not equal dims", N != num(12));
    check("N < H by values", lg_dim_compare(H, N) == -1);
    lg_dim *A = var("A"), *B = var("B");
    check("A < A+1", lg_dim_compare(A, add(A, num(1))) == -1);
    check("A+B+1 > A", lg_dim_compare(add(add(A, B), num(1)), A) == 1);
    check("A ? B", lg_dim_compare(A, B) == 2);
    check("A = A", lg_dim_compare(A, A) == 0);
    check("A <= A+B", lg_dim_at_most(A, add(A, B)) == 1);
    check("A ? B at most", lg_dim_at_most(A, B) == 2);
    check("huge numbers stay unknown",
          !lg_dim_value(mul(num(INT64_MAX), mul(num(INT64_MAX), A)), &v));
    check("nested opaque", lg_dim_opaque(c, lg_intern("k"), true, 3) !=
                               lg_dim_opaque(c, lg_intern("k"), true, 4));
}

static void test_solve(void) {
    lg_dim *D = var("D"), *E = var("E"), *T = var("T"), *N = var("N"), *H = var("H"),
           *K = var("K"), *X = var("X");
    check("3*D = 3*E", lg_dim_solve(c, mul(num(3), D), D, mul(num(3), E)) == E);
    check("T+1 = N", lg_dim_solve(c, add(T, num(1)), T, N) == sub(N, num(1)));
    check("H*K = X", lg_dim_solve(c, mul(H, K), K, X) == quo(X, H));
    check("D/H = X", lg_dim_solve(c, quo(D, H), D, X) == mul(X, H));
    check("3*D = 10 is none", lg_dim_solve(c, mul(num(3), D), D, num(10)) == NULL);
    check("T+1 = 0 is none", lg_dim_solve(c, add(T, num(1)), T, num(0)) == NULL);
    check("D^2 is none", lg_dim_solve(c, mul(D, D), D, X) == NULL);
    check("inside // is none", lg_dim_solve(c, fn("//", D, num(2)), D, X) == NULL);
}

static void test_subst(void) {
    lg_dim *D = var("D"), *H = var("H"), *N = var("N");
    const lg_dim *from[] = {D, H}, *to[] = {mul(num(6), N), num(2)}, *swap[] = {H, D};
    check("D/H", lg_dim_subst(c, quo(D, H), 2, from, to) == mul(num(3), N));
    check("D//4", lg_dim_subst(c, fn("//", D, num(3)), 2, from, to) == mul(num(2), N));
    check("swap", lg_dim_subst(c, sub(D, H), 2, from, swap) == sub(H, D));
    check("D/(H+1)",
          lg_dim_subst(c, quo(D, add(H, num(1))), 2, from, to) == mul(num(2), N));
    check("mentions", lg_dim_mentions(fn("//", D, num(3)), D) && !lg_dim_mentions(D, H));
    const lg_dim *vars[4];
    check("vars", lg_dim_vars(add(quo(D, H), fn("%", D, N)), vars, 4) == 3);
    check("vars cut", lg_dim_vars(add(quo(D, H), N), vars, 1) == 1);
    int user;
    lg_dim_set_user(D, &user);
    check("user", lg_dim_user(D) == &user && !lg_dim_user(add(D, H)));
    check("name", lg_dim_name(D) == lg_intern("D") && !lg_dim_name(mul(num(2), D)));
    check("where", lg_dim_where(fn("//", num(1), D)).beg == 2);
}

int main(void) {
    arena = lg_arena_new();
    c = lg_dims_new(arena);
    test_algebra();
    test_text();
    test_functions();
    test_values();
    test_solve();
    test_subst();
    lg_arena_free(arena);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
