/* conv_copy_tile.h: loads and stores, and rows that are copied, for the inner loops of
 * convolutions. Included by conv_tile.h for each element type and vector unit. */

typedef REAL TILE(vec_u)
    __attribute__((vector_size(sizeof(VEC)), aligned(sizeof(REAL)), may_alias));

static inline __attribute__((always_inline)) VEC TILE(load)(const REAL *p) {
    return (VEC) * (const TILE(vec_u) *)p;
}

static inline __attribute__((always_inline)) void TILE(store)(REAL *p, VEC v) {
    *(TILE(vec_u) *)p = (TILE(vec_u))v;
}

/* n elements; the last vector may go over some that were copied already. */
static inline __attribute__((always_inline)) void TILE(copy)(const REAL *from, REAL *to, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        TILE(store)(to + i, TILE(load)(from + i));
    if (i < n && n >= LANES) {
        TILE(store)(to + n - LANES, TILE(load)(from + n - LANES));
        return;
    }
    for (; i + 4 <= n; i += 4)
        memcpy(to + i, from + i, 4 * sizeof *to);
    for (; i < n; i++)
        to[i] = from[i];
}

/* Every second element of 2*LANES - 1. */
static inline __attribute__((always_inline)) VEC TILE(second)(const REAL *from) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
    VEC a = TILE(load)(from), b = TILE(load)(from + LANES - 1);
    return LG_PICK(a, b, places, LG_OF(LG_SECOND_, LANES));
}

static inline __attribute__((always_inline)) void TILE(pick)(const REAL *from, size_t step,
                                                             size_t n, REAL *to) {
    size_t i = 0;
    for (; step == 2 && i + LANES <= n; i += LANES)
        TILE(store)(to + i, TILE(second)(from + 2 * i));
    for (; i < n; i++)
        to[i] = from[i * step];
}

static void TILE(pick_rows)(const void *source, size_t step, size_t n, size_t from_row, size_t rows,
                            void *result, size_t to_row) {
    const REAL *from = source;
    REAL *to = result;
    for (size_t r = 0; r < rows; r++, from += from_row, to += to_row)
        if (step == 1)
            TILE(copy)(from, to, n);
        else
            TILE(pick)(from, step, n, to);
}

/* to[0], to[2] ... from a, to[1], to[3] ... from b. */
static inline __attribute__((always_inline)) void TILE(interleave)(const REAL *even,
                                                                   const REAL *odd, REAL *to) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
    VEC a = TILE(load)(even), b = TILE(load)(odd);
    TILE(store)(to, LG_PICK(a, b, places, LG_OF(LG_LOW_, LANES)));
    TILE(store)(to + LANES, LG_PICK(a, b, places, LG_OF(LG_HIGH_, LANES)));
}
