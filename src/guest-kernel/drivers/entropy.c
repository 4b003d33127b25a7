/* Random numbers. See entropy.h. */
#include "guest-kernel/drivers/entropy.h"

#include <string.h>

static uint32_t rotate(uint32_t v, unsigned by)
{
	return v << by | v >> (32 - by);
}

static void quarter(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

static void double_round(uint32_t s[16])
{
	quarter(s, 0, 4, 8, 12);
	quarter(s, 1, 5, 9, 13);
	quarter(s, 2, 6, 10, 14);
	quarter(s, 3, 7, 11, 15);
	quarter(s, 0, 5, 10, 15);
	quarter(s, 1, 6, 11, 12);
	quarter(s, 2, 7, 8, 13);
	quarter(s, 3, 4, 9, 14);
}

void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                    uint8_t out[64])
{
	uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	uint32_t s[16];
	memcpy(start + 4, key, 32);
	start[12] = counter;
	memcpy(start + 13, nonce, 12);
	memcpy(s, start, sizeof(s));
	for (unsigned i = 0; i < 10; i++)
		double_round(s);
	for (unsigned i = 0; i < 16; i++)
		s[i] += start[i];
	memcpy(out, s, 64); /* little endian, as the machine */
}

void entropy_init(struct entropy *e)
{
	*e = (struct entropy){0};
	spin_init_named(&e->lock, "entropy");
	uint64_t bits[2] = {arch_cycles(), arch_wall_boot_ns()};
	entropy_mix(e, bits, sizeof(bits));
}

/* The key becomes a block of itself and the data: nothing in it is lost, whatever the data is. */
void entropy_mix(struct entropy *e, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t block[64];
	unsigned long flags = spin_lock_irqsave(&e->lock);
	while (len > 0) {
		uint32_t nonce[3] = {0};
		size_t n = len < sizeof(nonce) ? len : sizeof(nonce);
		memcpy(nonce, p, n);
		chacha20_block(e->key, (uint32_t)arch_cycles(), nonce, block);
		memcpy(e->key, block, sizeof(e->key));
		p += n;
		len -= n;
	}
	e->seeds++;
	spin_unlock_irqrestore(&e->lock, flags);
}

void entropy_get(struct entropy *e, void *out, size_t len)
{
	static const uint32_t nonce[3] = {0};
	uint8_t *p = out;
	uint8_t block[64];
	while (len > 0) {
		/* The first half of each block is the next key, the second is given out. */
		unsigned long flags = spin_lock_irqsave(&e->lock);
		chacha20_block(e->key, 0, nonce, block);
		memcpy(e->key, block, sizeof(e->key));
		e->requests++;
		spin_unlock_irqrestore(&e->lock, flags);
		size_t n = len < 32 ? len : 32;
		memcpy(p, block + 32, n);
		p += n;
		len -= n;
	}
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	struct entropy *e = dev->driver;
	uint32_t written;
	spin_lock(&q->lock);
	if (virtq_take(q, &written)) {
		e->got = written;
		__atomic_store_n(&e->ready, true, __ATOMIC_RELEASE);
		if (e->waiter)
			task_wake(e->waiter);
	}
	spin_unlock(&q->lock);
}

static void on_broken(struct virtio_dev *dev)
{
	struct entropy *e = dev->driver;
	spin_lock(&e->queue.lock);
	if (e->waiter)
		task_wake(e->waiter);
	spin_unlock(&e->queue.lock);
}

bool entropy_attach(struct entropy *e, const struct virtio_dev *dev)
{
	e->dev = *dev;
	e->dev.driver = e;
	e->dev.on_queue = on_queue;
	e->dev.on_broken = on_broken;
	if (!e->buffer)
		e->buffer = mem_alloc(ENTROPY_SEED_BYTES);
	if (!e->buffer || !virtio_agree(&e->dev, 0) || !virtio_go(&e->dev, &e->queue, 1, 4))
		return false;
	e->device = true;
	return true;
}

static void set_waiter(struct entropy *e, struct task *t)
{
	unsigned long flags = spin_lock_irqsave(&e->queue.lock);
	e->waiter = t;
	spin_unlock_irqrestore(&e->queue.lock, flags);
}

static bool ask_device(struct entropy *e)
{
	struct virtq_seg seg = {e->buffer, ENTROPY_SEED_BYTES, true};
	uint64_t end = arch_now_ns() + NS_PER_S;
	set_waiter(e, task_current());
	__atomic_store_n(&e->ready, false, __ATOMIC_RELAXED);
	unsigned long flags = spin_lock_irqsave(&e->queue.lock);
	bool asked = virtq_add(&e->queue, &seg, 1, e);
	(void)virtq_listen(&e->queue); /* nothing else is in flight */
	if (asked)
		virtq_kick(&e->queue);
	spin_unlock_irqrestore(&e->queue.lock, flags);
	while (asked && !__atomic_load_n(&e->ready, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&e->dev.broken, __ATOMIC_RELAXED) ||
		    (!task_park(end) && arch_now_ns() >= end))
			asked = false;
	}
	set_waiter(e, NULL);
	return asked;
}

void entropy_reseed(struct entropy *e)
{
	uint64_t bits[4];
	for (unsigned i = 0; i < 4; i++) {
		if (!arch_random(&bits[i]))
			bits[i] = arch_cycles();
		else
			e->cpu = true;
	}
	entropy_mix(e, bits, sizeof(bits));
	/* A request that it has not answered stays with it: then there is no second. */
	if (!e->device || e->queue.in_flight > 0)
		return;
	if (ask_device(e))
		entropy_mix(e, e->buffer, e->got);
	else
		log_warning("virtio-rng gives nothing");
}
