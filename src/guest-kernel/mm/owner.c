/* Who pays for pages. See owner.h. */
#include "guest-kernel/mm/mm_priv.h"

struct mm_owner *mm_owner_create(struct mm *mm, const char *name, size_t limit_pages)
{
	struct mm_owner *found = NULL;
	unsigned long flags = spin_lock_irqsave(&mm->owners_lock);
	for (unsigned i = 1; i < MM_OWNERS_MAX && !found; i++)
		if (!mm->owners[i].used)
			found = &mm->owners[i];
	if (found) {
		mm_copy_name(found->name, name, sizeof(found->name));
		atomic_store(&found->pages, 0);
		atomic_store(&found->peak, 0);
		atomic_store(&found->refusals, 0);
		atomic_store(&found->limit, limit_pages);
		found->used = true;
	}
	spin_unlock_irqrestore(&mm->owners_lock, flags);
	return found;
}

bool mm_owner_destroy(struct mm *mm, struct mm_owner *owner)
{
	unsigned long flags = spin_lock_irqsave(&mm->owners_lock);
	bool idle = atomic_load(&owner->pages) == 0;
	if (idle)
		owner->used = false;
	spin_unlock_irqrestore(&mm->owners_lock, flags);
	return idle;
}

void mm_owner_limit(struct mm_owner *owner, size_t limit_pages)
{
	atomic_store(&owner->limit, limit_pages);
}

void mm_owner_stats(const struct mm_owner *owner, struct mm_owner_stats *out)
{
	*out = (struct mm_owner_stats){
	        .pages = atomic_load_explicit(&owner->pages, memory_order_relaxed),
	        .peak_pages = atomic_load_explicit(&owner->peak, memory_order_relaxed),
	        .limit_pages = atomic_load_explicit(&owner->limit, memory_order_relaxed),
	        .refusals = atomic_load_explicit(&owner->refusals, memory_order_relaxed),
	};
}

bool owner_charge(struct mm_owner *owner, size_t pages)
{
	if (!owner)
		return true;
	size_t limit = atomic_load_explicit(&owner->limit, memory_order_relaxed);
	size_t held = atomic_load_explicit(&owner->pages, memory_order_relaxed), next;
	do {
		if (limit && (held >= limit || pages > limit - held)) {
			atomic_fetch_add_explicit(&owner->refusals, 1, memory_order_relaxed);
			return false;
		}
		next = held + pages;
	} while (!atomic_compare_exchange_weak_explicit(
	        &owner->pages, &held, next, memory_order_relaxed, memory_order_relaxed));
	size_t peak = atomic_load_explicit(&owner->peak, memory_order_relaxed);
	while (next > peak &&
	       !atomic_compare_exchange_weak_explicit(&owner->peak, &peak, next,
	                                              memory_order_relaxed, memory_order_relaxed))
		continue;
	return true;
}

void owner_refund(struct mm_owner *owner, size_t pages)
{
	if (owner)
		atomic_fetch_sub_explicit(&owner->pages, pages, memory_order_relaxed);
}

size_t owner_room(const struct mm_owner *owner)
{
	size_t limit = atomic_load_explicit(&owner->limit, memory_order_relaxed);
	size_t held = atomic_load_explicit(&owner->pages, memory_order_relaxed);
	if (limit == 0)
		return SIZE_MAX;
	return held < limit ? limit - held : 0;
}
