/* gemm.h: matrix products by register tiles. Bits depend on the shapes alone: K is cut in fixed
 * blocks and never split among threads. Called by the op `dot` and, through the plan, by the
 * executor. */
#ifndef LG_GEMM_H
#define LG_GEMM_H
#include "ops/isa.h"
#include "runtime/exec.h"

void lg_gemm(const lg_product *p, const void *a, const void *b, void *y, void *scratch, int part,
             int parts);
size_t lg_gemm_scratch(const lg_product *p); /* bytes a thread */
/* The same with operands in codes, which become values on the way: the bits of the product of the
 * decoded operands. Results are f32 or a 16-bit float. */
void lg_gemm_coded(const lg_product *p, const lg_coded coded[2], const void *const *in, void *y,
                   void *scratch, int part, int parts);
size_t lg_gemm_coded_scratch(const lg_product *p);
/* Rows [beg, end) of a single product, or products [beg, end) of a batch; coded: of both operands, or
 * NULL. Which rows are done together changes no bit. */
void lg_gemm_rows(const lg_product *p, const lg_coded *coded, const void *const *in, void *y,
                  void *scratch, int64_t beg, int64_t end);
/* The right operand of a single product, packed once for many blocks of rows: how many bytes that
 * takes (0: it cannot be), part `part` of `parts` of the packing, and rows [beg, end) of the product
 * by them, with the same bits. */
size_t lg_gemm_panels(const lg_product *p);
void lg_gemm_pack(const lg_product *p, const void *b, void *panels, int part, int parts);
void lg_gemm_by_panels(const lg_product *p, const void *a, const void *panels, void *y,
                       void *scratch, int64_t beg, int64_t end);
/* i32 products of operands in bytes (I8, U8, no scales), exact, as K is at most LG_BYTES_MOST. */
enum { LG_BYTES_MOST = 1 << 15 };
void lg_gemm_bytes(const lg_product *p, const lg_coded coded[2], const void *const *in, void *y,
                   void *scratch, int part, int parts);
size_t lg_gemm_bytes_scratch(const lg_product *p);
/* How the elements of a product are summed with a vector unit, for whoever computes the same bits. */
typedef struct {
    int lanes;      /* of a vector; a product of one row has 4 of them as running sums */
    bool fused;     /* multiply-add in one rounding */
    int64_t k_most; /* length of a block of K */
} lg_gemm_order;
lg_gemm_order lg_gemm_order_on(lg_isa isa, lg_dtype t);
/* The product that is computed for p, which may be p turned round: then *swaps a and b. */
lg_product lg_gemm_turned(const lg_product *p, bool *swaps);
#endif
