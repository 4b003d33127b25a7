/* Values as people write them. See parse.h. */
#include "parse.h"

#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NEAREST_LENGTH_MAX 32u

bool cli_is_named(const char *message, const char *field)
{
	size_t len = strlen(field);
	return strncmp(message, field, len) == 0 && strchr(": ", message[len]);
}

static bool size_shift(const char *unit, unsigned *shift)
{
	static const char units[] = "kmgt";
	if (*unit == '\0' || strcasecmp(unit, "b") == 0) {
		*shift = 0;
		return true;
	}
	const char *at = strchr(units, tolower((unsigned char)*unit));
	if (!at)
		return false;
	*shift = 10 * (unsigned)(at - units + 1);
	unit++;
	return *unit == '\0' || strcasecmp(unit, "b") == 0 || strcasecmp(unit, "ib") == 0;
}

static bool is_hex(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/* What may follow a whole number: "" or ".5", in thousandths. They are as fine as anybody writes;
 * more digits are read and ignored. *TEXT is moved behind it. False: a point without a digit. */
static bool parse_fraction(char **text, uint64_t *thousandths)
{
	*thousandths = 0;
	if (**text != '.')
		return true;
	if (!isdigit((unsigned char)*++*text))
		return false;
	for (uint64_t unit = 100; isdigit((unsigned char)**text); ++*text, unit /= 10)
		*thousandths += unit * (uint64_t)(**text - '0');
	return true;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	if (!isdigit((unsigned char)*text))
		return false;
	if (is_hex(text))
		return parse_number(text, (1ull << 63) - 1, bytes);
	char *end;
	errno = 0;
	uint64_t whole = strtoull(text, &end, 10);
	if (errno)
		return false;
	uint64_t thousandths;
	if (!parse_fraction(&end, &thousandths))
		return false;
	unsigned shift;
	if (!size_shift(end, &shift) || (thousandths && shift == 0))
		return false;
	if (whole >= (1ull << 63 >> shift))
		return false;
	*bytes = (whole << shift) + (thousandths << shift) / 1000;
	return true;
}

bool parse_millis(const char *text, uint64_t max, uint64_t *millis)
{
	char *end;
	uint64_t thousandths;
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	uint64_t whole = strtoull(text, &end, 10);
	if (errno || whole > max / 1000 || !parse_fraction(&end, &thousandths) || *end != '\0')
		return false;
	*millis = whole * 1000 + thousandths;
	return *millis <= max;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value)
{
	if (!isdigit((unsigned char)*text))
		return false;
	bool hex = is_hex(text);
	char *end;
	errno = 0;
	*value = strtoull(text, &end, hex ? 16 : 10);
	return !errno && *end == '\0' && *value <= max;
}

bool parse_switch(const char *text, bool *value)
{
	static const char *const yes[] = {"on", "yes", "true", "1"};
	static const char *const no[] = {"off", "no", "false", "0"};
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		*value = strcasecmp(text, yes[i]) == 0;
		if (*value || strcasecmp(text, no[i]) == 0)
			return true;
	}
	return false;
}

bool parse_mac(const char *text, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return false;
		const char digits[3] = {text[0], text[1], '\0'};
		mac[i] = (uint8_t)strtoul(digits, NULL, 16);
		if (text[2] != (i < 5 ? ':' : '\0'))
			return false;
		text += 3;
	}
	return true;
}

bool parse_next(char **list, char **key, char **value)
{
	char *in = *list;
	if (!in || *in == '\0')
		return false;
	char *out = in;
	*key = in;
	*value = NULL;
	for (; *in; in++) {
		if (*in == ',' && in[1] == ',')
			in++;
		else if (*in == ',')
			break;
		*out++ = *in;
	}
	*list = *in ? in + 1 : in;
	*out = '\0';
	char *equals = strchr(*key, '=');
	if (equals) {
		*equals = '\0';
		*value = equals + 1;
	}
	return true;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * Levenshtein's distance, by rows, where two neighbours that changed places are one mistake; both
 * lengths are below NEAREST_LENGTH_MAX.
 */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][NEAREST_LENGTH_MAX]; /* of this letter and the two before it */
	size_t len_b = strlen(b);
	for (unsigned j = 0; j <= len_b; j++)
		rows[0][j] = j;
	unsigned i = 1;
	for (; a[i - 1]; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *before = rows[(i + 2) % 3];
		const unsigned *earlier = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= len_b; j++) {
			unsigned replaced = before[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = least(replaced, 1 + least(before[j], row[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], earlier[j - 2] + 1);
		}
	}
	return rows[(i - 1) % 3][len_b];
}

const char *parse_nearest(const char *text, const void *names, size_t count, size_t stride)
{
	const char *best = NULL;
	size_t len = strlen(text);
	unsigned best_distance = len < 4 ? 2 : 4;
	if (len == 0 || len >= NEAREST_LENGTH_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const char *name;
		memcpy(&name, (const char *)names + i * stride, sizeof(name));
		/* Of two letters, one may well have been meant otherwise. */
		if (strlen(name) < 3 || strlen(name) >= NEAREST_LENGTH_MAX)
			continue;
		unsigned d = distance(text, name);
		/* At least half of the name must be right. */
		if (d < best_distance && 2 * d <= strlen(name)) {
			best = name;
			best_distance = d;
		}
	}
	return best;
}
