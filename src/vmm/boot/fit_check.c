/* Guest images after parsing: are the parts what their hashes say, and what do they boot. */
#include "fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../errset.h"
#include "hash.h"
#include "inflate.h"
#include "part.h"

#define CHUNK (128u << 10)

/* One pass over the data for all hashes of a part. */
struct pass {
	unsigned count;
	struct {
		struct hash hash;
		vmm_image_hash_t *stored;
	} of[VMM_IMAGE_HASHES_MAX];
};

static void pass_begin(struct pass *p, vmm_image_part_t *part)
{
	p->count = 0;
	for (uint32_t i = 0; i < part->hash_count; i++) {
		const struct hash_algo *algo = hash_find(part->hash[i].algo);
		part->hash[i].state = VMM_HASH_UNKNOWN;
		if (!algo)
			continue;
		hash_begin(&p->of[p->count].hash, algo);
		p->of[p->count++].stored = &part->hash[i];
	}
}

static void pass_end(struct pass *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		uint8_t digest[HASH_BYTES_MAX];
		char hex[2 * HASH_BYTES_MAX + 1] = "";
		size_t len = hash_bytes(p->of[i].hash.algo);
		vmm_image_hash_t *stored = p->of[i].stored;
		hash_end(&p->of[i].hash, digest);
		for (size_t j = 0; j < len; j++)
			(void)snprintf(hex + 2 * j, 3, "%02x", digest[j]);
		stored->state = strcmp(hex, stored->value) == 0 ? VMM_HASH_GOOD : VMM_HASH_BAD;
	}
}

static vmm_err_t hash_part(const struct boot_part *image, vmm_image_part_t *part, uint8_t *chunk,
                           vmm_err_info_t *ei)
{
	struct pass p;
	pass_begin(&p, part);
	for (uint64_t at = 0; at < part->len_bytes && p.count > 0;) {
		uint64_t left = part->len_bytes - at;
		size_t len = left < CHUNK ? (size_t)left : CHUNK;
		vmm_err_t err = part_read(image, part->offset + at, chunk, len, part->name, ei);
		if (err)
			return err;
		for (unsigned i = 0; i < p.count; i++)
			hash_add(&p.of[i].hash, chunk, len);
		at += len;
	}
	pass_end(&p);
	return VMM_OK;
}

vmm_err_t fit_hash(const struct boot_part *image, struct fit *fit, bool default_only,
                   vmm_err_info_t *ei)
{
	uint8_t *chunk = malloc(CHUNK);
	if (!chunk)
		return err_set(ei, VMM_E_NOMEM, image->name, "out of memory");
	vmm_err_t err = VMM_OK;
	for (uint32_t i = 0; i < fit->info.part_count && !err; i++) {
		vmm_image_part_t *part = &fit->info.part[i];
		/* A configuration has no data; fit_parse has checked it. */
		bool data = part->len_bytes > 0;
		if (data && (part->in_default || !default_only))
			err = hash_part(image, part, chunk, ei);
	}
	free(chunk);
	return err;
}

static vmm_err_t require_part(const vmm_image_part_t *part, const char *name, vmm_err_info_t *ei)
{
	bool good = false;
	for (uint32_t i = 0; i < part->hash_count; i++) {
		const vmm_image_hash_t *h = &part->hash[i];
		if (h->state == VMM_HASH_BAD)
			return err_set(ei, VMM_E_HASH, name,
			               "%s: part '%s' does not have its %s, %s: the image is "
			               "damaged or has been changed",
			               name, part->name, h->algo, h->value);
		good = good || h->state == VMM_HASH_GOOD;
	}
	if (good)
		return VMM_OK;
	return err_set(ei, VMM_E_HASH, name,
	               "%s: part '%s' has no %s; give it one of sha256, sha384, sha512, sha1, md5, "
	               "crc32",
	               name, part->name, part->hash_count ? "hash of a known algorithm" : "hash");
}

vmm_err_t fit_require(const struct fit *fit, const char *name, vmm_err_info_t *ei)
{
	for (uint32_t i = 0; i < fit->info.part_count; i++) {
		const vmm_image_part_t *part = &fit->info.part[i];
		vmm_err_t err = part->in_default ? require_part(part, name, ei) : VMM_OK;
		if (err)
			return err;
	}
	return VMM_OK;
}

static void take_part(const struct boot_part *image, const struct fit *fit, uint32_t index,
                      char label[FIT_LABEL_MAX], struct boot_part *out)
{
	*out = (struct boot_part){.fd = -1};
	if (index == FIT_NONE)
		return;
	const vmm_image_part_t *part = &fit->info.part[index];
	(void)snprintf(label, FIT_LABEL_MAX, "%s:%s", image->name, part->name);
	*out = (struct boot_part){.fd = image->fd,
	                          .offset = image->offset + part->offset,
	                          .len_bytes = part->len_bytes,
	                          .name = label};
}

static vmm_err_t unsupported(const vmm_image_part_t *part, const char *label, const char *right,
                             vmm_err_info_t *ei)
{
	return err_set(ei, VMM_E_UNSUPPORTED, label, "%s has compression '%s'; must be %s", label,
	               part->compression, right);
}

vmm_err_t fit_plan(const struct boot_part *image, struct fit *fit, uint64_t max_bytes,
                   struct boot_plan *plan, int *memfd, vmm_err_info_t *ei)
{
	*memfd = -1;
	take_part(image, fit, fit->kernel, fit->label_kernel, &plan->kernel);
	take_part(image, fit, fit->ramdisk, fit->label_ramdisk, &plan->initrd);
	take_part(image, fit, fit->policy, fit->label_policy, &plan->policy);
	plan->cmdline = fit->info.cmdline;
	if (fit->policy != FIT_NONE && strcmp(fit->info.part[fit->policy].compression, "none") != 0)
		return unsupported(&fit->info.part[fit->policy], plan->policy.name, "'none'", ei);
	const vmm_image_part_t *kernel = &fit->info.part[fit->kernel];
	if (strcmp(kernel->compression, "none") == 0)
		return VMM_OK;
	if (strcmp(kernel->compression, "gzip") != 0)
		return unsupported(kernel, plan->kernel.name, "'none' or 'gzip'", ei);
	struct boot_part packed = plan->kernel;
	vmm_err_t err = inflate_part(&packed, max_bytes, &plan->kernel, ei);
	if (!err)
		*memfd = plan->kernel.fd;
	return err;
}
