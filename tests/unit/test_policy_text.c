/* The texts of a policy: access control list, capabilities; and packages of all parts. */
#include <check.h>
#include <string.h>

#include "guest-kernel/policy/acl.h"
#include "guest-kernel/policy/package.h"
#include "policy_rig.h"
#include "suite.h"

static struct rig_mem mem;
static struct arena arena;
static struct policy_error err;

static void setup(void)
{
	rig_mem_init(&mem);
	arena_init(&arena, &mem.mem, SIZE_MAX);
}

static void teardown(void)
{
	arena_fini(&arena);
	ck_assert_uint_eq(mem.now, 0);
}

static struct acl list(const char *text)
{
	struct acl acl;
	ck_assert_msg(acl_parse(&acl, &arena, "acl", text, strlen(text), &err) == POLICY_OK, "%s",
	              err.text);
	return acl;
}

START_TEST(the_first_line_decides)
{
	struct acl acl = list("# comment\n"
	                      "http  path:/admin*  *    deny\n"
	                      "http  path:*        get  allow # pages\n"
	                      "\n"
	                      "*\tport:80\ttcp_socket.name_bind\tallow");
	const enum policy_class page = POLICY_CLASS_HTTP_RESOURCE, tcp = POLICY_CLASS_TCP_SOCKET;
	ck_assert_uint_eq(acl_allowed(&acl, "http", "path:/", page), HTTP_GET);
	ck_assert_uint_eq(acl_allowed(&acl, "http", "path:/admin/x", page), 0);
	ck_assert_uint_eq(acl_allowed(&acl, "ftp", "path:/", page), 0);
	ck_assert_uint_eq(acl_allowed(&acl, "any", "port:80", tcp), SOCKET_NAME_BIND);
	ck_assert_uint_eq(acl_allowed(&acl, "any", "port:8", tcp), 0);
	ck_assert_uint_eq(acl_allowed(&acl, "any", "port:80", POLICY_CLASS_UDP_SOCKET), 0);
	ck_assert_uint_eq(acl_rule_for(&acl, "http", "path:/", page, HTTP_GET)->line, 3);
	ck_assert_uint_eq(acl_rule_for(&acl, "http", "path:/admin", page, HTTP_GET)->line, 2);
	ck_assert_ptr_null(acl_rule_for(&acl, "http", "path:/", page, HTTP_PUT));
}
END_TEST

START_TEST(nothing_allows_nothing)
{
	struct acl acl = list("");
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++)
		ck_assert_uint_eq(acl_allowed(&acl, "kernel", "x", (enum policy_class)c), 0);
}
END_TEST

START_TEST(errors_name_file_and_line)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
	        {"a b c\n", "list:1: 3 words"},
	        {"\n\na b get maybe", "list:3: 'maybe': allow or deny"},
	        {"a b gett allow", "list:1: 'gett': no class has such a permission"},
	        {"a b file.get allow", "list:1: 'file.get': class file has no such permission"},
	        {"a b files.read allow",
	         "list:1: 'files.read': the guest kernel has no such class"},
	        {"a*b c get allow", "list:1: 'a*b': a '*' stands only at the end"},
	        {"a b get \x01 allow", "list:1: the byte 0x1 is no text"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct acl acl;
		ck_assert_int_eq(
		        acl_parse(&acl, &arena, "list", rows[i].text, strlen(rows[i].text), &err),
		        POLICY_E_SYNTAX);
		ck_assert_msg(strncmp(err.text, rows[i].error, strlen(rows[i].error)) == 0, "%s",
		              err.text);
	}
}
END_TEST

START_TEST(capabilities_by_name_and_number)
{
	ck_assert_int_eq(capability_number("net_raw", 7), CAP_NET_RAW);
	ck_assert_int_eq(capability_number("CAP_NET_RAW", 11), 13);
	ck_assert_int_eq(capability_number("Cap_Sys_Chroot", 14), CAP_SYS_CHROOT);
	ck_assert_int_eq(capability_number("40", 2), CAP_CHECKPOINT_RESTORE);
	ck_assert_int_eq(capability_number("41", 2), -1);
	ck_assert_int_eq(capability_number("net", 3), -1);
	ck_assert_int_eq(capability_number("", 0), -1);
	for (int cap = 0; cap <= CAP_LAST; cap++) {
		const char *name = capability_name(cap);
		ck_assert_int_eq(capability_number(name, strlen(name)), cap);
		/* The class has them by the same names at the same bits. */
		enum policy_class c = cap < 32 ? POLICY_CLASS_CAPABILITY : POLICY_CLASS_CAPABILITY2;
		ck_assert_uint_eq(classes_perm(c, name, strlen(name)), 1u << (cap % 32));
	}
}
END_TEST

START_TEST(subjects_begin_with_their_capabilities)
{
	const char text[] = "net permitted net_raw, 12\n"
	                    "svc* bounding CAP_KILL chown\n"
	                    "svc1 permitted all\n"
	                    "* permitted none\n";
	struct capability_table t;
	uint32_t line;
	ck_assert_int_eq(capability_table_parse(&t, &arena, "caps", text, strlen(text), &err),
	                 POLICY_OK);
	struct capabilities c = capability_table_find(&t, "net", &line);
	ck_assert_uint_eq(c.permitted, CAP_BIT(CAP_NET_RAW) | CAP_BIT(CAP_NET_ADMIN));
	ck_assert_uint_eq(c.effective, c.permitted);
	ck_assert_uint_eq(c.bounding, c.permitted);
	ck_assert_uint_eq(line, 1);
	c = capability_table_find(&t, "svc1", NULL);
	ck_assert_uint_eq(c.permitted, CAP_BIT(CAP_KILL) | CAP_BIT(CAP_CHOWN));
	c = capability_table_find(&t, "svc2", NULL);
	ck_assert_uint_eq(c.permitted, 0);
	ck_assert_uint_eq(c.bounding, CAP_BIT(CAP_KILL) | CAP_BIT(CAP_CHOWN));
	const char *const bad[] = {"net", "net permitted", "net has chown", "net permitted x",
	                           "net permitted all chown"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(
		        capability_table_parse(&t, &arena, "caps", bad[i], strlen(bad[i]), &err),
		        POLICY_E_SYNTAX);
}
END_TEST

START_TEST(capabilities_never_widen)
{
	const uint64_t raw = CAP_BIT(CAP_NET_RAW), pcap = CAP_BIT(CAP_SETPCAP);
	struct capabilities a = {raw | pcap, raw | pcap, raw | pcap};
	struct capabilities b = {0, 0, raw};
	ck_assert_int_eq(capability_raise(&b, raw), POLICY_E_DENIED);
	ck_assert_int_eq(capability_grant(&a, &b, raw), POLICY_OK);
	ck_assert(!capability_has(&b, CAP_NET_RAW)); /* permitted, not in effect yet */
	ck_assert_int_eq(capability_raise(&b, raw), POLICY_OK);
	ck_assert(capability_has(&b, CAP_NET_RAW));
	ck_assert_int_eq(capability_grant(&b, &a, raw), POLICY_E_DENIED); /* no setpcap */
	ck_assert_int_eq(capability_grant(&a, &b, CAP_BIT(CAP_KILL)), POLICY_E_DENIED);
	ck_assert_int_eq(capability_grant(&a, &b, pcap), POLICY_E_DENIED); /* not in b's bounds */
	ck_assert_int_eq(capability_revoke(&a, &b, raw), POLICY_OK);
	ck_assert(!capability_has(&b, CAP_NET_RAW));
	capability_drop_bounding(&b, raw);
	ck_assert_int_eq(capability_grant(&a, &b, raw), POLICY_E_DENIED);
	struct capabilities child = capability_inherit(&a, raw);
	ck_assert_uint_eq(child.bounding, raw);
	/* CAP_SYS_ADMIN stands for nothing but itself. */
	struct capabilities admin = {CAP_BIT(CAP_SYS_ADMIN), CAP_BIT(CAP_SYS_ADMIN), CAP_ALL};
	for (int cap = 0; cap <= CAP_LAST; cap++)
		ck_assert_int_eq(capability_has(&admin, cap), cap == CAP_SYS_ADMIN);
}
END_TEST

START_TEST(packages_are_checked)
{
	uint8_t out[128];
	struct package p = {0}, q;
	p.part[PACKAGE_POLICYDB].data = (const uint8_t *)"policy";
	p.part[PACKAGE_POLICYDB].len = 6;
	p.part[PACKAGE_ACL].data = (const uint8_t *)"list";
	p.part[PACKAGE_ACL].len = 4;
	size_t len = package_size(&p);
	ck_assert_uint_le(len, sizeof(out));
	package_write(&p, out);
	ck_assert_int_eq(package_open(&q, out, len, &err), POLICY_OK);
	ck_assert_uint_eq(q.part[PACKAGE_ACL].len, 4);
	ck_assert_int_eq(memcmp(q.part[PACKAGE_POLICYDB].data, "policy", 6), 0);
	ck_assert_ptr_null(q.part[PACKAGE_CAPABILITIES].data);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(package_open(&q, out, cut, &err), POLICY_E_FORMAT);
	/* Every byte counts but the padding between the parts. */
	for (size_t i = 0; i < len; i++) {
		bool padding = (i >= 54 && i < 56) || i >= 60;
		out[i] ^= 0x5a;
		ck_assert_int_eq(package_open(&q, out, len, &err),
		                 padding ? POLICY_OK : POLICY_E_FORMAT);
		out[i] ^= 0x5a;
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("policy texts");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_first_line_decides);
	tcase_add_test(tc, nothing_allows_nothing);
	tcase_add_test(tc, errors_name_file_and_line);
	tcase_add_test(tc, capabilities_by_name_and_number);
	tcase_add_test(tc, subjects_begin_with_their_capabilities);
	tcase_add_test(tc, capabilities_never_widen);
	tcase_add_test(tc, packages_are_checked);
	return suite_run("policy texts", tc);
}
