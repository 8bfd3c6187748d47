/* lossgraph.h: LossGraph from C. A session holds one program: a file, or statements given one by
 * one; arrays go in and out by name. Not thread-safe: one session at a time. Example:
 *
 *     lossgraph *s = lossgraph_new();
 *     lossgraph_load(s, "digits.lg");                       // checks it; nothing runs yet
 *     lossgraph_do(s, "let r = run digits_mlp()");          // trains
 *     lossgraph_do(s, "part net = MLP(hidden) from r");
 *     lossgraph_set(s, "x", "f32", 2, (int64_t[]){1, 64}, pixels);
 *     lossgraph_array y;
 *     if (lossgraph_get(s, "net(x)", &y)) { ... lossgraph_release(&y); }
 *     else fputs(lossgraph_error(s), stderr);
 *     lossgraph_free(s);
 */
#ifndef LOSSGRAPH_H
#define LOSSGRAPH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef LOSSGRAPH_API
#define LOSSGRAPH_API __attribute__((visibility("default")))
#endif

typedef struct lossgraph lossgraph;

/* A dense row-major array. dtype: f64 f32 bf16 f16 i64 i32 i8 u8 bool; a scalar has rank 0. */
typedef struct {
    const char *dtype;
    int rank;
    int64_t shape[12];
    size_t bytes;
    const void *data;
    void *owner; /* for lossgraph_release */
} lossgraph_array;

LOSSGRAPH_API lossgraph *lossgraph_new(void);
LOSSGRAPH_API void lossgraph_free(lossgraph *s); /* NULL is fine */

/* Reads a file, checks it and what it imports, and makes its names known. Its top-level statements
 * do not run: name what you need. Once a session, before anything else. */
LOSSGRAPH_API bool lossgraph_load(lossgraph *s, const char *path);
/* Runs statements of the language, one or several lines. Stops at the first that fails; what was
 * defined before stays. */
LOSSGRAPH_API bool lossgraph_do(lossgraph *s, const char *text);
/* Binds a name to a copy of an array. */
LOSSGRAPH_API bool lossgraph_set(lossgraph *s, const char *name, const char *dtype, int rank,
                                 const int64_t *shape, const void *data);
/* The value of an expression, which must be an array, a number or a bool. The result lives until
 * lossgraph_release, also after the session. */
LOSSGRAPH_API bool lossgraph_get(lossgraph *s, const char *expression, lossgraph_array *out);
LOSSGRAPH_API void lossgraph_release(lossgraph_array *a);

/* What the last call reported, as text with places and help; "" when it went well. Lives until the
 * next call. */
LOSSGRAPH_API const char *lossgraph_error(const lossgraph *s);
#endif
