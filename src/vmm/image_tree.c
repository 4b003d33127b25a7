/* Writing the tree of a guest image. See image_tree.h; docs/guest-images.md has the layout. */
#include "image_tree.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "boot/fit.h"

/* Carries the first error through a run of calls: each later call does nothing. */
struct writer {
	void *blob;
	int err;
};

static void begin(struct writer *w, const char *name)
{
	if (!w->err)
		w->err = fdt_begin_node(w->blob, name);
}

static void end(struct writer *w)
{
	if (!w->err)
		w->err = fdt_end_node(w->blob);
}

/* HASH (may be NULL) is that of the configuration, which covers each of its properties. */
static void prop(struct writer *w, struct hash *hash, const char *name, const void *value,
                 size_t len)
{
	if (!w->err)
		w->err = fdt_property(w->blob, name, value, (int)len);
	if (!hash)
		return;
	fdt32_t be = cpu_to_fdt32((uint32_t)len);
	hash_add(hash, name, strlen(name) + 1);
	hash_add(hash, &be, sizeof(be));
	hash_add(hash, value, len);
}

static void text(struct writer *w, struct hash *hash, const char *name, const char *value)
{
	prop(w, hash, name, value, strlen(value) + 1);
}

static void number(struct writer *w, struct hash *hash, const char *name, uint32_t value)
{
	fdt32_t be = cpu_to_fdt32(value);
	prop(w, hash, name, &be, sizeof(be));
}

static void add_hash(struct writer *w, const struct image_tree *t, const uint8_t *digest)
{
	begin(w, "hash-1");
	text(w, NULL, "algo", t->algo_name);
	prop(w, NULL, "value", digest, hash_bytes(t->algo));
	end(w);
}

static void add_part(struct writer *w, const struct image_tree *t, const struct image_tree_part *p)
{
	begin(w, p->name);
	text(w, NULL, "description", p->description);
	text(w, NULL, "type", p->name);
	text(w, NULL, "compression", "none");
	if (strcmp(p->name, "policy") != 0) {
		text(w, NULL, "arch", "x86_64");
		text(w, NULL, "os", "linux");
	}
	number(w, NULL, "data-size", (uint32_t)p->len_bytes);
	number(w, NULL, "data-offset", (uint32_t)(p->offset - t->data_start));
	add_hash(w, t, p->digest);
	end(w);
}

static void add_configuration(struct writer *w, const struct image_tree *t)
{
	struct hash h;
	uint8_t digest[HASH_BYTES_MAX];
	const vmm_image_build_opts_t *o = t->opts;
	hash_begin(&h, t->algo);
	begin(w, "conf-1");
	if (o->description)
		text(w, &h, "description", o->description);
	for (unsigned i = 0; i < t->count; i++) {
		bool policy = strcmp(t->part[i].name, "policy") == 0;
		text(w, &h, policy ? FIT_PROP_POLICY : t->part[i].name, t->part[i].name);
	}
	if (o->cmdline)
		text(w, &h, FIT_PROP_CMDLINE, o->cmdline);
	if (o->memory_bytes) {
		fdt64_t be = cpu_to_fdt64(o->memory_bytes);
		prop(w, &h, FIT_PROP_MEMORY, &be, sizeof(be));
	}
	if (o->cpus)
		number(w, &h, FIT_PROP_CPUS, o->cpus);
	hash_end(&h, digest);
	add_hash(w, t, digest);
	end(w);
}

static void add_root(struct writer *w, const struct image_tree *t)
{
	begin(w, "");
	/* mkimage and dumpimage take a tree without it for something else. */
	text(w, NULL, "description", t->opts->description ? t->opts->description : "guest image");
	number(w, NULL, "timestamp", t->timestamp);
	number(w, NULL, "#address-cells", 1);
	begin(w, "images");
	for (unsigned i = 0; i < t->count; i++)
		add_part(w, t, &t->part[i]);
	end(w);
	begin(w, "configurations");
	text(w, NULL, "default", "conf-1");
	add_configuration(w, t);
	end(w);
	end(w);
}

size_t image_tree_write(void *buf, size_t cap, const struct image_tree *tree)
{
	struct writer w = {.blob = buf};
	w.err = fdt_create(buf, (int)cap);
	if (!w.err)
		w.err = fdt_finish_reservemap(buf);
	add_root(&w, tree);
	if (!w.err)
		w.err = fdt_finish(buf);
	return w.err ? 0 : fdt_totalsize(buf);
}
