/*
 * What `vmm run` reads: a JSON file, where the first byte is '{'; JSON text behind a null byte;
 * else options, one on a line, as NAME=VALUE.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/cli/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_option(struct run_config *c, char *line, struct problem *p)
{
	char *value = strchr(line, '=');
	if (!value)
		return;
	*value++ = '\0';
	const struct option_row *row = config_find(line, p);
	/* --config would open a file of that name. */
	if (row && strcmp(row->name, "config") != 0)
		(void)!config_apply(c, row, value, "/dir", p);
}

static void options(struct run_config *c, char *text, struct problem *p)
{
	for (char *line = text, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		one_option(c, line, p);
	}
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
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	static struct run_config config;
	struct problem problem = {0};
	config_init(&config);
	if (data[0] == '{')
		file(&config, data, size, &problem);
	else if (data[0] == 0)
		(void)!config_from_json(&config, text + 1, size - 1, "fuzz.json", "/dir", &problem);
	else
		options(&config, text, &problem);
	(void)!config_check(&config, &problem);
	config_fini(&config);
	free(text);
	return 0;
}
