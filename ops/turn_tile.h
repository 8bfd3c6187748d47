/* turn_tile.h: square blocks of a matrix turned round in registers. Included by gemm_tile.h and
 * conv_channel_tile.h for each element type and vector unit, under their TILE, REAL, VEC and LANES,
 * and TARGET, the attribute that allows the unit. */
#ifndef LG_TURN
#define LG_TURN
/* The lower (upper) halves of two vectors of n, interleaved: elements by number, which gcc takes as
 * a vector of T. */
#ifdef __clang__
#define LG_PICK_(a, b, T, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define LG_PICK_(a, b, T, ...) __builtin_shuffle(a, b, (T){__VA_ARGS__})
#endif
#define LG_PICK(a, b, T, ...) LG_PICK_(a, b, T, __VA_ARGS__)
#define LG_LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define LG_HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LG_LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define LG_HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define LG_LOW_4 0, 4, 1, 5
#define LG_HIGH_4 2, 6, 3, 7
#define LG_LOW_2 0, 2
#define LG_HIGH_2 1, 3
/* Each element of n goes h places on, or back. */
#define LG_SWAP_1_2 1, 0
#define LG_SWAP_1_4 LG_SWAP_1_2, 3, 2
#define LG_SWAP_2_4 2, 3, 0, 1
#define LG_SWAP_1_8 LG_SWAP_1_4, 5, 4, 7, 6
#define LG_SWAP_2_8 LG_SWAP_2_4, 6, 7, 4, 5
#define LG_SWAP_4_8 4, 5, 6, 7, 0, 1, 2, 3
#define LG_SWAP_1_16 LG_SWAP_1_8, 9, 8, 11, 10, 13, 12, 15, 14
#define LG_SWAP_2_16 LG_SWAP_2_8, 10, 11, 8, 9, 14, 15, 12, 13
#define LG_SWAP_4_16 LG_SWAP_4_8, 12, 13, 14, 15, 8, 9, 10, 11
#define LG_SWAP_8_16 8, 9, 10, 11, 12, 13, 14, 15, LG_FIRST_8
#define LG_FIRST_8 0, 1, 2, 3, 4, 5, 6, 7
/* The lower (upper) halves of two vectors of n, side by side; and the same of each half of both. */
#define LG_HALF_LOW_2 0, 2
#define LG_HALF_HIGH_2 1, 3
#define LG_HALF_LOW_4 0, 1, 4, 5
#define LG_HALF_HIGH_4 2, 3, 6, 7
#define LG_HALF_LOW_8 0, 1, 2, 3, 8, 9, 10, 11
#define LG_HALF_HIGH_8 4, 5, 6, 7, 12, 13, 14, 15
#define LG_HALF_LOW_16 LG_FIRST_8, 16, 17, 18, 19, 20, 21, 22, 23
#define LG_HALF_HIGH_16 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LG_QUARTER_LOW_16 LG_HALF_LOW_8, 16, 17, 18, 19, 24, 25, 26, 27
#define LG_QUARTER_HIGH_16 LG_HALF_HIGH_8, 20, 21, 22, 23, 28, 29, 30, 31
/* Every second element of one vector, then of another from its second element on. */
#define LG_SECOND_16 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31
#define LG_SECOND_8 0, 2, 4, 6, 9, 11, 13, 15
#define LG_SECOND_4 0, 2, 5, 7
#define LG_SECOND_2 0, 3
#define LG_WHOLE_float int32_t
#define LG_WHOLE_double int64_t
#define LG_OF_(name, n) name##n
#define LG_OF(name, n) LG_OF_(name, n)
#endif

/* LANES vectors of LANES elements. Interleaving the first half of the rows with the second rotates
 * the bits of an element's place, and as many rotations as a row has bits swap row and column. */
static inline __attribute__((always_inline)) TARGET void TILE(turn)(VEC v[LANES]) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
#pragma GCC unroll 4
    for (int n = 1; n < LANES; n *= 2) {
        VEC t[LANES];
#pragma GCC unroll 8
        for (int i = 0; i < LANES / 2; i++) {
            VEC a = v[i], b = v[i + LANES / 2];
            t[2 * i] = LG_PICK(a, b, places, LG_OF(LG_LOW_, LANES));
            t[2 * i + 1] = LG_PICK(a, b, places, LG_OF(LG_HIGH_, LANES));
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            v[i] = t[i];
    }
}
