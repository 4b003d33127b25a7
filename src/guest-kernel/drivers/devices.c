/* Finding devices. See devices.h. */
#include "guest-kernel/drivers/devices.h"

static bool refuse(struct devices *d, const struct virtio_dev *dev, const char *why)
{
	d->refused++;
	log_warning("virtio-%s in %s %u: %s; it is left out", virtio_name(dev->id),
	            virtio_place(dev), dev->slot, why ? why : "is one too many");
	return false;
}

static bool add_disk(struct devices *d, const struct virtio_dev *dev)
{
	struct blk *b = d->disk_count < DISKS_MAX ? mem_alloc(sizeof(*b)) : NULL;
	if (!b)
		return refuse(d, dev, NULL);
	if (!blk_attach(b, dev)) {
		(void)refuse(d, dev, b->dev.why);
		mem_free(b);
		return false;
	}
	d->disks[d->disk_count++] = b;
	return true;
}

static bool add_nic(struct devices *d, const struct virtio_dev *dev)
{
	struct nic *n = d->nic_count < NICS_MAX ? mem_alloc(sizeof(*n)) : NULL;
	if (!n)
		return refuse(d, dev, NULL);
	if (!nic_attach(n, dev)) {
		(void)refuse(d, dev, n->dev.why);
		mem_free(n);
		return false;
	}
	d->nics[d->nic_count++] = n;
	return true;
}

static bool add_console(struct devices *d, const struct virtio_dev *dev)
{
	struct console *c = d->console ? NULL : mem_alloc(sizeof(*c));
	if (!c)
		return refuse(d, dev, NULL);
	if (!console_attach(c, dev)) {
		(void)refuse(d, dev, c->dev.why);
		mem_free(c);
		return false;
	}
	d->console = c;
	return true;
}

static bool add_balloon(struct devices *d, const struct virtio_dev *dev)
{
	struct balloon *b = d->balloon ? NULL : mem_alloc(sizeof(*b));
	if (!b)
		return refuse(d, dev, NULL);
	if (!balloon_attach(b, dev)) {
		(void)refuse(d, dev, b->dev.why);
		mem_free(b);
		return false;
	}
	d->balloon = b;
	return true;
}

static bool add_rng(struct devices *d, const struct virtio_dev *dev)
{
	if (d->entropy.device || !entropy_attach(&d->entropy, dev))
		return refuse(d, dev, d->entropy.device ? NULL : d->entropy.dev.why);
	return true;
}

static bool add(struct devices *d, const struct virtio_dev *dev)
{
	switch (dev->id) {
	case VIRTIO_ID_NET:
		return add_nic(d, dev);
	case VIRTIO_ID_BLOCK:
		return add_disk(d, dev);
	case VIRTIO_ID_CONSOLE:
		return add_console(d, dev);
	case VIRTIO_ID_RNG:
		return add_rng(d, dev);
	case VIRTIO_ID_BALLOON:
		return add_balloon(d, dev);
	default:
		return refuse(d, dev, "there is no driver for it");
	}
}

static void found(struct devices *d, const struct virtio_dev *dev)
{
	d->found++;
	if (add(d, dev))
		log_info("virtio-%s in %s %u", virtio_name(dev->id), virtio_place(dev), dev->slot);
}

/* Functions beside number 0 are looked for where that says there are some. */
static void find_on_pci(struct devices *d, const struct arch_boot *boot)
{
	for (unsigned devfn = 0; devfn < PCI_FUNCS; devfn += 8) {
		struct virtio_dev dev;
		unsigned count = pci_functions(&boot->pci, devfn);
		for (unsigned i = 0; i < count; i++)
			if (virtio_pci_probe(boot, devfn + i, &dev))
				found(d, &dev);
	}
}

void devices_find(struct devices *d, const struct arch_boot *boot)
{
	*d = (struct devices){0};
	entropy_init(&d->entropy);
	for (unsigned i = 0; i < boot->virtio_count; i++) {
		struct virtio_dev dev;
		if (virtio_probe(boot, i, &dev))
			found(d, &dev);
	}
	find_on_pci(d, boot);
}
