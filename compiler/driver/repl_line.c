/* repl_line.c: lines as somebody types them: editing and history by libedit, pasted blocks as one
 * input, completion by TAB. With a pipe for input, plain lines. */
#include "compiler/driver/repl.h"
#include "compiler/front/parse.h"
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum { REMEMBERED = 2000, PASTE_MOST = 1 << 24 };
static const char PASTE_END[] = "\033[201~";

struct lg_line {
    lg_repl *R;
    EditLine *edit; /* NULL: plain lines */
    History *history;
    char *file; /* of the history, or NULL */
    bool continued, broken_off;
    lg_buf before;     /* lines of the piece that are already there */
    char *line, *next; /* of getline; the line to come, when it was looked at */
    size_t room, next_room;
    ssize_t got_next; /* its length; 0: it was not looked at, or is the end */
};

/* ---- the history's file ---- */

void lg_make_folders(char *path) {
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
}

static char *history_file(void) {
    lg_buf b = {0};
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && *state == '/')
        lg_buf_printf(&b, "%s/lossgraph/history", state);
    else if (home && *home)
        lg_buf_printf(&b, "%s/.local/state/lossgraph/history", home);
    else
        return NULL;
    lg_make_folders(b.at);
    return b.at;
}

void lg_line_remember(lg_line *l, const char *text) {
    HistEvent ev;
    if (!l->history)
        return;
    history(l->history, &ev, H_ENTER, text);
    if (l->file)
        history(l->history, &ev, H_SAVE, l->file);
}

/* ---- characters ---- */

/* One byte of the terminal; -1 at its end, or when a signal asks to leave the line. */
static int get_byte(lg_line *l) {
    unsigned char c;
    for (;;) {
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n == 1)
            return c;
        if (n == 0)
            return -1;
        if (errno != EINTR && errno != EAGAIN)
            return -1;
        if (lg_host_asked_to_stop()) {
            l->broken_off = true;
            return -1;
        }
    }
}

/* Bytes that are no UTF-8 are left out. */
static int get_character(EditLine *e, wchar_t *out) {
    lg_line *l;
    el_get(e, EL_CLIENTDATA, &l);
    for (;;) {
        int c = get_byte(l), more;
        if (c < 0)
            return l->broken_off ? -1 : 0;
        more = c < 0x80 ? 0 : c >= 0xF0 && c < 0xF5 ? 3 : c >= 0xE0 ? 2 : c >= 0xC2 ? 1 : -1;
        if (more < 0 || c >= 0xF5)
            continue;
        uint32_t code = more == 0 ? (uint32_t)c : (uint32_t)c & (0x3Fu >> more);
        bool good = true;
        for (int k = 0; k < more && good; k++) {
            int d = get_byte(l);
            if (d < 0)
                return l->broken_off ? -1 : 0;
            good = (d & 0xC0) == 0x80;
            code = code << 6 | ((uint32_t)d & 0x3Fu);
        }
        if (!good || !code)
            continue;
        *out = (wchar_t)code;
        return 1;
    }
}

/* ---- keys ---- */

/* What is pasted stands in the line as it is; the newline at its end waits for the user's own. */
static unsigned char paste(EditLine *e, int key) {
    lg_line *l;
    lg_buf b = {0};
    (void)key;
    el_get(e, EL_CLIENTDATA, &l);
    const size_t n_end = sizeof PASTE_END - 1;
    for (int c; b.n < PASTE_MOST && (c = get_byte(l)) >= 0;) {
        char one = c == '\r' ? '\n' : (char)c;
        if (one)
            lg_buf_put(&b, &one, 1);
        if (b.n >= n_end && !memcmp(b.at + b.n - n_end, PASTE_END, n_end)) {
            b.n -= n_end;
            break;
        }
    }
    while (b.n && b.at[b.n - 1] == '\n')
        b.n--;
    if (b.n) {
        b.at[b.n] = 0;
        el_insertstr(e, b.at);
    }
    lg_buf_free(&b);
    return l->broken_off ? CC_EOF : CC_REFRESH;
}

static size_t common(const lg_words_found *w) {
    size_t n = strlen(w->word.at[0]);
    for (size_t i = 1; i < w->word.n; i++) {
        size_t k = 0;
        while (k < n && w->word.at[i][k] == w->word.at[0][k])
            k++;
        n = k;
    }
    return n;
}

static void list_words(const lg_words_found *w) {
    enum { MOST = 120, WIDTH = 78 };
    size_t widest = 1;
    for (size_t i = 0; i < w->word.n; i++) {
        size_t n = strlen(w->word.at[i]);
        widest = n > widest ? n : widest;
    }
    size_t columns = WIDTH / (widest + 2) ? WIDTH / (widest + 2) : 1;
    printf("\n");
    for (size_t i = 0; i < w->word.n && i < MOST; i++)
        printf("%-*s%s", (int)widest + 2, w->word.at[i],
               (i + 1) % columns == 0 || i + 1 == w->word.n || i + 1 == MOST ? "\n" : "");
    if (w->word.n > MOST)
        printf("... and %zu more\n", w->word.n - MOST);
    fflush(stdout);
}

static unsigned char complete(EditLine *e, int key) {
    lg_line *l;
    lg_words_found w = {0};
    unsigned char result = CC_REFRESH;
    (void)key;
    el_get(e, EL_CLIENTDATA, &l);
    const LineInfo *at = el_line(e);
    size_t here = (size_t)(at->cursor - at->buffer);
    if (strspn(at->buffer, " ") >= here) {
        el_insertstr(e, here || l->continued ? "    " : "");
        return CC_REFRESH;
    }
    lg_buf all = {0};
    lg_buf_put(&all, l->before.at ? l->before.at : "", l->before.n);
    lg_buf_put(&all, at->buffer, here);
    lg_repl_complete(l->R, all.at, all.n, &w);
    size_t typed = all.n - w.from, n = w.word.n ? common(&w) : 0;
    if (n > typed) {
        char *rest = lg_alloc(n - typed + 1);
        memcpy(rest, w.word.at[0] + typed, n - typed);
        el_insertstr(e, rest);
        lg_free(rest);
    } else if (w.word.n > 1) {
        list_words(&w);
        result = CC_REDISPLAY;
    } else {
        result = CC_REFRESH_BEEP;
    }
    lg_words_found_fini(&w);
    lg_buf_free(&all);
    return result;
}

/* ---- lines ---- */

static char *prompt(EditLine *e) {
    static char first[] = "lg> ", next[] = "... ";
    lg_line *l;
    el_get(e, EL_CLIENTDATA, &l);
    return l->continued ? next : first;
}

static void open_editor(lg_line *l) {
    HistEvent ev;
    if (!setlocale(LC_CTYPE, "") || !strcmp(setlocale(LC_CTYPE, NULL), "C"))
        setlocale(LC_CTYPE, "C.UTF-8");
    l->edit = el_init("lg", stdin, stdout, stderr);
    l->history = history_init();
    l->file = history_file();
    if (!l->edit || !l->history)
        return;
    history(l->history, &ev, H_SETSIZE, REMEMBERED);
    history(l->history, &ev, H_SETUNIQUE, 1);
    if (l->file)
        history(l->history, &ev, H_LOAD, l->file);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, prompt);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_GETCFN, get_character);
    el_set(l->edit, EL_ADDFN, "lg-paste", "pasted text", paste);
    el_set(l->edit, EL_ADDFN, "lg-complete", "names that fit", complete);
    el_set(l->edit, EL_BIND, "\033[200~", "lg-paste", NULL);
    el_set(l->edit, EL_BIND, "^I", "lg-complete", NULL);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    printf("LossGraph " LG_VERSION "   :help lists commands, ?name tells what a name is\n");
}

lg_line *lg_line_new(lg_repl *R) {
    lg_line *l = lg_alloc(sizeof *l);
    l->R = R;
    if (R->terminal)
        open_editor(l);
    return l;
}

void lg_line_free(lg_line *l) {
    if (l->edit)
        el_end(l->edit);
    if (l->history)
        history_end(l->history);
    lg_buf_free(&l->before);
    lg_free(l->file);
    free(l->line);
    free(l->next);
    lg_free(l);
}

static lg_line_status read_plain(lg_line *l, const char **text, size_t *n) {
    ssize_t got = l->got_next;
    if (got) {
        char *line = l->line;
        size_t room = l->room;
        l->line = l->next;
        l->room = l->next_room;
        l->next = line;
        l->next_room = room;
        l->got_next = 0;
    } else {
        got = getline(&l->line, &l->room, stdin);
    }
    if (got <= 0)
        return LG_LINE_END;
    if (got && l->line[got - 1] == '\n')
        l->line[--got] = 0;
    if (got && l->line[got - 1] == '\r')
        l->line[--got] = 0;
    *text = l->line;
    *n = (size_t)got;
    return LG_LINE_OK;
}

bool lg_line_continues(lg_line *l) {
    if (l->edit)
        return false;
    if (!l->got_next)
        l->got_next = getline(&l->next, &l->next_room, stdin);
    if (l->got_next < 0)
        l->got_next = 0;
    return l->got_next && lg_parse_continues(l->next, (size_t)l->got_next);
}

lg_line_status lg_line_read(lg_line *l, bool continued, const char **text, size_t *n) {
    if (!l->edit)
        return read_plain(l, text, n);
    int got = 0;
    l->continued = continued;
    l->broken_off = false;
    if (!continued)
        l->before.n = 0;
    lg_host_ask_to_stop(0);
    el_resize(l->edit);
    el_set(l->edit, EL_PREP_TERM, 1); /* keys typed as soon as the prompt is there are not lost */
    fputs("\033[?2004h", stdout);
    fflush(stdout);
    const char *line = el_gets(l->edit, &got);
    fputs("\033[?2004l", stdout);
    fflush(stdout);
    if (!line || got <= 0) {
        printf("\n");
        if (!l->broken_off)
            return LG_LINE_END;
        el_reset(l->edit);
        l->before.n = 0;
        return LG_LINE_BROKEN_OFF;
    }
    *text = line;
    *n = (size_t)got - (line[got - 1] == '\n');
    lg_buf_put(&l->before, line, *n);
    lg_buf_put(&l->before, "\n", 1);
    return LG_LINE_OK;
}
