/* family.h: the families of ops, one NULL-terminated list a file. Only registry.c reads them. */
#ifndef LG_FAMILY_H
#define LG_FAMILY_H
#include "runtime/op.h"

extern const lg_op *const lg_ops_structure[],
    *const lg_ops_foreign[],
        *const lg_ops_shape[],
            *const lg_ops_index[],
                *const lg_ops_cast[],
                    *const lg_ops_unary[],
                        *const lg_ops_binary[],
                            *const lg_ops_reduce[],
                                *const lg_ops_cum[], *const lg_ops_dot[],
                                                         *const lg_ops_linalg[],
                                                             *const lg_ops_sort[],
                                                                 *const lg_ops_conv[],
                                                                     *const lg_ops_fft[],
                                                                         *const lg_ops_random[],
                                                                             *const lg_ops_lowbit[],
    *const lg_ops_sparse[], *const lg_ops_attention[], *const lg_ops_prefix[];
#endif
