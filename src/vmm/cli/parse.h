/* Values as people write them: sizes, numbers, switches, lists of keys. Pure functions. */
#ifndef SRC_VMM_CLI_PARSE_H
#define SRC_VMM_CLI_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "512K", "256M", "2G", "1T", "4GiB", "1.5G", or plain bytes. False: not a size, or 2^63 or more.
 */
bool parse_size(const char *text, uint64_t *bytes);

/* A whole decimal or 0x number of at most MAX. */
bool parse_number(const char *text, uint64_t max, uint64_t *value);

/* "2", "1.5", "0.25", in thousandths, which are at most MAX. */
bool parse_millis(const char *text, uint64_t max, uint64_t *millis);

/* on, off, yes, no, true, false, 1, 0. */
bool parse_switch(const char *text, bool *value);

/* aa:bb:cc:dd:ee:ff */
bool parse_mac(const char *text, uint8_t mac[6]);

/*
 * Split the next element off a comma-separated list, in place; two commas stand for one. *KEY is
 * the part before the first '=', *VALUE what follows it, or NULL. False at the end of the list.
 */
bool parse_next(char **list, char **key, char **value);

/*
 * Which of COUNT names is nearest to TEXT, NULL if none is near enough to be meant. Names are
 * STRIDE bytes apart, so that any table whose rows begin with one can be searched.
 */
const char *parse_nearest(const char *text, const void *names, size_t count, size_t stride);

#endif
