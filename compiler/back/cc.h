/* cc.h: C texts to one shared object by the system's C compiler, in child processes that work on
 * while this one looks now and then. Not for what the texts say (emit_*.c), nor for who wants the
 * result: jit.c while a program runs, aot.c when one is built. */
#ifndef LG_CC_H
#define LG_CC_H
#include "runtime/base.h"

typedef struct {
    const lg_buf *part; /* texts, each a file of its own; kept by the caller until the end */
    size_t n;
    const char *const *isa; /* words that say for which processor, ended by NULL */
    bool gentle;            /* at low priority */
} lg_cc_work;
#define LG_CC_QUICK "-O1" /* a word for what need not be the best code */
typedef enum { LG_CC_WORKING, LG_CC_MADE, LG_CC_FAILED } lg_cc_state;
typedef struct lg_cc lg_cc;

/* $CC where it is set, else cc, gcc or clang in PATH. False: *why says. */
bool lg_cc_find(char *out, size_t room, const char **why);
/* Changes when the compiler or how it is called does. */
uint64_t lg_cc_hash(const char *compiler, const char *const *isa, uint64_t h);
/* How it is called, for keys that do not depend on which compiler there was. */
uint64_t lg_cc_hash_options(const char *const *isa, uint64_t h);
/* Calls it with these words, ended by NULL, and waits. False: *why has its first line, or more. */
bool lg_cc_call(const char *compiler, const char *const *words, char *why, size_t room);
/* A compiler that takes more than 300 s for a file, or LG_CC_SECONDS, is stopped and has failed. */
lg_cc *lg_cc_begin(const char *compiler, const lg_cc_work *work);
/* wait: for one process, if any runs, or until a signal is handled. */
lg_cc_state lg_cc_look(lg_cc *c, bool wait);
bool lg_cc_interrupted(const lg_cc *c);  /* a signal ended the last wait */
int lg_cc_running(const lg_cc *c);       /* processes */
const char *lg_cc_made(const lg_cc *c);  /* the shared object, until lg_cc_free */
const char *lg_cc_fault(const lg_cc *c); /* why it failed */
void lg_cc_free(lg_cc *c); /* stops what still runs, removes its files; NULL is fine */
#endif
