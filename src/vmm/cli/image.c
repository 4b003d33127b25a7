/* `vmm image`: build, inspect and verify guest images. The work is the library's (vmm/image.h). */
#include "vmm/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "parse.h"

static const char help_image[] =
        "usage: vmm image build -o OUTPUT --kernel FILE [OPTION...]\n"
        "       vmm image inspect FILE...\n"
        "       vmm image verify FILE...\n"
        "\n"
        "A guest image is one file that holds a kernel and what belongs to it: a RAM disk, a\n"
        "command line, a policy, how much memory and how many CPUs it wants. Every part has a\n"
        "hash, which is checked before the guest starts. The format is U-Boot's FIT: mkimage\n"
        "and dumpimage read these files, and vmm reads theirs.\n"
        "\n"
        "  build    write an image; `vmm image build --help` lists the options\n"
        "  inspect  print what an image holds, and which hashes are right\n"
        "  verify   say whether an image is whole and its kernel can be booted\n"
        "\n"
        "An example:\n"
        "  vmm image build -o guest.img --kernel bzImage --initrd initrd.img \\\n"
        "      --cmdline 'console=ttyS0' --memory 512M --cpus 2\n"
        "  vmm run guest.img\n"
        "\n"
        "Exit status: 0 done; 1 a file could not be read or written; 2 wrong usage;\n"
        "3 a file is malformed, or a part does not have its hash.\n";

struct build {
	vmm_image_build_opts_t opts;
	const char *wrong; /* what would be right, after an option said no */
};

struct build_option {
	const char *name;
	const char *letter; /* "-o", or NULL */
	const char *meta;
	const char *help;
	bool (*apply)(struct build *b, const char *value);
};

static bool set_output(struct build *b, const char *value)
{
	b->opts.output = value;
	return true;
}

static bool set_kernel(struct build *b, const char *value)
{
	b->opts.kernel = value;
	return true;
}

static bool set_initrd(struct build *b, const char *value)
{
	b->opts.initrd = value;
	return true;
}

static bool set_policy(struct build *b, const char *value)
{
	b->opts.policy = value;
	return true;
}

static bool set_cmdline(struct build *b, const char *value)
{
	b->opts.cmdline = value;
	return true;
}

static bool set_description(struct build *b, const char *value)
{
	b->opts.description = value;
	return true;
}

static bool set_hash(struct build *b, const char *value)
{
	b->opts.hash = value;
	return true;
}

static bool set_memory(struct build *b, const char *value)
{
	b->wrong = "must be a size, as in 256M or 2G";
	return parse_size(value, &b->opts.memory_bytes) && b->opts.memory_bytes >= 1u << 20;
}

static bool set_cpus(struct build *b, const char *value)
{
	uint64_t cpus = 0;
	b->wrong = "must be 1 to 32";
	if (!parse_number(value, VMM_CPUS_MAX, &cpus) || cpus == 0)
		return false;
	b->opts.cpus = (uint32_t)cpus;
	return true;
}

static bool set_timestamp(struct build *b, const char *value)
{
	uint64_t seconds = 0;
	b->wrong = "must be seconds since 1970, at most 4294967295";
	if (!parse_number(value, UINT32_MAX, &seconds))
		return false;
	b->opts.timestamp = (int64_t)seconds;
	return true;
}

static const struct build_option build_options[] = {
        {"--output", "-o", "FILE", "the image to write; replaced as a whole, or not at all",
         set_output},
        {"--kernel", "-k", "FILE", "a Linux bzImage, or an ELF kernel", set_kernel},
        {"--initrd", "-i", "FILE", "its initial RAM disk", set_initrd},
        {"--policy", NULL, "FILE", "a policy, for kernels that read one (PVH only)", set_policy},
        {"--cmdline", "-a", "TEXT", "its command line", set_cmdline},
        {"--memory", "-m", "SIZE", "memory that `vmm run` gives it, as in 512M or 2G", set_memory},
        {"--cpus", "-c", "N", "virtual CPUs that `vmm run` gives it, 1 to 32", set_cpus},
        {"--description", NULL, "TEXT", "one line for people, at most 63 bytes", set_description},
        {"--hash", NULL, "NAME", "sha256 (without this option), sha384, sha512, sha1, md5, crc32",
         set_hash},
        {"--timestamp", NULL, "SECONDS", "since 1970 (SOURCE_DATE_EPOCH, else now)", set_timestamp},
};
#define BUILD_OPTIONS (sizeof(build_options) / sizeof(build_options[0]))

static const char help_build[] =
        "usage: vmm image build -o OUTPUT --kernel FILE [OPTION...]\n"
        "\n"
        "Write a guest image. What memory and CPUs it names, the same options of `vmm run`\n"
        "override. The same input gives the same bytes where the timestamp is given.\n"
        "\n";

static int usage(const char *field, const char *message)
{
	(void)fprintf(stderr, "vmm image: %s: %s\n", field, message);
	return CLI_USAGE;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int print_build_help(void)
{
	(void)fputs(help_build, stdout);
	for (size_t i = 0; i < BUILD_OPTIONS; i++) {
		const struct build_option *o = &build_options[i];
		char left[48];
		(void)snprintf(left, sizeof(left), "%s%s%s %s", o->letter ? o->letter : "",
		               o->letter ? ", " : "    ", o->name, o->meta);
		(void)printf("  %-26s  %s\n", left, o->help);
	}
	return CLI_OK;
}

/* WORD up to its '='; *VALUE is what follows that, or NULL. */
static const struct build_option *find_option(const char *word, const char **value)
{
	size_t len = strcspn(word, "=");
	*value = word[len] ? word + len + 1 : NULL;
	for (size_t i = 0; i < BUILD_OPTIONS; i++) {
		const struct build_option *o = &build_options[i];
		if (strlen(o->name) == len && strncmp(o->name, word, len) == 0)
			return o;
		if (o->letter && strcmp(o->letter, word) == 0)
			return o;
	}
	return NULL;
}

static int no_such_option(const char *word)
{
	char message[128] = "there is no such option; `vmm image build --help` lists them";
	const char *near =
	        parse_nearest(word, build_options, BUILD_OPTIONS, sizeof(build_options[0]));
	if (word[0] != '-')
		return usage(word, "files are named by options; the image to write by -o FILE");
	if (near)
		(void)snprintf(message, sizeof(message), "there is no such option; is %s meant?",
		               near);
	return usage(word, message);
}

static int apply_options(struct build *b, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct build_option *o = find_option(argv[i], &value);
		if (!o)
			return no_such_option(argv[i]);
		if (!value && i + 1 == argc)
			return usage(o->name, "needs a value");
		if (!value)
			value = argv[++i];
		if (!o->apply(b, value)) {
			char message[256];
			(void)snprintf(message, sizeof(message), "'%s': %s", value, b->wrong);
			return usage(o->name, message);
		}
	}
	if (!b->opts.output)
		return usage("--output", "missing: name the image to write with -o FILE");
	if (!b->opts.kernel)
		return usage("--kernel", "missing: an image holds at least a kernel");
	return CLI_OK;
}

static int report(vmm_err_t err, const vmm_err_info_t *ei)
{
	/* Most messages about a file begin with its name. */
	bool named = cli_is_named(ei->message, ei->field);
	(void)fprintf(stderr, "vmm image: %s%s%s\n", named ? "" : ei->field, named ? "" : ": ",
	              ei->message);
	switch (err) {
	case VMM_E_INVAL:
		return CLI_USAGE;
	case VMM_E_FORMAT:
	case VMM_E_HASH:
	case VMM_E_LIMIT:
	case VMM_E_UNSUPPORTED:
		return CLI_BAD_IMAGE;
	default:
		return CLI_HOST_ERROR;
	}
}

static int image_build(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (is_help(argv[i]))
			return print_build_help();
	struct build b = {.opts = VMM_IMAGE_BUILD_OPTS_INIT};
	vmm_err_info_t ei;
	int status = apply_options(&b, argc, argv);
	if (status != CLI_OK)
		return status;
	vmm_err_t err = vmm_image_build(&b.opts, &ei);
	return err ? report(err, &ei) : CLI_OK;
}

static void print_size(uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
	unsigned unit = 0;
	double shown = (double)bytes;
	for (; shown >= 1024 && unit < 3; unit++)
		shown /= 1024;
	(void)printf(unit ? "%.1f %s" : "%.0f %s", shown, units[unit]);
}

static void print_hash(const vmm_image_hash_t *h)
{
	static const char *const states[] = {"not checked", "good", "BAD", "unknown algorithm"};
	(void)printf("    %-12s %s: %s\n", h->algo, h->value, states[h->state]);
}

static void print_part(const vmm_image_part_t *p)
{
	(void)printf("  %s: %s", p->name, p->type[0] ? p->type : "no type");
	if (p->len_bytes > 0) {
		(void)printf(", ");
		print_size(p->len_bytes);
		(void)printf(" at %" PRIu64, p->offset);
	}
	if (strcmp(p->compression, "none") != 0)
		(void)printf(", %s", p->compression);
	(void)printf("%s\n", p->in_default ? "" : ", not used");
	if (p->description[0] && strcmp(p->description, p->type) != 0)
		(void)printf("    %s\n", p->description);
	if (p->hash_count == 0)
		(void)printf("    no hash\n");
	for (uint32_t i = 0; i < p->hash_count; i++)
		print_hash(&p->hash[i]);
}

static void print_time(int64_t timestamp)
{
	char text[40];
	struct tm tm;
	time_t when = (time_t)timestamp;
	if (gmtime_r(&when, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) > 0)
		(void)printf("  made:         %s\n", text);
}

static void print_info(const char *path, const vmm_image_info_t *info)
{
	(void)printf("%s: %s\n", path, info->description[0] ? info->description : "guest image");
	if (info->timestamp >= 0)
		print_time(info->timestamp);
	(void)printf("  boots:        %s\n", info->configuration);
	if (info->cmdline[0])
		(void)printf("  command line: %s\n", info->cmdline);
	if (info->memory_bytes) {
		(void)printf("  memory:       ");
		print_size(info->memory_bytes);
		(void)printf("\n");
	}
	if (info->cpus)
		(void)printf("  cpus:         %" PRIu32 "\n", info->cpus);
	for (uint32_t i = 0; i < info->part_count; i++)
		print_part(&info->part[i]);
}

static int inspect_file(const char *path)
{
	vmm_image_info_t info = {.struct_size = sizeof(info)};
	vmm_err_info_t ei;
	vmm_err_t err = vmm_image_inspect(path, &info, &ei);
	if (err)
		return report(err, &ei);
	print_info(path, &info);
	for (uint32_t i = 0; i < info.part_count; i++)
		for (uint32_t j = 0; j < info.part[i].hash_count; j++)
			if (info.part[i].hash[j].state == VMM_HASH_BAD)
				return CLI_BAD_IMAGE;
	return CLI_OK;
}

static int verify_file(const char *path)
{
	vmm_err_info_t ei;
	vmm_err_t err = vmm_image_verify(path, &ei);
	if (err)
		return report(err, &ei);
	(void)printf("%s: good\n", path);
	return CLI_OK;
}

/* Every file, whatever comes of the others; the status is the worst. */
static int each_file(int argc, char **argv, int (*act)(const char *path))
{
	int worst = CLI_OK;
	if (argc < 2)
		return usage(argv[0], "needs a file");
	for (int i = 1; i < argc; i++)
		if (is_help(argv[i])) {
			(void)fputs(help_image, stdout);
			return CLI_OK;
		}
	if (argv[1][0] == '-' && strcmp(argv[1], "--") != 0)
		return usage(argv[1], "there is no such option; write ./-NAME for such a file");
	for (int i = strcmp(argv[1], "--") == 0 ? 2 : 1; i < argc; i++) {
		int status = act(argv[i]);
		worst = status > worst ? status : worst;
	}
	return worst;
}

static int image_inspect(int argc, char **argv)
{
	return each_file(argc, argv, inspect_file);
}

static int image_verify(int argc, char **argv)
{
	return each_file(argc, argv, verify_file);
}

int cmd_image(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = {{"build", image_build}, {"inspect", image_inspect}, {"verify", image_verify}};
	if (argc < 2) {
		(void)fputs(help_image, stderr);
		return CLI_USAGE;
	}
	if (is_help(argv[1])) {
		(void)fputs(help_image, stdout);
		return CLI_OK;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	char message[96] = "must be build, inspect or verify";
	const char *near =
	        parse_nearest(argv[1], verbs, sizeof(verbs) / sizeof(verbs[0]), sizeof(verbs[0]));
	if (near)
		(void)snprintf(message, sizeof(message), "is %s meant? It %s", near,
		               "must be build, inspect or verify");
	return usage(argv[1], message);
}
