/* The shell on the console: line editing, history, commands; and scripts of the same commands. */
#ifndef GK_SERVICES_SHELL_H
#define GK_SERVICES_SHELL_H

#include "guest-kernel/services/system.h"

#define SHELL_LINE_MAX 256u
#define SHELL_HISTORY  16u
#define SHELL_ARGS_MAX 16u

struct shell;

struct command {
	const char *name, *usage, *help;
	/* ARGV[0] is the name. Task context. False: the usage is shown. */
	bool (*run)(struct shell *sh, unsigned argc, char **argv);
	bool needs_net;
};

/* What is being typed. Pure: bytes in, echo out. */
struct line {
	char text[SHELL_LINE_MAX];
	size_t len, at;
	char history[SHELL_HISTORY][SHELL_LINE_MAX];
	unsigned history_count, history_at;
	unsigned escape; /* how far in an escape sequence */
	char escape_arg;
	void (*echo)(void *ctx, const char *text, size_t len);
	void *ctx;
};

struct shell {
	struct system *sys;
	struct line line;
	/* Copied, so that history keeps what was typed. */
	char scratch[SHELL_LINE_MAX];
	struct net_tcp_info tcp_info; /* of the last connection that a command made */
	bool has_tcp_info;
	unsigned failures; /* commands of scripts that were not understood or failed */
};

void line_init(struct line *l, void (*echo)(void *ctx, const char *text, size_t len), void *ctx);
/* True when the line is complete: it is in l->text, terminated, until line_next. */
bool line_input(struct line *l, char c);
/* Remembers the line, and starts a new one. */
void line_next(struct line *l);

/* Splits TEXT in place at blanks; "double quotes" keep them. How many words; at most MAX. */
unsigned shell_split(char *text, char **argv, unsigned max);

void shell_init(struct shell *sh, struct system *sys);
/* Commands separated by ';'. */
void shell_script(struct shell *sh, const char *script);
/* Reads the console for ever. */
void shell_interactive(struct shell *sh);
void shell_print(struct shell *sh, const char *format, ...) GK_PRINTF(2, 3);

/* policy_commands.c */
bool cmd_policy(struct shell *sh, unsigned argc, char **argv);
bool cmd_sestatus(struct shell *sh, unsigned argc, char **argv);
bool cmd_setenforce(struct shell *sh, unsigned argc, char **argv);
bool cmd_getsebool(struct shell *sh, unsigned argc, char **argv);
bool cmd_setsebool(struct shell *sh, unsigned argc, char **argv);
bool cmd_id(struct shell *sh, unsigned argc, char **argv);
bool cmd_kill(struct shell *sh, unsigned argc, char **argv);
bool cmd_talk(struct shell *sh, unsigned argc, char **argv);

extern const struct command shell_commands[];
extern const unsigned shell_command_count;

#endif
