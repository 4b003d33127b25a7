/* Memory, errors, text. See base.h. */
#include "base.h"

#define CHUNK_BYTES 16384u

struct arena_chunk {
	struct arena_chunk *next;
	size_t bytes; /* with this header */
	size_t used;
	uint64_t pad;
};

/* -- arena -- */

void arena_init(struct arena *a, const struct policy_mem *mem, size_t budget_bytes)
{
	*a = (struct arena){.mem = mem, .budget_bytes = budget_bytes};
}

void arena_fini(struct arena *a)
{
	struct arena_chunk *next;
	for (struct arena_chunk *c = a->chunks; c; c = next) {
		next = c->next;
		a->mem->free(a->mem->ctx, c, c->bytes);
	}
	a->chunks = NULL;
	a->used_bytes = 0;
}

static void *raw_alloc(struct arena *a, size_t bytes)
{
	if (a->used_bytes > a->budget_bytes || bytes > a->budget_bytes - a->used_bytes)
		return NULL;
	void *p = a->mem->alloc(a->mem->ctx, bytes);
	if (p)
		a->used_bytes += bytes;
	return p;
}

static struct arena_chunk *add_chunk(struct arena *a, size_t bytes)
{
	struct arena_chunk *c = raw_alloc(a, bytes);
	if (!c)
		return NULL;
	*c = (struct arena_chunk){.bytes = bytes, .used = sizeof(*c)};
	/* A chunk for one large object goes behind the one that is being filled. */
	if (bytes > CHUNK_BYTES && a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

static void *take(struct arena *a, size_t bytes)
{
	if (bytes > SIZE_MAX - sizeof(struct arena_chunk) - 8)
		return NULL;
	bytes = (bytes + 7) & ~(size_t)7;
	struct arena_chunk *c = a->chunks;
	if (!c || c->bytes - c->used < bytes) {
		size_t whole = bytes + sizeof(*c);
		c = add_chunk(a, whole > CHUNK_BYTES / 2 ? whole : CHUNK_BYTES);
		if (!c)
			return NULL;
	}
	void *p = (uint8_t *)c + c->used;
	c->used += bytes;
	return p;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	void *p = take(a, bytes);
	if (p)
		__builtin_memset(p, 0, bytes);
	return p;
}

void *arena_array_raw(struct arena *a, size_t count, size_t size)
{
	return size && count > SIZE_MAX / size ? NULL : take(a, count * size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	return size && count > SIZE_MAX / size ? NULL : arena_alloc(a, count * size);
}

char *arena_string(struct arena *a, const char *s, size_t len)
{
	char *copy = len == SIZE_MAX ? NULL : take(a, len + 1);
	if (!copy)
		return NULL;
	__builtin_memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

/* -- vec -- */

void vec_init(struct vec *v, struct arena *budget, uint32_t size)
{
	*v = (struct vec){.budget = budget, .size = size};
}

void vec_fini(struct vec *v)
{
	size_t bytes = (size_t)v->capacity * v->size;
	if (v->data) {
		v->budget->mem->free(v->budget->mem->ctx, v->data, bytes);
		v->budget->used_bytes -= bytes;
	}
	v->data = NULL;
	v->count = v->capacity = 0;
}

bool vec_reserve(struct vec *v, uint32_t count)
{
	if (count <= v->capacity)
		return true;
	uint8_t *data = raw_alloc(v->budget, (size_t)count * v->size);
	if (!data)
		return false;
	uint32_t kept = v->count;
	if (kept)
		__builtin_memcpy(data, v->data, (size_t)kept * v->size);
	vec_fini(v);
	v->data = data;
	v->count = kept;
	v->capacity = count;
	return true;
}

bool vec_grow(struct vec *v)
{
	return v->capacity <= UINT32_MAX / 2 && vec_reserve(v, v->capacity ? v->capacity * 2 : 64);
}

/* -- text -- */

void text_init(struct text *t, char *buf, size_t size)
{
	*t = (struct text){.buf = buf, .size = size};
	if (size)
		buf[0] = '\0';
}

void text_add_n(struct text *t, const char *s, size_t len)
{
	size_t room = t->size ? t->size - 1 - t->len : 0;
	if (len > room) {
		len = room;
		t->cut = true;
	}
	if (!t->size)
		return;
	__builtin_memcpy(t->buf + t->len, s, len);
	t->len += len;
	t->buf[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_add_n(t, s, str_len(s));
}

void text_char(struct text *t, char c)
{
	text_add_n(t, &c, 1);
}

static void text_radix(struct text *t, uint64_t value, unsigned radix)
{
	char digits[24];
	size_t at = sizeof(digits);
	do {
		digits[--at] = "0123456789abcdef"[value % radix];
		value /= radix;
	} while (value);
	text_add_n(t, digits + at, sizeof(digits) - at);
}

void text_uint(struct text *t, uint64_t value)
{
	text_radix(t, value, 10);
}

void text_hex(struct text *t, uint64_t value)
{
	text_radix(t, value, 16);
}

void text_vformat(struct text *t, const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			text_char(t, *fmt);
			continue;
		}
		switch (*++fmt) {
		case 's':
			text_add(t, va_arg(ap, const char *));
			break;
		case 'u':
			text_uint(t, va_arg(ap, unsigned));
			break;
		case 'x':
			text_hex(t, va_arg(ap, unsigned));
			break;
		case 'c':
			text_char(t, (char)va_arg(ap, int));
			break;
		default:
			text_char(t, '%');
			break;
		}
	}
}

void text_format(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_vformat(t, fmt, ap);
	va_end(ap);
}

policy_status_t policy_fail(struct policy_error *err, policy_status_t status, const char *fmt, ...)
{
	struct text t;
	va_list ap;
	if (!err)
		return status;
	err->status = status;
	text_init(&t, err->text, sizeof(err->text));
	va_start(ap, fmt);
	text_vformat(&t, fmt, ap);
	va_end(ap);
	return status;
}

/* -- strings -- */

size_t str_len(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

bool str_eq_n(const char *a, size_t len, const char *b)
{
	for (size_t i = 0; i < len; i++)
		if (!b[i] || a[i] != b[i])
			return false;
	return b[len] == '\0';
}

bool str_eq(const char *a, const char *b)
{
	return str_cmp(a, b) == 0;
}

int str_cmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (int)(unsigned char)*a - (int)(unsigned char)*b;
}

bool str_prefix(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

/* FNV-1a. */
uint32_t str_hash(const char *s, size_t len)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h;
}

bool str_number(const char *s, size_t len, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned char)s[i] - (unsigned)'0';
		if (digit > 9 || v > (max - digit) / 10 || digit > max)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

/* -- sort: heap sort, because it needs neither memory nor luck -- */

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		uint8_t t = a[i];
		a[i] = b[i];
		b[i] = t;
	}
}

static void sift(uint8_t *base, size_t root, size_t count, size_t size,
                 bool (*less)(const void *a, const void *b))
{
	for (size_t child; (child = 2 * root + 1) < count; root = child) {
		if (child + 1 < count && less(base + child * size, base + (child + 1) * size))
			child++;
		if (!less(base + root * size, base + child * size))
			return;
		swap(base + root * size, base + child * size, size);
	}
}

void sort_in_place(void *base, size_t count, size_t size,
                   bool (*less)(const void *a, const void *b))
{
	for (size_t i = count / 2; i-- > 0;)
		sift(base, i, count, size, less);
	for (size_t n = count; n > 1; n--) {
		swap(base, (uint8_t *)base + (n - 1) * size, size);
		sift(base, 0, n - 1, size, less);
	}
}
