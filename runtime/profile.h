/* profile.h: where the time of plans goes, kernel by kernel. Off unless asked for. */
#ifndef LG_PROFILE_H
#define LG_PROFILE_H
#include "runtime/plan.h"

struct lg_step;

/* From now on the steps of plans are timed, as the first thread sees them; what they took is
 * printed to stderr when the process ends. */
void lg_profile_start(void);
bool lg_profile_on(void);
double lg_profile_now(void); /* ns */
/* The most memory that was in use at once since lg_profile_memory_begin, beyond what was then; 0: the
 * system does not tell. Measured only while there is a profile. */
void lg_profile_memory_begin(void);
double lg_profile_memory(void);
/* How a step is called, and the arithmetic in it. */
void lg_profile_name(const struct lg_step *s, char *to, size_t cap);
double lg_profile_flops(const struct lg_step *s);
/* Takes over what a plan's steps have cost; done when the plan is freed. */
void lg_profile_add(const lg_plan *p);
#endif
