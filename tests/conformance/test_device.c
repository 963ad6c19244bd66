/* SPDX-License-Identifier: MIT */
/* A bound device: regions, configuration space, reset. */
#include <string.h>

#include "tests/conformance/scene.h"

#define IDENT	  0x00
#define IDENT_EDU 0x010000edu
#define LIVENESS  0x04
#define FACTORIAL 0x08
#define BAR_BYTES MIB

/* ---- regions ---- */

static void regions(void)
{
	struct iob_device_info_rep info;
	struct iob_region_info_rep r;

	bob_is_bound();
	ok(iob_device_info(device, &info));
	ck_assert_uint_eq(info.regions, 9);
	ok(iob_device_region_info(device, IOB_REGION_BAR0, &r));
	ck_assert_uint_eq(r.index, IOB_REGION_BAR0);
	ck_assert_uint_eq(r.bytes, BAR_BYTES);
	ck_assert_uint_eq(r.flags & BOTH, IOB_REGION_READ | IOB_REGION_WRITE);
	ok(iob_device_region_info(device, IOB_REGION_CONFIG, &r));
	ck_assert_uint_ge(r.bytes, 256);
	ck_assert_uint_eq(r.flags & BOTH, IOB_REGION_READ | IOB_REGION_WRITE);
	ok(iob_device_region_info(device, 3, &r)); /* there, but not implemented by edu */
	ck_assert_uint_eq(r.bytes, 0);
	refused(iob_device_region_info(device, info.regions, &r), IOB_E_RANGE);
	refused(iob_device_region_info(device, UINT32_MAX, &r), IOB_E_RANGE);
}

START_TEST(regions_are_described)
{
	as(BOB, regions);
}
END_TEST

static void registers(void)
{
	uint32_t value;

	bob_is_bound();
	edu_ready(device);
	ok(iob_device_read32(device, IOB_REGION_BAR0, IDENT, &value));
	ck_assert_uint_eq(value, IDENT_EDU);
	ok(iob_device_write32(device, IOB_REGION_BAR0, LIVENESS, 0x12345678));
	ok(iob_device_read32(device, IOB_REGION_BAR0, LIVENESS, &value));
	ck_assert_uint_eq(value, ~0x12345678u);
	ok(iob_device_write32(device, IOB_REGION_BAR0, FACTORIAL, 6));
	for (int i = 0; i < 1000 && value != 720; i++)
		ok(iob_device_read32(device, IOB_REGION_BAR0, FACTORIAL, &value));
	ck_assert_uint_eq(value, 720);
}

START_TEST(registers_are_read_and_written)
{
	as(BOB, registers);
}
END_TEST

static void region_limits(void)
{
	static uint8_t data[IOB_MAX_REGION_BYTES + 1];
	uint32_t value;

	bob_is_bound();
	refused(iob_device_read32(device, IOB_REGION_BAR0, BAR_BYTES, &value), IOB_E_RANGE);
	refused(iob_device_read32(device, IOB_REGION_BAR0, BAR_BYTES - 3, &value), IOB_E_RANGE);
	refused(iob_device_read32(device, IOB_REGION_BAR0, UINT64_MAX - 3, &value), IOB_E_RANGE);
	refused(iob_device_write32(device, IOB_REGION_BAR0, BAR_BYTES, 1), IOB_E_RANGE);
	refused(iob_device_write32(device, IOB_REGION_BAR0, UINT64_MAX - 1, 1), IOB_E_RANGE);
	refused(iob_device_read(device, 9, 0, data, 4), IOB_E_RANGE);
	ck_assert_int_ne(iob_device_read(device, 3, 0, data, 4), IOB_OK);
	refused(iob_device_read(device, 0, 0, data, 0), IOB_E_ARGUMENT);
	refused(iob_device_read(device, 0, 0, data, sizeof(data)), IOB_E_ARGUMENT);
	refused(iob_device_write(device, 0, 0, data, sizeof(data)), IOB_E_ARGUMENT);
	ok(iob_device_read(device, IOB_REGION_CONFIG, 0, data, 64));
	ok(iob_device_read32(device, IOB_REGION_BAR0, IDENT, &value));
}

START_TEST(accesses_stay_inside_their_region)
{
	as(BOB, region_limits);
}
END_TEST

static void config_space(void)
{
	uint16_t vendor, id, command;
	uint32_t bar, again;

	bob_is_bound();
	ok(iob_device_read(device, IOB_REGION_CONFIG, 0, &vendor, 2));
	ok(iob_device_read(device, IOB_REGION_CONFIG, 2, &id, 2));
	ck_assert_uint_eq(vendor, 0x1234);
	ck_assert_uint_eq(id, 0x11e8);
	ok(iob_device_read(device, IOB_REGION_CONFIG, 4, &command, 2));
	ck_assert_uint_eq(command & 4, 0); /* nobody masters the bus unasked */
	edu_ready(device);
	ok(iob_device_read(device, IOB_REGION_CONFIG, 4, &command, 2));
	ck_assert_uint_eq(command & 6, 6);
	/* moving a BAR changes a picture of it, not the machine */
	ok(iob_device_read32(device, IOB_REGION_CONFIG, 0x10, &bar));
	ok(iob_device_write32(device, IOB_REGION_CONFIG, 0x10, UINT32_MAX));
	ok(iob_device_read32(device, IOB_REGION_CONFIG, 0x10, &again));
	ck_assert_uint_eq(again & ~15u, (uint32_t) ~(BAR_BYTES - 1));
	ok(iob_device_write32(device, IOB_REGION_CONFIG, 0x10, bar));
	ok(iob_device_read32(device, IOB_REGION_BAR0, IDENT, &again));
	ck_assert_uint_eq(again, IDENT_EDU);
}

START_TEST(configuration_space_is_virtual)
{
	as(BOB, config_space);
}
END_TEST

static uint16_t command_register(void)
{
	uint16_t command;

	ok(iob_device_read(device, IOB_REGION_CONFIG, 4, &command, 2));
	return command;
}

/* The device writes, and nothing comes. */
static void dma_is_dropped(void)
{
	memset(memory.at, 0x11, memory.bytes);
	edu_store(device, IOVA, 128);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x11));
}

/* Without bus mastering a device does no DMA; every bind, and a new user, finds it off again. */
static void mastering(void)
{
	uint16_t before;

	refused(iob_device_bus_master(NULL, 1), IOB_E_ARGUMENT);
	bob_opens();
	refused(iob_device_bus_master(device, 1), IOB_E_NOT_BOUND);
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	before = command_register();
	dma_is_dropped();
	ok(iob_device_bus_master(device, 1));
	ck_assert_uint_eq(command_register(), before | 4u);
	dma_works();
	ok(iob_device_bus_master(device, 0));
	ck_assert_uint_eq(command_register(), before);
	dma_is_dropped();
	ok(iob_device_bus_master(device, 1));
	ok(iob_device_unbind(device));
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	ck_assert_uint_eq(command_register() & 4, 0);
	dma_is_dropped();
	ok(iob_device_bus_master(device, 1));
	dma_works();
	iob_device_close(device);
	device = device_opened_when_free(conn, EDU_1);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	ck_assert_uint_eq(command_register() & 4, 0);
}

START_TEST(device_comes_back_without_bus_mastering)
{
	as(BOB, mastering);
}
END_TEST

/* ---- reset ---- */

static void no_reset(void)
{
	struct iob_device_info_rep info;

	bob_is_bound();
	ok(iob_device_info(device, &info));
	ck_assert_uint_eq(info.flags & IOB_DEVICE_CAN_RESET, 0);
	refused(iob_device_reset(device), IOB_E_NO_RESET);
	edu_ready(device);
	dma_works();
}

START_TEST(device_without_reset_says_so)
{
	as(BOB, no_reset);
}
END_TEST

static void reset(void)
{
	struct iob_device_info_rep info;
	uint32_t id;

	conn = connected();
	own_domain();
	device = device_opened(conn, RESETTABLE);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	ok(iob_device_info(device, &info));
	ck_assert_uint_eq(info.flags & IOB_DEVICE_CAN_RESET, IOB_DEVICE_CAN_RESET);
	ok(iob_device_reset(device));
	ok(iob_device_read32(device, IOB_REGION_CONFIG, 0, &id));
	ck_assert_uint_eq(id, (uint32_t)info.rec.device << 16 | info.rec.vendor);
	ok(iob_device_reset(device));
}

START_TEST(device_is_reset)
{
	as(BOB, reset);
}
END_TEST

Suite *device_suite(void)
{
	Suite *s = suite_create("device");
	TCase *tc = case_shared(s, "device");

	tcase_add_test(tc, regions_are_described);
	tcase_add_test(tc, registers_are_read_and_written);
	tcase_add_test(tc, accesses_stay_inside_their_region);
	tcase_add_test(tc, configuration_space_is_virtual);
	tcase_add_test(tc, device_comes_back_without_bus_mastering);
	tcase_add_test(tc, device_without_reset_says_so);
	tcase_add_test(tc, device_is_reset);
	case_shared_end(tc);
	return s;
}
