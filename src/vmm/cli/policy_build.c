/* `vmm policy build`: drives secilc, checks the texts, packs. See policy_cli.h. */
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../guest-kernel/policy/acl.h"
#include "../../guest-kernel/policy/capability.h"
#include "../../guest-kernel/policy/hosted.h"
#include "../../guest-kernel/policy/policy.h"
#include "cli.h"
#include "parse.h"
#include "policy_cli.h"

#define SOURCES_MAX     1024
#define DIRECTORIES_MAX 8

struct build {
	const char *directory[DIRECTORIES_MAX];
	size_t directories;
	const char *output, *secilc;
	bool mls;
	char binary[64]; /* what secilc writes */
	char *source[SOURCES_MAX];
	size_t sources;
};

static int parse_options(struct build *b, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		bool output = strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0;
		if (word[0] != '-' && b->directories < DIRECTORIES_MAX) {
			b->directory[b->directories++] = word;
			continue;
		}
		if (word[0] != '-')
			return policy_complain(CLI_USAGE, word, "more than 8 directories");
		if (!output && strcmp(word, "--mls") != 0 && strcmp(word, "--secilc") != 0)
			return policy_complain(CLI_USAGE, word,
			                       "there is no such option; `vmm policy --help`");
		if (!value)
			return policy_complain(CLI_USAGE, word, "needs a value");
		i++;
		if (output)
			b->output = value;
		else if (strcmp(word, "--secilc") == 0)
			b->secilc = value;
		else if (!parse_switch(value, &b->mls))
			return policy_complain(CLI_USAGE, "--mls", "on or off would be right");
	}
	if (!b->directories)
		return policy_complain(CLI_USAGE, "build", "name the directory of the sources");
	if (!b->output)
		return policy_complain(CLI_USAGE, "--output",
		                       "missing: name the file with -o FILE");
	return CLI_OK;
}

/* -- sources -- */

static int is_source(const struct dirent *e)
{
	size_t len = strlen(e->d_name);
	return e->d_name[0] != '.' && len > 4 && strcmp(e->d_name + len - 4, ".cil") == 0;
}

static int find_sources(struct build *b, const char *directory)
{
	struct dirent **list;
	int n = scandir(directory, &list, is_source, alphasort);
	if (n < 0)
		return policy_complain(CLI_HOST_ERROR, directory, strerror(errno));
	int status = CLI_OK;
	for (int i = 0; i < n; i++) {
		if (b->sources == SOURCES_MAX ||
		    asprintf(&b->source[b->sources], "%s/%s", directory, list[i]->d_name) < 0)
			status = policy_complain(CLI_HOST_ERROR, directory,
			                         "more than 1024 sources, or no memory");
		else
			b->sources++;
		free(list[i]);
	}
	free(list);
	return status;
}

static int find_all_sources(struct build *b)
{
	int status = CLI_OK;
	for (size_t i = 0; status == CLI_OK && i < b->directories; i++)
		status = find_sources(b, b->directory[i]);
	if (status == CLI_OK && b->sources == 0)
		status =
		        policy_complain(CLI_USAGE, b->directory[0], "has no source: no file *.cil");
	return status;
}

/* -- secilc -- */

static int run(const char *program, char **argv)
{
	pid_t pid;
	int wstatus = 0;
	int err = posix_spawnp(&pid, program, NULL, NULL, argv, environ);
	if (err == ENOENT)
		return policy_complain(CLI_HOST_ERROR, program,
		                       "is not installed (Debian: apt-get install secilc)");
	if (err)
		return policy_complain(CLI_HOST_ERROR, program, strerror(err));
	while (waitpid(pid, &wstatus, 0) < 0)
		if (errno != EINTR)
			return policy_complain(CLI_HOST_ERROR, program, strerror(errno));
	if (WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0)
		return CLI_OK;
	return policy_complain(CLI_BAD_IMAGE, program, "the sources do not compile; see above");
}

static int compile(struct build *b)
{
	static char m[] = "-M", c[] = "-c", o[] = "-o", f[] = "-f", on[] = "true", off[] = "false";
	static char version[] = "33", null[] = "/dev/null", name[] = "secilc";
	char *argv[SOURCES_MAX + 16] = {name, m,   b->mls ? on : off, c, version, o, b->binary,
	                                f,    null};
	size_t n = 9;
	for (size_t i = 0; i < b->sources; i++)
		argv[n++] = b->source[i];
	return run(b->secilc, argv);
}

/* -- texts and package -- */

/* NAME of the last directory that has it into F. */
static int read_text(const struct build *b, const char *name, struct policy_file *f, char *path,
                     size_t size)
{
	*f = (struct policy_file){0};
	for (size_t i = b->directories; i > 0; i--) {
		(void)snprintf(path, size, "%s/%s", b->directory[i - 1], name);
		if (access(path, F_OK) == 0)
			return policy_read_file(path, f);
	}
	return CLI_OK;
}

/* Under their own names, so that an error says where to look. */
static int check_text(const char *path, const struct policy_file *f, bool acl)
{
	struct arena arena;
	struct policy_error err;
	struct acl list;
	struct capability_table table;
	arena_init(&arena, &policy_hosted_mem, SIZE_MAX);
	policy_status_t status =
	        acl ? acl_parse(&list, &arena, path, f->data, f->len, &err)
	            : capability_table_parse(&table, &arena, path, f->data, f->len, &err);
	arena_fini(&arena);
	return status ? policy_engine_error(path, status, &err) : CLI_OK;
}

/* The guest kernel's own reader has the last word. */
static int check_package(const char *path, const void *data, size_t len)
{
	const struct policy_config config = {.mem = &policy_hosted_mem};
	struct policy *p;
	struct policy_error err;
	if (policy_create(&config, &p) != POLICY_OK)
		return policy_complain(CLI_HOST_ERROR, path, "no memory");
	policy_status_t status = policy_load(p, data, len, &err);
	policy_destroy(p);
	return status ? policy_engine_error(path, status, &err) : CLI_OK;
}

static void add_part(struct package *pkg, enum package_kind kind, const struct policy_file *f)
{
	pkg->part[kind].data = (const uint8_t *)f->data;
	pkg->part[kind].len = f->len;
}

static int pack(const struct build *b, const struct package *pkg)
{
	size_t len = package_size(pkg);
	void *data = len ? malloc(len) : NULL;
	if (!data)
		return policy_complain(CLI_HOST_ERROR, b->output, "too large, or no memory");
	package_write(pkg, data);
	int status = check_package(b->output, data, len);
	if (status == CLI_OK)
		status = policy_write_file(b->output, data, len);
	if (status == CLI_OK)
		(void)printf("%s: %zu bytes: policy%s%s\n", b->output, len,
		             pkg->part[PACKAGE_ACL].data ? ", access control list" : "",
		             pkg->part[PACKAGE_CAPABILITIES].data ? ", capabilities" : "");
	free(data);
	return status;
}

static int build_parts(struct build *b)
{
	struct policy_file binary = {0}, acl = {0}, caps = {0};
	struct package pkg = {0};
	char acl_path[4096], caps_path[4096];
	int status = read_text(b, "acl", &acl, acl_path, sizeof(acl_path));
	if (status == CLI_OK && acl.data)
		status = check_text(acl_path, &acl, true);
	if (status == CLI_OK)
		status = read_text(b, "capabilities", &caps, caps_path, sizeof(caps_path));
	if (status == CLI_OK && caps.data)
		status = check_text(caps_path, &caps, false);
	if (status == CLI_OK)
		status = compile(b);
	if (status == CLI_OK)
		status = policy_read_file(b->binary, &binary);
	if (status == CLI_OK) {
		add_part(&pkg, PACKAGE_POLICYDB, &binary);
		add_part(&pkg, PACKAGE_ACL, &acl);
		add_part(&pkg, PACKAGE_CAPABILITIES, &caps);
		status = pack(b, &pkg);
	}
	policy_free_file(&binary);
	policy_free_file(&acl);
	policy_free_file(&caps);
	return status;
}

int policy_build(int argc, char **argv)
{
	struct build b = {.secilc = "secilc", .mls = true, .binary = "/tmp/vmm-policy-XXXXXX"};
	int status = parse_options(&b, argc, argv);
	if (status == CLI_OK)
		status = find_all_sources(&b);
	int fd = status == CLI_OK ? mkstemp(b.binary) : -1;
	if (status == CLI_OK && fd < 0)
		status = policy_complain(CLI_HOST_ERROR, b.binary, strerror(errno));
	if (fd >= 0) {
		(void)close(fd);
		status = build_parts(&b);
		(void)unlink(b.binary);
	}
	for (size_t i = 0; i < b.sources; i++)
		free(b.source[i]);
	return status;
}
