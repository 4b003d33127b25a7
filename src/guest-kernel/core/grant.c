/* Memory that tasks share. See grant.h. */
#include "guest-kernel/core/grant.h"

#include <string.h>

#include "guest-kernel/core/memory.h"

static void put(struct grant *g)
{
	if (__atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	mem_pages_free(g->memory);
	mem_free(g);
}

/* Without a policy there is no label, and nobody needs a capability. */
static bool guard(struct grant *g, objcap_t *cap)
{
	if (!sec_object_make(&g->object, POLICY_CLASS_SHM))
		return false;
	*cap = sec_object_guard(&g->object);
	if (*cap || !g->object.label)
		return true;
	sec_object_forget(&g->object);
	return false;
}

struct grant *grant_create(uint32_t pages, objcap_t *cap)
{
	if (pages == 0 || pages > GRANT_PAGES_MAX)
		return NULL;
	struct grant *g = mem_alloc(sizeof(*g));
	if (!g)
		return NULL;
	g->memory = mem_pages(pages);
	if (!g->memory || !guard(g, cap)) {
		mem_pages_free(g->memory);
		mem_free(g);
		return NULL;
	}
	memset(g->memory, 0, (size_t)pages * ARCH_PAGE_SIZE);
	g->pages = pages;
	g->refs = 1;
	return g;
}

void grant_destroy(struct grant *g)
{
	sec_object_forget(&g->object);
	put(g);
}

static void *map(struct grant *g, objcap_t cap, uint32_t perms, uint32_t rights)
{
	if (!sec_object_may(&g->object, perms, cap, rights))
		return NULL;
	(void)__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
	return g->memory;
}

const void *grant_map(struct grant *g, objcap_t cap)
{
	return map(g, cap, IPC_READ, OBJCAP_MAP | OBJCAP_READ);
}

void *grant_map_write(struct grant *g, objcap_t cap)
{
	return map(g, cap, IPC_READ | IPC_WRITE, OBJCAP_MAP | OBJCAP_READ | OBJCAP_WRITE);
}

void grant_unmap(struct grant *g)
{
	put(g);
}
