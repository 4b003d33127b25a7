/* Files of `vmm bench`, as compare and model read them: one input is both of theirs. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/cli/bench/bench.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	/* What they print of a thousand files a second is not worth having. */
	return freopen("/dev/null", "w", stdout) ? 0 : EXIT_FAILURE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return 0;
	(void)compare_reports(root, "a", root, "b");
	(void)model_predict(root, root, -1);
	json_decref(root);
	return 0;
}
