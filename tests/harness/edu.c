/* SPDX-License-Identifier: MIT */
/* edu.c - drives QEMU's "edu" (docs/specs/edu) through the library. */
#include "tests/harness/internal.h"

#define DMA_SOURCE  0x80
#define DMA_TARGET  0x88
#define DMA_COUNT   0x90
#define DMA_COMMAND 0x98
#define RUN	    1u
#define TO_MEMORY   2u
#define BUFFER	    UINT32_C(0x40000)

#define COMMAND	      4 /* in configuration space */
#define MEMORY_ENABLE 2u

/* 4 bytes each: older kernels split 8, and the addresses are below 2^28. */
static void begin(iob_device *d, uint32_t source, uint32_t target, uint32_t bytes, uint32_t command)
{
	ok(iob_device_write32(d, IOB_REGION_BAR0, DMA_SOURCE, source));
	ok(iob_device_write32(d, IOB_REGION_BAR0, DMA_TARGET, target));
	ok(iob_device_write32(d, IOB_REGION_BAR0, DMA_COUNT, bytes));
	ok(iob_device_write32(d, IOB_REGION_BAR0, DMA_COMMAND, command));
}

bool edu_is_busy(iob_device *d)
{
	uint32_t command;

	ok(iob_device_read32(d, IOB_REGION_BAR0, DMA_COMMAND, &command));
	return command & RUN;
}

void edu_wait(iob_device *d)
{
	while (edu_is_busy(d)) /* Check's time limit ends what never ends */
		sleep_ms(backend_is_real() ? 10 : 1);
}

/* There is no reset: what somebody else began before may still be running, and until it is done the
 * device takes no other request. Without bus mastering it comes to nothing. */
void edu_ready(iob_device *d)
{
	uint16_t command;

	ok(iob_device_read(d, IOB_REGION_CONFIG, COMMAND, &command, sizeof(command)));
	command |= MEMORY_ENABLE;
	ok(iob_device_write(d, IOB_REGION_CONFIG, COMMAND, &command, sizeof(command)));
	edu_wait(d);
	ok(iob_device_bus_master(d, 1));
}

void edu_fetch(iob_device *d, uint64_t iova, uint32_t bytes)
{
	begin(d, (uint32_t)iova, BUFFER, bytes, RUN);
	edu_wait(d);
}

void edu_store_begin(iob_device *d, uint64_t iova, uint32_t bytes)
{
	begin(d, BUFFER, (uint32_t)iova, bytes, RUN | TO_MEMORY);
}

void edu_store(iob_device *d, uint64_t iova, uint32_t bytes)
{
	edu_store_begin(d, iova, bytes);
	edu_wait(d);
}
