/* A device tree, as the guest kernel reads it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/core/devtree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const uint8_t *data, size_t size, const char *s)
{
	if (!s)
		return;
	if ((const uint8_t *)s < data || (const uint8_t *)s >= data + size ||
	    !memchr(s, '\0', (size_t)(data + size - (const uint8_t *)s)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct devtree t;
	/* libfdt wants it aligned, as modules are. */
	uint8_t *copy = aligned_alloc(16, (size + 16) / 16 * 16);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	bool good = devtree_read(copy, size, &t);
	if (!good && (t.cpu_count || t.virtio_count || !t.complaint))
		abort();
	if (t.cpu_count > ARCH_CPUS_MAX || t.virtio_count > ARCH_VIRTIO_MAX ||
	    t.ioapic_count > DEVTREE_IOAPICS_MAX)
		abort();
	for (unsigned i = 0; i < t.virtio_count; i++) {
		if (t.virtio[i].base > UINT32_MAX || t.virtio[i].gsi > 255)
			abort();
	}
	check_string(copy, size, t.model);
	check_string(copy, size, t.bootargs);
	free(copy);
	return 0;
}
