/* Guest images for people and programs: what one holds, and whether it is whole. vmm/image.h. */
#include "vmm/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "boot/fit.h"
#include "boot/part.h"
#include "errset.h"
#include "sized.h"

static vmm_err_t open_image(const char *path, struct boot_part *part, vmm_err_info_t *ei)
{
	if (!path)
		return err_set(ei, VMM_E_INVAL, "image", "no path given");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(ei, errno, path, "cannot open the image");
	vmm_err_t err = part_of_fd(part, fd, path, ei);
	if (err)
		(void)close(fd);
	return err;
}

/* Open and parse PATH; on success the caller closes part->fd and frees *FIT. */
static vmm_err_t load(const char *path, struct boot_part *part, struct fit **fit,
                      vmm_err_info_t *ei)
{
	vmm_err_t err = open_image(path, part, ei);
	if (err)
		return err;
	*fit = malloc(sizeof(**fit));
	if (*fit)
		err = fit_read(part, *fit, ei);
	else
		err = err_set(ei, VMM_E_NOMEM, path, "out of memory");
	if (!err)
		return VMM_OK;
	free(*fit);
	(void)close(part->fd);
	return err;
}

vmm_err_t vmm_image_inspect(const char *path, vmm_image_info_t *info, vmm_err_info_t *ei)
{
	if (!sized_info(info, sizeof(*info), ei))
		return VMM_E_INVAL;
	struct boot_part part = {.fd = -1};
	struct fit *fit = NULL;
	vmm_err_t err = load(path, &part, &fit, ei);
	if (err)
		return err;
	err = fit_hash(&part, fit, false, ei);
	if (!err)
		*info = fit->info;
	free(fit);
	(void)close(part.fd);
	return err;
}

/* Would it boot: in the memory it asks for, or in as much as could matter. */
static vmm_err_t check_boot(const struct boot_part *part, struct fit *fit, vmm_err_info_t *ei)
{
	uint64_t ram = fit->info.memory_bytes ? fit->info.memory_bytes : MACHINE_LOW_RAM_END;
	int memfd;
	struct boot_plan plan = {.protocol = BOOT_AUTO};
	vmm_err_t err = fit_plan(part, fit, ram, &plan, &memfd, ei);
	if (!err)
		err = boot_check(&plan, ram, ei);
	if (memfd >= 0)
		(void)close(memfd);
	return err;
}

vmm_err_t vmm_image_verify(const char *path, vmm_err_info_t *ei)
{
	struct boot_part part = {.fd = -1};
	struct fit *fit = NULL;
	vmm_err_t err = load(path, &part, &fit, ei);
	if (err)
		return err;
	err = fit_hash(&part, fit, true, ei);
	if (!err)
		err = fit_require(fit, path, ei);
	if (!err)
		err = check_boot(&part, fit, ei);
	free(fit);
	(void)close(part.fd);
	return err;
}

bool vmm_image_is(const char *path)
{
	uint8_t head[4] = {0};
	struct boot_part part = {.fd = -1};
	if (open_image(path, &part, NULL))
		return false;
	bool is = part.len_bytes >= sizeof(head) &&
	          part_read(&part, 0, head, sizeof(head), "the first bytes", NULL) == VMM_OK &&
	          fit_matches(head, sizeof(head));
	(void)close(part.fd);
	return is;
}
