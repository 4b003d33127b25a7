/*
 * KVM's own counters, through KVM_GET_STATS_FD: a header, descriptors, an array of values (Linux
 * Documentation/virt/kvm/api.rst, 4.136). What the kernel says of sizes is checked all the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errset.h"
#include "sized.h"
#include "vm_priv.h"
#include "vmm/profile.h"

#define DESCRIPTORS_MAX 1024u
#define NAME_MAX_BYTES  256u

static bool read_at(int fd, uint64_t offset, void *to, size_t len)
{
	return pread(fd, to, len, (off_t)offset) == (ssize_t)len;
}

static void take(int fd, const struct kvm_stats_header *h, const struct kvm_stats_desc *d,
                 vmm_kvm_stats_t *out)
{
	uint32_t type = d->flags & KVM_STATS_TYPE_MASK;
	uint64_t value;
	if (d->size != 1 || type == KVM_STATS_TYPE_LINEAR_HIST || type == KVM_STATS_TYPE_LOG_HIST ||
	    out->count == VMM_KVM_STATS_MAX ||
	    !read_at(fd, (uint64_t)h->data_offset + d->offset, &value, sizeof(value)))
		return;
	vmm_kvm_stat_t *s = &out->stat[out->count++];
	(void)snprintf(s->name, sizeof(s->name), "%.*s", (int)sizeof(s->name) - 1, d->name);
	s->value = value;
	s->is_time = (d->flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_SECONDS;
}

static vmm_err_t take_all(int fd, vmm_kvm_stats_t *out, vmm_err_info_t *ei)
{
	struct kvm_stats_header h;
	if (!read_at(fd, 0, &h, sizeof(h)) || h.name_size == 0 || h.name_size > NAME_MAX_BYTES ||
	    h.num_desc > DESCRIPTORS_MAX)
		return err_set(ei, VMM_E_FORMAT, "/dev/kvm", "its statistics make no sense");
	size_t each = sizeof(struct kvm_stats_desc) + h.name_size;
	char *all = malloc(each * h.num_desc + 1);
	if (!all)
		return err_set(ei, VMM_E_NOMEM, "statistics", "out of memory");
	bool good = read_at(fd, h.desc_offset, all, each * h.num_desc);
	for (uint32_t i = 0; good && i < h.num_desc; i++) {
		char *d = all + each * i;
		d[each - 1] = '\0'; /* whatever the kernel wrote, the name ends */
		take(fd, &h, (const struct kvm_stats_desc *)d, out);
	}
	free(all);
	return good ? VMM_OK
	            : err_set(ei, VMM_E_FORMAT, "/dev/kvm", "its statistics cannot be read");
}

vmm_err_t vmm_vcpu_kvm_stats(vmm_vm_t *vm, uint32_t cpu, vmm_kvm_stats_t *out)
{
	vmm_err_info_t *ei = vm_error(vm);
	if (!sized_info(out, sizeof(*out), ei))
		return VMM_E_INVAL;
	if (cpu >= vm->vcpu_count)
		return err_set(ei, VMM_E_INVAL, "cpu", "no vCPU %u; the VM has %u", cpu,
		               vm->vcpu_count);
	if (!vm->caps.stats)
		return err_set(ei, VMM_E_UNSUPPORTED, "/dev/kvm", "has no KVM_CAP_BINARY_STATS_FD");
	out->struct_size = sizeof(*out);
	out->count = 0;
	int fd = -1;
	/* A reset replaces the KVM side while it holds this lock. */
	(void)pthread_mutex_lock(&vm->life_lock);
	if (vm->vcpus[cpu].fd >= 0)
		fd = kvm_stats_fd(vm->vcpus[cpu].fd);
	(void)pthread_mutex_unlock(&vm->life_lock);
	if (fd < 0)
		return err_set(ei, VMM_E_KVM, "/dev/kvm", "vCPU %u has no statistics now", cpu);
	vmm_err_t err = take_all(fd, out, ei);
	(void)close(fd);
	return err;
}
