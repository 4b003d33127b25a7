/*
 * CMOS real-time clock: the time of day and the RAM of an MC146818A (its data sheet, 'address
 * map'). It does not tick by itself: each read takes the host's clock (UTC), and alarms and
 * periodic interrupts are not offered. Writing the time is accepted and has no effect.
 */
#include <string.h>
#include <time.h>

#include "devices/platform.h"

enum {
	RTC_SECONDS = 0x00,
	RTC_MINUTES = 0x02,
	RTC_HOURS = 0x04,
	RTC_WEEKDAY = 0x06,
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_REG_A = 0x0a,
	RTC_REG_B = 0x0b,
	RTC_REG_C = 0x0c,
	RTC_REG_D = 0x0d,
	RTC_CENTURY = 0x32,
};

#define REG_A_32KHZ  0x26u /* divider for 32,768 Hz, rate 6; UIP never set: reads are atomic */
#define REG_B_24H    0x02u
#define REG_B_BINARY 0x04u
#define REG_D_VALID  0x80u

void rtc_init(struct rtc *rtc)
{
	memset(rtc->ram, 0, sizeof(rtc->ram));
	rtc->ram[RTC_REG_A] = REG_A_32KHZ;
	rtc->ram[RTC_REG_B] = REG_B_24H;
	rtc->index = 0;
	(void)pthread_mutex_init(&rtc->lock, NULL);
}

void rtc_fini(struct rtc *rtc)
{
	(void)pthread_mutex_destroy(&rtc->lock);
}

static uint8_t encode(const struct rtc *rtc, int value)
{
	unsigned v = (unsigned)value;
	if (rtc->ram[RTC_REG_B] & REG_B_BINARY)
		return (uint8_t)v;
	return (uint8_t)((v / 10) << 4 | v % 10);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	if (rtc->ram[RTC_REG_B] & REG_B_24H)
		return encode(rtc, hour);
	int h12 = hour % 12 == 0 ? 12 : hour % 12;
	return (uint8_t)(encode(rtc, h12) | (hour >= 12 ? 0x80 : 0));
}

static uint8_t read_data(struct rtc *rtc)
{
	time_t now = time(NULL);
	struct tm tm;
	if (!gmtime_r(&now, &tm))
		return 0;
	switch (rtc->index) {
	case RTC_SECONDS:
		return encode(rtc, tm.tm_sec > 59 ? 59 : tm.tm_sec);
	case RTC_MINUTES:
		return encode(rtc, tm.tm_min);
	case RTC_HOURS:
		return encode_hour(rtc, tm.tm_hour);
	case RTC_WEEKDAY:
		return encode(rtc, tm.tm_wday + 1);
	case RTC_DAY:
		return encode(rtc, tm.tm_mday);
	case RTC_MONTH:
		return encode(rtc, tm.tm_mon + 1);
	case RTC_YEAR:
		return encode(rtc, tm.tm_year % 100);
	case RTC_CENTURY:
		return encode(rtc, (tm.tm_year + 1900) / 100);
	case RTC_REG_C:
		return 0; /* no interrupt is pending */
	case RTC_REG_D:
		return REG_D_VALID;
	default:
		return rtc->ram[rtc->index];
	}
}

static uint64_t rtc_read(void *ctx, uint64_t offset, unsigned size)
{
	struct rtc *rtc = ctx;
	if (offset != 1 || size != 1)
		return UINT64_MAX; /* the index is write-only */
	(void)pthread_mutex_lock(&rtc->lock);
	uint8_t value = read_data(rtc);
	(void)pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void rtc_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct rtc *rtc = ctx;
	if (size != 1)
		return;
	(void)pthread_mutex_lock(&rtc->lock);
	if (offset == 0)
		rtc->index = value & 0x7f; /* bit 7 masks NMI on a PC; there is none here */
	else if (rtc->index > RTC_REG_D || rtc->index == RTC_REG_B)
		rtc->ram[rtc->index] = (uint8_t)value;
	(void)pthread_mutex_unlock(&rtc->lock);
}

const struct bus_ops rtc_bus_ops = {rtc_read, rtc_write};
