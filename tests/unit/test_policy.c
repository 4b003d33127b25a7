/* The reference monitor: layers, modes, records, loading and reloading, labels, and threads. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest-kernel/policy/package.h"
#include "policy_rig.h"
#include "suite.h"

#define HTTP "system_u:system_r:http_t:s0"
#define NET  "system_u:system_r:net_t:s0"

static struct rig_mem mem;
static struct rig_audit audit;
static struct policy *policy;
static struct policy_error err;

static void setup(void)
{
	rig_mem_init(&mem);
	policy = rig_policy(&mem, &audit, "default.policy");
}

static void teardown(void)
{
	policy_destroy(policy);
	ck_assert_uint_eq(mem.now, 0);
}

static policy_label_t port(uint8_t protocol, uint16_t number)
{
	char name[16];
	policy_sid_t sid;
	policy_label_t label;
	(void)snprintf(name, sizeof(name), "port:%u", number);
	ck_assert_int_eq(policy_port_sid(policy, protocol, number, &sid), POLICY_OK);
	ck_assert_int_eq(policy_label(policy, sid, name, &label), POLICY_OK);
	return label;
}

static policy_label_t path(const char *space, const char *where, enum policy_class c)
{
	char name[64];
	policy_sid_t sid;
	policy_label_t label;
	(void)snprintf(name, sizeof(name), "path:%s", where);
	ck_assert_int_eq(policy_path_sid(policy, space, where, c, &sid), POLICY_OK);
	ck_assert_int_eq(policy_label(policy, sid, name, &label), POLICY_OK);
	return label;
}

/* -- layers -- */

START_TEST(all_layers_must_agree)
{
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	struct policy_subject ftp = rig_subject(policy, HTTP, "ftp");
	struct policy_request r = {.subject = &http,
	                           .object = port(6, 80),
	                           .tclass = POLICY_CLASS_TCP_SOCKET,
	                           .perms = SOCKET_NAME_BIND,
	                           .cap = CAP_NET_BIND_SERVICE};
	for (int again = 0; again < 2; again++) /* computed, then from the cache */
		ck_assert_int_eq(policy_check(policy, &r), POLICY_OK);
	ck_assert_uint_eq(audit.records, 0);
	capability_lower(&http.caps, CAP_BIT(CAP_NET_BIND_SERVICE));
	ck_assert_int_eq(policy_check(policy, &r), POLICY_E_DENIED);
	ck_assert_int_eq(capability_raise(&http.caps, CAP_BIT(CAP_NET_BIND_SERVICE)), POLICY_OK);
	/* The binary policy allows 443 to the type, the list says by whom; neither allows 25. */
	r.object = port(6, 25);
	ck_assert_int_eq(policy_check(policy, &r), POLICY_E_DENIED);
	r.object = port(6, 443);
	ck_assert_int_eq(policy_check(policy, &r), POLICY_OK);
	r.subject = &ftp;
	ck_assert_uint_eq(ftp.caps.permitted, 0);
	ck_assert_int_eq(policy_check(policy, &r), POLICY_E_DENIED);
	r.cap = POLICY_NO_CAP;
	ck_assert_int_eq(policy_check(policy, &r), POLICY_OK); /* the last line of the list */
}
END_TEST

START_TEST(a_capability_alone_is_not_enough)
{
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	http.caps = (struct capabilities){CAP_ALL, CAP_ALL, CAP_ALL};
	ck_assert_int_eq(policy_capable(policy, &http, CAP_NET_BIND_SERVICE), POLICY_OK);
	/* Every capability in effect, but the domain may not use it. */
	ck_assert_int_eq(policy_capable(policy, &http, CAP_NET_RAW), POLICY_E_DENIED);
	ck_assert_int_eq(policy_capable(policy, &http, CAP_SYS_ADMIN), POLICY_E_DENIED);
	ck_assert_int_eq(policy_capable(policy, &http, -1), POLICY_E_DENIED);
	ck_assert_int_eq(policy_capable(policy, &http, CAP_LAST + 1), POLICY_E_DENIED);
}
END_TEST

START_TEST(object_capabilities_count)
{
	struct objcap_space space;
	objcap_t cap;
	struct policy_subject block = rig_subject(policy, "system_u:system_r:block_t:s0", "block");
	ck_assert_int_eq(objcap_init(&space, &mem.mem, 8), POLICY_OK);
	ck_assert_int_eq(objcap_create(&space, block.id, 55, OBJCAP_READ, &cap), POLICY_OK);
	struct policy_request r = {.subject = &block,
	                           .object = block.label,
	                           .tclass = POLICY_CLASS_SHM,
	                           .perms = IPC_READ,
	                           .cap = POLICY_NO_CAP,
	                           .space = &space,
	                           .held = cap,
	                           .object_id = 55,
	                           .rights = OBJCAP_READ};
	ck_assert_int_eq(policy_check(policy, &r), POLICY_OK);
	r.rights = OBJCAP_READ | OBJCAP_WRITE;
	ck_assert_int_eq(policy_check(policy, &r), POLICY_E_DENIED);
	ck_assert_ptr_nonnull(strstr(audit.text, "type=VMM_OBJCAP"));
	objcap_fini(&space);
}
END_TEST

START_TEST(default_is_no)
{
	struct policy_subject none = {0};
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	ck_assert_int_eq(policy_allows(policy, &http, 0, POLICY_CLASS_FILE, FILE_READ),
	                 POLICY_E_DENIED);
	ck_assert_int_eq(policy_allows(policy, &none, http.label, POLICY_CLASS_FILE, FILE_READ),
	                 POLICY_E_DENIED);
	ck_assert_int_eq(policy_allows(policy, &http, http.label, POLICY_CLASS_FILE, 0),
	                 POLICY_E_DENIED);
	/* A subject that no rule names has nothing, whatever the class. */
	struct policy_subject odd = rig_subject(policy, "system_u:object_r:disk_t:s0", "odd");
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++)
		for (unsigned bit = 0; policy_classes[c].perm[bit]; bit++)
			ck_assert_int_eq(policy_allows(policy, &odd, http.label,
			                               (enum policy_class)c, 1u << bit),
			                 POLICY_E_DENIED);
}
END_TEST

START_TEST(without_a_policy_nothing_is_allowed)
{
	struct rig_mem m;
	struct rig_audit a;
	struct policy_subject none = {0};
	rig_mem_init(&m);
	struct policy *p = rig_policy(&m, &a, NULL);
	ck_assert_int_eq(policy_allows(p, &none, 0, POLICY_CLASS_FILE, FILE_READ), POLICY_E_DENIED);
	policy_set_mode(p, POLICY_DISABLED);
	ck_assert_int_eq(policy_allows(p, &none, 0, POLICY_CLASS_FILE, FILE_READ), POLICY_OK);
	policy_destroy(p);
	ck_assert_uint_eq(m.now, 0);
}
END_TEST

/* -- the shipped policy is least privilege -- */

START_TEST(services_do_what_they_are_for)
{
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	struct policy_subject net = rig_subject(policy, NET, "net");
	struct policy_subject shell = rig_subject(policy, "system_u:system_r:shell_t:s0", "shell");
	policy_label_t metrics = path("http", "/metrics", POLICY_CLASS_HTTP_RESOURCE);
	policy_label_t admin = path("http", "/admin/x", POLICY_CLASS_HTTP_RESOURCE);
	policy_label_t disk = path("disk", "/vda", POLICY_CLASS_BLK_FILE);
	policy_label_t reboot = path("command", "/reboot", POLICY_CLASS_COMMAND);
	policy_label_t policy_object =
	        rig_label(policy, "system_u:object_r:security_t:s0", "policy");
	const struct {
		const struct policy_subject *subject;
		policy_label_t object;
		enum policy_class c;
		uint32_t perms;
		bool allowed;
	} rows[] = {
	        {&http, metrics, POLICY_CLASS_HTTP_RESOURCE, HTTP_GET, true},
	        {&http, metrics, POLICY_CLASS_HTTP_RESOURCE, HTTP_PUT, false},
	        {&http, admin, POLICY_CLASS_HTTP_RESOURCE, HTTP_GET, false},
	        {&http, disk, POLICY_CLASS_BLK_FILE, FILE_READ, false},
	        {&http, reboot, POLICY_CLASS_COMMAND, COMMAND_RUN, false},
	        {&http, http.label, POLICY_CLASS_RAWIP_SOCKET, SOCKET_CREATE, false},
	        {&http, port(6, 22), POLICY_CLASS_TCP_SOCKET, SOCKET_NAME_CONNECT, false},
	        {&net, net.label, POLICY_CLASS_RAWIP_SOCKET, SOCKET_CREATE, true},
	        {&net, port(17, 68), POLICY_CLASS_UDP_SOCKET, SOCKET_NAME_BIND, true},
	        {&net, port(17, 69), POLICY_CLASS_UDP_SOCKET, SOCKET_NAME_BIND, false},
	        {&net, disk, POLICY_CLASS_BLK_FILE, FILE_READ, false},
	        {&shell, reboot, POLICY_CLASS_COMMAND, COMMAND_RUN, true},
	        {&shell, disk, POLICY_CLASS_BLK_FILE, FILE_READ, false},
	        {&shell, policy_object, POLICY_CLASS_SECURITY, SECURITY_LOAD_POLICY, false},
	        {&http, policy_object, POLICY_CLASS_SECURITY, SECURITY_LOAD_POLICY, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		policy_status_t want = rows[i].allowed ? POLICY_OK : POLICY_E_DENIED;
		ck_assert_msg(policy_allows(policy, rows[i].subject, rows[i].object, rows[i].c,
		                            rows[i].perms) == want,
		              "row %zu", i);
	}
}
END_TEST

/* -- modes and records -- */

static policy_status_t bind_25(const char *detail)
{
	struct policy_subject http = rig_subject(policy, HTTP, "web server\"");
	struct policy_request r = {.subject = &http,
	                           .object = port(6, 25),
	                           .tclass = POLICY_CLASS_TCP_SOCKET,
	                           .perms = SOCKET_NAME_BIND,
	                           .cap = POLICY_NO_CAP,
	                           .detail = detail};
	return policy_check(policy, &r);
}

START_TEST(records_are_those_of_linux)
{
	ck_assert_int_eq(bind_25("src=25"), POLICY_E_DENIED);
	ck_assert_str_eq(audit.text,
	                 "type=AVC msg=audit(1700000000.123:1): avc:  denied  { name_bind } for  "
	                 "pid=7 comm=\"web?server?\" name=\"port:25\" src=25 "
	                 "scontext=system_u:system_r:http_t:s0 "
	                 "tcontext=system_u:object_r:reserved_port_t:s0 tclass=tcp_socket "
	                 "permissive=0\n");
}
END_TEST

START_TEST(audit2allow_reads_them)
{
	char command[512], file[] = "/tmp/policy-audit-XXXXXX", got[512] = "";
	if (!suite_has("audit2allow", "audit2allow_reads_them"))
		return;
	(void)bind_25("src=25");
	/* A bare policy for audit2allow: the package's first part. */
	char binary[] = "/tmp/policy-binary-XXXXXX";
	struct rig_file f = rig_file("default.policy");
	struct package pkg;
	ck_assert_int_eq(package_open(&pkg, f.data, f.len, &err), POLICY_OK);
	int fd = mkstemp(file), bin = mkstemp(binary);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(bin, 0);
	ck_assert_int_eq(write(fd, audit.text, audit.len), (ssize_t)audit.len);
	size_t len = pkg.part[PACKAGE_POLICYDB].len;
	ck_assert_int_eq(write(bin, pkg.part[PACKAGE_POLICYDB].data, len), (ssize_t)len);
	(void)close(fd);
	(void)close(bin);
	(void)snprintf(command, sizeof(command), "audit2allow -p %s -i %s", binary, file);
	FILE *out = popen(command, "r"); /* NOLINT */
	ck_assert_ptr_nonnull(out);
	(void)!fread(got, 1, sizeof(got) - 1, out);
	(void)pclose(out);
	(void)unlink(file);
	(void)unlink(binary);
	rig_file_free(&f);
	ck_assert_msg(strstr(got, "allow http_t reserved_port_t:tcp_socket name_bind;") != NULL,
	              "%s", got);
}
END_TEST

START_TEST(permissive_records_and_goes_on)
{
	policy_set_mode(policy, POLICY_PERMISSIVE);
	ck_assert_int_eq(bind_25(NULL), POLICY_OK);
	ck_assert_ptr_nonnull(strstr(audit.text, "permissive=1"));
	policy_set_mode(policy, POLICY_DISABLED);
	ck_assert_int_eq(bind_25(NULL), POLICY_OK);
	ck_assert_uint_eq(audit.records, 1);
	policy_set_mode(policy, POLICY_ENFORCING);
	ck_assert_int_eq(bind_25(NULL), POLICY_E_DENIED);
	ck_assert_uint_eq(audit.records, 2);
}
END_TEST

START_TEST(the_list_has_records_of_its_own)
{
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	policy_label_t page =
	        rig_label(policy, "system_u:object_r:http_public_t:s0", "path:/admin");
	ck_assert_int_eq(policy_allows(policy, &http, page, POLICY_CLASS_HTTP_RESOURCE, HTTP_GET),
	                 POLICY_E_DENIED);
	ck_assert_ptr_nonnull(strstr(audit.text, "type=VMM_ACL"));
	ck_assert_ptr_null(strstr(audit.text, "type=AVC"));
}
END_TEST

START_TEST(what_is_not_to_be_reported_is_not)
{
	struct policy_subject net = rig_subject(policy, NET, "other"); /* the list lets it pass */
	ck_assert_int_eq(policy_allows(policy, &net, port(17, 4000), POLICY_CLASS_UDP_SOCKET,
	                               SOCKET_NAME_BIND),
	                 POLICY_E_DENIED);
	ck_assert_uint_eq(audit.records, 0);
}
END_TEST

START_TEST(records_are_limited)
{
	for (int i = 0; i < 50; i++)
		(void)bind_25(NULL);
	ck_assert_uint_eq(audit.records, 10);
	audit.now_ns += 1000000000u;
	(void)bind_25(NULL);
	ck_assert_uint_eq(audit.records, 11);
	struct policy_stats s;
	policy_stats(policy, &s);
	ck_assert_uint_eq(s.records, 11);
	ck_assert_uint_eq(s.records_lost, 40);
	ck_assert_uint_eq(s.denials[POLICY_CLASS_TCP_SOCKET], 51);
	ck_assert_uint_eq(s.checks[POLICY_CLASS_TCP_SOCKET], 51);
	ck_assert_uint_eq(s.avc_misses, 1);
}
END_TEST

/* -- booleans, why -- */

static policy_status_t connect_out(void)
{
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	return policy_allows(policy, &http, port(6, 8080), POLICY_CLASS_TCP_SOCKET,
	                     SOCKET_NAME_CONNECT);
}

START_TEST(booleans_work_at_once)
{
	uint32_t before = policy_seqno(policy);
	bool value = true;
	ck_assert_int_eq(connect_out(), POLICY_E_DENIED);
	ck_assert_int_eq(policy_bool_set(policy, "http_may_connect", true), POLICY_OK);
	ck_assert_int_eq(connect_out(), POLICY_OK);
	ck_assert_uint_gt(policy_seqno(policy), before);
	ck_assert_int_eq(policy_bool_set(policy, "http_may_connect", false), POLICY_OK);
	ck_assert_int_eq(connect_out(), POLICY_E_DENIED);
	ck_assert_int_eq(policy_bool_get(policy, "http_may_connect", &value), POLICY_OK);
	ck_assert(!value);
	ck_assert_int_eq(policy_bool_set(policy, "nothing", true), POLICY_E_NOT_FOUND);
}
END_TEST

START_TEST(why_agrees_with_check)
{
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	char text[4096];
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++)
		for (unsigned bit = 0; policy_classes[c].perm[bit]; bit++) {
			struct policy_request r = {.subject = &http,
			                           .object = port(6, (uint16_t)(60 + bit * 10)),
			                           .tclass = (enum policy_class)c,
			                           .perms = 1u << bit,
			                           .cap = bit % 2 ? CAP_NET_BIND_SERVICE
			                                          : CAP_NET_RAW};
			bool why = policy_why(policy, &r, text, sizeof(text));
			ck_assert_int_eq(why, policy_check(policy, &r) == POLICY_OK);
			if (!why)
				ck_assert_msg(strstr(text, "denied") || strstr(text, "no rule"),
				              "%s", text);
			policy_label_put(policy, r.object);
		}
}
END_TEST

/* -- loading -- */

START_TEST(a_bad_policy_changes_nothing)
{
	struct rig_file f = rig_file("default.policy");
	uint32_t before = policy_seqno(policy);
	size_t bytes = mem.now;
	for (size_t len = 0; len < f.len; len += 97)
		ck_assert_int_ne(policy_load(policy, f.data, len, &err), POLICY_OK);
	ck_assert_uint_eq(policy_seqno(policy), before);
	ck_assert_uint_eq(mem.now, bytes);
	ck_assert_int_eq(bind_25(NULL), POLICY_E_DENIED);
	rig_file_free(&f);
}
END_TEST

START_TEST(no_memory_to_reload_changes_nothing)
{
	struct rig_file f = rig_file("default.policy");
	policy_status_t status = POLICY_E_NOMEM;
	for (unsigned long n = 1; status != POLICY_OK; n++) {
		mem.calls = 0;
		mem.fail_at = n;
		status = policy_load(policy, f.data, f.len, &err);
		mem.fail_at = 0;
		ck_assert(status == POLICY_OK || status == POLICY_E_NOMEM);
		ck_assert_uint_lt(n, 1000);
	}
	rig_file_free(&f);
}
END_TEST

START_TEST(numbers_survive_a_reload)
{
	struct rig_file a = rig_file("default.policy"), b = rig_file("multilevel.policy");
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	policy_label_t eighty = port(6, 80);
	char text[128];
	ck_assert_int_eq(policy_bool_set(policy, "http_may_connect", true), POLICY_OK);
	ck_assert_int_eq(policy_load(policy, a.data, a.len, &err), POLICY_OK);
	ck_assert_int_eq(connect_out(), POLICY_OK); /* the boolean's value was kept */
	/* A policy that knows no http_t: the context is kept, and counts as unlabeled. */
	ck_assert_int_eq(policy_load(policy, b.data, b.len, &err), POLICY_OK);
	ck_assert_int_eq(
	        policy_allows(policy, &http, eighty, POLICY_CLASS_TCP_SOCKET, SOCKET_NAME_BIND),
	        POLICY_E_DENIED);
	policy_sid_t sid = policy_label_sid(policy, http.label);
	ck_assert_int_eq(policy_sid_text(policy, sid, text, sizeof(text)), POLICY_OK);
	ck_assert_str_eq(text, HTTP);
	/* And the first one again: it is what it was. */
	ck_assert_int_eq(policy_load(policy, a.data, a.len, &err), POLICY_OK);
	ck_assert_int_eq(
	        policy_allows(policy, &http, eighty, POLICY_CLASS_TCP_SOCKET, SOCKET_NAME_BIND),
	        POLICY_OK);
	rig_file_free(&a);
	rig_file_free(&b);
}
END_TEST

/* features.33 lacks most classes; the two bits of its header say what is to be done about that. */
START_TEST(unknown_classes)
{
	struct rig_file f = rig_file("features.33");
	struct policy_subject s;
	f.data[20] = 1 | 2; /* MLS, reject */
	ck_assert_int_eq(policy_load(policy, f.data, f.len, &err), POLICY_E_MISSING);
	ck_assert_ptr_nonnull(strstr(err.text, "process.sigkill"));
	ck_assert_ptr_nonnull(strstr(err.text, "security"));
	f.data[20] = 1; /* deny */
	ck_assert_int_eq(policy_load(policy, f.data, f.len, &err), POLICY_OK);
	s = rig_subject(policy, "system:staff:http_t:s0", "http");
	ck_assert_int_eq(policy_allows(policy, &s, s.label, POLICY_CLASS_COMMAND, COMMAND_RUN),
	                 POLICY_E_DENIED);
	f.data[20] = 1 | 4; /* allow */
	ck_assert_int_eq(policy_load(policy, f.data, f.len, &err), POLICY_OK);
	ck_assert_int_eq(policy_allows(policy, &s, s.label, POLICY_CLASS_COMMAND, COMMAND_RUN),
	                 POLICY_OK);
	/* Also one permission of a class that is there otherwise. */
	ck_assert_int_eq(policy_allows(policy, &s, s.label, POLICY_CLASS_TCP_SOCKET, SOCKET_LISTEN),
	                 POLICY_OK);
	rig_file_free(&f);
}
END_TEST

START_TEST(a_permissive_domain)
{
	struct rig_file f = rig_file("features.33");
	ck_assert_int_eq(policy_load(policy, f.data, f.len, &err), POLICY_OK);
	struct policy_subject net = rig_subject(policy, "system:manager:net_t:s0", "net");
	struct policy_subject http = rig_subject(policy, "system:staff:http_t:s0", "http");
	policy_label_t secret = rig_label(policy, "system:object_r:secret_t:s0", "secret");
	ck_assert_int_eq(policy_allows(policy, &net, secret, POLICY_CLASS_FILE, FILE_WRITE),
	                 POLICY_OK);
	ck_assert_ptr_nonnull(strstr(audit.text, "permissive=1"));
	ck_assert_int_eq(policy_allows(policy, &http, secret, POLICY_CLASS_FILE, FILE_WRITE),
	                 POLICY_E_DENIED);
	rig_file_free(&f);
}
END_TEST

/* -- grants, and an answer that is kept -- */

START_TEST(grants_are_recorded_where_the_policy_says)
{
	struct rig_file f = rig_file("features.33");
	uint32_t good_for = 0, stale;
	ck_assert_int_eq(policy_load(policy, f.data, f.len, &err), POLICY_OK);
	ck_assert_int_eq(policy_bool_set(policy, "allow_web", true), POLICY_OK);
	struct policy_subject http = rig_subject(policy, "system:staff:http_t:s0", "http");
	policy_label_t etc = rig_label(policy, "system:object_r:etc_t:s0", "etc");
	struct policy_request r = {.subject = &http,
	                           .object = etc,
	                           .tclass = POLICY_CLASS_FILE,
	                           .perms = FILE_READ,
	                           .cap = POLICY_NO_CAP};
	/* A plain yes is to be had from the second time on, and nothing is recorded. */
	const _Atomic(uint32_t) *epoch = policy_epoch(policy);
	ck_assert(!policy_still(NULL, 0));
	ck_assert_int_eq(policy_check_for(policy, &r, &good_for), POLICY_OK);
	ck_assert_int_eq(policy_check_for(policy, &r, &good_for), POLICY_OK);
	ck_assert_uint_ne(good_for, 0);
	ck_assert(policy_still(epoch, good_for));
	ck_assert_uint_eq(audit.records, 0);
	/* What is to be recorded is each time, so there is nothing to keep. */
	r.perms = FILE_WRITE;
	stale = good_for;
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(policy_check_for(policy, &r, &good_for), POLICY_OK);
		ck_assert_uint_eq(good_for, 0);
		ck_assert_uint_eq(audit.records, i);
	}
	ck_assert_ptr_nonnull(strstr(audit.text, "avc:  granted  { write } for"));
	/* Another policy, or a boolean: ask again. */
	ck_assert_int_eq(policy_bool_set(policy, "allow_web", false), POLICY_OK);
	ck_assert(!policy_still(epoch, stale));
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(policy_check_for(policy, &r, &good_for), POLICY_E_DENIED);
		ck_assert_uint_eq(good_for, 0);
	}
	/* What permissive lets pass is no yes. */
	policy_set_mode(policy, POLICY_PERMISSIVE);
	ck_assert_int_eq(policy_check_for(policy, &r, &good_for), POLICY_OK);
	ck_assert_uint_eq(good_for, 0);
	rig_file_free(&f);
}
END_TEST

/* -- labels -- */

START_TEST(labels_run_out_and_come_back)
{
	policy_label_t label[80];
	policy_sid_t sid;
	char name[16];
	ck_assert_int_eq(policy_sid(policy, HTTP, strlen(HTTP), &sid, &err), POLICY_OK);
	unsigned made = 0;
	for (; made < 80; made++) {
		(void)snprintf(name, sizeof(name), "n%u", made);
		if (policy_label(policy, sid, name, &label[made]) != POLICY_OK)
			break;
	}
	ck_assert_uint_eq(made, 64);
	ck_assert_int_eq(policy_label(policy, sid, "one more", &label[64]), POLICY_E_LIMIT);
	uint32_t before = policy_seqno(policy);
	policy_label_put(policy, label[10]);
	ck_assert_int_eq(policy_label(policy, sid, "one more", &label[64]), POLICY_OK);
	ck_assert_uint_ne(policy_seqno(policy), before); /* what was cached about it is void */
	/* The same name is the same label. */
	policy_label_t again;
	ck_assert_int_eq(policy_label(policy, sid, "n5", &again), POLICY_OK);
	ck_assert_uint_eq(again, label[5]);
	char longer[POLICY_NAME_MAX + 2];
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(policy_label(policy, sid, longer, &again), POLICY_E_INVAL);
	ck_assert_int_eq(policy_label(policy, 9999, "x", &again), POLICY_E_INVAL);
}
END_TEST

/* -- threads: checks go on while policies are loaded and booleans are set -- */

static atomic_bool stop;
static _Atomic unsigned long wrong, done;

static void *checker(void *arg)
{
	struct policy_subject *http = arg;
	policy_label_t eighty = port(6, 80), sixty = port(6, 60);
	while (!atomic_load(&stop)) {
		if (policy_allows(policy, http, eighty, POLICY_CLASS_TCP_SOCKET,
		                  SOCKET_NAME_BIND) != POLICY_OK)
			atomic_fetch_add(&wrong, 1);
		if (policy_allows(policy, http, sixty, POLICY_CLASS_TCP_SOCKET, SOCKET_NAME_BIND) !=
		    POLICY_E_DENIED)
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&done, 1);
	}
	policy_label_put(policy, eighty);
	policy_label_put(policy, sixty);
	return NULL;
}

START_TEST(checks_go_on_while_policies_are_loaded)
{
	struct rig_file f = rig_file("default.policy");
	struct policy_subject http = rig_subject(policy, HTTP, "http");
	pthread_t thread[3];
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, checker, &http), 0);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(policy_load(policy, f.data, f.len, &err), POLICY_OK);
		ck_assert_int_eq(policy_bool_set(policy, "http_may_connect", i % 2), POLICY_OK);
	}
	while (atomic_load(&done) < 1000)
		usleep(1000);
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		(void)pthread_join(thread[i], NULL);
	ck_assert_uint_eq(atomic_load(&wrong), 0);
	rig_file_free(&f);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("policy");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_layers_must_agree);
	tcase_add_test(tc, a_capability_alone_is_not_enough);
	tcase_add_test(tc, object_capabilities_count);
	tcase_add_test(tc, default_is_no);
	tcase_add_test(tc, without_a_policy_nothing_is_allowed);
	tcase_add_test(tc, services_do_what_they_are_for);
	tcase_add_test(tc, records_are_those_of_linux);
	tcase_add_test(tc, audit2allow_reads_them);
	tcase_add_test(tc, permissive_records_and_goes_on);
	tcase_add_test(tc, the_list_has_records_of_its_own);
	tcase_add_test(tc, what_is_not_to_be_reported_is_not);
	tcase_add_test(tc, records_are_limited);
	tcase_add_test(tc, booleans_work_at_once);
	tcase_add_test(tc, why_agrees_with_check);
	tcase_add_test(tc, a_bad_policy_changes_nothing);
	tcase_add_test(tc, no_memory_to_reload_changes_nothing);
	tcase_add_test(tc, numbers_survive_a_reload);
	tcase_add_test(tc, unknown_classes);
	tcase_add_test(tc, a_permissive_domain);
	tcase_add_test(tc, grants_are_recorded_where_the_policy_says);
	tcase_add_test(tc, labels_run_out_and_come_back);
	tcase_add_test(tc, checks_go_on_while_policies_are_loaded);
	return suite_run("policy", tc);
}
