/* SPDX-License-Identifier: MIT */
/*
 * edu.h - driving QEMU's "edu" device (docs/specs/edu.rst there) through the broker; the simulator
 * has the same device.
 */
#ifndef TESTS_DEMO_EDU_H
#define TESTS_DEMO_EDU_H

#include <iommubroker.h>

#define EDU_VENDOR	  0x1234
#define EDU_DEVICE	  0x11e8
#define EDU_ADDRESS_LIMIT 0x0fffffffu /* it has 28 address lines */
#define EDU_TRANSFER	  64u

/* Copy EDU_TRANSFER bytes from memory into the device's buffer, or back; waits until done. */
int edu_fetch(iob_device *device, uint64_t iova);
int edu_store(iob_device *device, uint64_t iova);

#endif
