/* See vdev_rig.h. */
#include "vdev_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rig_must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* The transport finds its rig through the log's context. */
static void signal_used(struct vdev *vd, unsigned q)
{
	struct rig *rig = vd->log->ctx;
	rig->used_signals[q]++;
	if (rig->interrupted)
		rig->interrupted(rig);
}

static void signal_config(struct vdev *vd)
{
	((struct rig *)vd->log->ctx)->config_signals++;
}

static const struct vdev_transport transport = {signal_used, signal_config};

static void count_line(void *ctx, vmm_log_level_t level, const char *line)
{
	(void)level;
	(void)line;
	((struct rig *)ctx)->lines++;
}

void rig_attach(struct rig *rig, struct vdev *vd)
{
	struct loop *loop;
	rig_must(loop_create(&loop, NULL) == VMM_OK, "loop_create");
	rig_attach_on(rig, vd, loop);
}

void rig_attach_on(struct rig *rig, struct vdev *vd, struct loop *loop)
{
	struct gmem_opts mem = {.size_bytes = RIG_MEMORY, .fd = -1};
	vmm_err_info_t ei;
	rig->vd = vd;
	rig->log = (struct log){.fn = count_line, .ctx = rig, .level = VMM_LOG_DEBUG};
	rig_must(gmem_create(&mem, &rig->gm, &ei) == VMM_OK, "gmem_create");
	rig->loop = loop;
	rig_must(vdev_attach(vd, rig->gm, rig->loop, &rig->log, &transport, &ei) == VMM_OK,
	         "vdev_attach");
}

void rig_close(struct rig *rig)
{
	rig->vd->ops->destroy(rig->vd);
	loop_destroy(rig->loop);
	gmem_destroy(rig->gm);
}

void *rig_mem(struct rig *rig, uint64_t addr, uint64_t len)
{
	void *p = gmem_at(rig->gm, (struct gpa){addr}, len);
	rig_must(p, "rig_mem");
	return p;
}

static uint64_t base(unsigned q)
{
	return RIG_QUEUE_BASE + q * RIG_QUEUE_STEP;
}

struct vring_desc *rig_desc(struct rig *rig, unsigned q)
{
	return rig_mem(rig, base(q), sizeof(struct vring_desc) * RING_SIZE_MAX);
}

struct vring_avail *rig_avail(struct rig *rig, unsigned q)
{
	return rig_mem(rig, base(q) + 0x4000, 6 + 2 * RING_SIZE_MAX);
}

struct vring_used *rig_used_ring(struct rig *rig, unsigned q)
{
	return rig_mem(rig, base(q) + 0x5000, 6 + 8 * RING_SIZE_MAX);
}

void rig_start(struct rig *rig, uint64_t features)
{
	struct vdev *vd = rig->vd;
	for (unsigned q = 0; q < vd->queue_count; q++) {
		struct ring *r = &vd->queue[q].ring;
		memset(rig_mem(rig, base(q), RIG_QUEUE_STEP), 0, RIG_QUEUE_STEP);
		rig->q[q] = (struct rig_queue){.size = vd->queue[q].size_max};
		r->size = rig->q[q].size;
		r->desc_addr = (struct gpa){base(q)};
		r->avail_addr = (struct gpa){base(q) + 0x4000};
		r->used_addr = (struct gpa){base(q) + 0x5000};
		r->ready = true;
	}
	(void)pthread_mutex_lock(&vd->lock);
	vd->features_acked = features | (1ull << VIRTIO_F_VERSION_1);
	vdev_set_status(vd, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
	                            VIRTIO_CONFIG_S_FEATURES_OK);
	vdev_set_status(vd, vd->status | VIRTIO_CONFIG_S_DRIVER_OK);
	(void)pthread_mutex_unlock(&vd->lock);
	rig_run(rig);
}

void rig_reset(struct rig *rig)
{
	(void)pthread_mutex_lock(&rig->vd->lock);
	vdev_set_status(rig->vd, 0);
	(void)pthread_mutex_unlock(&rig->vd->lock);
}

uint16_t rig_add(struct rig *rig, unsigned q, const struct seg *segs, unsigned n)
{
	struct rig_queue *rq = &rig->q[q];
	struct vring_desc *d = rig_desc(rig, q);
	struct vring_avail *a = rig_avail(rig, q);
	uint16_t mask = (uint16_t)(rq->size - 1);
	uint16_t head = rq->next_desc & mask;
	for (unsigned i = 0; i < n; i++) {
		uint16_t at = rq->next_desc++ & mask;
		uint16_t flags = segs[i].write ? VRING_DESC_F_WRITE : 0;
		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		d[at] = (struct vring_desc){segs[i].addr, segs[i].len, flags,
		                            (uint16_t)(rq->next_desc & mask)};
	}
	a->ring[a->idx & mask] = head;
	__atomic_store_n(&a->idx, (uint16_t)(a->idx + 1), __ATOMIC_RELEASE);
	return head;
}

void rig_run(struct rig *rig)
{
	/* Each round does what is ready; a few rounds see tasks that queue tasks to their end. */
	for (unsigned i = 0; i < 16; i++)
		loop_run_once(rig->loop, 0);
}

void rig_kick(struct rig *rig, unsigned q)
{
	vdev_kick(rig->vd, q);
	rig_run(rig);
}

bool rig_used(struct rig *rig, unsigned q, uint16_t *head, uint32_t *len)
{
	struct rig_queue *rq = &rig->q[q];
	const struct vring_used *u = rig_used_ring(rig, q);
	if (rq->used_seen == __atomic_load_n(&u->idx, __ATOMIC_ACQUIRE))
		return false;
	const struct vring_used_elem *e = &u->ring[rq->used_seen++ & (rq->size - 1)];
	*head = (uint16_t)e->id;
	*len = e->len;
	return true;
}
