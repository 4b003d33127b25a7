/* DNS answers (RFC 1035). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/stack/dns_msg.h"
#include "net/stack/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t qname[DNS_NAME_MAX + 1], question[DNS_QUERY_MAX];
	uint32_t qlen = dns_encode_name("host.example", qname);
	uint32_t head = dns_build(1, qname, qlen, NET_DNS_A, question);
	struct dns_answer a;
	if (size > 4096)
		return 0;
	/* As it is, and behind the question that was asked. */
	uint8_t *copy = malloc(head + size + 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	(void)dns_parse(copy, (uint32_t)size, size >= 2 ? get_be16(data) : 0, qname, qlen,
	                NET_DNS_A, &a);
	memcpy(copy, question, head);
	memcpy(copy + head, data, size);
	copy[2] |= 0x80;
	if (size) {
		put_be16(copy + 6, data[0]);
	}
	if (dns_parse(copy, head + (uint32_t)size, 1, qname, qlen, NET_DNS_A, &a) &&
	    a.count > NET_DNS_MAX)
		abort();
	free(copy);
	return 0;
}
