/* The shell. See shell.h; commands.c has what it can do. */
#include "guest-kernel/services/shell.h"

#include <string.h>

void shell_print(struct shell *sh, const char *format, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, format);
	size_t n = fmt_v(text, sizeof(text), format, ap);
	va_end(ap);
	kernel_console_write(sh->sys->kernel, text, n < sizeof(text) ? n : sizeof(text) - 1);
}

static void echo(void *ctx, const char *text, size_t len)
{
	const struct shell *sh = ctx;
	kernel_console_write(sh->sys->kernel, text, len);
}

void shell_init(struct shell *sh, struct system *sys)
{
	*sh = (struct shell){.sys = sys};
	line_init(&sh->line, echo, sh);
}

unsigned shell_split(char *text, char **argv, unsigned max)
{
	unsigned argc = 0;
	while (argc < max) {
		while (*text == ' ' || *text == '\t')
			text++;
		if (*text == '\0')
			break;
		bool quoted = *text == '"';
		text += quoted;
		argv[argc++] = text;
		while (*text && (quoted ? *text != '"' : *text != ' ' && *text != '\t'))
			text++;
		if (*text == '\0')
			break;
		*text++ = '\0';
	}
	return argc;
}

static bool run_words(struct shell *sh, unsigned argc, char **argv)
{
	for (unsigned i = 0; i < shell_command_count; i++) {
		const struct command *c = &shell_commands[i];
		if (strcmp(c->name, argv[0]) != 0)
			continue;
		if (!sec_command(c->name)) {
			shell_print(sh, "%s: denied by the policy\n", c->name);
			return false;
		}
		if (c->needs_net && !sh->sys->net_up) {
			shell_print(sh, "there is no network\n");
			return false;
		}
		if (c->run(sh, argc, argv))
			return true;
		shell_print(sh, "usage: %s %s\n", c->name, c->usage);
		return false;
	}
	shell_print(sh, "%s: no such command; 'help' lists them\n", argv[0]);
	return false;
}

static void run_line(struct shell *sh, const char *line, size_t len)
{
	char *argv[SHELL_ARGS_MAX];
	len = len < sizeof(sh->scratch) ? len : sizeof(sh->scratch) - 1;
	memcpy(sh->scratch, line, len);
	sh->scratch[len] = '\0';
	unsigned argc = shell_split(sh->scratch, argv, SHELL_ARGS_MAX);
	if (argc > 0 && !run_words(sh, argc, argv))
		sh->failures++;
}

/* How long TEXT is up to the ';' that ends a command; one in quotes does not. */
static size_t command_len(const char *text)
{
	bool quoted = false;
	size_t len = 0;
	for (; text[len] && (quoted || text[len] != ';'); len++)
		quoted ^= text[len] == '"';
	return len;
}

void shell_script(struct shell *sh, const char *script)
{
	while (*script) {
		size_t len = command_len(script);
		run_line(sh, script, len);
		script += len + (script[len] == ';');
	}
}

void shell_interactive(struct shell *sh)
{
	char typed[32];
	shell_print(sh, "gk> ");
	for (;;) {
		size_t n = system_read(sh->sys, typed, sizeof(typed));
		for (size_t i = 0; i < n; i++) {
			if (!line_input(&sh->line, typed[i]))
				continue;
			shell_script(sh, sh->line.text);
			line_next(&sh->line);
			shell_print(sh, "gk> ");
		}
	}
}
