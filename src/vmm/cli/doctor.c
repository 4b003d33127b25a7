/* `vmm doctor`: what this host can do, and the exact repair of what it cannot. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "vmm/host.h"

static const char help[] =
        "usage: vmm doctor [--kvm FILE]\n"
        "\n"
        "Looks at /dev/kvm and its rights, KVM's capabilities, the kind of host, huge pages, TAP\n"
        "devices, io_uring, the layers of the sandbox, PID namespaces, cgroups and the ways to\n"
        "pass devices, and prints the command that repairs what is missing.\n"
        "Exit status: 0 guests can run, 1 they cannot.\n";

static const char *word(vmm_check_state_t state)
{
	switch (state) {
	case VMM_CHECK_OK:
		return "ok  ";
	case VMM_CHECK_NOTE:
		return "note";
	case VMM_CHECK_FAIL:
		break;
	}
	return "FAIL";
}

static int report(const vmm_host_info_t *info)
{
	int status = CLI_OK;
	for (uint32_t i = 0; i < info->check_count; i++) {
		const vmm_host_check_t *c = &info->check[i];
		(void)printf("%s  %-14s %s\n", word(c->state), c->name, c->found);
		if (c->fix[0])
			(void)printf("%*s-> %s\n", 21, "", c->fix);
		if (c->state == VMM_CHECK_FAIL)
			status = CLI_HOST_ERROR;
	}
	(void)puts(status ? "Guests cannot run here until the lines marked FAIL are repaired."
	                  : "Guests can run here.");
	return status;
}

int cmd_doctor(int argc, char **argv)
{
	const char *kvm = NULL;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			(void)fputs(help, stdout);
			return CLI_OK;
		}
		if (strcmp(argv[i], "--kvm") != 0 || i + 1 == argc) {
			(void)fprintf(stderr, "vmm doctor: %s: %s\n", argv[i],
			              strcmp(argv[i], "--kvm") == 0 ? "needs a value: FILE"
			                                            : "there is no such option");
			return CLI_USAGE;
		}
		kvm = argv[++i];
	}
	vmm_host_info_t info = {.struct_size = sizeof(info)};
	vmm_err_t err = vmm_host_probe(kvm, &info);
	if (err) {
		(void)fprintf(stderr, "vmm doctor: %s\n", vmm_strerror(err));
		return CLI_HOST_ERROR;
	}
	return report(&info);
}
