/* `vmm vfio`: which devices can be passed, and preparing them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "vmm/vfio.h"

#define DEVICES_MAX 1024u

static const char help[] =
        "usage: vmm vfio list             PCI devices: group, driver, whether they can be passed\n"
        "       vmm vfio bind [--force] ADDRESS\n"
        "                                 take a device from its driver, for vmm run --vfio\n"
        "       vmm vfio unbind ADDRESS   give it back to the driver it had\n"
        "\n"
        "  --force    bind: take it without a question, even if the host uses it\n"
        "  --help     this text\n"
        "\n"
        "ADDRESS is like 0000:01:00.0. A device that carries a mounted file system, swap space\n"
        "or the default route is taken only after a question, or with --force.\n"
        "Exit status: 0 done, 1 the host refuses, 2 usage.\n";

static int failed(const vmm_err_info_t *ei)
{
	(void)fprintf(stderr, "vmm vfio: %s: %s\n", ei->field, ei->message);
	return ei->code == VMM_E_INVAL ? CLI_USAGE : CLI_HOST_ERROR;
}

static void print_device(const vmm_vfio_info_t *d)
{
	char group[16] = "-";
	if (d->group >= 0)
		(void)snprintf(group, sizeof(group), "%d", d->group);
	const char *how = d->iommu == VMM_VFIO_IOMMUFD ? "can be passed, through iommufd"
	                                               : "can be passed, by its group";
	(void)printf("%-13s %5s  %04x:%04x  %06x  %-12s %s\n", d->address, group, d->vendor,
	             d->device, d->class_code, d->driver[0] ? d->driver : "-",
	             d->usable ? how : d->why);
	if (d->no_iommufd[0])
		(void)printf("%46s no iommufd: %s\n", "", d->no_iommufd);
	if (d->used_by[0])
		(void)printf("%46s in use: %s\n", "", d->used_by);
}

static int list(void)
{
	vmm_err_info_t ei;
	size_t count = 0;
	vmm_vfio_info_t *infos = calloc(DEVICES_MAX, sizeof(*infos));
	if (!infos) {
		(void)fprintf(stderr, "vmm vfio: out of memory\n");
		return CLI_HOST_ERROR;
	}
	vmm_err_t err = vmm_vfio_list(infos, DEVICES_MAX, &count, &ei);
	if (!err)
		(void)printf("%-13s %5s  %-9s  %-6s  %-12s\n", "address", "group", "identity",
		             "class", "driver");
	for (size_t i = 0; !err && i < count && i < DEVICES_MAX; i++)
		print_device(&infos[i]);
	free(infos);
	return err ? failed(&ei) : CLI_OK;
}

/* On a terminal a person can answer. */
static bool confirmed(const char *what)
{
	if (!isatty(STDIN_FILENO))
		return false;
	(void)fprintf(stderr, "vmm vfio: %s. Take it all the same? [y/N] ", what);
	int c = getchar();
	return c == 'y' || c == 'Y';
}

static int bind_device(const char *address, bool force)
{
	vmm_err_info_t ei;
	vmm_err_t err = vmm_vfio_bind(address, force, &ei);
	if (err == VMM_E_BUSY && !force) {
		char what[300];
		(void)snprintf(what, sizeof(what), "%s %.200s", ei.field, ei.message);
		if (!confirmed(what)) {
			(void)fprintf(stderr, "vmm vfio: %s; left alone (--force takes it)\n",
			              what);
			return CLI_HOST_ERROR;
		}
		err = vmm_vfio_bind(address, true, &ei);
	}
	return err ? failed(&ei) : CLI_OK;
}

static int unbind_device(const char *address)
{
	vmm_err_info_t ei;
	return vmm_vfio_unbind(address, &ei) ? failed(&ei) : CLI_OK;
}

static int usage(const char *word, const char *what)
{
	(void)fprintf(stderr, "vmm vfio: %s%s%s; `vmm vfio --help` tells more\n", word,
	              *word ? ": " : "", what);
	return CLI_USAGE;
}

int cmd_vfio(int argc, char **argv)
{
	const char *word[2] = {NULL, NULL};
	unsigned words = 0;
	bool force = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			(void)fputs(help, stdout);
			return CLI_OK;
		}
		if (strcmp(argv[i], "--force") == 0)
			force = true;
		else if (argv[i][0] == '-')
			return usage(argv[i], "there is no such option");
		else if (words == 2)
			return usage(argv[i], "one word too many");
		else
			word[words++] = argv[i];
	}
	if (words == 0)
		return usage("", "list, bind or unbind?");
	bool takes_address = strcmp(word[0], "list") != 0;
	if (takes_address && !word[1])
		return usage(word[0], "needs a device's address");
	if (!takes_address)
		return words == 1 ? list() : usage(word[1], "one word too many");
	if (strcmp(word[0], "bind") == 0)
		return bind_device(word[1], force);
	if (strcmp(word[0], "unbind") == 0)
		return unbind_device(word[1]);
	return usage(word[0], "must be list, bind or unbind");
}
