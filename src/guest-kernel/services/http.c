/* HTTP requests. See http.h; the sections are those of RFC 9112. */
#include "guest-kernel/services/http.h"

#include <string.h>

struct span {
	const char *at;
	size_t len;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_word(struct span s, const char *word)
{
	if (s.len != strlen(word))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (lower(s.at[i]) != word[i])
			return false;
	}
	return true;
}

/* RFC 9110, 5.6.2 */
static bool is_token(struct span s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		bool alnum = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
		if (!alnum && (c == '\0' || !strchr(marks, c)))
			return false;
	}
	return s.len > 0;
}

static struct span trim(struct span s)
{
	while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Splits S at the first C: what is before it, and S is what is after. False: there is no C. */
static bool split(struct span *s, char c, struct span *before)
{
	for (size_t i = 0; i < s->len; i++) {
		if (s->at[i] != c)
			continue;
		*before = (struct span){s->at, i};
		s->at += i + 1;
		s->len -= i + 1;
		return true;
	}
	return false;
}

/* The next line without its end (2.2: a bare LF ends one too). */
static bool next_line(struct span *s, struct span *line)
{
	if (!split(s, '\n', line))
		return false;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

static bool copy_word(char *out, size_t cap, struct span s)
{
	if (s.len >= cap)
		return false;
	memcpy(out, s.at, s.len);
	out[s.len] = '\0';
	return true;
}

/* origin-form, or absolute-form whose scheme and host are passed over (3.2). */
static int parse_target(struct span s, struct http_request *out)
{
	struct span before;
	if (s.len > 7 && memcmp(s.at, "http://", 7) == 0) {
		s.at += 7;
		s.len -= 7;
		if (split(&s, '/', &before)) {
			s.at--;
			s.len++;
		} else {
			s = (struct span){"/", 1};
		}
	}
	if (s.len == 0 || s.at[0] != '/')
		return -400;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] <= ' ' || s.at[i] > '~')
			return -400;
	}
	struct span query = s;
	if (split(&query, '?', &before))
		s = before;
	return copy_word(out->path, sizeof(out->path), s) ? 0 : -414;
}

static int parse_version(struct span s, bool *one_one)
{
	if (s.len != 8 || memcmp(s.at, "HTTP/", 5) != 0 || s.at[6] != '.')
		return -400;
	if (s.at[5] != '1' || s.at[7] < '0' || s.at[7] > '9')
		return -505;
	*one_one = s.at[7] != '0';
	return 0;
}

static int parse_first(struct span line, struct http_request *out, bool *one_one)
{
	struct span method, target;
	if (!split(&line, ' ', &method) || !is_token(method) || !split(&line, ' ', &target))
		return -400;
	int err = parse_version(line, one_one);
	if (!err)
		err = parse_target(target, out);
	if (err)
		return err;
	if (!copy_word(out->method, sizeof(out->method), method))
		return -501;
	out->head = strcmp(out->method, "HEAD") == 0;
	if (out->head || strcmp(out->method, "GET") == 0)
		return 0;
	return -405;
}

struct fields {
	unsigned hosts;
	bool close, keep;
};

static void parse_connection(struct span value, struct fields *f)
{
	struct span word;
	bool more = true;
	while (more) {
		more = split(&value, ',', &word);
		if (!more)
			word = value;
		f->close |= same_word(trim(word), "close");
		f->keep |= same_word(trim(word), "keep-alive");
	}
}

/* No content is taken, so none may be announced: what follows is the next request. */
static int parse_length(struct span value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return -400;
		if (value.at[i] != '0')
			return -413;
	}
	return value.len > 0 ? 0 : -400;
}

static int parse_field(struct span line, struct fields *f)
{
	struct span name;
	if (!split(&line, ':', &name) || !is_token(name)) /* 5.1: no blank before the colon */
		return -400;
	struct span value = trim(line);
	for (size_t i = 0; i < value.len; i++) {
		if ((unsigned char)value.at[i] < ' ' && value.at[i] != '\t')
			return -400;
	}
	if (same_word(name, "host"))
		f->hosts++;
	else if (same_word(name, "connection"))
		parse_connection(value, f);
	else if (same_word(name, "content-length"))
		return parse_length(value);
	else if (same_word(name, "transfer-encoding"))
		return -501;
	return 0;
}

static int parse_fields(struct span *s, struct http_request *out, bool one_one)
{
	struct fields f = {0};
	struct span line;
	int err = 0;
	while (!err && next_line(s, &line) && line.len > 0)
		err = parse_field(line, &f);
	if (!err && (f.hosts > 1 || (one_one && f.hosts == 0))) /* 3.2 */
		err = -400;
	out->keep_alive = !f.close && (one_one || f.keep);
	return err;
}

/* Is the empty line there that ends the fields? */
static bool is_complete(struct span s)
{
	struct span line;
	while (next_line(&s, &line)) {
		if (line.len == 0)
			return true;
	}
	return false;
}

int http_parse(const char *text, size_t len, struct http_request *out)
{
	struct span s = {text, len}, line;
	bool one_one = false;
	*out = (struct http_request){0};
	/* 2.2: an empty line before the request is passed over, one. */
	if (s.len >= 2 && s.at[0] == '\r' && s.at[1] == '\n') {
		s.at += 2;
		s.len -= 2;
	}
	if (!is_complete(s))
		return len >= HTTP_HEAD_MAX ? -431 : 0;
	if (!next_line(&s, &line) || line.len == 0)
		return -400;
	int err = parse_first(line, out, &one_one);
	if (!err || err == -405) {
		int more = parse_fields(&s, out, one_one);
		err = more ? more : err;
	}
	size_t used = len - s.len;
	if (!err && used > HTTP_HEAD_MAX)
		err = -431;
	return err ? err : (int)used;
}

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
	        {200, "OK"},
	        {400, "Bad Request"},
	        {403, "Forbidden"},
	        {404, "Not Found"},
	        {405, "Method Not Allowed"},
	        {408, "Request Timeout"},
	        {413, "Content Too Large"},
	        {414, "URI Too Long"},
	        {431, "Request Header Fields Too Large"},
	        {501, "Not Implemented"},
	        {503, "Service Unavailable"},
	        {505, "HTTP Version Not Supported"},
	};
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error";
}
