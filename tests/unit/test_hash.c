/* The hashes of image parts: the examples of their specifications, in one piece and in several. */
#include <check.h>
#include <string.h>

#include "suite.h"
#include "vmm/boot/hash.h"

/* Of "abc": RFC 1321 A.5, FIPS 180-4's examples; CRC-32 of ISO 3309. Of nothing for sha256 and
 * crc32. */
static const struct {
	const char *name;
	const char *text;
	const char *hex;
} examples[] = {
        {"md5", "abc", "900150983cd24fb0d6963f7d28e17f72"},
        {"sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"sha384", "abc",
         "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
         "8086072ba1e7cc2358baeca134c825a7"},
        {"sha512", "abc",
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
         "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
        {"crc32", "123456789", "cbf43926"},
        {"sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"crc32", "", "00000000"},
};

static void check_digest(const struct hash_algo *algo, const uint8_t *digest, const char *hex)
{
	char got[2 * HASH_BYTES_MAX + 1] = "";
	for (size_t i = 0; i < hash_bytes(algo); i++)
		(void)snprintf(got + 2 * i, 3, "%02x", digest[i]);
	ck_assert_str_eq(got, hex);
}

START_TEST(examples_come_out)
{
	const struct hash_algo *algo = hash_find(examples[_i].name);
	size_t len = strlen(examples[_i].text);
	struct hash h;
	uint8_t digest[HASH_BYTES_MAX + 1];
	ck_assert_ptr_nonnull(algo);
	ck_assert_uint_le(hash_bytes(algo), HASH_BYTES_MAX);
	ck_assert_uint_eq(2 * hash_bytes(algo), strlen(examples[_i].hex));
	memset(digest, 0xa5, sizeof(digest));
	hash_begin(&h, algo);
	hash_add(&h, examples[_i].text, len);
	hash_end(&h, digest);
	check_digest(algo, digest, examples[_i].hex);
	ck_assert_uint_eq(digest[hash_bytes(algo)], 0xa5); /* no byte more */
	/* The same in pieces, and empty ones among them; the handle is used again. */
	hash_begin(&h, algo);
	for (size_t i = 0; i < len; i++) {
		hash_add(&h, examples[_i].text + i, 1);
		hash_add(&h, examples[_i].text, 0);
	}
	hash_end(&h, digest);
	check_digest(algo, digest, examples[_i].hex);
}
END_TEST

/* More than a block of any of them, cut at any place. */
START_TEST(pieces_do_not_matter)
{
	uint8_t data[300], whole[HASH_BYTES_MAX], parts[HASH_BYTES_MAX];
	const struct hash_algo *algo = hash_find(examples[_i].name);
	struct hash h;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	hash_begin(&h, algo);
	hash_add(&h, data, sizeof(data));
	hash_end(&h, whole);
	for (size_t cut = 0; cut <= sizeof(data); cut += 13) {
		hash_begin(&h, algo);
		hash_add(&h, data, cut);
		hash_add(&h, data + cut, sizeof(data) - cut);
		hash_end(&h, parts);
		ck_assert_mem_eq(parts, whole, hash_bytes(algo));
	}
	data[150] ^= 1;
	hash_begin(&h, algo);
	hash_add(&h, data, sizeof(data));
	hash_end(&h, parts);
	ck_assert_mem_ne(parts, whole, hash_bytes(algo));
}
END_TEST

START_TEST(others_are_not_known)
{
	static const char *const names[] = {"", "sha", "SHA256", "sha256 ", "sha3-256", "crc16"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_ptr_null(hash_find(names[i]));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("hash");
	tcase_add_loop_test(tc, examples_come_out, 0, sizeof(examples) / sizeof(examples[0]));
	tcase_add_loop_test(tc, pieces_do_not_matter, 0, 6);
	tcase_add_test(tc, others_are_not_known);
	return suite_run("hash", tc);
}
