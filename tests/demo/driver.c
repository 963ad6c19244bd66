/* SPDX-License-Identifier: MIT */
/*
 * driver.c - application B: drives a device. What memory the device reaches is not its business.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edu.h"
#include "story.h"

#define A_GONE_TIMEOUT_MS 10000

struct b {
	iob_conn *broker;
	iob_device *device;
	iob_domain *domain; /* the handle that A passed */
	struct story_note note;
};

static void receive_grant(struct b *b)
{
	int fd;

	must(iob_handle_recv(STORY_SOCKET, &fd), "receiving A's handle");
	must(iob_domain_from_fd(fd, &b->domain), "taking it for a domain");
	must_be(recv(STORY_SOCKET, &b->note, sizeof(b->note), 0) == sizeof(b->note), "A's note");
}

static const struct iob_device_rec *choose(const struct iob_device_rec *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].vendor == EDU_VENDOR && list[i].device == EDU_DEVICE &&
		    !(list[i].flags & (IOB_DEVICE_UNUSABLE | IOB_DEVICE_OPENED)))
			return &list[i];
	say("there is no free edu device for me");
	exit(1);
}

static void open_device(struct b *b)
{
	struct iob_device_rec *list;
	size_t count;

	must(iob_connect(NULL, &b->broker), "connecting to the broker");
	must(iob_device_list(b->broker, &list, &count), "listing devices");
	const struct iob_device_rec *d = choose(list, count);

	must(iob_device_open(b->broker, d->name, IOB_ACCESS_MEDIATED, &b->device, NULL),
	     "opening a device");
	say("I am uid %d. I have device %s (%04x:%04x, IOMMU group %u), and no memory.",
	    (int)getuid(), d->name, d->vendor, d->device, d->group);
	free(list);
}

static void join_domain(struct b *b)
{
	struct iob_map_op op = { .memory = 1, .flags = IOB_READ | IOB_WRITE, .length = 4096 };
	uint64_t iova;

	say_refused("I try to map memory through A's handle:", iob_map(b->domain, &op, &iova));
	say_refused("I swap the arguments, a device where a domain belongs:",
		    iob_device_bind(b->device, iob_device_fd(b->device)));
	say_refused("and the other way round:",
		    iob_domain_bind(b->domain, iob_domain_fd(b->domain)));
	must(iob_device_bind(b->device, iob_domain_fd(b->domain)), "binding");
	must(iob_device_bus_master(b->device, 1), "enabling the device");
	say("my device is in A's domain");
}

static void transfer(const struct b *b)
{
	must(edu_fetch(b->device, b->note.readable), "reading A's page");
	must(edu_store(b->device, b->note.readable + 4096), "writing A's second page");
	say("the device read A's first page and wrote it to the second");
	must(edu_store(b->device, b->note.constant), "starting a write to the read-only page");
	say("the device was told to write to A's read-only page: the IOMMU stops it");
	must(edu_store(b->device, b->note.nowhere), "starting a write to nowhere");
	say("the device was told to write where nothing is mapped: the IOMMU stops it");
}

static void transfer_again(const struct b *b)
{
	must(edu_store(b->device, b->note.readable), "starting a write to what A unmapped");
	say("the device was told to write to what A unmapped: the IOMMU stops it");
}

/* The end of the domain comes as an event; the handle of the device stays good. */
static void lose_domain(const struct b *b)
{
	struct pollfd p = { .fd = iob_device_fd(b->device), .events = POLLIN };
	struct iob_event event;

	must_be(poll(&p, 1, A_GONE_TIMEOUT_MS) == 1, "an event comes");
	must(iob_device_next_event(b->device, &event), "taking the event");
	must_be(event.type == IOB_EV_DEVICE_UNBOUND, "the event tells that the device left");
	say("A is gone, and its domain with it: my device was taken out of it and told so");
	say_refused("I touch the device, which is in no domain:",
		    iob_device_bus_master(b->device, 1));
}

static void start_over(const struct b *b)
{
	struct iob_dma own;
	iob_domain *domain;

	must(iob_domain_create(b->broker, 0, 0, &domain, NULL), "making a domain of my own");
	must(iob_dma_alloc(domain, 8192, IOB_READ | IOB_WRITE, EDU_ADDRESS_LIMIT, &own),
	     "allocating memory");
	must(iob_device_bind(b->device, iob_domain_fd(domain)), "binding to my own domain");
	must(iob_device_bus_master(b->device, 1), "enabling the device");
	strcpy(own.address, "second life");
	must(edu_fetch(b->device, own.iova), "reading");
	must(edu_store(b->device, own.iova + 4096), "writing");
	must_be(strcmp((char *)own.address + 4096, "second life") == 0, "the device works again");
	say("with a domain of my own the device works on: \"%s\"", (char *)own.address + 4096);
	must(iob_dma_free(domain, &own), "freeing");
	iob_domain_close(domain);
}

int main(void)
{
	struct b b = { 0 };

	story_teller = "B";
	receive_grant(&b);
	open_device(&b);
	join_domain(&b);
	transfer(&b);
	turn_give();
	turn_wait(); /* A has unmapped */
	transfer_again(&b);
	turn_give();
	turn_wait(); /* A is about to die */
	lose_domain(&b);
	start_over(&b);
	iob_device_close(b.device);
	iob_domain_close(b.domain);
	iob_conn_close(b.broker);
	return 0;
}
