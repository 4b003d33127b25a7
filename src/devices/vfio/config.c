/* The config space of a passed device. See config.h. PCI 3.0, 6.1 and 6.7; PCI Express 3.0, 7. */
#include "devices/vfio/config.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "vmm/errset.h"

enum how {
	PASS,    /* the device's, for reading and for writing */
	EMULATE, /* ours: as it was at the start, changed only where the guest may write */
	HIDE,    /* not there: a capability is left out of the list */
};

/* The header (PCI 3.0, figure 6-1). What is not named is passed. */
static const struct {
	uint8_t at, len;
	enum how how;
} header[] = {
        /* Decoding is the window's matter, and the device always decodes: see dev.c. */
        {PCI_COMMAND, 2, EMULATE},
        {PCI_HEADER_TYPE, 1, EMULATE}, /* the functions beside it are the guest's */
        {PCI_BIST, 1, EMULATE},
        {PCI_BASE_ADDRESS_0, 24, EMULATE}, /* where the guest puts them */
        {PCI_CARDBUS_CIS, 4, EMULATE},
        {PCI_ROM_ADDRESS, 4, EMULATE},
        {PCI_CAPABILITY_LIST, 1, EMULATE},
        {PCI_INTERRUPT_LINE, 2, EMULATE}, /* and the pin, which is wired anew */
};

/* Capabilities. What is not named is hidden. */
static const struct {
	uint8_t id;
	enum how how;
} capabilities[] = {
        {PCI_CAP_ID_PM, EMULATE}, /* the device stays in D0, where its BARs answer */
        {PCI_CAP_ID_VPD, PASS},
        {PCI_CAP_ID_MSI, EMULATE}, /* vectors are those of the guest's APICs */
        {PCI_CAP_ID_MSIX, EMULATE},
        {PCI_CAP_ID_VNDR, PASS}, /* virtio devices describe themselves by it */
        {PCI_CAP_ID_SSVID, PASS},
        {PCI_CAP_ID_EXP, PASS}, /* but for its type and its link: shape_express */
        {PCI_CAP_ID_SATA, PASS},
        {PCI_CAP_ID_AF, PASS}, /* the kernel makes a reset by it a safe one */
};

/* Extended capabilities. What is not named is hidden: most concern the fabric or the host. */
static const struct {
	uint16_t id;
	enum how how;
} extended[] = {
        {PCI_EXT_CAP_ID_ERR, PASS},  {PCI_EXT_CAP_ID_DSN, PASS}, {PCI_EXT_CAP_ID_PWR, PASS},
        {PCI_EXT_CAP_ID_VNDR, PASS}, {PCI_EXT_CAP_ID_LTR, PASS},
};

static enum how cap_how(uint8_t id)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		if (capabilities[i].id == id)
			return capabilities[i].how;
	return HIDE;
}

static enum how extended_how(uint16_t id)
{
	for (size_t i = 0; i < sizeof(extended) / sizeof(extended[0]); i++)
		if (extended[i].id == id)
			return extended[i].how;
	return HIDE;
}

static uint32_t get(const uint8_t *p, unsigned size)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)p[i] << (8 * i);
	return value;
}

/* Where the capability at AT may reach: to the next one in config space, whatever its place in the
 * list. */
static uint8_t reach(const struct vfio_caps *caps, uint8_t at)
{
	unsigned end = PCI_CFG_SPACE_SIZE;
	for (unsigned i = 0; i < caps->count; i++)
		if (caps->cap[i].at > at && caps->cap[i].at < end)
			end = caps->cap[i].at;
	unsigned len = end - at;
	return (uint8_t)(len < 0xff ? len : 0xff);
}

static void note_cap(struct vfio_caps *caps, const struct vfio_cap *c, const uint8_t *config)
{
	switch (c->id) {
	case PCI_CAP_ID_PM:
		if (!caps->pm && c->len >= PCI_PM_SIZEOF)
			caps->pm = c->at;
		break;
	case PCI_CAP_ID_MSI: {
		uint32_t flags = c->len >= 4 ? get(config + c->at + PCI_MSI_FLAGS, 2) : 0;
		unsigned need = flags & PCI_MSI_FLAGS_MASKBIT ? 24
		                : flags & PCI_MSI_FLAGS_64BIT ? 14
		                                              : 10;
		if (!caps->msi && c->len >= need)
			caps->msi = c->at;
		break;
	}
	case PCI_CAP_ID_MSIX:
		if (!caps->msix && c->len >= PCI_CAP_MSIX_SIZEOF)
			caps->msix = c->at;
		break;
	default:
		break;
	}
}

void vfio_caps_scan(const uint8_t config[PCI_CFG_SPACE_SIZE], struct vfio_caps *caps)
{
	bool seen[PCI_CFG_SPACE_SIZE / 4] = {false};
	*caps = (struct vfio_caps){0};
	if (!(get(config + PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return;
	uint8_t at = config[PCI_CAPABILITY_LIST] & (uint8_t)~3u;
	while (at >= PCI_STD_HEADER_SIZEOF && !seen[at / 4] && caps->count < VFIO_CAPS_MAX) {
		seen[at / 4] = true;
		caps->cap[caps->count++] = (struct vfio_cap){config[at], at, 0};
		at = config[at + PCI_CAP_LIST_NEXT] & (uint8_t)~3u;
	}
	for (unsigned i = 0; i < caps->count; i++) {
		caps->cap[i].len = reach(caps, caps->cap[i].at);
		note_cap(caps, &caps->cap[i], config);
	}
}

static void emulate(uint8_t *pass, uint32_t at, uint32_t len)
{
	memset(pass + at, 0, len);
}

/* On the root bus without a port above it: an integrated endpoint, which has no link (7.8.2). */
static void shape_express(struct pci_func *f, const struct vfio_cap *c, uint8_t *pass)
{
	uint32_t link = c->at + (uint32_t)PCI_EXP_LNKCAP;
	if (c->len < PCI_EXP_LNKCAP + 8)
		return;
	uint32_t flags = pci_config_get(f, c->at + PCI_EXP_FLAGS, 2);
	flags = (flags & ~(uint32_t)PCI_EXP_FLAGS_TYPE) | (uint32_t)PCI_EXP_TYPE_RC_END << 4;
	pci_config_set(f, c->at + PCI_EXP_FLAGS, 2, flags);
	emulate(pass, c->at + (uint32_t)PCI_EXP_FLAGS, 2);
	pci_config_set(f, link, 4, 0);
	pci_config_set(f, link + 4, 4, 0); /* control and status */
	emulate(pass, link, 8);
}

/* The guest may set a power state, and nothing is lost by it. */
static void shape_power(struct pci_func *f, uint8_t at)
{
	pci_config_set(f, at + PCI_PM_CTRL, 4, PCI_PM_CTRL_NO_SOFT_RESET);
	pci_config_allow(f, at + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);
	/* No PME# line leads anywhere. */
	uint32_t pmc = pci_config_get(f, at + PCI_PM_PMC, 2);
	pci_config_set(f, at + PCI_PM_PMC, 2, pmc & ~(uint32_t)PCI_PM_CAP_PME_MASK);
}

static void shape_msi(struct pci_func *f, uint8_t at)
{
	uint32_t flags = pci_config_get(f, at + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;
	uint32_t data = at + (wide ? (uint32_t)PCI_MSI_DATA_64 : PCI_MSI_DATA_32);
	uint32_t mask = at + (wide ? (uint32_t)PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
	pci_config_set(f, at + PCI_MSI_FLAGS, 2,
	               flags & ~(uint32_t)(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE));
	pci_config_allow(f, at + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pci_config_allow(f, at + PCI_MSI_ADDRESS_LO, 4, 0xfffffffc);
	if (wide)
		pci_config_allow(f, at + PCI_MSI_ADDRESS_HI, 4, UINT32_MAX);
	pci_config_allow(f, data, 2, 0xffff);
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		pci_config_allow(f, mask, 4, UINT32_MAX);
}

/* Link those that are shown, in their order; shape what needs it. */
static void shape_caps(struct pci_func *f, struct vfio_caps *caps, uint8_t *pass)
{
	uint32_t link = PCI_CAPABILITY_LIST;
	for (unsigned i = 0; i < caps->count; i++) {
		const struct vfio_cap *c = &caps->cap[i];
		enum how how = cap_how(c->id);
		bool used = c->id == PCI_CAP_ID_MSI    ? c->at == caps->msi
		            : c->id == PCI_CAP_ID_MSIX ? c->at == caps->msix
		            : c->id == PCI_CAP_ID_PM   ? c->at == caps->pm
		                                       : true;
		if (how != PASS)
			emulate(pass, c->at, c->len);
		emulate(pass, c->at, 2);
		if (how == HIDE || !used) {
			/* Its bytes would say what the list does not. */
			memset(f->config + c->at, 0, c->len);
			continue;
		}
		pci_config_set(f, link, 1, c->at);
		link = c->at + PCI_CAP_LIST_NEXT;
		if (c->id == PCI_CAP_ID_EXP)
			shape_express(f, c, pass);
	}
	pci_config_set(f, link, 1, 0);
	if (caps->pm)
		shape_power(f, caps->pm);
	if (caps->msi)
		shape_msi(f, caps->msi);
	if (caps->msix)
		pci_config_set(f, caps->msix + PCI_MSIX_FLAGS, 2,
		               pci_config_get(f, caps->msix + PCI_MSIX_FLAGS, 2) &
		                       PCI_MSIX_FLAGS_QSIZE);
}

/*
 * A hidden extended capability keeps its place in the list as a null capability (PCI Express 5.0,
 * 7.9.28): id 0, and the way to the next. Its bytes to the next one read as zero.
 */
static void shape_extended(struct pci_func *f, size_t len, uint8_t *pass)
{
	bool seen[PCI_CFG_SPACE_EXP_SIZE / 4] = {false};
	uint16_t starts[PCI_CFG_SPACE_EXP_SIZE / 8];
	unsigned count = 0;
	uint32_t at = PCI_CFG_SPACE_SIZE;
	while (at >= PCI_CFG_SPACE_SIZE && at + 4 <= len && !seen[at / 4] &&
	       count < sizeof(starts) / sizeof(starts[0])) {
		uint32_t head = pci_config_get(f, at, 4);
		seen[at / 4] = true;
		if (head == 0 || head == UINT32_MAX)
			break;
		starts[count++] = (uint16_t)at;
		at = PCI_EXT_CAP_NEXT(head);
	}
	/* Before the first, between and after: ours, and zero unless a capability claims it. */
	uint8_t before[PCI_CFG_SPACE_EXP_SIZE];
	memcpy(before, f->config, sizeof(before));
	memset(f->config + PCI_CFG_SPACE_SIZE, 0, PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE);
	emulate(pass, PCI_CFG_SPACE_SIZE, PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE);
	for (unsigned i = 0; i < count; i++) {
		uint32_t end = (uint32_t)len;
		for (unsigned j = 0; j < count; j++)
			if (starts[j] > starts[i] && starts[j] < end)
				end = starts[j];
		uint32_t head = get(before + starts[i], 4);
		/* A list that came back to its start ends where it did. */
		uint32_t next = i + 1 < count ? starts[i + 1] : 0;
		bool show = extended_how((uint16_t)PCI_EXT_CAP_ID(head)) == PASS;
		head = show ? (head & 0xfffff) | next << 20 : next << 20;
		pci_config_set(f, starts[i], 4, head);
		if (!show)
			continue;
		memcpy(f->config + starts[i] + 4, before + starts[i] + 4, end - starts[i] - 4);
		memset(pass + starts[i] + 4, 0xff, end - starts[i] - 4);
	}
}

vmm_err_t vfio_config_shape(struct pci_func *f, const char *address, size_t len,
                            uint8_t pass[PCI_CFG_SPACE_EXP_SIZE], struct vfio_caps *caps,
                            vmm_err_info_t *ei)
{
	uint32_t type = pci_config_get(f, PCI_HEADER_TYPE, 1) & 0x7f;
	if (type != PCI_HEADER_TYPE_NORMAL)
		return err_set(ei, VMM_E_UNSUPPORTED, address,
		               "header type %u: only devices, of type 0, can be passed, no bridges",
		               type);
	memset(pass, 0, PCI_CFG_SPACE_EXP_SIZE);
	memset(pass, 0xff, PCI_CFG_SPACE_SIZE);
	for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++)
		if (header[i].how != PASS)
			emulate(pass, header[i].at, header[i].len);
	pci_config_set(f, PCI_COMMAND, 2, 0);
	pci_config_set(f, PCI_HEADER_TYPE, 1, 0);
	pci_config_set(f, PCI_BIST, 1, 0);
	memset(f->config + PCI_BASE_ADDRESS_0, 0, 24);
	pci_config_set(f, PCI_CARDBUS_CIS, 4, 0);
	pci_config_set(f, PCI_ROM_ADDRESS, 4, 0);
	pci_config_set(f, PCI_INTERRUPT_LINE, 1, 0);
	vfio_caps_scan(f->config, caps);
	shape_caps(f, caps, pass);
	if (len > PCI_CFG_SPACE_SIZE)
		shape_extended(f, len, pass);
	return VMM_OK;
}

void vfio_msix_place(const uint8_t *config, uint8_t cap, struct vfio_msix_place *place)
{
	uint32_t table = get(config + cap + PCI_MSIX_TABLE, 4);
	uint32_t pba = get(config + cap + PCI_MSIX_PBA, 4);
	*place = (struct vfio_msix_place){
	        .count = (get(config + cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1,
	        .table_bar = table & PCI_MSIX_TABLE_BIR,
	        .table = table & ~(uint32_t)PCI_MSIX_TABLE_BIR,
	        .pba_bar = pba & PCI_MSIX_PBA_BIR,
	        .pba = pba & ~(uint32_t)PCI_MSIX_PBA_BIR,
	};
}
