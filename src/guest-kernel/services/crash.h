/* Ways to end in a crash report, for the shell's `crash`: what it looks like, and that it comes. */
#ifndef GK_SERVICES_CRASH_H
#define GK_SERVICES_CRASH_H

#include <stdbool.h>

#define CRASH_KINDS "panic|null|stack|idle|text|exec"

/* Does not return, but for what is none of the kinds: false. Task context. */
bool crash_by(const char *kind);

#endif
