/*
 * What every file of the policy engine stands on: memory by callbacks, errors with a sentence, and
 * text in bounded buffers. Freestanding: no header but the compiler's own; the kernel (or the C
 * library) provides memcpy, memset, memmove and memcmp, which compilers call by themselves.
 */
#ifndef GUEST_KERNEL_POLICY_BASE_H
#define GUEST_KERNEL_POLICY_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_WARN_UNUSED  __attribute__((warn_unused_result))
#define POLICY_PRINTF(f, a) __attribute__((format(printf, f, a)))

typedef enum policy_status {
	POLICY_OK = 0,
	POLICY_E_NOMEM = -1,   /* the allocator said no, or the budget is used up */
	POLICY_E_FORMAT = -2,  /* not a policy, truncated, or inconsistent in itself */
	POLICY_E_VERSION = -3, /* a policy of a version that is not read */
	POLICY_E_MISSING = -4, /* it lacks classes or permissions that the kernel checks */
	POLICY_E_INVAL = -5,   /* an argument, a name or a context is not valid under this policy */
	POLICY_E_NOT_FOUND = -6, /* no such rule, name, SID or capability */
	POLICY_E_DENIED = -7,    /* the policy says no */
	POLICY_E_LIMIT = -8,     /* a table of fixed capacity is full */
	POLICY_E_SYNTAX = -9,    /* text that does not parse: the error names file and line */
} policy_status_t;

/* The detail of a failure: one sentence that names what was found and what would be right. */
struct policy_error {
	policy_status_t status;
	char text[240];
};

/* Fill ERR (may be NULL) and return STATUS. Conversions: %s %u %x %c %%. Truncates to fit. */
policy_status_t policy_fail(struct policy_error *err, policy_status_t status, const char *fmt, ...)
        POLICY_PRINTF(3, 4);

/* Where the engine's memory comes from. Any thread that calls the engine calls these. */
struct policy_mem {
	/* BYTES aligned to 16, or NULL. */
	void *(*alloc)(void *ctx, size_t bytes);
	/* What alloc gave, with the same BYTES. */
	void (*free)(void *ctx, void *p, size_t bytes);
	void *ctx;
};

/* Memory that is given back as a whole, never more than BUDGET bytes of it. */
struct arena_chunk;
struct arena {
	const struct policy_mem *mem;
	struct arena_chunk *chunks;
	size_t used_bytes; /* of the allocator */
	size_t budget_bytes;
};

void arena_init(struct arena *a, const struct policy_mem *mem, size_t budget_bytes);
void arena_fini(struct arena *a);
/* Zeroed, aligned to 8; NULL if BUDGET or the allocator is exhausted. BYTES may be 0. */
void *arena_alloc(struct arena *a, size_t bytes);
/* COUNT elements of SIZE; NULL also where the product overflows. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* The same, not cleared: for what is written as a whole. */
void *arena_array_raw(struct arena *a, size_t count, size_t size);
/* A NUL-terminated copy of LEN bytes. */
char *arena_string(struct arena *a, const char *s, size_t len);

/* A growing array of a file being read: temporary, in elements of SIZE bytes. */
struct vec {
	struct arena *budget; /* what it takes counts against the arena's budget */
	uint8_t *data;
	uint32_t count, capacity;
	uint32_t size;
};

void vec_init(struct vec *v, struct arena *budget, uint32_t size);
void vec_fini(struct vec *v);
bool vec_grow(struct vec *v);
/* Room for one more at the end, or NULL. */
static inline void *vec_push(struct vec *v)
{
	if (v->count == v->capacity && !vec_grow(v))
		return NULL;
	return v->data + (size_t)v->count++ * v->size;
}
/* Room for COUNT elements in all, so that vec_push does not move them. */
bool vec_reserve(struct vec *v, uint32_t count);

/* Text that is cut at the end of its buffer, always NUL-terminated. */
struct text {
	char *buf;
	size_t size, len;
	bool cut; /* something did not fit */
};

void text_init(struct text *t, char *buf, size_t size);
void text_add(struct text *t, const char *s);
void text_add_n(struct text *t, const char *s, size_t len);
void text_char(struct text *t, char c);
void text_uint(struct text *t, uint64_t value);
void text_hex(struct text *t, uint64_t value);
void text_format(struct text *t, const char *fmt, ...) POLICY_PRINTF(2, 3);
void text_vformat(struct text *t, const char *fmt, va_list ap) POLICY_PRINTF(2, 0);

size_t str_len(const char *s);
bool str_eq(const char *a, const char *b);
/* A, of LEN bytes and not terminated, equals B. */
bool str_eq_n(const char *a, size_t len, const char *b);
int str_cmp(const char *a, const char *b);
bool str_prefix(const char *s, const char *prefix);
uint32_t str_hash(const char *s, size_t len);
/* A whole decimal number of at most MAX. */
bool str_number(const char *s, size_t len, uint64_t max, uint64_t *value);

/* In place, O(n log n), no recursion, not stable: LESS must be a total order to be repeatable. */
void sort_in_place(void *base, size_t count, size_t size,
                   bool (*less)(const void *a, const void *b));

#endif
