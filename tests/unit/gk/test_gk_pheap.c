/* The pairing heap against a sorted model. */
#include "../suite.h"
#include "gk_rig.h"
#include "guest-kernel/core/list.h"
#include "guest-kernel/core/pheap.h"

#define NODES  200u
#define ROUNDS 20000u

struct item {
	struct pheap_node node;
	bool in;
	uint64_t key, order;
};

static struct item items[NODES];

static struct item *model_first(void)
{
	struct item *best = NULL;
	for (unsigned i = 0; i < NODES; i++) {
		struct item *it = &items[i];
		if (it->in && (!best || it->key < best->key ||
		               (it->key == best->key && it->order < best->order)))
			best = it;
	}
	return best;
}

START_TEST(it_does_as_a_sorted_list)
{
	struct pheap h = {0};
	uint64_t seed = 88172645463325252ull, orders = 0;
	uint32_t in = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct item *it = &items[rig_random(&seed) % NODES];
		if (!it->in) {
			it->key = rig_random(&seed) % 50;
			it->order = orders++;
			it->in = true;
			in++;
			pheap_insert(&h, &it->node, it->key);
		} else if (rig_random(&seed) % 2) {
			it->in = false;
			in--;
			pheap_remove(&h, &it->node);
		} else {
			struct item *first = model_first();
			ck_assert_ptr_eq(LIST_OF(pheap_pop(&h), struct item, node), first);
			first->in = false;
			in--;
		}
		ck_assert_uint_eq(h.count, in);
		struct item *first = model_first();
		ck_assert_ptr_eq(pheap_first(&h), first ? &first->node : NULL);
	}
}
END_TEST

START_TEST(equal_keys_come_in_the_order_of_insertion)
{
	struct pheap h = {0};
	struct pheap_node n[10];
	for (unsigned i = 0; i < 10; i++)
		pheap_insert(&h, &n[i], 7);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_ptr_eq(pheap_pop(&h), &n[i]);
	ck_assert_ptr_null(pheap_pop(&h));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pheap");
	tcase_add_test(tc, it_does_as_a_sorted_list);
	tcase_add_test(tc, equal_keys_come_in_the_order_of_insertion);
	return suite_run("gk_pheap", tc);
}
