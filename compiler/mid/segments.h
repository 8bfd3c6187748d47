/* segments.h: loops that keep less for their derivative. Used by remat.c alone. */
#ifndef LG_SEGMENTS_H
#define LG_SEGMENTS_H
#include "runtime/graph.h"

/* Rewrites g so that the loop that keeps most values for a loop running the other way keeps its
 * carries alone, every few rounds; each segment is run again, keeping the values, before the other
 * loop runs over it. Gives how many values are no longer kept for all rounds, 0 when there are none
 * of which that would save anything. Old nodes stay what they are; g lists the new ones. */
int lg_segment(lg_graph *g);
#endif
