/* vrow.h: reductions of dense rows to one element, in an order that depends on the length alone:
 * fixed lanes, a fixed tree, halves above a fixed block. Text for generated C as vmath.h is, after
 * it and likewise without includes. */
#ifndef LG_VROW_H
#define LG_VROW_H

enum { LG_LANES = 64, LG_FEW = 16, LG_ROW_BLOCK = 4096 };

/* The upper half of the lanes joined to the lower; with a number for `half`, in registers. */
#define LG_FOLD(T, half, join)                                                                     \
    for (int j = 0; j < (half); j++) {                                                             \
        T a = lane[j], b = lane[j + (half)];                                                       \
        lane[j] = (join);                                                                          \
    }

/* A reduction by `join` over T, from `start`, as fn. Below LG_FEW elements one after the other;
 * above LG_ROW_BLOCK of them (`split`), the two halves by themselves, which bounds the rounding. */
#define LG_ROW(fn, T, start, split, join)                                                          \
    LG_MATH T fn##_block(const T *x, unsigned long n) {                                            \
        T lane[LG_LANES];                                                                          \
        unsigned long i = 0;                                                                       \
        for (int j = 0; j < LG_LANES; j++)                                                         \
            lane[j] = (start);                                                                     \
        for (; i + LG_LANES <= n; i += LG_LANES)                                                   \
            for (int j = 0; j < LG_LANES; j++) {                                                   \
                T a = lane[j], b = x[i + (unsigned long)j];                                        \
                lane[j] = (join);                                                                  \
            }                                                                                      \
        for (unsigned long j = 0; i + j < n; j++) {                                                \
            T a = lane[j], b = x[i + j];                                                           \
            lane[j] = (join);                                                                      \
        }                                                                                          \
        LG_FOLD(T, 32, join)                                                                       \
        LG_FOLD(T, 16, join)                                                                       \
        LG_FOLD(T, 8, join)                                                                        \
        LG_FOLD(T, 4, join)                                                                        \
        LG_FOLD(T, 2, join)                                                                        \
        LG_FOLD(T, 1, join)                                                                        \
        return lane[0];                                                                            \
    }                                                                                              \
    LG_MATH T fn##_few(const T *x, unsigned long n) {                                              \
        T a = (start);                                                                             \
        for (unsigned long i = 0; i < n; i++) {                                                    \
            T b = x[i];                                                                            \
            a = (join);                                                                            \
        }                                                                                          \
        return a;                                                                                  \
    }                                                                                              \
    /* As a stack of halves, each waiting for the other one of its size. */                        \
    LG_MATH T fn(const T *x, unsigned long n) {                                                    \
        if (n < LG_FEW)                                                                            \
            return fn##_few(x, n);                                                                 \
        if (!(split) || n <= LG_ROW_BLOCK)                                                         \
            return fn##_block(x, n);                                                               \
        T part[64];                                                                                \
        int top = 0;                                                                               \
        unsigned long blocks = 0;                                                                  \
        for (unsigned long i = 0; i < n; i += LG_ROW_BLOCK) {                                      \
            part[top++] = fn##_block(x + i, n - i < LG_ROW_BLOCK ? n - i : LG_ROW_BLOCK);          \
            for (unsigned long b2 = ++blocks; !(b2 & 1); b2 >>= 1, top--) {                        \
                T a = part[top - 2], b = part[top - 1];                                            \
                part[top - 2] = (join);                                                            \
            }                                                                                      \
        }                                                                                          \
        for (; top > 1; top--) {                                                                   \
            T a = part[top - 2], b = part[top - 1];                                                \
            part[top - 2] = (join);                                                                \
        }                                                                                          \
        return part[0];                                                                            \
    }

LG_ROW(lg_row_sum_f32, float, 0.0f, 1, a + b)
LG_ROW(lg_row_sum_f64, double, 0.0, 1, a + b)
LG_ROW(lg_row_prod_f32, float, 1.0f, 0, a * b)
LG_ROW(lg_row_prod_f64, double, 1.0, 0, a * b)
LG_ROW(lg_row_max_f32, float, -__builtin_inff(), 0, (a > b) | (a != a) ? a : b)
LG_ROW(lg_row_max_f64, double, -__builtin_inf(), 0, (a > b) | (a != a) ? a : b)
LG_ROW(lg_row_min_f32, float, __builtin_inff(), 0, (a < b) | (a != a) ? a : b)
LG_ROW(lg_row_min_f64, double, __builtin_inf(), 0, (a < b) | (a != a) ? a : b)

/* The first place of the largest (smallest) element, or of the first NaN; 0 for no elements. */
#define LG_ROW_ARG(fn, row, T)                                                                     \
    LG_MATH int fn(const T *x, unsigned long n) {                                                  \
        T best = row(x, n);                                                                        \
        unsigned long i = 0;                                                                       \
        for (; i < n; i++)                                                                         \
            if ((x[i] == best) | (x[i] != x[i]))                                                   \
                break;                                                                             \
        return i < n ? (int)i : 0;                                                                 \
    }
LG_ROW_ARG(lg_row_argmax_f32, lg_row_max_f32, float)
LG_ROW_ARG(lg_row_argmax_f64, lg_row_max_f64, double)
LG_ROW_ARG(lg_row_argmin_f32, lg_row_min_f32, float)
LG_ROW_ARG(lg_row_argmin_f64, lg_row_min_f64, double)
#endif
