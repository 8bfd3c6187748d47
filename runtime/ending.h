/* ending.h: what is still done when the process ends by exit() or by a signal: lines written, files
 * removed. Not after SIGKILL. */
#ifndef LG_ENDING_H
#define LG_ENDING_H

/* fn does only what a signal handler may, as often as it is called. In the order in which they
 * came; a function counts once. */
void lg_at_end(void (*fn)(void));
void lg_not_at_end(void (*fn)(void));
/* Does all of it now: for handlers of others, before _exit. */
void lg_ending(void);
#endif
