/* `vmm policy check` and `vmm policy query`: what the guest kernel makes of a policy. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../guest-kernel/policy/engine.h"
#include "../../guest-kernel/policy/hosted.h"
#include "cli.h"
#include "parse.h"
#include "policy_cli.h"

static int open_policy(const char *path, struct policy **p)
{
	const struct policy_config config = {.mem = &policy_hosted_mem};
	struct policy_file f;
	struct policy_error err;
	int status = policy_read_file(path, &f);
	if (status != CLI_OK)
		return status;
	policy_status_t loaded = policy_create(&config, p);
	if (loaded) {
		status = policy_complain(CLI_HOST_ERROR, path, "no memory");
	} else {
		loaded = policy_load(*p, f.data, f.len, &err);
		if (loaded) {
			status = policy_engine_error(path, loaded, &err);
			policy_destroy(*p);
		}
	}
	policy_free_file(&f);
	return status;
}

/* -- check -- */

static void say_unknown(const char *path, const struct world *w)
{
	const char *does = w->db->config & ALLOW_UNKNOWN ? "allowed" : "denied";
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++) {
		const struct class_map *m = &policy_classes[c];
		if (!w->unknown[c])
			continue;
		(void)printf("%s: note: class %s is %s; %s:", path, m->name,
		             w->tclass[c] ? "not whole" : "missing", does);
		for (unsigned i = 0; i < 32 && m->perm[i]; i++)
			if (w->unknown[c] >> i & 1)
				(void)printf(" %s", m->perm[i]);
		(void)printf("\n");
	}
}

static int check_file(const char *path)
{
	struct policy *p;
	struct policy_stats s;
	int status = open_policy(path, &p);
	if (status != CLI_OK)
		return status;
	policy_stats(p, &s);
	say_unknown(path, engine_world(p));
	(void)printf("%s: good: %u classes, %u types and attributes, %u rules, %u booleans%s%s%s\n",
	             path, s.classes, s.types, s.rules, s.bools, s.mls ? ", levels" : "",
	             engine_world(p)->has_acl ? ", access control list" : "",
	             engine_world(p)->has_caps ? ", capabilities" : "");
	policy_destroy(p);
	return CLI_OK;
}

int policy_check_files(int argc, char **argv)
{
	int worst = CLI_OK;
	if (argc < 2)
		return policy_complain(CLI_USAGE, "check", "name a file");
	for (int i = 1; i < argc; i++) {
		int status = check_file(argv[i]);
		worst = status > worst ? status : worst;
	}
	return worst;
}

/* -- query -- */

struct query {
	const char *word[5]; /* file, subject, object, class, permission */
	unsigned words;
	const char *as, *to;
	int cap;
	const char *boolean[16];
	unsigned booleans;
};

static int query_option(struct query *q, const char *name, const char *value)
{
	if (strcmp(name, "--as") == 0) {
		q->as = value;
	} else if (strcmp(name, "--to") == 0) {
		q->to = value;
	} else if (strcmp(name, "--cap") == 0) {
		q->cap = capability_number(value, strlen(value));
		if (q->cap < 0)
			return policy_complain(CLI_USAGE, value,
			                       "no capability, as net_raw is one");
	} else {
		if (q->booleans == sizeof(q->boolean) / sizeof(q->boolean[0]))
			return policy_complain(CLI_USAGE, name, "at most 16 times");
		q->boolean[q->booleans++] = value;
	}
	return CLI_OK;
}

static int parse_query(struct query *q, int argc, char **argv)
{
	static const char *const options[] = {"--as", "--to", "--cap", "--bool"};
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-') {
			if (q->words == 5)
				return policy_complain(CLI_USAGE, argv[i], "is one word too many");
			q->word[q->words++] = argv[i];
			continue;
		}
		bool known = false;
		for (size_t o = 0; o < sizeof(options) / sizeof(options[0]); o++)
			known = known || strcmp(argv[i], options[o]) == 0;
		if (!known)
			return policy_complain(CLI_USAGE, argv[i],
			                       "there is no such option; `vmm policy --help`");
		if (i + 1 == argc)
			return policy_complain(CLI_USAGE, argv[i], "needs a value");
		int status = query_option(q, argv[i], argv[i + 1]);
		if (status != CLI_OK)
			return status;
		i++;
	}
	if (q->words < 5)
		return policy_complain(CLI_USAGE, "query",
		                       "FILE SUBJECT OBJECT CLASS PERMISSION would be right");
	return CLI_OK;
}

static int make_label(struct policy *p, const char *context, const char *name, policy_label_t *l)
{
	struct policy_error err;
	policy_sid_t sid;
	policy_status_t status = policy_sid(p, context, strlen(context), &sid, &err);
	if (status)
		return policy_complain(CLI_USAGE, context, err.text);
	if (policy_label(p, sid, name, l) != POLICY_OK)
		return policy_complain(CLI_USAGE, name, "the name is longer than 63 bytes");
	return CLI_OK;
}

static int set_booleans(struct policy *p, const struct query *q)
{
	for (unsigned i = 0; i < q->booleans; i++) {
		char name[128];
		bool value;
		size_t len = strcspn(q->boolean[i], "=");
		if (len >= sizeof(name) || !q->boolean[i][len] ||
		    !parse_switch(q->boolean[i] + len + 1, &value))
			return policy_complain(CLI_USAGE, q->boolean[i], "NAME=on or NAME=off");
		memcpy(name, q->boolean[i], len);
		name[len] = '\0';
		if (policy_bool_set(p, name, value) != POLICY_OK)
			return policy_complain(CLI_USAGE, name, "the policy has no such boolean");
	}
	return CLI_OK;
}

static int answer(struct policy *p, const struct query *q)
{
	struct policy_subject subject;
	policy_label_t source = {0}, target = {0};
	struct policy_request r = {.subject = &subject, .cap = q->cap};
	int status = set_booleans(p, q);
	if (status == CLI_OK)
		status = make_label(p, q->word[1], q->as, &source);
	if (status == CLI_OK)
		status = make_label(p, q->word[2], q->to, &target);
	if (status != CLI_OK)
		return status;
	policy_subject_init(p, &subject, source, 0);
	r.object = target;
	r.tclass = classes_find(q->word[3], strlen(q->word[3]));
	if (r.tclass == POLICY_CLASS_COUNT)
		return policy_complain(CLI_USAGE, q->word[3], "the guest kernel has no such class");
	r.perms = classes_perm(r.tclass, q->word[4], strlen(q->word[4]));
	if (!r.perms)
		return policy_complain(CLI_USAGE, q->word[4], "the class has no such permission");
	char text[8192];
	bool allowed = policy_why(p, &r, text, sizeof(text));
	(void)printf("%s\n%s", allowed ? "allowed" : "denied", text);
	return allowed ? CLI_OK : CLI_DENIED;
}

int policy_query(int argc, char **argv)
{
	struct query q = {.word = {"", "", "", "", ""}, .as = "", .to = "", .cap = POLICY_NO_CAP};
	struct policy *p;
	int status = parse_query(&q, argc, argv);
	if (status == CLI_OK)
		status = open_policy(q.word[0], &p);
	if (status != CLI_OK)
		return status;
	status = answer(p, &q);
	policy_destroy(p);
	return status;
}
