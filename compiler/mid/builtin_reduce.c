/* builtin_reduce.c: the reductions as functions, so that they are values (`f=sum`) and have help.
 * Their two forms are read in reduce.c. */
#include "compiler/mid/builtin.h"

static lg_value *reduction(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return lg_reduce_axis(E, lg_intern(b->name), n, arg, at);
}

#define OVER_ALL "(x, axis?): over all, or along one axis; [i, j where c](e): over indices"
#define KEEPS "(x, axis=-1): along one axis; [i where c](e): along an index, which stays"

const lg_builtin lg_builtins_reduce[] = {
    {"sum", OVER_ALL, "The sum; of nothing 0. Of integers an i64; of bools: how many hold.", reduction, NULL},
    {"prod", OVER_ALL, "The product; of nothing 1. Of integers an i64.", reduction, NULL},
    {"mean", OVER_ALL,
     "Sum over count, of integers and bools too a float; of nothing an error, unless `empty=` says "
     "what it is. The mean of a weighted loss is divided by the sum of its weights.",
     reduction, NULL},
    {"max", OVER_ALL " (a, b, ...): the largest of them, element by element",
     "The largest; of nothing -inf, or `empty=`.", reduction, NULL},
    {"min", OVER_ALL " (a, b, ...): the smallest of them, element by element",
     "The smallest; of nothing inf, or `empty=`.", reduction, NULL},
    {"argmax", OVER_ALL, "The first place of the largest, an i32.", reduction, NULL},
    {"argmin", OVER_ALL, "The first place of the smallest, an i32.", reduction, NULL},
    {"logsumexp", OVER_ALL, "log of the sum of e^x, without overflow; of nothing -inf.", reduction,
     NULL},
    {"any", OVER_ALL, "Does one of them hold? Of nothing false.", reduction, NULL},
    {"all", OVER_ALL, "Do all of them hold? Of nothing true.", reduction, NULL},
    {"count", OVER_ALL, "How many there are; of bools how many hold.", reduction, NULL},
    {"norm", OVER_ALL, "The root of the sum of squares, or the norm of order `p`.", reduction,
     NULL},
    {"var", OVER_ALL, "The mean of the squares about the mean; `ddof` lessens the divisor.",
     reduction, NULL},
    {"std", OVER_ALL, "The root of `var`, with the same `ddof`.", reduction, NULL},
    {"softmax", KEEPS, "e^x over the sum of e^x, without overflow; 0 where `where` leaves out.",
     reduction, NULL},
    {"log_softmax", KEEPS, "The logarithm of `softmax`, without overflow.", reduction, NULL},
    {"cumsum", KEEPS, "Sums up to each place; of integers an i64.", reduction, NULL},
    {.name = NULL}};
