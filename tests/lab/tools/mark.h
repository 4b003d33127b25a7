/* Marks between which the lab's emulator counts instructions (tests/lab/emulator/count.c). */
#ifndef TESTS_LAB_TOOLS_MARK_H
#define TESTS_LAB_TOOLS_MARK_H

/* A NOP (0F 1F /0) whose displacement is 'LAB' and 1, the beginning, or 2, the end. */
#define LAB_MARK_BEGIN() \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0, 'L', 'A', 'B', 1" ::: "memory")
#define LAB_MARK_END() __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0, 'L', 'A', 'B', 2" ::: "memory")

#endif
