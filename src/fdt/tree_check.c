/* See tree_check.h. */
#include "fdt/tree_check.h"

#include <libfdt.h>
#include <stdint.h>

#define VERSION_MIN 17u
#define CELL        ((uint32_t)sizeof(fdt32_t))

static uint32_t cell_at(const uint8_t *block, uint32_t at)
{
	return (uint32_t)block[at] << 24 | (uint32_t)block[at + 1] << 16 |
	       (uint32_t)block[at + 2] << 8 | block[at + 3];
}

/* What a property takes after its tag: two cells and the value, up to a cell's boundary. */
static bool skip_property(const uint8_t *block, uint32_t size, uint32_t *at)
{
	if (size - *at < 2 * CELL)
		return false;
	uint32_t len = cell_at(block, *at);
	*at += 2 * CELL;
	if (len > size - *at)
		return false;
	uint32_t padded = (len + CELL - 1) & ~(CELL - 1);
	if (padded > size - *at)
		return false;
	*at += padded;
	return true;
}

static bool skip_name(const uint8_t *block, uint32_t size, uint32_t *at)
{
	while (*at < size && block[*at])
		++*at;
	if (*at == size)
		return false;
	*at = (*at + CELL) & ~(CELL - 1);
	return *at <= size;
}

/* Each tag of the structure block ends inside it. */
static bool tags_are_inside(const uint8_t *block, uint32_t size)
{
	uint32_t at = 0;
	while (size - at >= CELL) {
		uint32_t tag = cell_at(block, at);
		bool good = true;
		at += CELL;
		if (tag == FDT_END)
			return true;
		if (tag == FDT_BEGIN_NODE)
			good = skip_name(block, size, &at);
		else if (tag == FDT_PROP)
			good = skip_property(block, size, &at);
		else
			good = tag == FDT_END_NODE || tag == FDT_NOP;
		if (!good)
			return false;
	}
	return false;
}

int tree_check(const void *blob, size_t len)
{
	if (len < sizeof(struct fdt_header))
		return -FDT_ERR_TRUNCATED;
	if (fdt_magic(blob) != FDT_MAGIC)
		return -FDT_ERR_BADMAGIC;
	if (fdt_version(blob) < VERSION_MIN)
		return -FDT_ERR_BADVERSION;
	if (fdt_totalsize(blob) > len)
		return -FDT_ERR_TRUNCATED;
	int err = fdt_check_header(blob);
	if (err)
		return err;
	if (!tags_are_inside((const uint8_t *)blob + fdt_off_dt_struct(blob),
	                     fdt_size_dt_struct(blob)))
		return -FDT_ERR_BADSTRUCTURE;
	return fdt_check_full(blob, len);
}
