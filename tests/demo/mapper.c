/* SPDX-License-Identifier: MIT */
/*
 * mapper.c - application A: owns memory, decides what devices may reach. It has no device.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edu.h"
#include "story.h"

#define PAGE 4096u

static const char greeting[EDU_TRANSFER] = "DMA without root";

struct a {
	iob_conn *broker;
	iob_domain *domain;
	struct iob_dma shared;	 /* devices read and write */
	struct iob_dma constant; /* devices only read */
	uint32_t grant;
};

static void open_domain(struct a *a)
{
	must(iob_connect(NULL, &a->broker), "connecting to the broker");
	must(iob_domain_create(a->broker, 0, 0, &a->domain, NULL), "making a domain");
	say("I am uid %d, no root, no device node, no memlock limit lifted. I have a domain.",
	    (int)getuid());
}

static void map_memory(struct a *a)
{
	must(iob_dma_alloc(a->domain, 2 * PAGE, IOB_READ | IOB_WRITE, EDU_ADDRESS_LIMIT,
			   &a->shared),
	     "allocating DMA memory");
	must(iob_dma_alloc(a->domain, PAGE, IOB_READ, EDU_ADDRESS_LIMIT, &a->constant),
	     "allocating read-only DMA memory");
	memcpy(a->shared.address, greeting, sizeof(greeting));
	strcpy(a->constant.address, "constant");
	say("mapped %zu bytes at IOVA 0x%llx for devices to read and write: \"%s\"",
	    a->shared.bytes, (unsigned long long)a->shared.iova, greeting);
	say("mapped %zu bytes at IOVA 0x%llx for devices to read only: \"constant\"",
	    a->constant.bytes, (unsigned long long)a->constant.iova);
}

/* Memory that a device could be misled with is not taken. */
static void try_bad_memory(const struct a *a)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct iob_memory_add_rep added;
	char path[64];

	must_be(fd >= 0 && ftruncate(fd, PAGE) == 0 && fallocate(fd, 0, 0, PAGE) == 0, "a memfd");
	say_refused("I offer memory that could be cut short under a running device:",
		    iob_memory_add(a->domain, fd, IOB_READ | IOB_WRITE, &added));
	must_be(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "sealing");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int read_only = open(path, O_RDONLY | O_CLOEXEC);

	must_be(read_only >= 0, "opening it again");
	say_refused("I offer memory for a device to write that I myself have open read-only:",
		    iob_memory_add(a->domain, read_only, IOB_READ | IOB_WRITE, &added));
	close(read_only);
	close(fd);
}

static void pass_grant(struct a *a)
{
	struct iob_grant_req req = {
		.rights = IOB_RIGHT_BIND,
		.window_last = UINT64_MAX,
	};
	struct story_note note = {
		.readable = a->shared.iova,
		.constant = a->constant.iova,
		.nowhere = 0x8000000,
	};
	int fd;

	must(iob_domain_grant_fd(a->domain, &req, &fd, &a->grant), "making a grant");
	must(iob_handle_send(STORY_SOCKET, fd), "passing the grant");
	close(fd);
	must_be(send(STORY_SOCKET, &note, sizeof(note), 0) == sizeof(note), "sending a note");
	say("passed B a handle of my domain that can bind a device to it, and nothing else");
}

static void see_transfer(const struct a *a)
{
	const char *second = (const char *)a->shared.address + PAGE;

	must_be(memcmp(second, greeting, sizeof(greeting)) == 0,
		"the device copied my first page to my second");
	say("my second page now says \"%s\": B's device copied it there", second);
}

static void see_constant(const struct a *a)
{
	must_be(strcmp(a->constant.address, "constant") == 0, "the read-only page is unchanged");
	say("my read-only page still says \"%s\"", (const char *)a->constant.address);
}

/* After the reply to UNMAP no device reaches the memory. */
static void unmap(const struct a *a)
{
	say_refused("I unmap half of a mapping:", iob_unmap(a->domain, a->shared.iova, PAGE));
	must(iob_unmap(a->domain, a->shared.iova, a->shared.bytes), "unmapping");
	memset(a->shared.address, 0, a->shared.bytes);
	say("unmapped the shared memory and cleared it; B's device runs on");
}

static void see_nothing(const struct a *a)
{
	const char *p = a->shared.address;
	size_t touched = 0;

	for (size_t i = 0; i < a->shared.bytes; i++)
		touched += p[i] != 0;
	must_be(touched == 0, "no byte was written after UNMAP");
	say("my memory is untouched");
}

int main(void)
{
	struct a a = { 0 };

	story_teller = "A";
	open_domain(&a);
	map_memory(&a);
	try_bad_memory(&a);
	pass_grant(&a);
	turn_wait(); /* B has done its transfers */
	see_transfer(&a);
	see_constant(&a);
	unmap(&a);
	turn_give();
	turn_wait(); /* B has tried again */
	see_nothing(&a);
	say("now I die by SIGKILL, without a word to anybody");
	turn_give();
	return raise(SIGKILL);
}
