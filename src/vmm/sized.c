/* See sized.h. */
#include "sized.h"

#include <stdint.h>
#include <string.h>

#include "errset.h"

/* More than any of them will ever have: a larger size is one that was never set. */
#define SIZE_SANE 4096u

static bool check(const void *structure, size_t known, size_t *size, vmm_err_info_t *ei)
{
	*size = 0;
	if (structure)
		memcpy(size, structure, sizeof(*size));
	if (*size >= known && (*size == known || *size <= SIZE_SANE))
		return true;
	(void)err_set(ei, VMM_E_INVAL, "struct_size", "is %zu: must be %zu", *size, known);
	return false;
}

bool sized_opts(const void *opts, size_t known, vmm_err_info_t *ei)
{
	size_t size;
	if (!check(opts, known, &size, ei))
		return false;
	const uint8_t *byte = opts;
	for (size_t i = known; i < size; i++) {
		if (!byte[i])
			continue;
		(void)err_set(ei, VMM_E_INVAL, "struct_size",
		              "is %zu, this library knows %zu bytes, and byte %zu is set: what "
		              "it stands for needs a newer library",
		              size, known, i);
		return false;
	}
	return true;
}

bool sized_info(const void *info, size_t known, vmm_err_info_t *ei)
{
	size_t size;
	return check(info, known, &size, ei);
}
