/*
 * Editing a line: printable characters, backspace, Ctrl-A/E/B/F/D/K/U/W/L/P/N/C, and the arrow,
 * Home, End and Delete keys of ECMA-48 terminals.
 */
#include <string.h>

#include "guest-kernel/services/shell.h"

#define CTRL(c)   ((c)&0x1f)
#define BACKSPACE 0x7f
#define ESC       0x1b

void line_init(struct line *l, void (*echo)(void *ctx, const char *text, size_t len), void *ctx)
{
	*l = (struct line){.echo = echo, .ctx = ctx};
}

static void out(struct line *l, const char *text, size_t len)
{
	if (len > 0)
		l->echo(l->ctx, text, len);
}

static void back(struct line *l, size_t n)
{
	while (n-- > 0)
		out(l, "\b", 1);
}

/* What is behind the cursor again, and as many blanks as the line has become shorter. */
static void redraw_tail(struct line *l, size_t shorter)
{
	out(l, l->text + l->at, l->len - l->at);
	for (size_t i = 0; i < shorter; i++)
		out(l, " ", 1);
	back(l, l->len - l->at + shorter);
}

static void insert(struct line *l, char c)
{
	if (l->len + 1 >= SHELL_LINE_MAX) {
		out(l, "\a", 1);
		return;
	}
	memmove(l->text + l->at + 1, l->text + l->at, l->len - l->at);
	l->text[l->at++] = c;
	l->len++;
	out(l, &c, 1);
	if (l->at < l->len)
		redraw_tail(l, 0);
}

/* Removes N characters before the cursor. */
static void erase(struct line *l, size_t n)
{
	n = n < l->at ? n : l->at;
	memmove(l->text + l->at - n, l->text + l->at, l->len - l->at);
	l->at -= n;
	l->len -= n;
	back(l, n);
	redraw_tail(l, n);
}

static void move(struct line *l, size_t to)
{
	to = to < l->len ? to : l->len;
	if (to < l->at)
		back(l, l->at - to);
	else
		out(l, l->text + l->at, to - l->at);
	l->at = to;
}

static void delete_here(struct line *l)
{
	if (l->at < l->len) {
		move(l, l->at + 1);
		erase(l, 1);
	}
}

static void replace(struct line *l, const char *text)
{
	move(l, l->len);
	erase(l, l->len);
	for (; *text; text++)
		insert(l, *text);
}

static void recall(struct line *l, bool older)
{
	unsigned oldest = l->history_count > SHELL_HISTORY ? l->history_count - SHELL_HISTORY : 0;
	if (older ? l->history_at == oldest : l->history_at >= l->history_count)
		return;
	l->history_at += older ? -1u : 1u;
	replace(l,
	        l->history_at == l->history_count ? "" : l->history[l->history_at % SHELL_HISTORY]);
}

static void erase_word(struct line *l)
{
	size_t n = 0;
	while (n < l->at && l->text[l->at - n - 1] == ' ')
		n++;
	while (n < l->at && l->text[l->at - n - 1] != ' ')
		n++;
	erase(l, n);
}

static void erase_tail(struct line *l)
{
	size_t n = l->len - l->at;
	l->len = l->at;
	redraw_tail(l, n);
}

static void key(struct line *l, char final)
{
	switch (final) {
	case 'A':
		recall(l, true);
		break;
	case 'B':
		recall(l, false);
		break;
	case 'C':
		move(l, l->at + 1);
		break;
	case 'D':
		move(l, l->at > 0 ? l->at - 1 : 0);
		break;
	case 'H':
		move(l, 0);
		break;
	case 'F':
		move(l, l->len);
		break;
	case '~':
		if (l->escape_arg == '3')
			delete_here(l);
		else
			move(l, l->escape_arg == '1' || l->escape_arg == '7' ? 0 : l->len);
		break;
	default:
		break;
	}
}

/* ESC [ digits final, or ESC O final. */
static void escape(struct line *l, char c)
{
	if (l->escape == 1) {
		l->escape = c == '[' || c == 'O' ? 2 : 0;
		l->escape_arg = 0;
		return;
	}
	if ((c >= '0' && c <= '9') || c == ';') {
		l->escape_arg = l->escape_arg ? l->escape_arg : c;
		return;
	}
	l->escape = 0;
	key(l, c);
}

static void control(struct line *l, char c)
{
	switch (c) {
	case BACKSPACE:
	case CTRL('h'):
		erase(l, 1);
		break;
	case CTRL('a'):
		move(l, 0);
		break;
	case CTRL('e'):
		move(l, l->len);
		break;
	case CTRL('b'):
		key(l, 'D');
		break;
	case CTRL('f'):
		key(l, 'C');
		break;
	case CTRL('d'):
		delete_here(l);
		break;
	case CTRL('k'):
		erase_tail(l);
		break;
	case CTRL('u'):
		erase(l, l->at);
		break;
	case CTRL('w'):
		erase_word(l);
		break;
	case CTRL('p'):
		recall(l, true);
		break;
	case CTRL('n'):
		recall(l, false);
		break;
	case ESC:
		l->escape = 1;
		break;
	default:
		break;
	}
}

bool line_input(struct line *l, char c)
{
	if (l->escape) {
		escape(l, c);
		return false;
	}
	if (c == '\r' || c == '\n' || c == CTRL('c')) {
		if (c == CTRL('c')) {
			l->len = 0;
			out(l, "^C", 2);
		}
		out(l, "\n", 1);
		l->text[l->len] = '\0';
		return true;
	}
	if ((uint8_t)c >= ' ' && c != BACKSPACE)
		insert(l, c);
	else
		control(l, c);
	return false;
}

void line_next(struct line *l)
{
	const char *last = l->history[(l->history_count + SHELL_HISTORY - 1) % SHELL_HISTORY];
	bool again = l->history_count > 0 && strcmp(last, l->text) == 0;
	if (l->len > 0 && !again) {
		memcpy(l->history[l->history_count % SHELL_HISTORY], l->text, l->len + 1);
		l->history_count++;
	}
	l->history_at = l->history_count;
	l->len = 0;
	l->at = 0;
	l->text[0] = '\0';
}
