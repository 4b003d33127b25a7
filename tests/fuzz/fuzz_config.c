/* What `vmm run` reads: the first byte picks a JSON file, or one option with its value. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_option(struct run_config *c, uint8_t pick, const char *text, struct problem *p)
{
	const struct option_row *row = &config_options[pick % config_option_count];
	/* --config would open a file of that name. */
	if (strcmp(row->name, "config") != 0)
		(void)!config_apply(c, row, text, "/dir", p);
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
	if (data[0] == '{' || data[0] == 0)
		(void)!config_from_json(&config, data[0] ? (const char *)data : text,
		                        data[0] ? size : size - 1, "fuzz.json", "/dir", &problem);
	else
		one_option(&config, data[0], text, &problem);
	(void)!config_check(&config, &problem);
	config_fini(&config);
	free(text);
	return 0;
}
