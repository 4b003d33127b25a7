/*
 * The split virtqueue (virtio 1.2, 2.7) between a driver and ring.c: indices that wrap, completions
 * in any order, notifications and interrupts that are asked for or not, and the store buffers of
 * x86 (TSO), which are what the four full barriers are there for.
 *
 * What is shown: no wake-up is lost (there is no end in which chains are under way and both sides
 * sleep), every chain is completed once, and neither side's index passes the other's.
 *
 *   -DEVENTS=0     notifications by flags, without VIRTIO_F_EVENT_IDX
 *   -DOMIT=N       without barrier N (below): the first property does not hold then
 *   -DREPLAY       what device and driver do is one step each, and printed, for replay_ring.c
 *   -DCHAINS=N     so many chains (5)
 *
 * Each side reads only what the other one writes, so that no load is ever answered by a process's
 * own store buffer. What entries of the rings hold is written at once: under TSO it is seen before
 * the index that was stored behind it.
 */
#ifndef EVENTS
#define EVENTS 1
#endif
#ifndef OMIT
#define OMIT 0
#endif

#define SIZE   2 /* entries of a ring */
#ifndef CHAINS
#define CHAINS 5
#endif
#define WRAP   8 /* of indices: stands for 2^16 */

/* The barriers. */
#define KICK_ENABLE 1 /* ring_kick_enable: the wish before the look at the available index */
#define PUBLISH     2 /* ring_publish: the used index before the look at used_event */
#define OFFER       3 /* the driver: the available index before the look at avail_event */
#define REARM       4 /* the driver: used_event before the look at the used index */

/* Where both sides look. With flags, avail_event and used_event are "not wanted": 0 or 1. */
#define AVAIL_IDX   0
#define USED_EVENT  1
#define USED_IDX    2
#define AVAIL_EVENT 3
byte memory[4];
byte avail_ring[SIZE];
byte used_ring[SIZE];

chan driver_stores = [3] of { byte, byte };
chan device_stores = [3] of { byte, byte };

bit kicked;      /* the eventfd: several notifications are one */
bit interrupted;
bit under_way[SIZE];
byte offered;    /* chains so far */
byte completed;

#ifdef REPLAY
#define STORE(buffer, where, what) memory[where] = what
#define BARRIER(which, buffer)     skip
#define STEP                       atomic
#define SAY(format, a, b)          printf(format, a, b)
/* Atomic steps in a row would be one. */
#define YIELD                      skip
/* The others may get on meanwhile. */
#define LINGER                     do :: skip :: skip :: skip :: skip :: skip :: break od
#else
#define STORE(buffer, where, what) buffer ! where, what
#define BARRIER(which, buffer)     (OMIT == which || empty(buffer))
#define STEP
#define SAY(format, a, b)          skip
#define YIELD                      skip
#define LINGER                     skip
#endif

/* vring_need_event: has EVENT been passed on the way from OLD to NEW? */
#define need_event(event, new, old) (((new + 2 * WRAP - event - 1) % WRAP) < ((new + WRAP - old) % WRAP))
#define next(index) ((index + 1) % WRAP)
#define distance(to, from) ((to + WRAP - from) % WRAP)

/* What is stored becomes visible some time, in order. */
proctype visible(chan stores)
{
	byte where, what;
end:	do
	:: atomic { stores ? where, what -> memory[where] = what; where = 0; what = 0 }
	od
}

active proctype driver()
{
	byte idx, old, last_used, id, seen;
	do
	/* A free descriptor: a chain is offered, as virtqueue_kick does it. */
	:: offered < CHAINS && (!under_way[0] || !under_way[1]) ->
		STEP {
			if
			:: !under_way[0] -> id = 0
			:: !under_way[1] -> id = 1
			fi;
			under_way[id] = 1;
			avail_ring[idx % SIZE] = id;
			idx = next(idx);
			offered++;
			STORE(driver_stores, AVAIL_IDX, idx);
			BARRIER(OFFER, driver_stores);
			seen = memory[AVAIL_EVENT];
			if
			:: EVENTS && need_event(seen, idx, old) -> kicked = 1; seen = 1
			:: EVENTS && !need_event(seen, idx, old) -> seen = 0
			:: !EVENTS && !seen -> kicked = 1; seen = 1
			:: !EVENTS && seen -> seen = 0
			fi;
			old = idx;
			SAY("replay offer %d %d\n", id, seen);
			id = 0; seen = 0
		};
		YIELD
	/* An interrupt: what is used is taken until the wish for the next one was made in time. */
	:: interrupted ->
		STEP {
			interrupted = 0;
			if
			:: !EVENTS -> STORE(driver_stores, USED_EVENT, 1); SAY("replay mute %d %d\n", 0, 0)
			:: EVENTS
			fi
		};
		LINGER;
		STEP {
			skip;
again:			seen = memory[USED_IDX];
			do
			:: last_used != seen ->
				id = used_ring[last_used % SIZE];
				assert(under_way[id]);
				assert(completed < offered);
				under_way[id] = 0;
				completed++;
				last_used = next(last_used);
				SAY("replay used %d %d\n", id, last_used)
			:: else -> break
			od;
			if
			:: EVENTS -> STORE(driver_stores, USED_EVENT, last_used)
			:: !EVENTS -> STORE(driver_stores, USED_EVENT, 0)
			fi;
			SAY("replay rearm %d %d\n", EVENTS, last_used);
			BARRIER(REARM, driver_stores);
			if
			:: memory[USED_IDX] != last_used -> goto again
			:: else
			fi;
			id = 0; seen = 0
		};
		YIELD
	:: completed == CHAINS -> break
	od
}

/* A device as blk.c has it: run() takes what there is, completes some of it, looks again, and
 * tells; what is left is completed by a later round. */
active proctype device()
{
	byte last_avail, next_used, signalled, published, id, i, seen;
	bit taken[SIZE];
end:	do
	:: kicked || taken[0] || taken[1] ->
		kicked = 0;
		/* ring_kick_disable */
		STEP {
			if
			:: !EVENTS -> STORE(device_stores, AVAIL_EVENT, 1)
			:: EVENTS
			fi;
			SAY("replay disable %d %d\n", 0, 0)
		};
		YIELD;
		do
		/* ring_pop */
		:: STEP {
			seen = memory[AVAIL_IDX];
			assert(distance(seen, last_avail) <= SIZE);
			if
			:: seen != last_avail ->
				id = avail_ring[last_avail % SIZE];
				assert(!taken[id]);
				taken[id] = 1;
				last_avail = next(last_avail);
				SAY("replay pop %d %d\n", id, last_avail)
			:: else -> SAY("replay empty %d %d\n", 0, last_avail)
			fi
		   };
		   YIELD
		/* ring_push, in any order */
		:: taken[0] -> STEP {
			used_ring[next_used % SIZE] = 0;
			next_used = next(next_used);
			taken[0] = 0;
			SAY("replay push %d %d\n", 0, next_used)
		   };
		   YIELD
		:: taken[1] -> STEP {
			used_ring[next_used % SIZE] = 1;
			next_used = next(next_used);
			taken[1] = 0;
			SAY("replay push %d %d\n", 1, next_used)
		   };
		   YIELD
		/* ring_kick_enable, and once more from the top if something came meanwhile */
		:: STEP {
			if
			:: EVENTS -> STORE(device_stores, AVAIL_EVENT, last_avail)
			:: !EVENTS -> STORE(device_stores, AVAIL_EVENT, 0)
			fi;
			BARRIER(KICK_ENABLE, device_stores);
			seen = memory[AVAIL_IDX];
			if
			:: seen == last_avail -> SAY("replay enable %d %d\n", 0, last_avail); break
			:: else ->
				SAY("replay enable %d %d\n", 1, last_avail);
				if
				:: !EVENTS -> STORE(device_stores, AVAIL_EVENT, 1)
				:: EVENTS
				fi;
				SAY("replay disable %d %d\n", 0, 0)
			fi
		   };
		   YIELD
		od;
		/* ring_publish */
		if
		:: published != next_used ->
			STEP {
				STORE(device_stores, USED_IDX, next_used);
				published = next_used;
				BARRIER(PUBLISH, device_stores);
				seen = memory[USED_EVENT];
				if
				:: EVENTS && need_event(seen, next_used, signalled) -> interrupted = 1; seen = 1
				:: EVENTS && !need_event(seen, next_used, signalled) -> seen = 0
				:: !EVENTS && !seen -> interrupted = 1; seen = 1
				:: !EVENTS && seen -> seen = 0
				fi;
				signalled = next_used;
				SAY("replay publish %d %d\n", seen, next_used)
			}
		:: else -> SAY("replay publish %d %d\n", 0, next_used)
		fi;
		id = 0; seen = 0
	od
}

init {
	run visible(driver_stores);
	run visible(device_stores)
}
