/* rng.h: random numbers addressed by key and position (Philox4x32-10), so that any element can be
 * drawn alone, in any order and by any thread, with the same bits. Not for seeding policy: who
 * draws what under which key is decided by the compiler. */
#ifndef LG_RNG_H
#define LG_RNG_H
#include "runtime/op.h"

/* Philox4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw: Parallel random numbers, 2011). */
void lg_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* n draws of stream `key`, starting at position `first`. The f32 numbers are those of f64 made
 * narrower: uniform truncated to 24 bits, normal rounded. */
void lg_rng_uniform_f64(uint64_t key, int64_t first, size_t n, double *out); /* [0, 1), 53 bits */
void lg_rng_uniform_f32(uint64_t key, int64_t first, size_t n, float *out);  /* [0, 1), 24 bits */
void lg_rng_normal_f64(uint64_t key, int64_t first, size_t n, double *out);
void lg_rng_normal_f32(uint64_t key, int64_t first, size_t n, float *out);
void lg_rng_bits(uint64_t key, int64_t first, size_t n, int64_t *out);

/* One draw of the gamma distribution with shape alpha > 0 and scale 1. */
double lg_rng_gamma(uint64_t key, int64_t at, double alpha);

/* Ops of class RAND keep in elem[] the kernel of each dtype; its only input is an lg_rng_at. */
typedef struct {
    uint64_t key;
    int64_t first;
} lg_rng_at;

/* n elements of one lane of a RAND op from element `first` on; any split gives the same bits. */
void lg_rand_fill(const lg_op *op, lg_dtype t, uint64_t key, int64_t first, size_t n, void *out);
#endif
