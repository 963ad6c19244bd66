/* SPDX-License-Identifier: MIT */
/* edu.c - the DMA engine of the edu device. */
#include "edu.h"

#include <unistd.h>

#define EDU_DMA_SOURCE 0x80
#define EDU_DMA_TARGET 0x88
#define EDU_DMA_COUNT  0x90
#define EDU_DMA_START  0x98
#define EDU_BUFFER     0x40000u

#define EDU_GO	      1u
#define EDU_TO_MEMORY 2u

static int transfer(iob_device *device, uint64_t from, uint64_t to, uint32_t how)
{
	uint32_t busy = EDU_GO;
	int r = iob_device_write64(device, IOB_REGION_BAR0, EDU_DMA_SOURCE, from);

	if (r == IOB_OK)
		r = iob_device_write64(device, IOB_REGION_BAR0, EDU_DMA_TARGET, to);
	if (r == IOB_OK)
		r = iob_device_write64(device, IOB_REGION_BAR0, EDU_DMA_COUNT, EDU_TRANSFER);
	if (r == IOB_OK)
		r = iob_device_write32(device, IOB_REGION_BAR0, EDU_DMA_START, EDU_GO | how);
	while (r == IOB_OK && (busy & EDU_GO)) {
		usleep(2000);
		r = iob_device_read32(device, IOB_REGION_BAR0, EDU_DMA_START, &busy);
	}
	return r;
}

int edu_fetch(iob_device *device, uint64_t iova)
{
	return transfer(device, iova, EDU_BUFFER, 0);
}

int edu_store(iob_device *device, uint64_t iova)
{
	return transfer(device, EDU_BUFFER, iova, EDU_TO_MEMORY);
}
