/* Runs a fuzz target over the files of its corpus: the regression test of builds without libFuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Heap memory of the exact size, so that the sanitizers see a read past the end. */
static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return -1;
	}
	int result = -1;
	if (fseek(f, 0, SEEK_END) == 0) {
		long end = ftell(f);
		rewind(f);
		size_t size = end > 0 ? (size_t)end : 0;
		uint8_t *data = malloc(size ? size : 1);
		if (data && fread(data, 1, size, f) == size) {
			(void)LLVMFuzzerTestOneInput(data, size);
			result = 0;
		}
		free(data);
	}
	fclose(f);
	return result;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 2;
	}
	DIR *dir = opendir(argv[1]);
	if (!dir) {
		perror(argv[1]);
		return 1;
	}
	int status = 0;
	unsigned count = 0;
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		if (replay_file(path) < 0)
			status = 1;
		count++;
	}
	closedir(dir);
	printf("%u inputs\n", count);
	return count > 0 ? status : 1;
}
