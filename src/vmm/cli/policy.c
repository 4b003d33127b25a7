/* `vmm policy`: build, check, query and compare policies of the guest kernel. See policy_cli.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "parse.h"
#include "policy_cli.h"

static const char help_policy[] =
        "usage: vmm policy build DIRECTORY... -o FILE [--mls on|off] [--secilc PROGRAM]\n"
        "       vmm policy check FILE...\n"
        "       vmm policy query FILE SUBJECT OBJECT CLASS PERMISSION [OPTION...]\n"
        "       vmm policy diff OLD NEW\n"
        "\n"
        "A policy says what the services of the guest kernel may do. It is SELinux's: CIL source,\n"
        "compiled by secilc to a binary policy of version 33, beside it an access control list "
        "and\n"
        "the services' capabilities. `vmm image build --policy FILE` puts it into a guest image.\n"
        "\n"
        "  build  compile DIRECTORY/*.cil, check DIRECTORY/acl and DIRECTORY/capabilities, and "
        "pack\n"
        "         them into FILE; of several directories the last that has a text counts; --mls "
        "off\n"
        "         makes a policy without levels\n"
        "  check  say whether the guest kernel takes a policy, and what it lacks\n"
        "  query  say whether SUBJECT may do that, and by which rule, or for want of which\n"
        "  diff   what NEW allows that OLD does not, and the other way round\n"
        "\n"
        "FILE is what build wrote, or a bare binary policy. SUBJECT and OBJECT are contexts\n"
        "(user:role:type:level). Options of query:\n"
        "  --as NAME        the subject's name, for the list and the capabilities\n"
        "  --to NAME        the object's name, for the list\n"
        "  --cap NAME       a capability that is needed as well\n"
        "  --bool NAME=on   a boolean, in place of its value in the policy\n"
        "\n"
        "An example:\n"
        "  vmm policy build policies/base policies/default -o default.policy\n"
        "  vmm policy query default.policy system_u:system_r:http_t:s0 \\\n"
        "      system_u:object_r:http_port_t:s0 tcp_socket name_bind --as http --to port:80\n"
        "\n"
        "Exit status: 0 done, good, allowed or the same; 1 a file or a program failed; 2 wrong\n"
        "usage; 3 a policy is malformed; 9 denied, or different.\n";

int policy_complain(int status, const char *field, const char *message)
{
	(void)fprintf(stderr, "vmm policy: %s: %s\n", field, message);
	return status;
}

int policy_engine_error(const char *path, policy_status_t status, const struct policy_error *err)
{
	/* Errors of text name their own file and line. */
	if (status == POLICY_E_SYNTAX)
		(void)fprintf(stderr, "vmm policy: %s\n", err->text);
	else
		(void)policy_complain(0, path, err->text);
	return status == POLICY_E_NOMEM   ? CLI_HOST_ERROR
	       : status == POLICY_E_INVAL ? CLI_USAGE
	                                  : CLI_BAD_IMAGE;
}

static int read_all(FILE *f, const char *path, struct policy_file *out)
{
	struct stat st;
	if (fstat(fileno(f), &st) < 0)
		return policy_complain(CLI_HOST_ERROR, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return policy_complain(CLI_USAGE, path, "is not a regular file");
	if (st.st_size > (off_t)POLICY_FILE_MAX)
		return policy_complain(CLI_BAD_IMAGE, path, "is larger than 64 MiB");
	out->len = (size_t)st.st_size;
	out->data = malloc(out->len + 1);
	if (!out->data)
		return policy_complain(CLI_HOST_ERROR, path, strerror(ENOMEM));
	if (fread(out->data, 1, out->len, f) != out->len) {
		free(out->data);
		return policy_complain(CLI_HOST_ERROR, path, "could not be read as a whole");
	}
	out->data[out->len] = '\0';
	return CLI_OK;
}

int policy_read_file(const char *path, struct policy_file *out)
{
	*out = (struct policy_file){0};
	FILE *f = fopen(path, "rbe");
	if (!f)
		return policy_complain(CLI_HOST_ERROR, path, strerror(errno));
	int status = read_all(f, path, out);
	if (status != CLI_OK)
		*out = (struct policy_file){0};
	(void)fclose(f);
	return status;
}

void policy_free_file(struct policy_file *f)
{
	free(f->data);
	*f = (struct policy_file){0};
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

int policy_write_file(const char *path, const void *data, size_t len)
{
	char temp[4096];
	int n = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(temp))
		return policy_complain(CLI_USAGE, path, "the name is too long");
	int fd = mkstemp(temp);
	if (fd < 0)
		return policy_complain(CLI_HOST_ERROR, path, strerror(errno));
	bool ok = write_all(fd, data, len);
	int why = errno;
	if (close(fd) < 0 && ok) {
		why = errno;
		ok = false;
	}
	if (ok && rename(temp, path) < 0) {
		why = errno;
		ok = false;
	}
	if (ok)
		return CLI_OK;
	(void)unlink(temp);
	return policy_complain(CLI_HOST_ERROR, path, strerror(why));
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int cmd_policy(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = {{"build", policy_build},
	             {"check", policy_check_files},
	             {"query", policy_query},
	             {"diff", policy_diff}};
	size_t count = sizeof(verbs) / sizeof(verbs[0]);
	for (int i = 1; i < argc; i++)
		if (is_help(argv[i])) {
			(void)fputs(help_policy, stdout);
			return CLI_OK;
		}
	if (argc < 2) {
		(void)fputs(help_policy, stderr);
		return CLI_USAGE;
	}
	for (size_t i = 0; i < count; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	char message[96] = "must be build, check, query or diff";
	const char *near = parse_nearest(argv[1], verbs, count, sizeof(verbs[0]));
	if (near)
		(void)snprintf(message, sizeof(message),
		               "is %s meant? It must be build, check, query or diff", near);
	return policy_complain(CLI_USAGE, argv[1], message);
}
