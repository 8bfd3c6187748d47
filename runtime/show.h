/* show.h: numbers and arrays as text. */
#ifndef LG_SHOW_H
#define LG_SHOW_H
#include "runtime/tensor.h"

/* How: [<][+][0][width][,][.digits][type] with type one of d f e g % x s. */
typedef struct {
    bool plus, zero, comma, left;
    int width, prec; /* prec -1: not given */
    char type;       /* d f e g % x s, 0: by the value */
    int64_t shown, ends; /* longer dims than `shown` have so many at their two ends; 0: 12 and 4 */
} lg_show;

bool lg_show_parse(const char *s, lg_show *f); /* false: no format; NULL: the plain one */
void lg_show_text(lg_buf *b, const char *text, const lg_show *f, bool number); /* padded */
void lg_show_real(lg_buf *b, double v, bool single, const lg_show *f);
void lg_show_int(lg_buf *b, int64_t v, const lg_show *f);
void lg_show_number(lg_buf *b, double v, bool single); /* plainly */
/* In brackets, on one line when indent < 0, else rows below each other. */
void lg_show_array(lg_buf *b, const lg_tensor *x, const lg_show *f, int indent);
void lg_show_aligned(lg_buf *b, const lg_tensor *x, int indent); /* in columns */
#endif
