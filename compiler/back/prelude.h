/* prelude.h: what generated C begins with, as text: types, the environment of a kernel, conversions
 * and reductions of columns as the prebuilt kernels do them. Never included by a C file. */
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef int int32_t;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;

/* lg_code_env of runtime/exec.h */
typedef struct lg_code_env {
    char *arena;
    const void *const *in;
    void *const *out;
    const void *const *konst;
    void (*const *fn)(unsigned long n, const void *const *in, void *out);
    void (*draw)(const struct lg_code_env *e, int number, int64_t o, int64_t no, int64_t i,
                 int64_t ni, void *out);
    const void *draws;
    void (*stream)(void *to, const void *from, unsigned long bytes);
    const int64_t *num;
} lg_code_env;

/* A place of runtime/exec.h: its base, the number of its slot or constant, its offset. */
LG_MATH char *lg_at(const lg_code_env *e, const int64_t *place) {
    switch (place[0]) {
    case 1:
        return e->arena + place[2];
    case 2:
        return (char *)e->in[place[1]] + place[2];
    case 3:
        return (char *)e->out[place[1]] + place[2];
    default:
        return (char *)e->konst[place[1]] + place[2];
    }
}

/* Truncated and saturated; NaN gives 0. */
#define LG_TO_INT(fn, T, lo, hi)                                                                   \
    LG_MATH T fn(double v) {                                                                       \
        if (v != v)                                                                                \
            return 0;                                                                              \
        if (v <= (double)(lo))                                                                     \
            return (lo);                                                                           \
        return v >= (double)(hi) ? (hi) : (T)v;                                                    \
    }
LG_TO_INT(lg_to_i64, int64_t, -9223372036854775807ll - 1, 9223372036854775807ll)
LG_TO_INT(lg_to_i32, int32_t, -2147483647 - 1, 2147483647)
LG_TO_INT(lg_to_i8, int8_t, -128, 127)
LG_TO_INT(lg_to_u8, uint8_t, 0, 255)
#define LG_CLAMPED(v, lo, hi) ((v) < (lo) ? (lo) : (v) > (hi) ? (hi) : (v))

LG_MATH float lg_from_bf16(uint16_t x) {
    return lg_from_bits((unsigned)x << 16);
}

LG_MATH uint16_t lg_to_bf16(float x) {
    unsigned u = lg_to_bits(x), r = (u + 0x7fffu + ((u >> 16) & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16 | 0x40u) : r);
}

/* Joins ni rows of no elements each, and what `out` holds unless `first`, element by element.
 * Short rows are halved, so that the loops stay long. */
#define LG_COLUMN(fn, T, join)                                                                     \
    LG_MATH void fn(const T *in, T *work, T *out, int64_t no, int64_t ni, int first) {             \
        if (ni > 2 && no < 256) {                                                                  \
            while (ni > 1) {                                                                       \
                int64_t half = ni / 2;                                                             \
                _Pragma("GCC ivdep") for (int64_t j = 0; j < half * no; j++) work[j] =             \
                    join(in[j], in[half * no + j]);                                                \
                if (ni & 1)                                                                        \
                    _Pragma("GCC ivdep") for (int64_t j = 0; j < no; j++) work[j] =                \
                        join(work[j], in[(ni - 1) * no + j]);                                      \
                in = work;                                                                         \
                ni = half;                                                                         \
            }                                                                                      \
        }                                                                                          \
        int64_t i = 0;                                                                             \
        if (first) {                                                                               \
            for (int64_t j = 0; j < no; j++)                                                       \
                out[j] = in[j];                                                                    \
            i = 1;                                                                                 \
        }                                                                                          \
        for (; i < ni; i++)                                                                        \
            _Pragma("GCC ivdep") for (int64_t j = 0; j < no; j++) out[j] =                         \
                join(out[j], in[i * no + j]);                                                      \
    }
