/* Where the shipped guest kernel is. See shipped.h. */
#include "shipped.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KERNEL "guest-kernel.elf"

bool shipped_kernel(struct run_config *c, const char *exe, struct problem *p)
{
	static const char *const places[] = {"", VMM_SHIPPED_DIR "/"};
	char path[2][PATH_MAX];
	const char *slash = strrchr(exe, '/');
	int dir = slash ? (int)(slash - exe) : 0;
	for (unsigned i = 0; i < 2; i++) {
		int n = snprintf(path[i], sizeof(path[i]), "%.*s/%s" KERNEL, dir, exe, places[i]);
		if (n < 0 || n >= (int)sizeof(path[i]) || access(path[i], R_OK) != 0)
			continue;
		c->boot.kernel = config_text(c, path[i]);
		c->shipped = true;
		return true;
	}
	return problem_set(
	        p, "IMAGE",
	        "none is given, and the shipped guest kernel is neither %.90s nor %.90s; "
	        "give a guest image, or --kernel FILE",
	        path[0], path[1]);
}

bool shipped_kernel_of_self(struct run_config *c, struct problem *p)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return problem_set(p, "IMAGE",
		                   "none is given, and /proc/self/exe, which leads to the shipped "
		                   "guest kernel, cannot be read");
	exe[n] = '\0';
	return shipped_kernel(c, exe, p);
}
