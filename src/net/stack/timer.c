/* Timers. See timer.h. Fredman and others, "The pairing heap", 1986; every loop is over siblings.
 */
#include "net/stack/timer.h"

#include <stddef.h>

/* One heap of two, whose roots have neither siblings nor parents. */
static struct timer *meld(struct timer *a, struct timer *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (b->when_ns < a->when_ns) {
		struct timer *t = a;
		a = b;
		b = t;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* One heap of a list of siblings: meld them in pairs from the left, then all from the right. */
static struct timer *meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL;
	while (first) {
		struct timer *a = first, *b = a->next;
		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	struct timer *root = NULL;
	while (pairs) {
		struct timer *next = pairs->next;
		pairs->next = NULL;
		root = meld(root, pairs);
		pairs = next;
	}
	return root;
}

static void detach(struct timer_heap *h, struct timer *t)
{
	struct timer *below = meld_siblings(t->child);
	t->child = NULL;
	if (h->root == t) {
		h->root = below;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		h->root = meld(h->root, below);
	}
	t->next = t->prev = NULL;
	t->armed = false;
}

void timer_set(struct timer_heap *h, struct timer *t, uint64_t when_ns)
{
	if (t->armed) {
		if (t->when_ns == when_ns)
			return;
		detach(h, t);
	}
	t->when_ns = when_ns;
	t->armed = true;
	h->root = meld(h->root, t);
}

void timer_disarm(struct timer_heap *h, struct timer *t)
{
	if (t->armed)
		detach(h, t);
}

struct timer *timer_pop(struct timer_heap *h, uint64_t now_ns)
{
	struct timer *t = h->root;
	if (!t || t->when_ns > now_ns)
		return NULL;
	detach(h, t);
	return t;
}

uint64_t timer_next(const struct timer_heap *h)
{
	return h->root ? h->root->when_ns : TIMER_NEVER;
}
