/* command.h: the commands of `lg`, one a file. */
#ifndef LG_COMMAND_H
#define LG_COMMAND_H
#include "compiler/driver/compile.h"
#include "compiler/program/options.h"

int lg_cmd_run(int argc, char **argv);
int lg_cmd_build(int argc, char **argv);
int lg_cmd_check(int argc, char **argv);
int lg_cmd_fmt(int argc, char **argv);
int lg_cmd_explain(int argc, char **argv);
int lg_cmd_help(int argc, char **argv);
int lg_cmd_ops(int argc, char **argv);
int lg_cmd_version(int argc, char **argv);

/* dump.c: --dump=tokens|ast|typed|graph|grad|plan|c; false when there is no such phase. */
bool lg_is_dump(const char *what);
int lg_dump(lg_session *s, const char *path, const char *what);
#endif
