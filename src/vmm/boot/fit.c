/* Parsing of guest images. See fit.h. */
#include "fit.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../fdt/tree_check.h"
#include "../errset.h"
#include "hash.h"
#include "part.h"

struct reader {
	const void *blob;
	uint64_t file_bytes;
	const char *name; /* of the file */
	struct fit *fit;
	vmm_err_info_t *ei;
};

/* Text from the file that goes into messages and onto terminals: no control characters. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void copy_clean(char *dst, size_t size, const char *src)
{
	(void)snprintf(dst, size, "%s", src);
	clean(dst);
}

static vmm_err_t bad(const struct reader *r, const char *node, const char *prop, const char *why)
{
	char shown[VMM_IMAGE_NAME_MAX];
	copy_clean(shown, sizeof(shown), node);
	return err_set(r->ei, VMM_E_FORMAT, r->name, "%s: node '%s'%s%s%s: %s", r->name, shown,
	               prop ? ", property '" : "", prop ? prop : "", prop ? "'" : "", why);
}

static const char *node_name(const struct reader *r, int node)
{
	const char *name = fdt_get_name(r->blob, node, NULL);
	return name ? name : "?";
}

/* *TEXT is NULL where there is no such property. */
static vmm_err_t get_text(const struct reader *r, int node, const char *prop, const char **text)
{
	int len = 0;
	const char *p = fdt_getprop(r->blob, node, prop, &len);
	*text = NULL;
	if (!p)
		return VMM_OK;
	if (len < 1 || p[len - 1] != '\0' || strlen(p) != (size_t)len - 1)
		return bad(r, node_name(r, node), prop, "must be one string");
	*text = p;
	return VMM_OK;
}

static vmm_err_t copy_text(const struct reader *r, int node, const char *prop, const char *absent,
                           char *dst, size_t size)
{
	const char *text;
	vmm_err_t err = get_text(r, node, prop, &text);
	if (!err)
		copy_clean(dst, size, text ? text : absent);
	return err;
}

/* One or two cells. *FOUND false where there is no such property; VALUE then stays as it is. */
static vmm_err_t get_number(const struct reader *r, int node, const char *prop, uint64_t *value,
                            bool *found)
{
	int len = 0;
	const void *p = fdt_getprop(r->blob, node, prop, &len);
	*found = p != NULL;
	if (!p)
		return VMM_OK;
	if (len == 4)
		*value = fdt32_ld(p);
	else if (len == 8)
		*value = fdt64_ld(p);
	else
		return bad(r, node_name(r, node), prop, "must be one number of 32 or 64 bits");
	return VMM_OK;
}

static void to_hex(char *dst, const uint8_t *src, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		*dst++ = digits[src[i] >> 4];
		*dst++ = digits[src[i] & 15];
	}
	*dst = '\0';
}

static vmm_err_t read_hash(const struct reader *r, int node, vmm_image_part_t *part)
{
	if (part->hash_count == VMM_IMAGE_HASHES_MAX)
		return err_set(r->ei, VMM_E_LIMIT, r->name, "%s: '%s' has more than %u hashes",
		               r->name, part->name, VMM_IMAGE_HASHES_MAX);
	vmm_image_hash_t *h = &part->hash[part->hash_count];
	vmm_err_t err = copy_text(r, node, "algo", "", h->algo, sizeof(h->algo));
	if (err)
		return err;
	if (h->algo[0] == '\0')
		return bad(r, part->name, "algo", "a hash without an algorithm");
	int len = 0;
	const void *value = fdt_getprop(r->blob, node, "value", &len);
	if (!value || len < 1 || (size_t)len > (sizeof(h->value) - 1) / 2)
		return bad(r, part->name, "value", "a hash must have a value of 1 to 64 bytes");
	to_hex(h->value, value, (size_t)len);
	part->hash_count++;
	return VMM_OK;
}

static vmm_err_t read_hashes(const struct reader *r, int node, vmm_image_part_t *part)
{
	int sub;
	vmm_err_t err = VMM_OK;
	fdt_for_each_subnode(sub, r->blob, node)
	{
		if (strncmp(node_name(r, sub), "hash", 4) == 0)
			err = read_hash(r, sub, part);
		if (err)
			return err;
	}
	return VMM_OK;
}

/* mkimage -E puts the data behind the tree: at an absolute position, or relative to its end. */
static vmm_err_t locate_external(const struct reader *r, int node, vmm_image_part_t *part)
{
	bool found = false;
	uint64_t tree = ((uint64_t)fdt_totalsize(r->blob) + 3) & ~3ull;
	vmm_err_t err = get_number(r, node, "data-size", &part->len_bytes, &found);
	if (err)
		return err;
	if (!found)
		return bad(r, part->name, NULL, "has neither 'data' nor 'data-size'");
	err = get_number(r, node, "data-position", &part->offset, &found);
	if (!err && !found) {
		uint64_t relative = 0;
		err = get_number(r, node, "data-offset", &relative, &found);
		if (!err && !found)
			return bad(r, part->name, NULL,
			           "has 'data-size', but no 'data-offset' or 'data-position'");
		part->offset = relative > r->file_bytes ? r->file_bytes : tree + relative;
	}
	if (err)
		return err;
	if (part->offset < fdt_totalsize(r->blob))
		return bad(r, part->name, "data-position", "lies within the tree");
	if (part->offset > r->file_bytes || part->len_bytes > r->file_bytes - part->offset)
		return err_set(r->ei, VMM_E_FORMAT, r->name,
		               "%s: truncated: '%s' has %llu bytes at offset %llu, the file has "
		               "%llu bytes",
		               r->name, part->name, (unsigned long long)part->len_bytes,
		               (unsigned long long)part->offset, (unsigned long long)r->file_bytes);
	return VMM_OK;
}

static vmm_err_t locate(const struct reader *r, int node, vmm_image_part_t *part)
{
	int len = 0;
	const char *data = fdt_getprop(r->blob, node, "data", &len);
	vmm_err_t err = VMM_OK;
	if (data) {
		part->offset = (uint64_t)(data - (const char *)r->blob);
		part->len_bytes = (uint64_t)len;
	} else {
		err = locate_external(r, node, part);
	}
	if (!err && part->len_bytes == 0)
		return bad(r, part->name, NULL, "is empty");
	return err;
}

/* The part NAME, exactly: libfdt's own look-up takes "kernel" for "kernel@1" too. */
static uint32_t find_part(const struct fit *fit, const char *name)
{
	for (uint32_t i = 0; i < fit->info.part_count; i++)
		if (strcmp(fit->info.part[i].name, name) == 0)
			return i;
	return FIT_NONE;
}

/* PART is the next free one, or one past the last. */
static vmm_err_t begin_part(const struct reader *r, int node, vmm_image_part_t *part)
{
	const vmm_image_info_t *info = &r->fit->info;
	const char *name = node_name(r, node);
	if (info->part_count == VMM_IMAGE_PARTS_MAX)
		return err_set(r->ei, VMM_E_LIMIT, r->name, "%s has more than %u parts", r->name,
		               VMM_IMAGE_PARTS_MAX);
	if (name[0] == '\0' || strlen(name) >= VMM_IMAGE_NAME_MAX)
		return bad(r, name, NULL, "must have a name of 1 to 63 bytes");
	*part = (vmm_image_part_t){0};
	copy_clean(part->name, sizeof(part->name), name);
	return copy_text(r, node, "description", "", part->description, sizeof(part->description));
}

static vmm_err_t read_part(const struct reader *r, int node)
{
	vmm_image_part_t *part = r->fit->info.part + r->fit->info.part_count;
	vmm_err_t err = begin_part(r, node, part);
	if (!err && find_part(r->fit, part->name) != FIT_NONE)
		return bad(r, part->name, NULL, "is there twice");
	if (!err)
		err = copy_text(r, node, "type", "", part->type, sizeof(part->type));
	if (!err)
		err = copy_text(r, node, "compression", "none", part->compression,
		                sizeof(part->compression));
	if (!err)
		err = locate(r, node, part);
	if (!err)
		err = read_hashes(r, node, part);
	if (!err)
		r->fit->info.part_count++;
	return err;
}

static vmm_err_t read_parts(const struct reader *r)
{
	int images = fdt_path_offset(r->blob, "/images");
	if (images < 0)
		return bad(r, "/images", NULL,
		           "missing: a device tree, perhaps, but no guest image");
	int node;
	fdt_for_each_subnode(node, r->blob, images)
	{
		vmm_err_t err = read_part(r, node);
		if (err)
			return err;
	}
	return VMM_OK;
}

/* What the configuration's property PROP names; FIT_NONE where it is absent. */
static vmm_err_t read_reference(const struct reader *r, int conf, const char *prop,
                                const char *type, uint32_t *index)
{
	const char *name;
	*index = FIT_NONE;
	vmm_err_t err = get_text(r, conf, prop, &name);
	if (err || !name)
		return err;
	*index = find_part(r->fit, name);
	if (*index == FIT_NONE)
		return bad(r, node_name(r, conf), prop, "names no node of /images");
	vmm_image_part_t *part = &r->fit->info.part[*index];
	part->in_default = true;
	/* "kernel_noload" is a kernel too. */
	if (type && strncmp(part->type, type, strlen(type)) != 0)
		return err_set(r->ei, VMM_E_FORMAT, r->name,
		               "%s: '%s' is used as %s, but its type is '%s'", r->name, part->name,
		               type, part->type);
	return VMM_OK;
}

static vmm_err_t read_cmdline(const struct reader *r, int conf)
{
	const char *text;
	vmm_image_info_t *info = &r->fit->info;
	vmm_err_t err = get_text(r, conf, FIT_PROP_CMDLINE, &text);
	if (err || !text)
		return err;
	if (strlen(text) >= sizeof(info->cmdline))
		return err_set(r->ei, VMM_E_LIMIT, r->name,
		               "%s: a command line of %zu bytes; at most %zu", r->name,
		               strlen(text), sizeof(info->cmdline) - 1);
	(void)snprintf(info->cmdline, sizeof(info->cmdline), "%s", text);
	clean(info->cmdline);
	if (strcmp(info->cmdline, text) != 0)
		return bad(r, node_name(r, conf), FIT_PROP_CMDLINE, "has control characters");
	return VMM_OK;
}

static vmm_err_t read_machine(const struct reader *r, int conf)
{
	bool found = false;
	uint64_t cpus = 0;
	vmm_image_info_t *info = &r->fit->info;
	vmm_err_t err = get_number(r, conf, FIT_PROP_MEMORY, &info->memory_bytes, &found);
	if (!err)
		err = get_number(r, conf, FIT_PROP_CPUS, &cpus, &found);
	if (!err && cpus > VMM_CPUS_MAX)
		return bad(r, node_name(r, conf), FIT_PROP_CPUS, "must be 1 to 32");
	info->cpus = (uint32_t)cpus;
	return err;
}

/*
 * The hash of a configuration covers its properties in the order of the tree: name with its NUL,
 * length (32 bits, big endian), value. What goes together is then as safe as the parts are.
 */
static void hash_configuration(const struct reader *r, int conf, vmm_image_hash_t *h)
{
	const struct hash_algo *algo = hash_find(h->algo);
	h->state = VMM_HASH_UNKNOWN;
	if (!algo)
		return;
	struct hash hash;
	hash_begin(&hash, algo);
	int prop;
	fdt_for_each_property_offset(prop, r->blob, conf)
	{
		const char *name = NULL;
		int len = 0;
		const void *value = fdt_getprop_by_offset(r->blob, prop, &name, &len);
		if (!value || !name)
			continue;
		fdt32_t be = cpu_to_fdt32((uint32_t)len);
		hash_add(&hash, name, strlen(name) + 1);
		hash_add(&hash, &be, sizeof(be));
		hash_add(&hash, value, (size_t)len);
	}
	uint8_t digest[HASH_BYTES_MAX];
	char hex[2 * HASH_BYTES_MAX + 1];
	hash_end(&hash, digest);
	to_hex(hex, digest, hash_bytes(algo));
	h->state = strcmp(hex, h->value) == 0 ? VMM_HASH_GOOD : VMM_HASH_BAD;
}

/* mkimage gives configurations no hash; where there is one, it stands as a part of its own. */
static vmm_err_t read_configuration_hash(const struct reader *r, int conf)
{
	vmm_image_part_t probe = {0};
	vmm_err_t err = read_hashes(r, conf, &probe);
	if (err || probe.hash_count == 0)
		return err;
	vmm_image_part_t *part = r->fit->info.part + r->fit->info.part_count;
	err = begin_part(r, conf, part);
	if (err)
		return err;
	(void)snprintf(part->type, sizeof(part->type), "%s", FIT_TYPE_CONFIGURATION);
	(void)snprintf(part->compression, sizeof(part->compression), "none");
	part->in_default = true;
	part->hash_count = probe.hash_count;
	memcpy(part->hash, probe.hash, sizeof(part->hash));
	for (uint32_t i = 0; i < part->hash_count; i++)
		hash_configuration(r, conf, &part->hash[i]);
	r->fit->info.part_count++;
	return VMM_OK;
}

static vmm_err_t find_configuration(const struct reader *r, int *conf)
{
	int node, count = 0;
	const char *wanted;
	int all = fdt_path_offset(r->blob, "/configurations");
	if (all < 0)
		return bad(r, "/configurations", NULL, "missing");
	vmm_err_t err = get_text(r, all, "default", &wanted);
	if (err)
		return err;
	*conf = -1;
	fdt_for_each_subnode(node, r->blob, all)
	{
		count++;
		if (*conf < 0 && (!wanted || strcmp(node_name(r, node), wanted) == 0))
			*conf = node;
	}
	if (*conf < 0 || (!wanted && count > 1))
		return bad(r, "configurations", "default", "must name one of the configurations");
	return VMM_OK;
}

static vmm_err_t check_architecture(const struct reader *r)
{
	const vmm_image_part_t *kernel = &r->fit->info.part[r->fit->kernel];
	int images = fdt_path_offset(r->blob, "/images");
	int node;
	fdt_for_each_subnode(node, r->blob, images)
	{
		const char *arch;
		if (strcmp(node_name(r, node), kernel->name) != 0)
			continue;
		vmm_err_t err = get_text(r, node, "arch", &arch);
		if (!err && arch && strcmp(arch, "x86_64") != 0 && strcmp(arch, "x86") != 0)
			err = bad(r, kernel->name, "arch", "not a kernel for x86");
		return err;
	}
	return VMM_OK;
}

static vmm_err_t read_configuration(const struct reader *r)
{
	int conf = -1;
	struct fit *fit = r->fit;
	vmm_err_t err = find_configuration(r, &conf);
	if (err)
		return err;
	copy_clean(fit->info.configuration, sizeof(fit->info.configuration), node_name(r, conf));
	err = read_reference(r, conf, "kernel", "kernel", &fit->kernel);
	if (!err && fit->kernel == FIT_NONE)
		return bad(r, node_name(r, conf), "kernel", "missing: there is nothing to boot");
	if (!err)
		err = check_architecture(r);
	if (!err)
		err = read_reference(r, conf, "ramdisk", "ramdisk", &fit->ramdisk);
	if (!err)
		err = read_reference(r, conf, FIT_PROP_POLICY, NULL, &fit->policy);
	if (!err)
		err = read_cmdline(r, conf);
	if (!err)
		err = read_machine(r, conf);
	if (!err)
		err = read_configuration_hash(r, conf);
	return err;
}

bool fit_matches(const uint8_t *head, size_t len)
{
	static const uint8_t magic[] = {0xd0, 0x0d, 0xfe, 0xed}; /* FDT_MAGIC, big endian */
	return len >= sizeof(magic) && memcmp(head, magic, sizeof(magic)) == 0;
}

vmm_err_t fit_parse(const void *blob, size_t len, uint64_t file_bytes, const char *name,
                    struct fit *fit, vmm_err_info_t *ei)
{
	struct reader r = {blob, file_bytes, name, fit, ei};
	*fit = (struct fit){.info = {.struct_size = sizeof(fit->info), .timestamp = -1},
	                    .kernel = FIT_NONE,
	                    .ramdisk = FIT_NONE,
	                    .policy = FIT_NONE};
	int bad_tree = tree_check(blob, len);
	if (bad_tree)
		return err_set(ei, VMM_E_FORMAT, name, "%s: not a whole flattened tree: %s", name,
		               fdt_strerror(bad_tree));
	uint64_t timestamp = 0;
	bool found = false;
	vmm_err_t err = copy_text(&r, 0, "description", "", fit->info.description,
	                          sizeof(fit->info.description));
	if (!err)
		err = get_number(&r, 0, "timestamp", &timestamp, &found);
	if (!err && found && timestamp <= INT64_MAX)
		fit->info.timestamp = (int64_t)timestamp;
	if (!err)
		err = read_parts(&r);
	if (!err)
		err = read_configuration(&r);
	return err;
}

vmm_err_t fit_read(const struct boot_part *part, struct fit *fit, vmm_err_info_t *ei)
{
	struct fdt_header head;
	vmm_err_t err = part_read(part, 0, &head, sizeof(head), "the tree's header", ei);
	if (err)
		return err;
	if (!fit_matches((const uint8_t *)&head, sizeof(head)))
		return err_set(ei, VMM_E_FORMAT, part->name,
		               "%s is not a guest image: no flattened tree (d00dfeed)", part->name);
	size_t len = fdt32_ld(&head.totalsize);
	if (len < sizeof(head) || len > FIT_TREE_MAX)
		return err_set(ei, VMM_E_FORMAT, part->name,
		               "%s: a tree of %zu bytes; must be at most %u (mkimage -E puts the "
		               "data outside)",
		               part->name, len, FIT_TREE_MAX);
	if (len > part->len_bytes)
		return err_set(ei, VMM_E_FORMAT, part->name,
		               "%s: truncated within its tree: %zu bytes, the file has %llu",
		               part->name, len, (unsigned long long)part->len_bytes);
	void *blob = malloc(len);
	if (!blob)
		return err_set(ei, VMM_E_NOMEM, part->name, "no memory for a tree of %zu bytes",
		               len);
	err = part_read(part, 0, blob, len, "the tree", ei);
	if (!err)
		err = fit_parse(blob, len, part->len_bytes, part->name, fit, ei);
	free(blob);
	return err;
}
