/* page.c: the frame of the HTML pages that `lg` writes. What stands in them is elsewhere. */
#include "compiler/driver/page.h"
#include "compiler/host/plot.h"
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--fg:#1f2328;--dim:#57606a;--bg:#fff;--box:#f6f8fa;"
    "--line:#d8dee4;--link:#0969da;--ok:#1a7f37;--no:#cf222e;--heat:9,105,218}"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--dim:#9198a1;--bg:#0d1117;--box:#161b22;"
    "--line:#30363d;--link:#58a6ff;--ok:#56d364;--no:#ff7b72;--heat:88,166,255}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);"
    "max-width:1100px;margin:0 auto;padding:1.5rem 1rem 4rem}"
    "h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.2rem 0 .7rem;"
    "border-bottom:1px solid var(--line);padding-bottom:.25rem}"
    "p.dim,.dim{color:var(--dim)}a{color:var(--link)}"
    ".cards{display:flex;flex-wrap:wrap;gap:.6rem}.card{background:var(--box);border:1px solid "
    "var(--line);border-radius:8px;padding:.45rem .8rem}.card b{display:block;font-size:1.1rem}"
    ".card span{color:var(--dim);font-size:.85rem}"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,460px),1fr));gap:"
    "1rem}"
    "figure{margin:0;background:var(--box);border:1px solid var(--line);border-radius:8px;"
    "padding:.5rem;overflow:auto}figcaption{color:var(--dim);font-size:.85rem;margin-top:.3rem}"
    "svg.p{width:100%;height:auto;display:block}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "td,th{padding:.25rem .7rem;border:1px solid var(--line);text-align:right}"
    "th{background:var(--box);font-weight:600}td.l,th.l{text-align:left}"
    ".wide{overflow:auto;max-height:26rem}img{max-width:100%;min-width:96px;image-rendering:"
    "pixelated}"
    "audio{width:100%}pre{background:var(--box);border:1px solid var(--line);border-radius:8px;"
    "padding:.7rem;overflow:auto;max-height:34rem;font:12.5px/1.45 ui-monospace,monospace}"
    "code{font:.9em ui-monospace,monospace}summary{cursor:pointer}details{margin:.6rem 0}"
    ".ok{color:var(--ok)}.no{color:var(--no)}ul.plain{list-style:none;padding:0;margin:0}";

void lg_page_begin(lg_buf *b, const char *title) {
    lg_buf_printf(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                     "<title>");
    lg_xml_text(b, title);
    lg_buf_printf(b, "</title>\n<style>%s\n%s</style></head>\n<body>\n<h1>", style, lg_draw_style);
    lg_xml_text(b, title);
    lg_buf_printf(b, "</h1>\n");
}

void lg_page_end(lg_buf *b) {
    lg_buf_printf(b, "</body></html>\n");
}

void lg_page_section(lg_buf *b, const char *title) {
    lg_buf_printf(b, "<section><h2>");
    lg_xml_text(b, title);
    lg_buf_printf(b, "</h2>\n");
}

void lg_page_section_end(lg_buf *b) {
    lg_buf_printf(b, "</section>\n");
}

void lg_page_pre(lg_buf *b, const char *title, const char *text) {
    lg_buf_printf(b, "<details><summary>");
    lg_xml_text(b, title);
    lg_buf_printf(b, "</summary><pre>");
    lg_xml_text(b, text);
    lg_buf_printf(b, "</pre></details>\n");
}

void lg_page_data(lg_buf *b, const char *type, const void *bytes, size_t n) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes;
    lg_buf_printf(b, "data:%s;base64,", type);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < n ? p[i + 2] : 0;
        char four[4] = {digit[v >> 18], digit[v >> 12 & 63], i + 1 < n ? digit[v >> 6 & 63] : '=',
                        i + 2 < n ? digit[v & 63] : '='};
        lg_buf_put(b, four, 4);
    }
}
