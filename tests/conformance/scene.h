/* SPDX-License-Identifier: MIT */
/*
 * scene.h - the scene most tests play in: alice has a domain with memory in it, bob has a device
 * and a handle that lets him put it there, and nothing else.
 *
 * The variables are each user's own.
 */
#ifndef TESTS_CONFORMANCE_SCENE_H
#define TESTS_CONFORMANCE_SCENE_H

#include "tests/conformance/suites.h"

#define BOTH (IOB_READ | IOB_WRITE)

/* Where alice's memory is for devices: 4 pages from OFFSET, and 2 read-only from READ_OFFSET. */
#define MEMORY_BYTES (16 * PAGE)
#define IOVA	     UINT64_C(0x100000)
#define OFFSET	     (2 * PAGE)
#define BYTES	     (4 * PAGE)
#define READ_IOVA    UINT64_C(0x300000)
#define READ_OFFSET  (8 * PAGE)
#define READ_BYTES   (2 * PAGE)
#define NOWHERE	     UINT64_C(0x700000) /* never mapped */

extern iob_conn *conn;
extern iob_domain *domain; /* alice's; bob's handle on it, or one of his own */
extern iob_device *device;
extern struct memory memory;

/* alice's steps */
void alice_maps(void);
void alice_grants_bind(void);
void alice_grants(uint32_t rights, uint32_t flags, uint64_t first, uint64_t last, uint32_t *id);

/* Bob may map in a window; alice has mappings of her own right before and behind it. The id of the
 * grant is in board[GRANT_ID]. */
#define WINDOW	     UINT64_C(0x800000)
#define WINDOW_BYTES (16 * PAGE)
#define WINDOW_LAST  (WINDOW + WINDOW_BYTES - 1)
#define WORKER	     (IOB_RIGHT_MAP | IOB_RIGHT_UNMAP | IOB_RIGHT_INSPECT)
#define GRANT_ID     0
void alice_grants_window(void);

/* bob's: open the first edu; put it into what alice granted; all of it */
void bob_opens(void);
void bob_binds(void);
/* alice_maps to bob_binds */
void set_scene(void);

/* After set_scene(), in the test: bob's device writes into alice's memory and reads from it, until it is
 * stopped or he is killed. Counted in board[ROUNDS]. */
enum { ROUNDS = 100, GO_ON };
void start_driving(void);
void wait_for_rounds(uint64_t more);
void stop_driving(void);

/* A domain of one's own, with memory as alice_maps() has it. */
void own_domain(void);
/* Bob alone, with a domain and the first edu in it. */
void bob_is_bound(void);
/* The device does DMA as it should in that memory, both ways. */
void dma_works(void);
/* Wait for an event of a device. */
struct iob_event device_event(iob_device *d, uint32_t type);
/* Open a device that may still be on its way back from somebody. */
iob_device *device_opened_when_free(iob_conn *c, enum role role);
/* Wait until the broker has closed a handle. */
void domain_is_closed(iob_domain *d);
uint32_t domain_devices(iob_domain *d);
/* Wait until the domain has this many. */
void domain_devices_wait(iob_domain *d, uint32_t count);

#endif
