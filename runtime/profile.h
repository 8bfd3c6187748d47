/* profile.h: where the time of plans goes, kernel by kernel. Off unless asked for. */
#ifndef LG_PROFILE_H
#define LG_PROFILE_H
#include "runtime/plan.h"

struct lg_step;

/* What a machine does at most, in operations and bytes a ns: by all threads, and for values that
 * take so many bytes. */
enum { LG_MEMORIES = 3 };
typedef struct {
    int threads;
    double flops;
    double size[LG_MEMORIES], bytes[LG_MEMORIES]; /* the last size stands for all that are larger */
    double meeting;                               /* ns that a meeting of the threads takes */
} lg_machine;
double lg_machine_stream(const lg_machine *m, double bytes); /* bytes a ns, of so many */
/* The share of that which a kernel reaches that does `flops` and moves `bytes` in `ns`: the larger
 * of the two. */
double lg_machine_share(const lg_machine *m, double flops, double bytes, double ns);

/* From now on the steps of plans are timed, as the first thread sees them; what they took is
 * printed to stderr when the process ends, beside what `measure` says of the machine;
 * it may give NULL. */
void lg_profile_start(const lg_machine *(*measure)(void));
bool lg_profile_on(void);
double lg_profile_now(void); /* ns */
/* The most memory that was in use at once since lg_profile_memory_begin, beyond what was then; 0:
 * the system does not tell. Measured only while there is a profile. */
void lg_profile_memory_begin(void);
double lg_profile_memory(void);
/* How a step is called, and the arithmetic in it. */
void lg_profile_name(const struct lg_step *s, char *to, size_t cap);
double lg_profile_flops(const struct lg_step *s);
/* Takes over what a plan's steps have cost; done when the plan is freed. */
void lg_profile_add(const lg_plan *p);
#endif
