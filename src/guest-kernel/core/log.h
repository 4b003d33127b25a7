/* The log: the last lines in a ring, those of enough weight on the console too. Any context. */
#ifndef GK_CORE_LOG_H
#define GK_CORE_LOG_H

#include "guest-kernel/core/fmt.h"
#include "guest-kernel/core/spinlock.h"

#define LOG_RECORDS    256u
#define LOG_TEXT_BYTES 384u /* with the NUL; longer lines are cut */

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log_record {
	uint64_t ns;
	uint8_t level, cpu;
	char text[LOG_TEXT_BYTES];
};

struct log {
	struct spinlock lock;
	uint64_t written; /* records so far; the ring has the last LOG_RECORDS */
	enum log_level console_level;
	struct log_record ring[LOG_RECORDS];
};

void log_init(struct log *l, enum log_level console_level);
/* One line, without its end. Dropped where there is no kernel yet. */
void log_write(enum log_level level, const char *format, ...) GK_PRINTF(2, 3);
/* Copies record number N; false if it is overwritten or not written yet. */
bool log_read(struct log *l, uint64_t n, struct log_record *out);
/* The number of the oldest record that is kept. */
uint64_t log_oldest(struct log *l);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)

#endif
