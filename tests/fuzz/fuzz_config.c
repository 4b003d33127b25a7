/* What `vmm run` reads: the first byte picks a JSON file, or one option with its value. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/cli/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_option(struct run_config *c, uint8_t pick, const char *text, struct problem *p)
{
	const struct option_row *row = &config_options[pick % config_option_count];
	/* --config would open a file of that name. */
	if (strcmp(row->name, "config") != 0)
		(void)!config_apply(c, row, text, "/dir", p);
}

static void file(struct run_config *c, const uint8_t *data, size_t size, struct problem *p)
{
	char path[32];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)!config_from_file(c, path, p);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	static struct run_config config;
	struct problem problem = {0};
	config_init(&config);
	if (data[0] == '{')
		file(&config, data, size, &problem);
	else if (data[0] == 0)
		(void)!config_from_json(&config, text, size - 1, "fuzz.json", "/dir", &problem);
	else
		one_option(&config, data[0], text, &problem);
	(void)!config_check(&config, &problem);
	config_fini(&config);
	free(text);
	return 0;
}
