/* Object capabilities. See objcap.h. */
#include "objcap.h"

static void lock(struct objcap_space *s)
{
	while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire))
		;
}

static void unlock(struct objcap_space *s)
{
	atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

policy_status_t objcap_init(struct objcap_space *s, const struct policy_mem *mem, uint32_t capacity)
{
	size_t bytes = (size_t)capacity * sizeof(struct objcap_entry);
	*s = (struct objcap_space){.mem = mem, .capacity = capacity, .lock = ATOMIC_FLAG_INIT};
	s->entry = mem->alloc(mem->ctx, bytes);
	if (!s->entry)
		return POLICY_E_NOMEM;
	__builtin_memset(s->entry, 0, bytes);
	for (uint32_t i = 0; i < capacity; i++)
		s->entry[i].next = i + 1 < capacity ? i + 2 : 0;
	s->free = capacity ? 1 : 0;
	return POLICY_OK;
}

void objcap_fini(struct objcap_space *s)
{
	if (s->entry)
		s->mem->free(s->mem->ctx, s->entry, (size_t)s->capacity * sizeof(*s->entry));
	s->entry = NULL;
}

/* A handle: generation << 32 | index + 1. */
static objcap_t handle(const struct objcap_space *s, uint32_t index)
{
	uint32_t g = atomic_load_explicit(&s->entry[index].generation, memory_order_relaxed);
	return (uint64_t)g << 32 | (index + 1);
}

static struct objcap_entry *entry_of(const struct objcap_space *s, objcap_t cap)
{
	uint32_t index = (uint32_t)cap;
	if (index == 0 || index > s->capacity)
		return NULL;
	struct objcap_entry *e = &s->entry[index - 1];
	uint32_t g = atomic_load_explicit(&e->generation, memory_order_acquire);
	return g == (uint32_t)(cap >> 32) && (g & 1) ? e : NULL;
}

/* -- looking up, without the lock -- */

/* The entry of CAP was not given to another while its fields were read. */
static bool still(const struct objcap_entry *e, objcap_t cap)
{
	return atomic_load_explicit(&e->generation, memory_order_relaxed) == (uint32_t)(cap >> 32);
}

bool objcap_allows(const struct objcap_space *s, uint32_t holder, objcap_t cap, uint64_t object,
                   uint32_t rights)
{
	const struct objcap_entry *e = entry_of(s, cap);
	if (!e)
		return false;
	uint32_t has = atomic_load_explicit(&e->rights, memory_order_acquire);
	bool mine = atomic_load_explicit(&e->object, memory_order_acquire) == object &&
	            atomic_load_explicit(&e->holder, memory_order_acquire) == holder;
	return still(e, cap) && mine && !(rights & ~has);
}

uint32_t objcap_rights(const struct objcap_space *s, objcap_t cap)
{
	const struct objcap_entry *e = entry_of(s, cap);
	if (!e)
		return 0;
	uint32_t has = atomic_load_explicit(&e->rights, memory_order_acquire);
	return still(e, cap) ? has : 0;
}

/* -- changes, under the lock -- */

static policy_status_t make(struct objcap_space *s, uint32_t holder, uint64_t object,
                            uint32_t rights, struct objcap_entry *parent, objcap_t *cap)
{
	if (!s->free)
		return POLICY_E_LIMIT;
	uint32_t index = s->free - 1;
	struct objcap_entry *e = &s->entry[index];
	s->free = e->next;
	s->used++;
	atomic_store_explicit(&e->rights, rights, memory_order_release);
	atomic_store_explicit(&e->object, object, memory_order_release);
	atomic_store_explicit(&e->holder, holder, memory_order_release);
	e->child = e->previous = e->next = e->parent = 0;
	if (parent) {
		e->parent = (uint32_t)(parent - s->entry) + 1;
		e->next = parent->child;
		if (e->next)
			s->entry[e->next - 1].previous = index + 1;
		parent->child = index + 1;
	}
	atomic_fetch_add_explicit(&e->generation, 1, memory_order_release);
	*cap = handle(s, index);
	return POLICY_OK;
}

static void unlink_entry(struct objcap_space *s, struct objcap_entry *e)
{
	if (e->previous)
		s->entry[e->previous - 1].next = e->next;
	else if (e->parent)
		s->entry[e->parent - 1].child = e->next;
	if (e->next)
		s->entry[e->next - 1].previous = e->previous;
}

/* E and its descendants: always the deepest first child, until E itself is a leaf. */
static void kill_tree(struct objcap_space *s, struct objcap_entry *e)
{
	struct objcap_entry *at = e;
	for (;;) {
		while (at->child)
			at = &s->entry[at->child - 1];
		struct objcap_entry *up = at->parent ? &s->entry[at->parent - 1] : NULL;
		bool last = at == e;
		unlink_entry(s, at);
		atomic_fetch_add_explicit(&at->generation, 1, memory_order_release);
		atomic_store_explicit(&at->rights, 0, memory_order_release);
		at->next = s->free;
		at->parent = at->previous = 0;
		s->free = (uint32_t)(at - s->entry) + 1;
		s->used--;
		if (last)
			return;
		at = up;
	}
}

policy_status_t objcap_create(struct objcap_space *s, uint32_t holder, uint64_t object,
                              uint32_t rights, objcap_t *cap)
{
	if (rights & ~(uint32_t)OBJCAP_ALL)
		return POLICY_E_INVAL;
	lock(s);
	policy_status_t status = make(s, holder, object, rights, NULL, cap);
	unlock(s);
	return status;
}

/* CAP's entry if HOLDER has it with RIGHTS. */
static struct objcap_entry *held(const struct objcap_space *s, uint32_t holder, objcap_t cap,
                                 uint32_t rights)
{
	struct objcap_entry *e = entry_of(s, cap);
	if (!e || atomic_load_explicit(&e->holder, memory_order_relaxed) != holder)
		return NULL;
	uint32_t has = atomic_load_explicit(&e->rights, memory_order_relaxed);
	return rights & ~has ? NULL : e;
}

policy_status_t objcap_delegate(struct objcap_space *s, uint32_t holder, objcap_t cap, uint32_t to,
                                uint32_t rights, objcap_t *given)
{
	policy_status_t status = POLICY_E_DENIED;
	lock(s);
	struct objcap_entry *e = held(s, holder, cap, OBJCAP_DELEGATE);
	if (e) {
		uint32_t has = atomic_load_explicit(&e->rights, memory_order_relaxed);
		uint64_t object = atomic_load_explicit(&e->object, memory_order_relaxed);
		rights &= has & ~(uint32_t)OBJCAP_DELEGATE;
		status = make(s, to, object, rights, e, given);
	}
	unlock(s);
	return status;
}

/* HOLDER has the right to revoke E: by E itself, or by what E came from. */
static bool may_revoke(const struct objcap_space *s, uint32_t holder, const struct objcap_entry *e)
{
	for (;;) {
		uint32_t has = atomic_load_explicit(&e->rights, memory_order_relaxed);
		if (atomic_load_explicit(&e->holder, memory_order_relaxed) == holder &&
		    (has & OBJCAP_REVOKE))
			return true;
		if (!e->parent)
			return false;
		e = &s->entry[e->parent - 1];
	}
}

policy_status_t objcap_revoke(struct objcap_space *s, uint32_t holder, objcap_t cap)
{
	lock(s);
	struct objcap_entry *e = entry_of(s, cap);
	if (e && !may_revoke(s, holder, e))
		e = NULL;
	if (e)
		kill_tree(s, e);
	unlock(s);
	return e ? POLICY_OK : POLICY_E_DENIED;
}

static bool in_use(const struct objcap_entry *e)
{
	return atomic_load_explicit(&e->generation, memory_order_relaxed) & 1;
}

void objcap_forget_object(struct objcap_space *s, uint64_t object)
{
	lock(s);
	for (uint32_t i = 0; i < s->capacity; i++)
		if (in_use(&s->entry[i]) &&
		    atomic_load_explicit(&s->entry[i].object, memory_order_relaxed) == object)
			kill_tree(s, &s->entry[i]);
	unlock(s);
}

void objcap_forget_holder(struct objcap_space *s, uint32_t holder)
{
	lock(s);
	for (uint32_t i = 0; i < s->capacity; i++)
		if (in_use(&s->entry[i]) &&
		    atomic_load_explicit(&s->entry[i].holder, memory_order_relaxed) == holder)
			kill_tree(s, &s->entry[i]);
	unlock(s);
}
