/* A policy package. See package.h. */
#include "package.h"

#include "policydb.h"

#define HEADER_BYTES 16u
#define ENTRY_BYTES  16u

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(uint8_t *p, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static policy_status_t open_part(struct package *p, const uint8_t *data, size_t len,
                                 const uint8_t *entry, size_t *end, struct policy_error *err)
{
	static const char *const names[] = {"policy", "access control list", "capabilities"};
	uint32_t kind = get32(entry), offset = get32(entry + 4), bytes = get32(entry + 8);
	if (kind >= PACKAGE_KINDS)
		return policy_fail(err, POLICY_E_FORMAT,
		                   "policy package: a part is of the unknown kind %u", kind);
	if (p->part[kind].data)
		return policy_fail(err, POLICY_E_FORMAT, "policy package: two parts: %s",
		                   names[kind]);
	if (offset % 8 || offset < *end || offset > len || bytes > len - offset)
		return policy_fail(err, POLICY_E_FORMAT,
		                   "policy package: %s: %u bytes at %u overlap or lie outside",
		                   names[kind], bytes, offset);
	if (str_hash((const char *)data + offset, bytes) != get32(entry + 12))
		return policy_fail(err, POLICY_E_FORMAT,
		                   "policy package: %s: the checksum is wrong", names[kind]);
	p->part[kind].data = data + offset;
	p->part[kind].len = bytes;
	*end = (size_t)offset + bytes;
	return POLICY_OK;
}

policy_status_t package_open(struct package *p, const void *data, size_t len,
                             struct policy_error *err)
{
	const uint8_t *bytes = data;
	*p = (struct package){0};
	if (len >= 4 && get32(bytes) == POLICYDB_MAGIC) {
		p->part[PACKAGE_POLICYDB].data = bytes;
		p->part[PACKAGE_POLICYDB].len = len;
		return POLICY_OK;
	}
	if (len < HEADER_BYTES || __builtin_memcmp(bytes, PACKAGE_MAGIC, 8) != 0)
		return policy_fail(err, POLICY_E_FORMAT,
		                   "neither a policy package nor a binary SELinux policy");
	uint32_t count = get32(bytes + 12);
	if (get32(bytes + 8) != len)
		return policy_fail(err, POLICY_E_FORMAT,
		                   "policy package: it says %u bytes, but there are %u",
		                   get32(bytes + 8), (unsigned)len);
	if (count > PACKAGE_KINDS || count * ENTRY_BYTES > len - HEADER_BYTES)
		return policy_fail(err, POLICY_E_FORMAT, "policy package: %u parts do not fit",
		                   count);
	size_t end = HEADER_BYTES + count * ENTRY_BYTES;
	for (uint32_t i = 0; i < count; i++) {
		policy_status_t status =
		        open_part(p, bytes, len, bytes + HEADER_BYTES + i * ENTRY_BYTES, &end, err);
		if (status)
			return status;
	}
	if (!p->part[PACKAGE_POLICYDB].data)
		return policy_fail(err, POLICY_E_FORMAT, "policy package: it has no policy");
	return POLICY_OK;
}

static size_t round8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static uint32_t count_parts(const struct package *p)
{
	uint32_t count = 0;
	for (unsigned kind = 0; kind < PACKAGE_KINDS; kind++)
		count += p->part[kind].data != NULL;
	return count;
}

size_t package_size(const struct package *p)
{
	size_t size = HEADER_BYTES + count_parts(p) * ENTRY_BYTES;
	for (unsigned kind = 0; kind < PACKAGE_KINDS; kind++) {
		if (p->part[kind].len > UINT32_MAX / 8)
			return 0;
		size = round8(size + p->part[kind].len);
	}
	return size;
}

void package_write(const struct package *p, void *out)
{
	uint8_t *to = out;
	size_t size = package_size(p);
	__builtin_memset(to, 0, size);
	__builtin_memcpy(to, PACKAGE_MAGIC, 8);
	put32(to + 8, (uint32_t)size);
	put32(to + 12, count_parts(p));
	size_t at = HEADER_BYTES + count_parts(p) * ENTRY_BYTES;
	uint8_t *entry = to + HEADER_BYTES;
	for (unsigned kind = 0; kind < PACKAGE_KINDS; kind++) {
		const uint8_t *data = p->part[kind].data;
		size_t len = p->part[kind].len;
		if (!data)
			continue;
		put32(entry, kind);
		put32(entry + 4, (uint32_t)at);
		put32(entry + 8, (uint32_t)len);
		put32(entry + 12, str_hash((const char *)data, len));
		__builtin_memcpy(to + at, data, len);
		at = round8(at + len);
		entry += ENTRY_BYTES;
	}
}
