/*
 * `vmm bench compare` and `vmm bench model`. An input that begins with '{' is a file that is given
 * to both twice. Any other is a line, which is the name of the sub-command and its arguments, then
 * the files A and B, with a null byte between them. Each is also what tracefs might say.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/cli/bench/bench.h"

#define WORDS_MAX 8
#define LINE_MAX  256u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What they print of a thousand files a second is not worth having; what a sanitizer says is. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	FILE *nowhere = fopen("/dev/null", "w");
	if (nowhere)
		stderr = nowhere;
	return nowhere && freopen("/dev/null", "w", stdout) ? 0 : EXIT_FAILURE;
}

static void as_json(const uint8_t *data, size_t size)
{
	json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return;
	(void)compare_reports(root, "a", root, "b");
	(void)model_predict(root, root, -1);
	json_decref(root);
}

static int make_file(const uint8_t *data, size_t size, char path[32])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static void as_command(char *line, char *a, char *b)
{
	char *word[WORDS_MAX + 1] = {NULL};
	int count = 0;
	for (char *w = strtok(line, " "); w && count < WORDS_MAX; w = strtok(NULL, " "))
		word[count++] = strcmp(w, "A") == 0 ? a : strcmp(w, "B") == 0 ? b : w;
	/* Of paths only those two. */
	for (int i = 1; i < count; i++)
		if (word[i] != a && word[i] != b && strchr(word[i], '/'))
			return;
	if (count && strcmp(word[0], "compare") == 0)
		(void)bench_compare(count, word);
	else if (count && strcmp(word[0], "model") == 0)
		(void)bench_model(count, word);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace_event events[16];
	if (trace_parse((const char *)data, size, events, sizeof(events) / sizeof(events[0])) > 16)
		abort();
	char line[LINE_MAX], a[32], b[32];
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	if (!end || data[0] == '{' || (size_t)(end - data) >= sizeof(line)) {
		as_json(data, size);
		return 0;
	}
	memcpy(line, data, (size_t)(end - data));
	line[end - data] = '\0';
	size -= (size_t)(end + 1 - data);
	const uint8_t *cut = memchr(end + 1, '\0', size);
	size_t first = cut ? (size_t)(cut - end - 1) : size;
	int fd[2] = {make_file(end + 1, first, a),
	             make_file(cut ? cut + 1 : end + 1, cut ? size - first - 1 : 0, b)};
	as_command(line, a, b);
	(void)close(fd[0]);
	(void)close(fd[1]);
	return 0;
}
