/* A doubly linked ring through the elements themselves. An element is in one list at a time. */
#ifndef GK_CORE_LIST_H
#define GK_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *l, struct list *e)
{
	e->next = l;
	e->prev = l->prev;
	l->prev->next = e;
	l->prev = e;
}

/* Leaves E an empty ring, so that list_empty(E) says whether it is in a list. */
static inline void list_remove(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

/* The first element, taken out; NULL if there is none. */
static inline struct list *list_pop(struct list *l)
{
	if (list_empty(l))
		return NULL;
	struct list *first = l->next;
	list_remove(first);
	return first;
}

#endif
