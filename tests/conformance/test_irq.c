/* SPDX-License-Identifier: MIT */
/* Interrupts of a bound device, by eventfd. */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define RAISE 0x60
#define ACK   0x64

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

	bob_is_bound();
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

	bob_is_bound();
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

	bob_is_bound();
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

	bob_is_bound();
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

Suite *irq_suite(void)
{
	Suite *s = suite_create("irq");
	TCase *tc = case_shared(s, "irq");

	tcase_add_test(tc, interrupts_are_described);
	tcase_add_test(tc, msi_arrives_by_eventfd);
	tcase_add_test(tc, wrong_interrupt_setups_are_refused);
	tcase_add_test(tc, intx_masks_itself);
	case_shared_end(tc);
	return s;
}
