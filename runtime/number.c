/* number.c: real numbers as the shortest text that reads back as the same number. Not for text to
 * numbers, nor for formats that a user chooses (host/format.c). Used by logs, files and dumps. */
#include "runtime/io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

enum { MOST = 17, FIVES = 28 };

/* A positive number as an integer p in units of 2^-shift, whose integral part has MOST digits: it
 * is p * 2^-shift * 10^(exp10 - MOST + 1). What is to be read back is `same` in those units
 * (another number when it is rounded to single precision), and is read from all that is nearer to
 * it than a quarter of `up` above and a quarter of `down` below; from these distances themselves if
 * `even`. */
typedef struct {
    wide p, same, up, down;
    int shift, exp10;
    bool even;
} scaled;

static const uint64_t ten[] = {1ull,
                               10ull,
                               100ull,
                               1000ull,
                               10000ull,
                               100000ull,
                               1000000ull,
                               10000000ull,
                               100000000ull,
                               1000000000ull,
                               10000000000ull,
                               100000000000ull,
                               1000000000000ull,
                               10000000000000ull,
                               100000000000000ull,
                               1000000000000000ull,
                               10000000000000000ull,
                               100000000000000000ull};

static const uint64_t five_to[FIVES] = {1ull,
                                        5ull,
                                        25ull,
                                        125ull,
                                        625ull,
                                        3125ull,
                                        15625ull,
                                        78125ull,
                                        390625ull,
                                        1953125ull,
                                        9765625ull,
                                        48828125ull,
                                        244140625ull,
                                        1220703125ull,
                                        6103515625ull,
                                        30517578125ull,
                                        152587890625ull,
                                        762939453125ull,
                                        3814697265625ull,
                                        19073486328125ull,
                                        95367431640625ull,
                                        476837158203125ull,
                                        2384185791015625ull,
                                        11920928955078125ull,
                                        59604644775390625ull,
                                        298023223876953125ull,
                                        1490116119384765625ull,
                                        7450580596923828125ull};

/* Exact; false: too large or too small for that. */
static bool scale(double a, bool single, scaled *s) {
    if (!(a >= 1e-10 && a < 1e15))
        return false;
    uint64_t bits;
    memcpy(&bits, &a, sizeof bits);
    uint64_t m = (bits & ((1ull << 52) - 1)) | 1ull << 52;
    int e = (int)(bits >> 52) - 1075;
    s->exp10 = (e + 52) * 78913 >> 18; /* of the power of two below: a floor of log10 */
    for (;; s->exp10++) {
        int k = MOST - 1 - s->exp10;
        s->shift = -(e + k);
        if (k < 0 || k >= FIVES || s->shift < 1 || s->shift > 64)
            return false;
        uint64_t five = five_to[k];
        s->p = (wide)m * five;
        if (s->p >> s->shift >= ten[MOST])
            continue;
        float f = (float)a;
        uint32_t fb;
        memcpy(&fb, &f, sizeof fb);
        uint64_t sm = single ? (fb & 0x7fffffu) | 0x800000u : m;
        int gap = single ? (int)(fb >> 23) - 150 - e : 0;
        bool lowest = sm == (single ? 1ull << 23 : 1ull << 52); /* numbers lie closer below it */
        s->same = (wide)(sm << gap) * five;
        s->up = (wide)five << (gap + 1);
        s->down = lowest ? s->up / 2 : s->up;
        s->even = !(sm & 1);
        return true;
    }
}

/* The first n digits, rounded to nearest as printf does; 10^n when they are all nines. */
static uint64_t rounded(const scaled *s, int n) {
    uint64_t whole = (uint64_t)(s->p >> s->shift), unit = ten[MOST - n];
    wide rest = s->p - ((wide)whole << s->shift) + ((wide)(whole % unit) << s->shift),
         all = (wide)unit << s->shift;
    uint64_t q = whole / unit;
    return q + (2 * rest > all || (2 * rest == all && (q & 1)));
}

static bool reads_back(const scaled *s, uint64_t q, int n) {
    wide at = (wide)(q * ten[MOST - n]) << s->shift;
    wide off = 4 * (at > s->same ? at - s->same : s->same - at),
         most = at > s->same ? s->up : s->down;
    return off < most || (off == most && s->even);
}

static const char pairs[] = "000102030405060708091011121314151617181920212223242526272829"
                            "303132333435363738394041424344454647484950515253545556575859"
                            "606162636465666768697071727374757677787980818283848586878889"
                            "90919293949596979899";

/* The last n digits of q. */
static char *put_digits(char *out, uint64_t q, int n) {
    int i = n;
    for (; i >= 2; q /= 100)
        memcpy(out + (i -= 2), pairs + 2 * (q % 100), 2);
    if (i)
        *out = (char)('0' + q % 10);
    return out + n;
}

/* n digits, of which the first counts 10^exp10, as %.<precision>g has them; gives their end. */
static char *lay_out(char *out, uint64_t q, int n, int exp10, int precision) {
    char digit[MOST];
    while (n > 1 && q % 10 == 0)
        q /= 10, n--;
    put_digits(digit, q, n);
    if (exp10 < -4 || exp10 >= precision) {
        *out++ = digit[0];
        if (n > 1)
            *out++ = '.';
        memcpy(out, digit + 1, (size_t)n - 1);
        out += n - 1;
        *out++ = 'e';
        *out++ = exp10 < 0 ? '-' : '+';
        out = put_digits(out, (uint64_t)(exp10 < 0 ? -exp10 : exp10), 2);
    } else if (exp10 < 0) {
        memcpy(out, "0.000", (size_t)(1 - exp10));
        memcpy(out + 1 - exp10, digit, (size_t)n);
        out += 1 - exp10 + n;
    } else {
        int left = n < exp10 + 1 ? n : exp10 + 1;
        memcpy(out, digit, (size_t)left);
        memset(out + left, '0', (size_t)(exp10 + 1 - left));
        out += exp10 + 1;
        if (n > left) {
            *out++ = '.';
            memcpy(out, digit + left, (size_t)(n - left));
            out += n - left;
        }
    }
    *out = 0;
    return out;
}

/* n digits are too far from the number, as a look without its last bits tells. */
static bool too_far(const scaled *s, int n) {
    uint64_t whole = (uint64_t)(s->p >> s->shift), unit = ten[MOST - n], off = whole % unit;
    uint64_t most = (uint64_t)(s->up >> (s->shift + 1)) + 2; /* what is read back is half as far */
    return off > most && unit - off > most;
}

/* The length of the text; 0: the number is too large or too small. */
static size_t quick(char *out, double v, bool single) {
    scaled s;
    char *at = out;
    if (!scale(fabs(v), single, &s))
        return 0;
    if (v < 0)
        *at++ = '-';
    for (int n = single ? 6 : 15; n <= MOST; n++) {
        if (n < MOST && too_far(&s, n))
            continue;
        uint64_t q = rounded(&s, n);
        if (n < MOST && !reads_back(&s, q, n))
            continue;
        bool more = q == ten[n]; /* 9.99 became 10.0 */
        return (size_t)(lay_out(at, more ? q / 10 : q, n, s.exp10 + more, n) - out);
    }
    return 0;
}

/* By the C library, which knows all numbers. */
static void slow(char out[40], double v, bool single) {
    float s = (float)v;
    bool tiny = single ? fabsf(s) < 1.2e-38f : fabs(v) < 2.3e-308;
    for (int digits = tiny ? 1 : single ? 6 : 15; digits <= MOST; digits++) {
        snprintf(out, 40, "%.*g", digits, v);
        if (single ? strtof(out, NULL) == s : strtod(out, NULL) == v)
            break;
    }
    char *comma = strchr(out, ','); /* the decimal sign of some locales */
    if (comma)
        *comma = '.';
}

size_t lg_number_put(char out[40], double v, bool single) {
    size_t n = v == 0 ? 0 : quick(out, v, single);
    if (n)
        return n;
    if (v == 0)
        strcpy(out, signbit(v) ? "-0" : "0");
    else
        slow(out, v, single);
    return strlen(out);
}

const char *lg_number_text(char out[40], double v, bool single) {
    lg_number_put(out, v, single);
    return out;
}
