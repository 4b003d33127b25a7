/*
 * A priority queue through the elements themselves: a pairing heap (Fredman, Sedgewick, Sleator,
 * Tarjan 1986). Insertion is O(1), taking the least O(log n) amortised. Equal keys come out in the
 * order of insertion. It locks nothing.
 */
#ifndef GK_CORE_PHEAP_H
#define GK_CORE_PHEAP_H

#include <stdbool.h>
#include <stdint.h>

struct pheap_node {
	struct pheap_node *child; /* the first of them */
	struct pheap_node *next;  /* sibling */
	struct pheap_node *prev;  /* sibling, or the parent of a first child */
	uint64_t key, order;
	bool queued;
};

struct pheap {
	struct pheap_node *root;
	uint64_t orders; /* insertions so far */
	uint32_t count;
};

void pheap_insert(struct pheap *h, struct pheap_node *n, uint64_t key);
/* The node with the least key, left in place; NULL when empty. */
static inline struct pheap_node *pheap_first(const struct pheap *h)
{
	return h->root;
}
struct pheap_node *pheap_pop(struct pheap *h);
/* N must be in H. */
void pheap_remove(struct pheap *h, struct pheap_node *n);

#endif
