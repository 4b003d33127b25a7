/* Object capabilities: delegation never widens, revocation is complete, old handles mean nothing.
 */
#include <check.h>
#include <string.h>

#include "policy_rig.h"
#include "suite.h"

static struct rig_mem mem;
static struct objcap_space space;

static void setup(void)
{
	rig_mem_init(&mem);
	ck_assert_int_eq(objcap_init(&space, &mem.mem, 64), POLICY_OK);
}

static void teardown(void)
{
	objcap_fini(&space);
	ck_assert_uint_eq(mem.now, 0);
}

START_TEST(delegation_loses_the_right_to_delegate)
{
	objcap_t a, b, c;
	ck_assert_int_eq(objcap_create(&space, 1, 100, OBJCAP_ALL, &a), POLICY_OK);
	ck_assert_int_eq(objcap_delegate(&space, 1, a, 2, OBJCAP_ALL, &b), POLICY_OK);
	ck_assert_uint_eq(objcap_rights(&space, b), OBJCAP_ALL & ~(uint32_t)OBJCAP_DELEGATE);
	ck_assert_int_eq(objcap_delegate(&space, 2, b, 3, OBJCAP_READ, &c), POLICY_E_DENIED);
	/* Only by its holder, only for its object, only with its rights. */
	ck_assert(objcap_allows(&space, 2, b, 100, OBJCAP_READ | OBJCAP_WRITE));
	ck_assert(!objcap_allows(&space, 3, b, 100, OBJCAP_READ));
	ck_assert(!objcap_allows(&space, 2, b, 101, OBJCAP_READ));
	ck_assert(!objcap_allows(&space, 2, b, 100, OBJCAP_DELEGATE));
	ck_assert(!objcap_allows(&space, 2, 0, 100, 0));
}
END_TEST

START_TEST(revocation_takes_all)
{
	objcap_t a, b, c;
	ck_assert_int_eq(objcap_create(&space, 1, 100, OBJCAP_ALL, &a), POLICY_OK);
	ck_assert_int_eq(objcap_delegate(&space, 1, a, 2, OBJCAP_READ, &b), POLICY_OK);
	ck_assert_int_eq(objcap_delegate(&space, 1, a, 3, OBJCAP_WRITE, &c), POLICY_OK);
	ck_assert_int_eq(objcap_revoke(&space, 2, c), POLICY_E_DENIED);
	ck_assert_int_eq(objcap_revoke(&space, 1, c), POLICY_OK); /* what came from it */
	ck_assert(!objcap_allows(&space, 3, c, 100, OBJCAP_WRITE));
	ck_assert(objcap_allows(&space, 2, b, 100, OBJCAP_READ));
	ck_assert_int_eq(objcap_revoke(&space, 1, a), POLICY_OK);
	ck_assert(!objcap_allows(&space, 2, b, 100, OBJCAP_READ));
	ck_assert(!objcap_allows(&space, 1, a, 100, OBJCAP_READ));
	ck_assert_uint_eq(space.used, 0);
	/* The place is used again, the handle is not. */
	objcap_t again;
	ck_assert_int_eq(objcap_create(&space, 1, 100, OBJCAP_ALL, &again), POLICY_OK);
	ck_assert_uint_ne(again, a);
	ck_assert(!objcap_allows(&space, 1, a, 100, OBJCAP_READ));
}
END_TEST

START_TEST(a_full_space_says_so)
{
	objcap_t cap;
	for (uint64_t i = 0; i < 64; i++)
		ck_assert_int_eq(objcap_create(&space, 1, i, OBJCAP_ALL, &cap), POLICY_OK);
	ck_assert_int_eq(objcap_create(&space, 1, 64, OBJCAP_ALL, &cap), POLICY_E_LIMIT);
	objcap_forget_object(&space, 5);
	ck_assert_int_eq(objcap_create(&space, 2, 64, OBJCAP_ALL, &cap), POLICY_OK);
	objcap_forget_holder(&space, 1);
	ck_assert_uint_eq(space.used, 1);
	ck_assert_int_eq(objcap_create(&space, 1, 1, 1u << 20, &cap), POLICY_E_INVAL);
}
END_TEST

/* -- property: a model that is obviously right -- */

struct model {
	objcap_t cap;
	uint32_t holder, rights;
	uint64_t object;
	int parent; /* index, or -1 */
	bool alive;
};

#define STEPS 20000
static struct model model[STEPS];
static unsigned models;
static uint64_t seed = 88172645463325252u;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 11) % below;
}

static void model_kill(unsigned i)
{
	model[i].alive = false;
	for (unsigned j = i + 1; j < models; j++) /* children are younger */
		if (model[j].parent >= 0 && !model[model[j].parent].alive)
			model[j].alive = false;
}

static void step(void)
{
	uint32_t holder = 1 + rnd(4);
	unsigned pick = models ? models - 1 - rnd(models < 40 ? models : 40) : 0;
	objcap_t cap = 0;
	if (models == 0 || rnd(4) == 0) {
		uint32_t rights = rnd(OBJCAP_ALL + 1);
		uint64_t object = rnd(5);
		if (objcap_create(&space, holder, object, rights, &cap) == POLICY_OK)
			model[models++] = (struct model){cap, holder, rights, object, -1, true};
	} else if (rnd(2)) {
		const struct model *m = &model[pick];
		uint32_t rights = rnd(OBJCAP_ALL + 1), to = 1 + rnd(4);
		bool may = m->alive && m->holder == holder && (m->rights & OBJCAP_DELEGATE);
		policy_status_t status = objcap_delegate(&space, holder, m->cap, to, rights, &cap);
		ck_assert(may || status == POLICY_E_DENIED);
		ck_assert(!may || status != POLICY_E_DENIED);
		if (status == POLICY_OK) {
			rights &= m->rights & ~(uint32_t)OBJCAP_DELEGATE;
			model[models++] =
			        (struct model){cap, to, rights, m->object, (int)pick, true};
		}
	} else {
		bool may = false;
		for (int i = (int)pick; model[pick].alive && i >= 0; i = model[i].parent)
			may = may ||
			      (model[i].holder == holder && (model[i].rights & OBJCAP_REVOKE));
		policy_status_t status = objcap_revoke(&space, holder, model[pick].cap);
		ck_assert_int_eq(status, may ? POLICY_OK : POLICY_E_DENIED);
		if (may)
			model_kill(pick);
	}
}

START_TEST(random_steps_agree_with_the_model)
{
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		unsigned first = models > 100 ? models - 100 : 0;
		for (unsigned m = first; i % 50 == 0 && m < models; m++) {
			uint32_t want = model[m].alive ? model[m].rights : 0;
			ck_assert_uint_eq(objcap_rights(&space, model[m].cap), want);
			if (model[m].parent >= 0)
				ck_assert_uint_eq(want & ~model[model[m].parent].rights, 0);
		}
		if (space.used > 50) { /* begin again */
			for (uint32_t h = 1; h <= 4; h++)
				objcap_forget_holder(&space, h);
			ck_assert_uint_eq(space.used, 0);
			models = 0;
		}
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("object capabilities");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, delegation_loses_the_right_to_delegate);
	tcase_add_test(tc, revocation_takes_all);
	tcase_add_test(tc, a_full_space_says_so);
	tcase_add_test(tc, random_steps_agree_with_the_model);
	return suite_run("object capabilities", tc);
}
