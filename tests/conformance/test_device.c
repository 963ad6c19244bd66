/* SPDX-License-Identifier: MIT */
/* A bound device: regions, configuration space, interrupts, reset; and the descriptor itself. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define IDENT	  0x00
#define IDENT_EDU 0x010000edu
#define LIVENESS  0x04
#define FACTORIAL 0x08
#define RAISE	  0x60
#define ACK	  0x64
#define BAR_BYTES MIB

static void bound(void)
{
	bob_opens();
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
}

/* ---- regions ---- */

static void regions(void)
{
	struct iob_device_info_rep info;
	struct iob_region_info_rep r;

	bound();
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

	bound();
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

	bound();
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

	bound();
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

/* Without bus mastering a device does no DMA, and a new user finds it off again. */
static void mastering(void)
{
	uint16_t command;

	bound();
	memset(memory.at, 0x11, memory.bytes);
	edu_store(device, IOVA, 128);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x11));
	edu_ready(device);
	dma_works();
	iob_device_close(device);
	device = device_opened_when_free(conn, EDU_1);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	ok(iob_device_read(device, IOB_REGION_CONFIG, 4, &command, 2));
	ck_assert_uint_eq(command & 4, 0);
}

START_TEST(device_comes_back_without_bus_mastering)
{
	as(BOB, mastering);
}
END_TEST

/* ---- interrupts ---- */

static bool is_signalled(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&p, 1, timeout_ms) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void irqs(void)
{
	struct iob_device_info_rep info;
	struct iob_irq_info_rep irq;

	bound();
	ok(iob_device_info(device, &info));
	ck_assert_uint_eq(info.irqs, 5);
	ok(iob_device_irq_info(device, IOB_IRQ_MSI, &irq));
	ck_assert_uint_eq(irq.index, IOB_IRQ_MSI);
	ck_assert_uint_eq(irq.count, 1);
	ck_assert_uint_eq(irq.flags & IOB_IRQ_EVENTFD, IOB_IRQ_EVENTFD);
	ok(iob_device_irq_info(device, IOB_IRQ_MSIX, &irq));
	ck_assert_uint_eq(irq.count, 0);
	ok(iob_device_irq_info(device, IOB_IRQ_INTX, &irq));
	ck_assert_uint_eq(irq.count, 1);
	ck_assert_uint_eq(irq.flags & IOB_IRQ_MASKABLE, IOB_IRQ_MASKABLE);
	refused(iob_device_irq_info(device, info.irqs, &irq), IOB_E_RANGE);
}

START_TEST(interrupts_are_described)
{
	as(BOB, irqs);
}
END_TEST

static void msi(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	bound();
	edu_ready(device);
	ok(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, &fd, 1));
	ck_assert(!is_signalled(fd, 0));
	ok(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, NULL, 0));
	ck_assert(is_signalled(fd, 5000)); /* by request, */
	ok(iob_device_write32(device, IOB_REGION_BAR0, RAISE, 1));
	ck_assert(is_signalled(fd, 5000)); /* and by the device */
	ok(iob_device_write32(device, IOB_REGION_BAR0, ACK, 1));
	ok(iob_device_write32(device, IOB_REGION_BAR0, RAISE, 2));
	ck_assert(is_signalled(fd, 5000));
	ok(iob_device_write32(device, IOB_REGION_BAR0, ACK, 2));
	ok(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_DISABLE, 0, 0, NULL, 0));
	ok(iob_device_write32(device, IOB_REGION_BAR0, RAISE, 1));
	ck_assert(!is_signalled(fd, 100));
}

START_TEST(msi_arrives_by_eventfd)
{
	as(BOB, msi);
}
END_TEST

static void irq_refusals(void)
{
	int fds[2] = { eventfd(0, 0), eventfd(0, 0) };
	int file = memory_make(PAGE, 0).fd, socket = iob_conn_fd(connected());

	bound();
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, 1, fds, 1),
		IOB_E_RANGE);
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 2, fds, 2),
		IOB_E_RANGE);
	refused(iob_device_set_irq(device, IOB_IRQ_MSIX, IOB_IRQ_TRIGGER, 0, 1, fds, 1),
		IOB_E_RANGE);
	refused(iob_device_set_irq(device, 17, IOB_IRQ_TRIGGER, 0, 1, fds, 1), IOB_E_RANGE);
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, &file, 1),
		IOB_E_KERNEL);
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, &socket, 1),
		IOB_E_KERNEL);
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 2, fds, 1),
		IOB_E_ARGUMENT);
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_DISABLE, 0, 1, NULL, 0),
		IOB_E_RANGE);
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, (enum iob_irq_action)9, 0, 1, NULL, 0),
		IOB_E_UNSUPPORTED);
	ok(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, fds, 1));
}

START_TEST(wrong_interrupt_setups_are_refused)
{
	as(BOB, irq_refusals);
}
END_TEST

static void intx(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	bound();
	edu_ready(device);
	ok(iob_device_set_irq(device, IOB_IRQ_INTX, IOB_IRQ_TRIGGER, 0, 1, &fd, 1));
	ok(iob_device_write32(device, IOB_REGION_BAR0, RAISE, 1));
	ck_assert(is_signalled(fd, 5000));
	ck_assert(!is_signalled(fd, 50)); /* it masks itself until told */
	ok(iob_device_set_irq(device, IOB_IRQ_INTX, IOB_IRQ_UNMASK, 0, 1, NULL, 0));
	ck_assert(is_signalled(fd, 5000));
	ok(iob_device_write32(device, IOB_REGION_BAR0, ACK, 1));
	ok(iob_device_set_irq(device, IOB_IRQ_INTX, IOB_IRQ_UNMASK, 0, 1, NULL, 0));
	ck_assert(!is_signalled(fd, 50));
	ok(iob_device_set_irq(device, IOB_IRQ_INTX, IOB_IRQ_DISABLE, 0, 0, NULL, 0));
}

START_TEST(intx_masks_itself)
{
	as(BOB, intx);
}
END_TEST

/* ---- reset ---- */

static void no_reset(void)
{
	struct iob_device_info_rep info;

	bound();
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

/* ---- the descriptor itself ---- */

static const struct broker_options policies = {
	.rules = "[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\n", .name = "mediated"
};

static void mediated_only(void)
{
	iob_device *d;
	int fd;

	conn = connected();
	refused(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_FD, &d, NULL), IOB_E_DENIED);
	refused(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_FD | IOB_ACCESS_MEDIATED, &d,
				NULL),
		IOB_E_DENIED);
	own_domain();
	d = device_opened(conn, EDU_1);
	ok(iob_device_bind(d, iob_domain_fd(domain)));
	refused(iob_device_vfio_fd(d, &fd), backend_is_real() ? IOB_E_DENIED : IOB_E_UNSUPPORTED);
}

START_TEST(descriptor_needs_policy)
{
	broker_start(&policies);
	as(ALICE, mediated_only);
}
END_TEST

static void bob_opens_direct(void)
{
	conn = connected();
	ok(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_MEDIATED | IOB_ACCESS_FD, &device,
			   NULL));
}

/* What policy allows is still not what the domain's owner granted. */
static void bob_lacks_right(void)
{
	int fd;

	refused(iob_device_vfio_fd(device, &fd),
		backend_is_real() ? IOB_E_RIGHTS : IOB_E_UNSUPPORTED);
}

START_TEST(descriptor_needs_the_right_of_the_domain)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens_direct);
	as(BOB, bob_binds);
	as(BOB, bob_lacks_right);
}
END_TEST

static void alice_grants_direct(void)
{
	alice_grants(IOB_RIGHT_BIND | IOB_RIGHT_DIRECT, 0, 0, UINT64_MAX, NULL);
}

static void bob_uses_descriptor(void)
{
	struct iob_region_info_rep r;
	uint32_t ident = 0;
	int fd;

	if (!backend_is_real()) {
		refused(iob_device_vfio_fd(device, &fd), IOB_E_UNSUPPORTED);
		return;
	}
	ok(iob_device_vfio_fd(device, &fd));
	ok(iob_device_region_info(device, IOB_REGION_BAR0, &r));
	ck_assert_int_eq(pread(fd, &ident, sizeof(ident), (off_t)r.fd_offset), sizeof(ident));
	ck_assert_uint_eq(ident, IDENT_EDU);
	close(fd);
}

START_TEST(descriptor_is_given_where_all_agree)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_direct);
	as(BOB, bob_opens_direct);
	as(BOB, bob_binds);
	as(BOB, bob_uses_descriptor);
}
END_TEST

/* Whoever kept the descriptor can still command the device, which then reaches nothing. */
static int kept = -1;
static struct iob_region_info_rep bar, config;

static void bob_keeps_descriptor(void)
{
	ok(iob_device_region_info(device, IOB_REGION_BAR0, &bar));
	ok(iob_device_region_info(device, IOB_REGION_CONFIG, &config));
	if (backend_is_real())
		ok(iob_device_vfio_fd(device, &kept));
	else
		refused(iob_device_vfio_fd(device, &kept), IOB_E_UNSUPPORTED);
}

static void alice_ends_domain(void)
{
	iob_domain_close(domain);
}

static void put32(uint64_t at, uint32_t value)
{
	ck_assert_int_eq(pwrite(kept, &value, sizeof(value), (off_t)(bar.fd_offset + at)),
			 sizeof(value));
}

static void bob_is_told_and_goes_on(void)
{
	struct iob_event e = device_event(device, IOB_EV_DEVICE_UNBOUND);
	const uint16_t command = 6;

	ck_assert_uint_eq(e.reason, IOB_UNBOUND_DOMAIN_GONE);
	if (kept < 0)
		return;
	usleep(500000); /* the broker has done with the device now */
	ck_assert_int_eq(pwrite(kept, &command, 2, (off_t)config.fd_offset + 4), 2);
	put32(0x80, 0x40000);
	put32(0x88, (uint32_t)IOVA);
	put32(0x90, 512);
	put32(0x98, 3);
	usleep(500000);
}

static void alice_fills(void)
{
	memset(memory.at, 0x3c, memory.bytes);
}

static void alice_memory_is_safe(void)
{
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x3c));
}

START_TEST(descriptor_that_was_kept_reaches_no_memory)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_direct);
	as(BOB, bob_opens_direct);
	as(BOB, bob_binds);
	as(BOB, bob_keeps_descriptor);
	as(ALICE, alice_fills);
	as(ALICE, alice_ends_domain);
	as(BOB, bob_is_told_and_goes_on);
	as(ALICE, alice_memory_is_safe);
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
	tcase_add_test(tc, interrupts_are_described);
	tcase_add_test(tc, msi_arrives_by_eventfd);
	tcase_add_test(tc, wrong_interrupt_setups_are_refused);
	tcase_add_test(tc, intx_masks_itself);
	tcase_add_test(tc, device_without_reset_says_so);
	tcase_add_test(tc, device_is_reset);
	tcase_add_test(tc, descriptor_needs_the_right_of_the_domain);
	tcase_add_test(tc, descriptor_is_given_where_all_agree);
	tcase_add_test(tc, descriptor_that_was_kept_reaches_no_memory);
	case_shared_end(tc);
	tc = case_private(s, "descriptor");
	tcase_add_test(tc, descriptor_needs_policy);
	return s;
}
