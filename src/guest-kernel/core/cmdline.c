/* The command line. See cmdline.h. */
#include "guest-kernel/core/cmdline.h"

#include <string.h>

#define SLOT_MIN 0x100u /* virtio 1.2, 4.2.2: the registers, and config space behind them */
#define SLOT_MAX 0x10000u
#define GSI_MAX  255u

struct cmdline_iter cmdline_start(const char *cmdline, const char *key)
{
	return (struct cmdline_iter){cmdline, key};
}

/* The length of the word at P: up to a blank that is not between quotes. */
static size_t word_length(const char *p)
{
	bool quoted = false;
	size_t n = 0;
	for (; p[n] && (quoted || (p[n] != ' ' && p[n] != '\n' && p[n] != '\t')); n++)
		quoted ^= p[n] == '"';
	return n;
}

static void strip_quotes(const char **value, size_t *len)
{
	if (*len > 0 && **value == '"') {
		(*value)++;
		(*len)--;
	}
	if (*len > 0 && (*value)[*len - 1] == '"')
		(*len)--;
}

bool cmdline_next(struct cmdline_iter *it, const char **value, size_t *len)
{
	size_t key = strlen(it->key);
	while (*it->at) {
		const char *word = it->at;
		size_t n = word_length(word);
		it->at += n + (word[n] != '\0');
		if (n < key || strncmp(word, it->key, key) != 0 || (n > key && word[key] != '='))
			continue;
		*value = n > key ? word + key + 1 : word + key;
		*len = n > key ? n - key - 1 : 0;
		strip_quotes(value, len);
		return true;
	}
	return false;
}

bool cmdline_get(const char *cmdline, const char *key, char *out, size_t cap)
{
	struct cmdline_iter it = cmdline_start(cmdline, key);
	const char *value, *last = NULL;
	size_t len, last_len = 0;
	while (cmdline_next(&it, &value, &len)) {
		last = value;
		last_len = len;
	}
	if (!last || last_len >= cap)
		return false;
	memcpy(out, last, last_len);
	out[last_len] = '\0';
	return true;
}

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

size_t parse_number(const char *text, size_t len, uint64_t *out)
{
	bool hex = len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned base = hex ? 16 : 10;
	size_t first = hex ? 2 : 0, i = first;
	uint64_t v = 0;
	for (; i < len && digit_of(text[i]) < base; i++) {
		if (v > (UINT64_MAX - digit_of(text[i])) / base)
			return 0;
		v = v * base + digit_of(text[i]);
	}
	*out = v;
	return i > first ? i : 0;
}

size_t parse_size(const char *text, size_t len, uint64_t *out)
{
	size_t n = parse_number(text, len, out);
	unsigned shift = 0;
	if (n == 0 || n == len)
		return n;
	switch (text[n]) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	default:
		return n;
	}
	if (*out > UINT64_MAX >> shift)
		return 0;
	*out <<= shift;
	return n + 1;
}

/* A number after SIGN at *AT, which moves on behind it. */
static bool number_after(const char *text, size_t len, size_t *at, char sign, uint64_t *out)
{
	if (*at >= len || text[*at] != sign)
		return false;
	size_t n = parse_number(text + *at + 1, len - *at - 1, out);
	*at += 1 + n;
	return n > 0;
}

bool parse_virtio_slot(const char *text, size_t len, struct arch_virtio_slot *out)
{
	uint64_t size, base, gsi, id;
	size_t at = parse_size(text, len, &size);
	if (at == 0 || !number_after(text, len, &at, '@', &base) ||
	    !number_after(text, len, &at, ':', &gsi))
		return false;
	if (at < len && (!number_after(text, len, &at, ':', &id) || at < len))
		return false;
	if (size < SLOT_MIN || size > SLOT_MAX || base > (1ull << 32) - size || gsi == 0 ||
	    gsi > GSI_MAX)
		return false;
	*out = (struct arch_virtio_slot){base, (uint32_t)size, (uint32_t)gsi, false};
	return true;
}
