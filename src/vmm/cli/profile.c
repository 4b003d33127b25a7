/* The report of `vmm run --profile`. See profile.h. */
#include "profile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/profile.h"

#define ROOM        1024u
#define LINES_SHOWN 24u

static bool take(vmm_vm_t *vm, vmm_profile_t *p)
{
	*p = (vmm_profile_t){.struct_size = sizeof(*p), .room = ROOM};
	p->entries = calloc(ROOM, sizeof(*p->entries));
	if (p->entries && vmm_vm_profile(vm, p) == VMM_OK)
		return true;
	free(p->entries);
	p->entries = NULL;
	errno = ENOMEM;
	return false;
}

static double ns_of(const vmm_profile_t *p, double ticks)
{
	return p->tsc_khz ? ticks * 1e6 / p->tsc_khz : 0;
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

/* The low end of the bucket where the PER_MILLE-th sample lies. */
static uint64_t percentile(const vmm_profile_entry_t *e, unsigned per_mille)
{
	uint64_t below = 0;
	for (uint32_t i = 0; i < VMM_PROFILE_BUCKETS; i++) {
		below += e->bucket[i];
		if ((double)below * 1000 >= (double)e->count * per_mille)
			return vmm_profile_bucket_low(i);
	}
	return e->max_ticks;
}

static bool has_place(const vmm_profile_entry_t *e)
{
	const char *name = vmm_exit_name(e->reason);
	return strcmp(name, "IO") == 0 || strcmp(name, "MMIO") == 0 ||
	       strncmp(name, "X86_", 4) == 0;
}

static void place_text(const vmm_profile_entry_t *e, char *text, size_t room)
{
	if (e->is_rest)
		(void)snprintf(text, room, "(other places)");
	else if (has_place(e))
		(void)snprintf(text, room, "0x%" PRIx64 " %s", e->address,
		               e->is_write ? "write" : "read");
	else
		text[0] = '\0';
}

static void print_entry(FILE *out, const vmm_profile_t *p, const vmm_profile_entry_t *e,
                        const char *eol)
{
	char place[48];
	place_text(e, place, sizeof(place));
	(void)fprintf(out, "  %-14s %-22s %10" PRIu64 " %6.2f%% %9.0f %9.0f %9.0f %10.0f%s",
	              e->is_rest ? "" : vmm_exit_name(e->reason), place, e->count,
	              percent((double)e->ticks, (double)p->wall_ticks),
	              ns_of(p, (double)percentile(e, 500)), ns_of(p, (double)percentile(e, 900)),
	              ns_of(p, (double)percentile(e, 990)), ns_of(p, (double)e->max_ticks), eol);
}

bool profile_print(FILE *out, vmm_vm_t *vm, const char *eol)
{
	vmm_profile_t p;
	if (!take(vm, &p))
		return false;
	double wall = ns_of(&p, (double)p.wall_ticks);
	(void)fprintf(
	        out,
	        "profile: %.3f s of %u vCPU(s): in the VMM %.2f%%, halted %.2f%%, in the guest "
	        "%.1f%% (by ticks); %" PRIu64 " exits to the VMM%s",
	        wall / 1e9, p.cpus, percent((double)p.vmm_ticks, (double)p.wall_ticks),
	        percent((double)p.halted_ns, wall), percent((double)p.guest_ns, wall), p.exits,
	        eol);
	(void)fprintf(out, "  %-14s %-22s %10s %7s %9s %9s %9s %10s%s", "exit", "where", "count",
	              "wall", "p50, ns", "p90", "p99", "max", eol);
	for (uint32_t i = 0; i < p.count && i < LINES_SHOWN; i++)
		print_entry(out, &p, &p.entries[i], eol);
	if (p.count > LINES_SHOWN)
		(void)fprintf(out, "  and %u more; --profile=FILE has all of them%s",
		              p.count - LINES_SHOWN, eol);
	free(p.entries);
	return true;
}

static json_t *integer(uint64_t v)
{
	return json_integer(v <= INT64_MAX ? (json_int_t)v : INT64_MAX);
}

static json_t *entry_json(const vmm_profile_entry_t *e)
{
	json_t *buckets = json_array();
	for (uint32_t i = 0; i < VMM_PROFILE_BUCKETS; i++)
		if (e->bucket[i])
			(void)json_array_append_new(
			        buckets, json_pack("[oo]", integer(vmm_profile_bucket_low(i)),
			                           integer(e->bucket[i])));
	json_t *o = json_pack("{s:s, s:i, s:b, s:o, s:o, s:o, s:o, s:o}", "exit",
	                      vmm_exit_name(e->reason), "reason", (int)e->reason, "rest",
	                      e->is_rest, "count", integer(e->count), "cycles", integer(e->ticks),
	                      "min_cycles", integer(e->min_ticks), "max_cycles",
	                      integer(e->max_ticks), "histogram", buckets);
	if (o && has_place(e)) {
		(void)json_object_set_new(o, "address", integer(e->address));
		(void)json_object_set_new(o, "write", json_boolean(e->is_write));
	}
	return o;
}

/* KVM's counters, all vCPUs together. */
static json_t *kvm_json(vmm_vm_t *vm, uint32_t cpus)
{
	json_t *o = json_object();
	vmm_kvm_stats_t *s = calloc(1, sizeof(*s));
	for (uint32_t cpu = 0; s && cpu < cpus; cpu++) {
		s->struct_size = sizeof(*s);
		if (vmm_vcpu_kvm_stats(vm, cpu, s) != VMM_OK)
			break;
		for (uint32_t i = 0; i < s->count; i++) {
			json_int_t sum = json_integer_value(json_object_get(o, s->stat[i].name));
			(void)json_object_set_new(
			        o, s->stat[i].name,
			        json_integer(sum + (json_int_t)(s->stat[i].value & INT64_MAX)));
		}
	}
	free(s);
	return o;
}

static json_t *profile_json(vmm_vm_t *vm, const vmm_profile_t *p, vmm_host_kind_t kind)
{
	static const char *const kinds[] = {"unknown", "hardware", "pagetable"};
	json_t *entries = json_array();
	for (uint32_t i = 0; i < p->count; i++)
		(void)json_array_append_new(entries, entry_json(&p->entries[i]));
	return json_pack(
	        "{s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
	        "format", "vmm-bench", "version", 1, "what", "profile", "vmm", vmm_version(),
	        "kvm_kind", kinds[kind], "cpus", (int)p->cpus, "tsc_khz", (int)p->tsc_khz,
	        "wall_cycles", integer(p->wall_ticks), "run_cycles", integer(p->run_ticks),
	        "vmm_cycles", integer(p->vmm_ticks), "guest_ns", integer(p->guest_ns), "halted_ns",
	        integer(p->halted_ns), "exits", integer(p->exits), "kvm", kvm_json(vm, p->cpus),
	        "entries", entries);
}

bool profile_open(struct profile_file *f, const char *path)
{
	vmm_host_info_t host = {.struct_size = sizeof(host)};
	/* With its first object jansson opens the system's source of randomness. */
	json_object_seed(0);
	f->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	f->kind = vmm_host_probe(NULL, &host) == VMM_OK ? host.kind : VMM_HOST_UNKNOWN;
	return f->fd >= 0;
}

void profile_close(struct profile_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
}

static bool write_all(int fd, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, text + done, len - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	/* What is not a regular file has no length. */
	return ftruncate(fd, (off_t)len) == 0 || errno == EINVAL;
}

bool profile_write(const struct profile_file *f, vmm_vm_t *vm)
{
	vmm_profile_t p;
	if (!take(vm, &p))
		return false;
	json_t *root = profile_json(vm, &p, f->kind);
	char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	size_t len = text ? strlen(text) : 0;
	if (text)
		text[len] = '\n'; /* in place of the end */
	bool good = text && write_all(f->fd, text, len + 1);
	free(text);
	json_decref(root);
	free(p.entries);
	return good;
}
