/* The C library's allocator, and those that are looked for when the program runs. */
#include <dlfcn.h>
#include <stdlib.h>

#include "alloc.h"

static struct {
	void *(*alloc)(size_t size);
	void (*free)(void *p);
} peer;

static bool load(const char *file, const char *alloc, const char *release)
{
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return false;
	*(void **)&peer.alloc = dlsym(lib, alloc);
	*(void **)&peer.free = dlsym(lib, release);
	return peer.alloc && peer.free;
}

static void *peer_alloc(size_t size)
{
	return peer.alloc(size);
}

static void peer_free(void *p)
{
	peer.free(p);
}

static bool open_glibc(size_t size)
{
	(void)size;
	return true;
}

static bool open_jemalloc(size_t size)
{
	(void)size;
	return load("libjemalloc.so.2", "malloc", "free");
}

static bool open_mimalloc(size_t size)
{
	(void)size;
	return load("libmimalloc.so.2", "mi_malloc", "mi_free");
}

const struct allocator alloc_glibc = {"glibc", open_glibc, malloc, free};
const struct allocator alloc_jemalloc = {"jemalloc", open_jemalloc, peer_alloc, peer_free};
const struct allocator alloc_mimalloc = {"mimalloc", open_mimalloc, peer_alloc, peer_free};
