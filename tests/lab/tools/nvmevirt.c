/*
 * nvmevirt DEVICE assign CONTROLLER QUEUES INTERRUPTS | online CONTROLLER | reset: gives resources
 * to a controller of an NVMe subsystem (0: the primary one; 1: that of the first virtual function),
 * takes a secondary one online, or resets the device that is asked. NVM Express 1.4, 5.22
 * (Virtualization Management).
 * Exit status: 0 done, 1 the controller refuses, 2 the tool could not run.
 */
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OP_VIRT_MGMT       0x1cu
#define PRIMARY_FLEXIBLE   1u
#define SECONDARY_ASSIGN   8u
#define SECONDARY_ONLINE   9u
#define RESOURCE_QUEUES    0u
#define RESOURCE_INTERRUPT 1u

static int manage(int fd, unsigned controller, unsigned resource, unsigned action, unsigned count)
{
	struct nvme_admin_cmd cmd = {
	        .opcode = OP_VIRT_MGMT,
	        .cdw10 = controller << 16 | resource << 8 | action,
	        .cdw11 = count,
	};
	int status = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd);

	if (status != 0)
		fprintf(stderr, "nvmevirt: action %u on controller %u: status 0x%x\n", action,
		        controller, (unsigned)status);
	return status == 0;
}

int main(int argc, char **argv)
{
	int fd = argc >= 3 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	unsigned controller = argc >= 4 ? (unsigned)atoi(argv[3]) : 0;
	unsigned action = controller == 0 ? PRIMARY_FLEXIBLE : SECONDARY_ASSIGN;

	if (fd < 0)
		return 2;
	if (strcmp(argv[2], "reset") == 0)
		return ioctl(fd, NVME_IOCTL_RESET) == 0 ? 0 : 1;
	if (strcmp(argv[2], "online") == 0 && argc == 4)
		return manage(fd, controller, 0, SECONDARY_ONLINE, 0) ? 0 : 1;
	if (strcmp(argv[2], "assign") != 0 || argc != 6)
		return 2;
	return manage(fd, controller, RESOURCE_QUEUES, action, (unsigned)atoi(argv[4])) &&
	                       manage(fd, controller, RESOURCE_INTERRUPT, action,
	                              (unsigned)atoi(argv[5]))
	               ? 0
	               : 1;
}
