/* profile.h: where the time of plans goes, kernel by kernel. Off unless asked for. */
#ifndef LG_PROFILE_H
#define LG_PROFILE_H
#include "runtime/plan.h"

/* From now on the steps of plans are timed, as the first thread sees them; what they took is
 * printed to stderr when the process ends. */
void lg_profile_start(void);
bool lg_profile_on(void);
double lg_profile_now(void); /* ns */
/* Takes over what a plan's steps have cost; done when the plan is freed. */
void lg_profile_add(const lg_plan *p);
#endif
