/* Text for sinks: just enough formatting for tables. */
#ifndef GK_MM_TEXT_H
#define GK_MM_TEXT_H

#include "guest-kernel/mm/report.h"

void text_put(const struct mm_sink *to, const char *s);
/* Padded with spaces to WIDTH: words to the right, numbers to the left. */
void text_word(const struct mm_sink *to, const char *s, unsigned width);
void text_number(const struct mm_sink *to, uint64_t n, unsigned width);
/* 0x and at least two digits. */
void text_put_hex(const struct mm_sink *to, uint64_t n);
/* "label:" and a number with its unit, in a line of its own. */
void text_line(const struct mm_sink *to, const char *label, uint64_t n, const char *unit);

#endif
