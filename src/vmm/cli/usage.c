/* The texts of --help. See usage.h. */
#include "usage.h"

#include <string.h>

#include "config.h"

#define OPTION_WIDTH 30

void usage_main(FILE *out)
{
	(void)fputs("usage: vmm COMMAND ...\n"
	            "\n"
	            "  run      boot a guest: vmm run guest.img, vmm run --kernel vmlinuz ...\n"
	            "  image    build, inspect or verify a guest image\n"
	            "  policy   build, check, query or compare policies of the guest kernel\n"
	            "  vfio     list, bind or unbind devices that can be passed to a guest\n"
	            "  bench    what exits cost on this host, and comparisons\n"
	            "  doctor   what this host can do, and how to repair what it cannot\n"
	            "  version  the version\n"
	            "\n"
	            "`vmm COMMAND --help` tells more. A first guest:\n"
	            "\n"
	            "  vmm doctor\n"
	            "  vmm run --kernel vmlinuz --initrd initrd.img --memory 512M --cpus 2\n"
	            "\n"
	            "Ctrl-A x ends it, Ctrl-A h lists the other keys.\n",
	            out);
}

static void option_line(FILE *out, const struct option_row *row)
{
	char left[80];
	char letter[8] = "    ";
	if (row->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	bool may = row->form == OPTION_MAY_KEYS;
	(void)snprintf(left, sizeof(left), "  %s--%s%s%s%s", letter, row->name,
	               row->meta ? (may ? "[=" : " ") : "", row->meta ? row->meta : "",
	               may ? "]" : "");
	int width = (int)strlen(left);
	(void)fputs(left, out);
	if (width > OPTION_WIDTH) {
		(void)fputc('\n', out);
		width = 0;
	}
	for (const char *line = row->help; *line;) {
		size_t len = strcspn(line, "\n");
		(void)fprintf(out, "%*s  %.*s\n", OPTION_WIDTH - width, "", (int)len, line);
		line += len + (line[len] == '\n');
		width = 0;
	}
}

void usage_run(FILE *out)
{
	(void)fputs(
	        "usage: vmm run [OPTIONS] [IMAGE]\n"
	        "\n"
	        "Boots a guest and stays with it until it ends. IMAGE is a guest image (vmm image\n"
	        "build makes one) or a kernel; with none, the guest kernel that comes with vmm.\n",
	        out);
	for (size_t i = 0; i < config_option_count; i++) {
		if (config_options[i].group)
			(void)fprintf(out, "\n%s\n", config_options[i].group);
		option_line(out, &config_options[i]);
	}
	(void)fputs(
	        "\n"
	        "In a JSON file an option's name is its key, its keys are an object:\n"
	        "  { \"kernel\": \"vmlinuz\", \"memory\": \"1G\", \"cpus\": 2,\n"
	        "    \"disk\": [ { \"path\": \"root.img\", \"readonly\": true } ] }\n"
	        "\n"
	        "Keys, where the guest has the terminal: Ctrl-A x ends the VM, Ctrl-A h lists "
	        "more.\n"
	        "SIGTERM presses the power button; a second one, or the time-out, ends the VM.\n"
	        "\n"
	        "Exit status\n"
	        "   0  the guest powered off\n"
	        "   1  the host failed: a file, a device, a system call\n"
	        "   2  an option or a key is wrong\n"
	        "   3  a kernel or image is malformed, or a hash does not match\n"
	        "   4  the guest reset (with --no-reboot)\n"
	        "   5  the guest took a triple fault\n"
	        "   6  KVM could not go on (internal error)\n"
	        "   7  the guest panicked\n"
	        "   8  stopped from outside before the guest powered off\n"
	        "   9  vmm itself did what its sandbox forbids\n"
	        "  64+ the guest wrote the low six bits to the debug-exit port\n"
	        "\n"
	        "Examples\n"
	        "  vmm run\n"
	        "  vmm run guest.img\n"
	        "  vmm run --kernel vmlinuz --initrd initrd.img -m 512M -c 2 --disk root.img\n"
	        "  vmm run --config vm.json --net tap=tap0 --console stdio --stats\n",
	        out);
}
