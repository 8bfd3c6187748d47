/* building.h: what the files behind `lg build` share. */
#ifndef LG_BUILDING_H
#define LG_BUILDING_H
#include "compiler/driver/command.h"
#include "compiler/program/payload.h"

/* rehearse.c: the plans of a checked program at its defaults: with the settings of h, and without
 * them. What cannot be planned (data that is not there yet) is left out, and said. */
lg_aot *lg_rehearsed(lg_session *s, lg_module *m, const lg_host_opts *h);
/* Compiles them into the payload, and says what came of it. */
void lg_compiled(lg_aot *a, lg_payload *p);
/* build_lib.c: writes the shared library `out`, libNAME.so, and NAME.h beside it. p: the program.
 * predict: an expression over the train's names, or NULL. False after reporting. */
bool lg_build_library(lg_session *s, lg_module *m, const lg_host_opts *h, lg_payload *p,
                      const char *out, const char *predict);
#endif
