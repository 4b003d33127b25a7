/* The decision cache's slow half. See avc.h. */
#include "avc.h"

#define ALIGN 128u

policy_status_t avc_init(struct avc *a, const struct policy_mem *mem, uint32_t entries)
{
	uint32_t sets = 16;
	*a = (struct avc){.mem = mem};
	while (sets < (1u << 22) && sets * AVC_WAYS < entries)
		sets *= 2;
	size_t bytes = (size_t)sets * AVC_WAYS * sizeof(struct avc_entry);
	a->raw_bytes = bytes + ALIGN;
	a->raw = mem->alloc(mem->ctx, a->raw_bytes);
	if (!a->raw)
		return POLICY_E_NOMEM;
	__builtin_memset(a->raw, 0, a->raw_bytes);
	uintptr_t at = ((uintptr_t)a->raw + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
	a->entry = (struct avc_entry *)at;
	a->mask = sets - 1;
	return POLICY_OK;
}

void avc_fini(struct avc *a)
{
	if (a->raw)
		a->mem->free(a->mem->ctx, a->raw, a->raw_bytes);
	a->raw = NULL;
}

/* The entry that KEY has, or the first one that is void, or the next to go. */
static struct avc_entry *choose(struct avc *a, uint64_t key, uint32_t seqno)
{
	struct avc_entry *set = &a->entry[(size_t)avc_set(a, key) * AVC_WAYS];
	struct avc_entry *empty = NULL;
	for (unsigned way = 0; way < AVC_WAYS; way++) {
		if (atomic_load_explicit(&set[way].key, memory_order_relaxed) == key)
			return &set[way];
		uint64_t version = atomic_load_explicit(&set[way].version, memory_order_relaxed);
		if (!empty && version >> 32 != seqno)
			empty = &set[way];
	}
	if (empty)
		return empty;
	return &set[atomic_fetch_add_explicit(&a->victim, 1, memory_order_relaxed) % AVC_WAYS];
}

void avc_put(struct avc *a, uint64_t key, uint32_t seqno, const struct avc_decision *d)
{
	struct avc_entry *e = choose(a, key, seqno);
	uint64_t version = atomic_load_explicit(&e->version, memory_order_relaxed);
	/* Acquire: the words are not stored before the sequence is odd. */
	if ((version & 1) ||
	    !atomic_compare_exchange_strong_explicit(&e->version, &version, version + 1,
	                                             memory_order_acquire, memory_order_relaxed))
		return;
	/* Each word is released, so that a reader that sees it sees the odd sequence as well. */
	atomic_store_explicit(&e->key, key, memory_order_release);
	atomic_store_explicit(&e->allow, (uint64_t)d->allowed << 32 | d->auditallow,
	                      memory_order_release);
	atomic_store_explicit(&e->deny, (uint64_t)d->auditdeny << 32 | d->flags,
	                      memory_order_release);
	atomic_store_explicit(&e->version, (uint64_t)seqno << 32 | (uint32_t)(version + 2),
	                      memory_order_release);
}

uint32_t avc_used(const struct avc *a, uint32_t seqno)
{
	uint32_t used = 0;
	for (size_t i = 0; i < ((size_t)a->mask + 1) * AVC_WAYS; i++)
		used += atomic_load_explicit(&a->entry[i].version, memory_order_relaxed) >> 32 ==
		        seqno;
	return used;
}
