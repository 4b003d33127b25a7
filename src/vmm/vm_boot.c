/* The files a VM boots from. See vm_boot.h. */
#include "vm_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/fit.h"
#include "boot/part.h"
#include "errset.h"
#include "sized.h"

struct file {
	char *path;
	int fd;
};

struct boot_files {
	vmm_boot_protocol_t protocol;
	bool is_image;      /* KERNEL may be a guest image */
	struct file kernel; /* or the image */
	struct file initrd;
	char *cmdline;   /* NULL: not given */
	struct fit *fit; /* of the image */
	int unpacked_fd; /* its kernel, unpacked, or -1 */
};

static vmm_err_t take_file(struct file *f, const char *path, int fd, const char *what,
                           vmm_err_info_t *ei)
{
	f->fd = -1;
	if (path) {
		f->path = strdup(path);
		if (!f->path)
			return err_set(ei, VMM_E_NOMEM, what, "out of memory");
	}
	if (fd < 0)
		return VMM_OK;
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return f->fd < 0 ? err_sys(ei, errno, what, "cannot duplicate descriptor %d", fd) : VMM_OK;
}

static bool given(const char *path, int fd)
{
	return path || fd >= 0;
}

vmm_err_t vm_boot_take(const vmm_boot_opts_t *opts, struct boot_files **out, vmm_err_info_t *ei)
{
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	bool image = given(opts->image, opts->image_fd);
	bool kernel = given(opts->kernel, opts->kernel_fd);
	if (image == kernel)
		return err_set(ei, VMM_E_INVAL, "boot",
		               image ? "give an image or a kernel, not both"
		                     : "there is nothing to boot: give an image or a kernel");
	struct boot_files *f = calloc(1, sizeof(*f));
	if (!f)
		return err_set(ei, VMM_E_NOMEM, "boot", "out of memory");
	f->protocol = opts->protocol;
	f->is_image = image;
	f->kernel.fd = f->initrd.fd = f->unpacked_fd = -1;
	vmm_err_t err = take_file(&f->kernel, image ? opts->image : opts->kernel,
	                          image ? opts->image_fd : opts->kernel_fd, "kernel", ei);
	if (!err)
		err = take_file(&f->initrd, opts->initrd, opts->initrd_fd, "initrd", ei);
	if (!err && opts->cmdline) {
		f->cmdline = strdup(opts->cmdline);
		if (!f->cmdline)
			err = err_set(ei, VMM_E_NOMEM, "boot", "out of memory");
	}
	if (err) {
		vm_boot_close(f);
		return err;
	}
	*out = f;
	return VMM_OK;
}

static vmm_err_t open_part(struct file *f, const char *what, struct boot_part *part,
                           vmm_err_info_t *ei)
{
	const char *name = f->path ? f->path : what;
	*part = (struct boot_part){.fd = -1, .name = name};
	if (!given(f->path, f->fd))
		return VMM_OK;
	if (f->fd < 0)
		f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait */
	if (f->fd < 0)
		return err_sys(ei, errno, name, "cannot open the %s", what);
	struct stat st;
	if (fstat(f->fd, &st) < 0)
		return err_sys(ei, errno, name, "cannot examine the %s", what);
	if (!S_ISREG(st.st_mode))
		return err_set(ei, VMM_E_INVAL, name, "the %s must be a regular file", what);
	if (st.st_size == 0)
		return err_set(ei, VMM_E_FORMAT, name, "the %s is empty", what);
	part->fd = f->fd;
	part->len_bytes = (uint64_t)st.st_size;
	return VMM_OK;
}

static vmm_err_t is_fit(const struct boot_files *f, const struct boot_part *part, bool *fit,
                        vmm_err_info_t *ei)
{
	uint8_t head[4];
	*fit = false;
	if (!f->is_image || part->len_bytes < sizeof(head))
		return VMM_OK;
	vmm_err_t err = part_read(part, 0, head, sizeof(head), "the first bytes", ei);
	if (!err)
		*fit = fit_matches(head, sizeof(head));
	return err;
}

/* PLAN holds the image as its kernel: put the image's parts in its place. */
static vmm_err_t open_image(struct boot_files *f, uint64_t ram_bytes, struct boot_plan *plan,
                            vmm_err_info_t *ei)
{
	struct boot_part image = plan->kernel;
	f->fit = malloc(sizeof(*f->fit));
	if (!f->fit)
		return err_set(ei, VMM_E_NOMEM, image.name, "out of memory");
	vmm_err_t err = fit_read(&image, f->fit, ei);
	if (!err)
		err = fit_hash(&image, f->fit, true, ei);
	if (!err)
		err = fit_require(f->fit, image.name, ei);
	if (!err)
		err = fit_plan(&image, f->fit, ram_bytes, plan, &f->unpacked_fd, ei);
	return err;
}

vmm_err_t vm_boot_open(struct boot_files *f, uint64_t ram_bytes, struct boot_plan *plan,
                       vmm_err_info_t *ei)
{
	static const enum boot_protocol protocols[] = {
	        [VMM_BOOT_AUTO] = BOOT_AUTO,
	        [VMM_BOOT_LINUX64] = BOOT_LINUX64,
	        [VMM_BOOT_PVH] = BOOT_PVH,
	};
	if ((unsigned)f->protocol >= sizeof(protocols) / sizeof(protocols[0]))
		return err_set(ei, VMM_E_INVAL, "protocol", "%d is none of vmm_boot_protocol_t",
		               (int)f->protocol);
	bool fit = false;
	*plan = (struct boot_plan){.protocol = protocols[f->protocol],
	                           .cmdline = "",
	                           .initrd.fd = -1,
	                           .policy.fd = -1};
	vmm_err_t err = open_part(&f->kernel, f->is_image ? "image" : "kernel", &plan->kernel, ei);
	if (!err)
		err = is_fit(f, &plan->kernel, &fit, ei);
	if (!err && fit)
		err = open_image(f, ram_bytes, plan, ei);
	if (!err && given(f->initrd.path, f->initrd.fd))
		err = open_part(&f->initrd, "initrd", &plan->initrd, ei);
	if (!err && f->cmdline)
		plan->cmdline = f->cmdline;
	return err;
}

void vm_boot_close(struct boot_files *f)
{
	if (!f)
		return;
	if (f->kernel.fd >= 0)
		(void)close(f->kernel.fd);
	if (f->initrd.fd >= 0)
		(void)close(f->initrd.fd);
	if (f->unpacked_fd >= 0)
		(void)close(f->unpacked_fd);
	free(f->fit);
	free(f->kernel.path);
	free(f->initrd.path);
	free(f->cmdline);
	free(f);
}
