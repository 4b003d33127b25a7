/*
 * The flattened device tree that describes the machine (Devicetree Specification 0.4), read with
 * libfdt into what the kernel wants to know. Pure: bytes in, facts out. The tree is hostile until
 * it has been checked as a whole; a node that is not as it should be is left out, and the first of
 * them is named.
 */
#ifndef GK_CORE_DEVTREE_H
#define GK_CORE_DEVTREE_H

#include "guest-kernel/arch/arch.h"

#define DEVTREE_BYTES_MAX   (1u << 20)
#define DEVTREE_IOAPICS_MAX 2u

struct devtree_switch {
	uint16_t port; /* 0: there is none */
	uint8_t value; /* to be written there */
};

struct devtree {
	const char *model, *bootargs; /* in the tree, terminated; or NULL */
	unsigned cpu_count;
	uint32_t cpu_ids[ARCH_CPUS_MAX];
	unsigned virtio_count;
	struct arch_virtio_slot virtio[ARCH_VIRTIO_MAX];
	struct arch_pci pci;
	unsigned ioapic_count;
	uint64_t ioapic[DEVTREE_IOAPICS_MAX];
	uint16_t serial_port; /* 0: there is none */
	uint32_t serial_gsi;
	struct devtree_switch poweroff, reset;
	uint32_t button_gsi;                    /* pressed; edge triggered; 0: there is none */
	uint16_t pvpanic_port, debug_exit_port; /* 0: there is none */
	const char *complaint;                  /* what was left out, or what is wrong; or NULL */
};

/* False: the tree cannot be used at all; OUT has nothing but the complaint. */
bool devtree_read(const void *blob, uint64_t bytes, struct devtree *out);

#endif
