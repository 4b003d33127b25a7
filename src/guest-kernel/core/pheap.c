/* A pairing heap. See pheap.h. */
#include "guest-kernel/core/pheap.h"

#include <stddef.h>

static bool before(const struct pheap_node *a, const struct pheap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->order < b->order);
}

/* Both are roots; the greater one becomes the first child of the lesser. */
static struct pheap_node *meld(struct pheap_node *a, struct pheap_node *b)
{
	if (!a || !b)
		return a ? a : b;
	if (before(b, a)) {
		struct pheap_node *t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

static struct pheap_node *take_sibling(struct pheap_node **list)
{
	struct pheap_node *n = *list;
	if (n) {
		*list = n->next;
		n->next = NULL;
		n->prev = NULL;
	}
	return n;
}

/* Siblings become one tree: in pairs from left to right, then all pairs from right to left. */
static struct pheap_node *join(struct pheap_node *siblings)
{
	struct pheap_node *pairs = NULL;
	while (siblings) {
		struct pheap_node *a = take_sibling(&siblings);
		struct pheap_node *pair = meld(a, take_sibling(&siblings));
		pair->next = pairs;
		pairs = pair;
	}
	struct pheap_node *root = NULL;
	while (pairs)
		root = meld(take_sibling(&pairs), root);
	return root;
}

void pheap_insert(struct pheap *h, struct pheap_node *n, uint64_t key)
{
	*n = (struct pheap_node){.key = key, .order = h->orders++, .queued = true};
	h->root = meld(h->root, n);
	h->count++;
}

void pheap_remove(struct pheap *h, struct pheap_node *n)
{
	struct pheap_node *below = join(n->child);
	if (n == h->root) {
		h->root = below;
	} else {
		if (n->prev->child == n)
			n->prev->child = n->next;
		else
			n->prev->next = n->next;
		if (n->next)
			n->next->prev = n->prev;
		h->root = meld(h->root, below);
	}
	n->child = n->next = n->prev = NULL;
	n->queued = false;
	h->count--;
}

struct pheap_node *pheap_pop(struct pheap *h)
{
	struct pheap_node *n = h->root;
	if (n)
		pheap_remove(h, n);
	return n;
}
