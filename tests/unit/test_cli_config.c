/* The command line and the JSON file of `vmm run`; values as people write them; the escape key. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/cli/config.h"
#include "vmm/cli/parse.h"
#include "vmm/cli/shipped.h"
#include "vmm/cli/term.h"

static struct run_config config;
static struct problem problem;

static void setup(void)
{
	config_init(&config);
	problem = (struct problem){0};
}

static void teardown(void)
{
	config_fini(&config);
}

static bool args(int argc, const char **argv)
{
	return config_from_args(&config, argc, (char **)(uintptr_t)argv, &problem) &&
	       config_check(&config, &problem);
}

#define ARGS(...)                                                                        \
	args((int)(sizeof((const char *[]){"run", __VA_ARGS__}) / sizeof(const char *)), \
	     (const char *[]){"run", __VA_ARGS__, NULL})

static bool json(const char *text)
{
	return config_from_json(&config, text, strlen(text), "vm.json", "/etc/vm", &problem);
}

static void check_problem(const char *field, const char *part)
{
	ck_assert_str_eq(problem.field, field);
	ck_assert_msg(strstr(problem.text, part), "'%s' does not say '%s'", problem.text, part);
}

START_TEST(sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},
	            {"4096", 4096},
	            {"1k", 1024},
	            {"256M", 256 << 20},
	            {"2G", 2ull << 30},
	            {"2GiB", 2ull << 30},
	            {"2gb", 2ull << 30},
	            {"1.5G", 3ull << 29},
	            {"256m", 256 << 20},
	            {"0x10000000", 256 << 20},
	            {"8388607T", 8388607ull << 40}};
	static const char *const bad[] = {"",
	                                  "M",
	                                  "-1",
	                                  "1X",
	                                  "1.5",
	                                  "1.M",
	                                  "1 G",
	                                  "1GiX",
	                                  "0x10M",
	                                  "0x",
	                                  "0x8000000000000000",
	                                  "8388608T",
	                                  "99999999999999999999"};
	uint64_t bytes;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(parse_size(good[i].text, &bytes), "%s", good[i].text);
		ck_assert_uint_eq(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!parse_size(bad[i], &bytes), "'%s' passed for a size", bad[i]);
}
END_TEST

START_TEST(numbers_switches_macs)
{
	uint64_t n;
	bool on;
	uint8_t mac[6];
	ck_assert(parse_number("32", 32, &n) && n == 32);
	ck_assert(parse_number("0x20", 32, &n) && n == 32);
	ck_assert(!parse_number("33", 32, &n));
	ck_assert(!parse_number("3x", 32, &n));
	ck_assert(!parse_number("+3", 32, &n));
	ck_assert(parse_millis("2", 2000, &n) && n == 2000);
	ck_assert(parse_millis("0.25", 2000, &n) && n == 250);
	ck_assert(parse_millis("1.0019", 2000, &n) && n == 1001);
	ck_assert(!parse_millis("2.001", 2000, &n));
	ck_assert(!parse_millis("99999999999999999999", UINT64_MAX, &n));
	ck_assert(!parse_millis("1.", 2000, &n));
	ck_assert(!parse_millis(".5", 2000, &n));
	ck_assert(!parse_millis("1.5x", 2000, &n));
	ck_assert(parse_switch("On", &on) && on);
	ck_assert(parse_switch("no", &on) && !on);
	ck_assert(!parse_switch("maybe", &on));
	ck_assert(parse_mac("02:00:5e:10:00:fF", mac) && mac[0] == 2 && mac[5] == 0xff);
	ck_assert(!parse_mac("02:00:5e:10:00", mac));
	ck_assert(!parse_mac("02:00:5e:10:00:01:", mac));
	ck_assert(!parse_mac("02-00-5e-10-00-01", mac));
}
END_TEST

START_TEST(lists)
{
	char text[] = "a,,b=c,key=v=w,flag,";
	char *list = text;
	char *key;
	char *value;
	ck_assert(parse_next(&list, &key, &value));
	ck_assert_str_eq(key, "a,b");
	ck_assert_str_eq(value, "c");
	ck_assert(parse_next(&list, &key, &value));
	ck_assert_str_eq(key, "key");
	ck_assert_str_eq(value, "v=w");
	ck_assert(parse_next(&list, &key, &value));
	ck_assert_str_eq(key, "flag");
	ck_assert_ptr_null(value);
	ck_assert(!parse_next(&list, &key, &value));
}
END_TEST

START_TEST(nearest)
{
	static const char *const names[] = {"memory", "kernel", "disk"};
	ck_assert_str_eq(parse_nearest("memroy", names, 3, sizeof(names[0])), "memory");
	ck_assert_str_eq(parse_nearest("disks", names, 3, sizeof(names[0])), "disk");
	static const char *const commands[] = {"run", "image", "-h"};
	ck_assert_str_eq(parse_nearest("rnu", commands, 3, sizeof(commands[0])), "run");
	ck_assert_str_eq(parse_nearest("imgae", commands, 3, sizeof(commands[0])), "image");
	ck_assert_ptr_null(parse_nearest("-x", commands, 3, sizeof(commands[0])));
	ck_assert_ptr_null(parse_nearest("zzzzzz", names, 3, sizeof(names[0])));
	ck_assert_ptr_null(parse_nearest("", names, 3, sizeof(names[0])));
}
END_TEST

START_TEST(command_line)
{
	ck_assert(ARGS("-k", "vmlinuz", "--initrd=rd", "-m2G", "-c", "4", "--disk",
	               "a=b.img,readonly,serial=S1", "-d", "path=c.img,direct,lock=off", "--net",
	               "tap=t0,mac=02:00:00:00:00:09,queues=2", "--console", "pty", "--console",
	               "unix=/tmp/s,name=org.x", "--serial", "none", "--rng=rate=64K",
	               "--balloon=64M", "--no-reboot", "--stats"));
	ck_assert_str_eq(config.boot.kernel, "vmlinuz");
	ck_assert_str_eq(config.boot.initrd, "rd");
	ck_assert_str_eq(config.boot.cmdline, "console=hvc0");
	ck_assert_uint_eq(config.vm.memory_bytes, 2ull << 30);
	ck_assert_uint_eq(config.vm.cpus, 4);
	ck_assert_uint_eq(config.vm.flags, VMM_VM_NO_REBOOT);
	ck_assert_uint_eq(config.disk_count, 2);
	ck_assert_str_eq(config.disk[0].path, "a=b.img");
	ck_assert_uint_eq(config.disk[0].flags, VMM_DISK_READ_ONLY);
	ck_assert_str_eq(config.disk[0].serial, "S1");
	ck_assert_uint_eq(config.disk[1].flags, VMM_DISK_DIRECT | VMM_DISK_NO_LOCK);
	ck_assert_uint_eq(config.net_count, 1);
	ck_assert_str_eq(config.net[0].tap, "t0");
	ck_assert_uint_eq(config.net[0].mac[5], 9);
	ck_assert_uint_eq(config.net[0].queue_pairs, 2);
	ck_assert_uint_eq(config.console_count, 2);
	ck_assert_int_eq(config.console[0].opts.chardev.kind, VMM_CHARDEV_PTY);
	ck_assert(config.console[0].opts.is_console);
	ck_assert_int_eq(config.console[1].opts.chardev.kind, VMM_CHARDEV_UNIX);
	ck_assert(!config.console[1].opts.is_console);
	ck_assert(config.rng);
	ck_assert_uint_eq(config.rng_opts.bytes_per_second, 65536);
	ck_assert(config.balloon);
	ck_assert_uint_eq(config.balloon_opts.target_bytes, 64 << 20);
	ck_assert(config.stats);
}
END_TEST

/* An option that may stand alone leaves an image behind it alone. */
START_TEST(images_behind_options)
{
	static const char *const images[] = {"./off", "9front.img", "guest.img"};
	ck_assert(ARGS(_i == 1 ? "--profile" : "--rng", images[_i]));
	ck_assert_str_eq(config.boot.image, images[_i]);
}
END_TEST

START_TEST(defaults)
{
	ck_assert(ARGS("--kernel", "k"));
	ck_assert_uint_eq(config.vm.memory_bytes, 256ull << 20);
	ck_assert_uint_eq(config.vm.cpus, 1);
	ck_assert(config.serial.stdio);
	ck_assert_int_eq(config.serial.opts.chardev.kind, VMM_CHARDEV_FD);
	ck_assert_str_eq(config.boot.cmdline, "console=ttyS0");
	ck_assert(config.rng);
	ck_assert(!config.balloon);
}
END_TEST

START_TEST(image_keeps_its_command_line)
{
	ck_assert(ARGS("guest.img"));
	ck_assert_str_eq(config.boot.image, "guest.img");
	ck_assert_ptr_null(config.boot.cmdline);
}
END_TEST

START_TEST(an_empty_command_line_is_one)
{
	ck_assert(ARGS("--cmdline", "", "guest.img"));
	ck_assert_str_eq(config.boot.cmdline, "");
}
END_TEST

START_TEST(the_user_mode_network_has_its_keys)
{
	static char net[] = "user,net=10.9.0.0/16,dns=9.9.9.9,hostfwd=tcp::1-:2,"
	                    "hostfwd=udp::3-:4,loopback=on,pcap=x.pcap";
	static char net6[] = "user,net6=fd00:1::/64,ipv6=on", off[] = "user,ipv6=off";
	ck_assert(ARGS("--net", net, "--net", net6, "--net", off, "-k", "k"));
	const vmm_net_opts_t *n = &config.net[0];
	ck_assert_str_eq(config.net[1].user_net6, "fd00:1::/64");
	ck_assert_uint_eq(config.net[1].flags, VMM_NET_USER);
	ck_assert_uint_eq(config.net[2].flags, VMM_NET_USER | VMM_NET_NO_IPV6);
	ck_assert_uint_eq(n->flags, VMM_NET_USER | VMM_NET_LOOPBACK);
	ck_assert_str_eq(n->user_net, "10.9.0.0/16");
	ck_assert_str_eq(n->user_dns, "9.9.9.9");
	ck_assert_uint_eq(n->hostfwd_count, 2);
	ck_assert_str_eq(n->hostfwd[0], "tcp::1-:2");
	ck_assert_str_eq(n->hostfwd[1], "udp::3-:4");
	ck_assert_str_eq(n->pcap, "x.pcap");
	ck_assert(config.net_given);
}
END_TEST

START_TEST(devices_have_limits_of_rate)
{
	static char disk[] = "a.img,bandwidth=50M,bandwidth-burst=1M,iops=2000,iops-burst=100";
	static char net[] =
	        "user,rx-bandwidth=10M,rx-bandwidth-burst=64K,tx-pps=3000,tx-pps-burst=30";
	ck_assert(ARGS("--disk", disk, "--disk", "b.img", "--net", net, "-k", "k"));
	const vmm_rate_t *r = config.disk[0].rate;
	ck_assert_uint_eq(r->struct_size, sizeof(*r));
	ck_assert_uint_eq(r->bytes_per_second, 50u << 20);
	ck_assert_uint_eq(r->bytes_burst, 1u << 20);
	ck_assert_uint_eq(r->ops_per_second, 2000);
	ck_assert_uint_eq(r->ops_burst, 100);
	ck_assert_ptr_null(config.disk[1].rate);
	r = config.net[0].rx_rate;
	ck_assert_uint_eq(r->bytes_per_second, 10u << 20);
	ck_assert_uint_eq(r->bytes_burst, 64u << 10);
	ck_assert_uint_eq(r->ops_per_second, 0);
	r = config.net[0].tx_rate;
	ck_assert_uint_eq(r->bytes_per_second, 0);
	ck_assert_uint_eq(r->ops_per_second, 3000);
	ck_assert_uint_eq(r->ops_burst, 30);
	ck_assert(!ARGS("--disk", "a.img,bandwidth=0", "-k", "k"));
	check_problem("--disk bandwidth", "more than 0");
	ck_assert(!ARGS("--disk", "a.img,iops=fast", "-k", "k"));
	check_problem("--disk iops", "'fast': must be a number");
	ck_assert(!ARGS("--net", "user,rx-bandwith=1M", "-k", "k"));
	check_problem("--net", "did you mean 'rx-bandwidth'");
}
END_TEST

START_TEST(net_none_is_no_card)
{
	ck_assert(ARGS("-k", "k"));
	ck_assert(!config.net_given);
	ck_assert(ARGS("--net", "none", "-k", "k"));
	ck_assert(config.net_given);
	ck_assert_uint_eq(config.net_count, 0);
	ck_assert(ARGS("--net", "none,none", "--net", "none,tap=t0,none=on"));
	ck_assert_uint_eq(config.net_count, 0);
}
END_TEST

START_TEST(a_fifo_is_no_configuration)
{
	char dir[] = "/tmp/vmm-config.XXXXXX";
	char path[64];
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert(!ARGS("--config", path)); /* and does not wait for a writer */
	check_problem(path, "regular file");
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

static const struct {
	const char *argv[4];
	const char *field;
	const char *part;
} mistakes[] = {
        {{"--memroy", "1G"}, "--memroy", "did you mean 'memory'"},
        {{"-z"}, "-z", "no such option"},
        {{"--memory"}, "--memory", "needs a value"},
        {{"--memory", "lots"}, "--memory", "must be a size"},
        {{"--memory", "512"}, "--memory", "512M"},
        {{"--memory", "4K"}, "--memory", "less than any guest needs"},
        {{"--cpus", "0"}, "--cpus", "1 to 32"},
        {{"--cpus", "1000"}, "--cpus", "1 to 32"},
        {{"--stats=yes"}, "--stats", "takes no value"},
        {{"--rng", "rate=1M"}, "--rng", "only behind '=': --rng=rate=1M"},
        {{"--rng", "off"}, "--rng", "--rng=off"},
        {{"--balloon", "64M,reporting=off"}, "--balloon", "--balloon=64M,reporting=off"},
        {{"--profile", "every=1"}, "--profile", "--profile=every=1"},
        {{"--protocol", "efi"}, "--protocol", "auto, linux64 or pvh"},
        {{"--disk", "x,readonyl"}, "--disk", "did you mean 'readonly'"},
        {{"--disk", "x,serial"}, "--disk serial", "needs a value"},
        {{"--disk", "x,direct=perhaps"}, "--disk direct", "on or off"},
        {{"--disk", "readonly"}, "--disk", "needs a path"},
        {{"--disk", "x,engine=steam"}, "--disk engine", "uring or threads"},
        {{"--net", "tap=x,fd=3"}, "--net", "one of the two"},
        {{"--net", "mtu=1500"}, "--net", "tap=NAME"},
        {{"--net", "user,tap=x"}, "--net", "one of the two"},
        {{"--net", "tap=x,hostfwd=tcp::1-:1"}, "--net", "give user too"},
        {{"--net", "dns=1.1.1.1"}, "--net", "give user too"},
        {{"--net", "tap=x,net6=fd00:1::/64"}, "--net", "net6 is a key of"},
        {{"--net", "tap=x,ipv6=off"}, "--net", "ipv6 is a key of"},
        {{"--net", "user,loopback=maybe"}, "--net loopback", "on or off"},
        {{"--net", "user,ipv6=64"}, "--net ipv6", "on or off"},
        {{"--net", "tap=x,mac=12"}, "--net mac", "02:00:5e"},
        {{"--net", "tap=x,queues=0"}, "--net queues", "1 or more"},
        {{"--console", "name=x"}, "--console", "needs one of"},
        {{"--console", "pty,null"}, "--console null", "one end only"},
        {{"--serial", "stdio,name=x"}, "--serial", "there is no key 'name'"},
        {{"a", "b"}, "IMAGE", "one guest at a time"},
        {{"a", "--kernel", "b"}, "IMAGE", "one of the two"},
        {{"--stats"}, "IMAGE", "nothing to boot"},
        {{"a", "--serial=stdio", "--console=stdio"}, "--console", "more than one port"},
        {{"--config", "/nonexistent/vm.json"}, "/nonexistent/vm.json", "No such file"},
        {{"--config", "/"}, "/", "regular file"},
};

START_TEST(a_mistake_is_named)
{
	const char *argv[6] = {"run"};
	int argc = 1;
	for (int i = 0; i < 4 && mistakes[_i].argv[i]; i++)
		argv[argc++] = mistakes[_i].argv[i];
	ck_assert(!args(argc, argv));
	check_problem(mistakes[_i].field, mistakes[_i].part);
}
END_TEST

START_TEST(json_is_the_same_options)
{
	ck_assert(json("{\"kernel\": \"vmlinuz\", \"initrd\": \"/abs/rd\", \"memory\": \"1G\","
	               " \"cpus\": 2, \"no-reboot\": true, \"stats\": false,"
	               " \"disk\": [\"a.img,readonly\", {\"path\": \"b,c.img\", \"direct\": true}],"
	               " \"net\": [{\"tap\": \"t0\", \"mtu\": 1400}, {\"user\": true,"
	               " \"hostfwd\": [\"tcp::1-:2\", \"udp::3-:4\"], \"loopback\": false}], "
	               "\"rng\": false,"
	               " \"balloon\": {\"size\": \"16M\", \"reporting\": false}}"));
	ck_assert(config_check(&config, &problem));
	ck_assert_str_eq(config.boot.kernel, "/etc/vm/vmlinuz");
	ck_assert_str_eq(config.boot.initrd, "/abs/rd");
	ck_assert_uint_eq(config.vm.memory_bytes, 1ull << 30);
	ck_assert_uint_eq(config.vm.cpus, 2);
	ck_assert_uint_eq(config.vm.flags, VMM_VM_NO_REBOOT);
	ck_assert(!config.stats);
	ck_assert_uint_eq(config.disk_count, 2);
	ck_assert_str_eq(config.disk[0].path, "/etc/vm/a.img");
	ck_assert_uint_eq(config.disk[0].flags, VMM_DISK_READ_ONLY);
	ck_assert_str_eq(config.disk[1].path, "/etc/vm/b,c.img");
	ck_assert_uint_eq(config.disk[1].flags, VMM_DISK_DIRECT);
	ck_assert_uint_eq(config.net[0].mtu, 1400);
	ck_assert_uint_eq(config.net[1].flags, VMM_NET_USER);
	ck_assert_uint_eq(config.net[1].hostfwd_count, 2);
	ck_assert_str_eq(config.net[1].hostfwd[1], "udp::3-:4");
	ck_assert(!config.rng);
	ck_assert_uint_eq(config.balloon_opts.flags, VMM_BALLOON_DEFLATE_ON_OOM);
}
END_TEST

static const struct {
	const char *text;
	const char *field;
	const char *part;
} bad_json[] = {
        {"{", "vm.json", "line 1"},
        {"[]", "vm.json", "must be an object"},
        {"{\"a\": 1, \"a\": 2}", "vm.json", "duplicate"},
        {"{\"kernl\": \"x\"}", "vm.json: kernl", "did you mean 'kernel'"},
        {"{\"kernel\": 3.5}", "vm.json: kernel", "must be a string"},
        {"{\"kernel\": null}", "vm.json: kernel", "must be a string"},
        {"{\"kernel\": [\"a\"]}", "vm.json: kernel", "once only"},
        {"{\"net\": {\"tap\": [\"a\", \"b\"]}}", "vm.json: net", "'tap' must be a string"},
        {"{\"net\": {\"user\": true, \"hostfwd\": [{}]}}", "vm.json: net", "'hostfwd' must be"},
        {"{\"cpus\": true}", "vm.json: cpus", "must be a string or a whole number"},
        {"{\"memory\": 1.5e9}", "vm.json: memory", "whole number"},
        {"{\"kernel\": 5}", "vm.json: kernel", "must be a string"},
        {"{\"cmdline\": 5}", "vm.json: cmdline", "must be a string"},
        {"{\"disk\": {\"path\": 5}}", "vm.json: disk", "'path' must be a string"},
        {"{\"cpus\": -1}", "vm.json: cpus", "1 to 32"},
        {"{\"stats\": 1}", "vm.json: stats", "true or false"},
        {"{\"disk\": [{\"path\": \"x\"}, {\"path\": \"y\", \"seriel\": \"s\"}]}",
         "vm.json: disk[1]", "did you mean 'serial'"},
        {"{\"disk\": [{\"path\": {}}]}", "vm.json: disk[0]", "'path' must be"},
        {"{\"config\": \"other.json\"}", "vm.json: config", "no meaning"},
};

START_TEST(a_mistake_in_json_is_named)
{
	ck_assert(!json(bad_json[_i].text));
	check_problem(bad_json[_i].field, bad_json[_i].part);
}
END_TEST

START_TEST(later_options_win)
{
	ck_assert(json("{\"kernel\": \"k\", \"memory\": \"1G\"}"));
	ck_assert(ARGS("--memory", "2G"));
	ck_assert_uint_eq(config.vm.memory_bytes, 2ull << 30);
}
END_TEST

/* PCI, but for the shipped kernel; what was asked for wins over both. */
START_TEST(transport_where_nothing_is_said)
{
	ck_assert(ARGS("guest.img"));
	ck_assert_int_eq(config_transport(&config), VMM_TRANSPORT_PCI);
	config.shipped = true;
	ck_assert_int_eq(config_transport(&config), VMM_TRANSPORT_MMIO);
	ck_assert(ARGS("--transport", "pci"));
	ck_assert_int_eq(config_transport(&config), VMM_TRANSPORT_PCI);
	config.shipped = false;
	ck_assert(ARGS("--transport", "mmio"));
	ck_assert_int_eq(config_transport(&config), VMM_TRANSPORT_MMIO);
}
END_TEST

START_TEST(who_idles)
{
	ck_assert(ARGS("guest.img", "--idle", "guest"));
	ck_assert_uint_eq(config.vm.flags & VMM_VM_GUEST_IDLE, VMM_VM_GUEST_IDLE);
	ck_assert(json("{ \"idle\": \"host\" }"));
	ck_assert_uint_eq(config.vm.flags & VMM_VM_GUEST_IDLE, 0);
	ck_assert(json("{ \"idle\": \"guest\" }"));
	ck_assert_uint_eq(config.vm.flags & VMM_VM_GUEST_IDLE, VMM_VM_GUEST_IDLE);
	ck_assert(!ARGS("--idle", "poll"));
	check_problem("--idle", "must be host or guest");
	ck_assert(!ARGS("--idle"));
	check_problem("--idle", "needs a value");
}
END_TEST

START_TEST(pci_devices)
{
	ck_assert(ARGS("guest.img", "--transport", "pci", "--vfio", "01:00.0",
	               "--vfio=0000:02:00.1"));
	ck_assert_int_eq(config.vm.transport, VMM_TRANSPORT_PCI);
	ck_assert_uint_eq(config.vfio_count, 2);
	ck_assert_str_eq(config.vfio[1].address, "0000:02:00.1");
	ck_assert(json("{ \"transport\": \"mmio\", \"vfio\": [ \"03:00.0\" ] }"));
	ck_assert_int_eq(config.vm.transport, VMM_TRANSPORT_MMIO);
	ck_assert_str_eq(config.vfio[2].address, "03:00.0");
	ck_assert(ARGS("--vfio", "04:00.0,iommu=group", "--vfio=iommu=iommufd,address=05:00.0"));
	ck_assert_int_eq(config.vfio[2].iommu, VMM_VFIO_AUTO);
	ck_assert_int_eq(config.vfio[3].iommu, VMM_VFIO_GROUP);
	ck_assert_str_eq(config.vfio[3].address, "04:00.0");
	ck_assert_int_eq(config.vfio[4].iommu, VMM_VFIO_IOMMUFD);
	ck_assert_str_eq(config.vfio[4].address, "05:00.0");
	ck_assert(json("{ \"vfio\": { \"address\": \"06:00.0\", \"iommu\": \"auto\" } }"));
	ck_assert_str_eq(config.vfio[5].address, "06:00.0");
	ck_assert(!ARGS("--vfio", "01:00.0,iommu=type1"));
	check_problem("--vfio iommu", "must be auto, iommufd or group");
	ck_assert(!ARGS("--vfio", "iommu=group"));
	check_problem("--vfio", "needs an address");
	ck_assert(!ARGS("--transport", "usb"));
	check_problem("--transport", "must be pci or mmio");
	ck_assert(!ARGS("--vfio"));
	check_problem("--vfio", "needs a value");
	for (unsigned i = config.vfio_count; i < VMM_VFIO_DEVICES_MAX; i++)
		ck_assert(json("{ \"vfio\": \"04:00.0\" }"));
	ck_assert(!ARGS("--vfio", "05:00.0"));
	check_problem("--vfio", "more than 16");
}
END_TEST

START_TEST(escape_key)
{
	struct term t = {0};
	enum term_request request;
	size_t used;
	char plain[] = "ls\r";
	ck_assert_uint_eq(term_filter(&t, plain, 3, &used, &request), 3);
	ck_assert_int_eq(request, TERM_NOTHING);
	char twice[] = "a\x01\x01"
	               "b";
	ck_assert_uint_eq(term_filter(&t, twice, 4, &used, &request), 3);
	ck_assert_mem_eq(twice,
	                 "a\x01"
	                 "b",
	                 3);
	char quit[] = "a\x01xb";
	ck_assert_uint_eq(term_filter(&t, quit, 4, &used, &request), 1);
	ck_assert_uint_eq(used, 3);
	ck_assert_int_eq(request, TERM_QUIT);
	char split[] = "\x01";
	ck_assert_uint_eq(term_filter(&t, split, 1, &used, &request), 0);
	char key[] = "p";
	ck_assert_uint_eq(term_filter(&t, key, 1, &used, &request), 0);
	ck_assert_int_eq(request, TERM_POWER_BUTTON);
}
END_TEST

static void touch(const char *path)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	(void)fclose(f);
}

/* Beside the program, or where it is installed; where it is neither, both places are named. */
START_TEST(the_shipped_kernel_is_found)
{
	char dir[] = "/tmp/vmm-shipped-XXXXXX", exe[64], beside[80];
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(exe, sizeof(exe), "%s/vmm", dir);
	(void)snprintf(beside, sizeof(beside), "%s/guest-kernel.elf", dir);
	ck_assert(!shipped_kernel(&config, exe, &problem));
	ck_assert_str_eq(problem.field, "IMAGE");
	ck_assert_ptr_nonnull(strstr(problem.text, beside));
	ck_assert_ptr_nonnull(strstr(problem.text, "libexec/vmm/guest-kernel.elf"));
	ck_assert_ptr_null(config.boot.kernel);
	touch(beside);
	ck_assert(shipped_kernel(&config, exe, &problem));
	ck_assert_str_eq(config.boot.kernel, beside);
	ck_assert_int_eq(unlink(beside), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* A paste, or a script: what follows a request is not lost. */
START_TEST(requests_that_come_at_once)
{
	static const enum term_request expected[] = {TERM_STATS, TERM_HELP, TERM_QUIT};
	struct term t = {0};
	int in[2];
	int guest[2];
	char got[8] = "";
	ck_assert(pipe(in) == 0 && pipe(guest) == 0);
	ck_assert_int_eq(write(in[1], "a\x01sb\x01h\x01xc", 9), 9);
	ck_assert_int_eq(dup2(in[0], STDIN_FILENO), STDIN_FILENO);
	t.keys_fd = guest[1];
	for (size_t i = 0; i < 3; i++) {
		enum term_request request;
		ck_assert(i == 0 || term_pending(&t));
		ck_assert(term_read(&t, &request));
		ck_assert_int_eq(request, expected[i]);
	}
	ck_assert_int_eq(read(guest[0], got, sizeof(got)), 2);
	ck_assert_str_eq(got, "ab");
}
END_TEST

START_TEST(the_sandbox)
{
	ck_assert(config.sandbox);
	ck_assert_uint_eq(config.sandbox_opts.layers, VMM_SANDBOX_ALL);
	ck_assert(!(config.sandbox_opts.required & VMM_SANDBOX_LANDLOCK));
	ck_assert(ARGS("--sandbox", "strict,uid=1000,gid=100", "--kernel", "k"));
	ck_assert(config.sandbox);
	ck_assert_uint_eq(config.sandbox_opts.required, VMM_SANDBOX_ALL | VMM_SANDBOX_USER);
	ck_assert_uint_eq(config.sandbox_opts.uid, 1000);
	ck_assert_uint_eq(config.sandbox_opts.gid, 100);
	/* The last one counts, with nothing of the one before. */
	ck_assert(ARGS("--sandbox", "off", "--kernel", "k"));
	ck_assert(!config.sandbox);
	ck_assert(ARGS("--sandbox", "on", "--kernel", "k"));
	ck_assert(config.sandbox);
	ck_assert_uint_eq(config.sandbox_opts.layers, VMM_SANDBOX_ALL);
	ck_assert(json("{\"sandbox\": \"off\"}"));
	ck_assert(!config.sandbox);
	ck_assert(!config.pid_namespace);
	ck_assert(ARGS("--sandbox", "pid-namespace", "--kernel", "k"));
	ck_assert(config.sandbox && config.pid_namespace);
	ck_assert(ARGS("--sandbox", "on", "--kernel", "k"));
	ck_assert(!config.pid_namespace);
	static const char *const bad[] = {"half",
	                                  "uid=1",
	                                  "gid=1",
	                                  "uid=0,gid=0",
	                                  "uid=1,gid=0",
	                                  "uid=x,gid=1",
	                                  "uid=,gid=1",
	                                  "uid=-1,gid=-1",
	                                  "pid-namespace,off",
	                                  "uid=4294967295,gid=1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(!ARGS("--sandbox", bad[i], "--kernel", "k"), "%s", bad[i]);
		ck_assert_msg(strstr(problem.field, "sandbox"), "%s: %s", bad[i], problem.field);
	}
}
END_TEST

START_TEST(the_control_group)
{
	ck_assert_ptr_null(config.cgroup.path);
	ck_assert(ARGS("--cgroup",
	               "/sys/fs/cgroup/web,cpu=1.5,memory=1G,pids=64,io=8:0 rbps=9,"
	               "io=8:16 wiops=7",
	               "--kernel", "k"));
	ck_assert_str_eq(config.cgroup.path, "/sys/fs/cgroup/web");
	ck_assert_uint_eq(config.cgroup.cpu_millis, 1500);
	ck_assert_uint_eq(config.cgroup.memory_bytes, 1u << 30);
	ck_assert_uint_eq(config.cgroup.pids, 64);
	ck_assert_uint_eq(config.cgroup.io_count, 2);
	ck_assert_str_eq(config.cgroup.io[0], "8:0 rbps=9");
	ck_assert_str_eq(config.cgroup.io[1], "8:16 wiops=7");
	/* The last one counts, with nothing of the one before. */
	ck_assert(
	        json("{\"cgroup\": {\"path\": \"/g/a\", \"pids\": 3, \"io\": [\"8:0 rbps=1\"]}}"));
	ck_assert_str_eq(config.cgroup.path, "/g/a");
	ck_assert_uint_eq(config.cgroup.cpu_millis, 0);
	ck_assert_uint_eq(config.cgroup.pids, 3);
	ck_assert_uint_eq(config.cgroup.io_count, 1);
	static const char *const bad[][2] = {
	        {"web", "absolute"},
	        {"cpu=1", "needs the group"},
	        {"/g,cpu=0", "CPUs"},
	        {"/g,cpu=0.001", "CPUs"},
	        {"/g,cpu=1001", "CPUs"},
	        {"/g,cpu=1.", "CPUs"},
	        {"/g,cpu=-1", "CPUs"},
	        {"/g,cpu=1x", "CPUs"},
	        {"/g,memory=0", "more than 0"},
	        {"/g,memory=x", "a size"},
	        {"/g,pids=0", "1 or more"},
	        {"/g,io=8:0", "io.max"},
	        {"/g,disk=1", "no key"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(!ARGS("--cgroup", bad[i][0], "--kernel", "k"), "%s", bad[i][0]);
		ck_assert_msg(strstr(problem.field, "cgroup"), "%s: %s", bad[i][0], problem.field);
		ck_assert_msg(strstr(problem.text, bad[i][1]), "%s: %s", bad[i][0], problem.text);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cli_config");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, numbers_switches_macs);
	tcase_add_test(tc, lists);
	tcase_add_test(tc, nearest);
	tcase_add_test(tc, command_line);
	tcase_add_loop_test(tc, images_behind_options, 0, 3);
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, image_keeps_its_command_line);
	tcase_add_test(tc, an_empty_command_line_is_one);
	tcase_add_test(tc, the_user_mode_network_has_its_keys);
	tcase_add_test(tc, devices_have_limits_of_rate);
	tcase_add_test(tc, net_none_is_no_card);
	tcase_add_test(tc, a_fifo_is_no_configuration);
	tcase_add_loop_test(tc, a_mistake_is_named, 0, sizeof(mistakes) / sizeof(mistakes[0]));
	tcase_add_test(tc, json_is_the_same_options);
	tcase_add_loop_test(tc, a_mistake_in_json_is_named, 0,
	                    sizeof(bad_json) / sizeof(bad_json[0]));
	tcase_add_test(tc, later_options_win);
	tcase_add_test(tc, transport_where_nothing_is_said);
	tcase_add_test(tc, who_idles);
	tcase_add_test(tc, pci_devices);
	tcase_add_test(tc, escape_key);
	tcase_add_test(tc, the_shipped_kernel_is_found);
	tcase_add_test(tc, requests_that_come_at_once);
	tcase_add_test(tc, the_sandbox);
	tcase_add_test(tc, the_control_group);
	return suite_run("cli_config", tc);
}
