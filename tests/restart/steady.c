/* SPDX-License-Identifier: MIT */
/*
 * steady.c - clients that must not notice when the monitor ends and another one comes.
 *
 *   steady hold DEVICE [SIBLING]   one device does DMA all the time, while memory is mapped, unmapped
 *                                  and granted beside it; every transfer is checked. The sibling, of
 *                                  the same IOMMU group, leaves the domain and joins it meanwhile
 *   steady churn DEVICE            connects, opens, binds, does DMA, unbinds, closes, again and again
 *
 * Both end at SIGTERM with "N rounds" and status 0, and at the first thing that goes wrong with its
 * reason and status 1. An edu device; the socket from IOMMU_BROKER_SOCKET.
 */
#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/demo/edu.h"

#define BYTES	   65536u
#define BUSY_TRIES 2000

static volatile sig_atomic_t stopping;

static void on_sigterm(int sig)
{
	(void)sig;
	stopping = 1;
}

static void must(int code, const char *what, unsigned long round)
{
	if (code != IOB_OK)
		errx(1, "round %lu: %s: %s (%s)", round, what, iob_error()->text,
		     iob_code_name(code));
}

struct set {
	iob_conn *conn;
	iob_domain *domain;
	iob_device *device;
	iob_device *sibling; /* or NULL */
	struct iob_dma dma;
};

/* A device may still be on its way back from its last user. */
static iob_device *open_device(const struct set *s, const char *name, unsigned long round)
{
	iob_device *device = NULL;
	int code = IOB_E_BUSY;

	for (int i = 0; i < BUSY_TRIES && code == IOB_E_BUSY; i++) {
		code = iob_device_open(s->conn, name, IOB_ACCESS_MEDIATED, &device, NULL);
		if (code == IOB_E_BUSY)
			usleep(10000);
	}
	must(code, "open", round);
	return device;
}

static void set_open(struct set *s, const char *name, unsigned long round)
{
	must(iob_connect(NULL, &s->conn), "connect", round);
	must(iob_domain_create(s->conn, 1 << 20, 64, &s->domain, NULL), "create", round);
	must(iob_dma_alloc(s->domain, BYTES, IOB_READ | IOB_WRITE, EDU_ADDRESS_LIMIT, &s->dma),
	     "map", round);
	s->device = open_device(s, name, round);
	must(iob_device_bind(s->device, iob_domain_fd(s->domain)), "bind", round);
	must(iob_device_bus_master(s->device, 1), "enable", round);
}

static void set_close(struct set *s)
{
	iob_device_close(s->sibling);
	iob_device_close(s->device);
	iob_dma_free(s->domain, &s->dma);
	iob_domain_close(s->domain);
	iob_conn_close(s->conn);
}

/* Through the device from one end of the memory to the other, where each round has bytes of its own. */
static void transfer(const struct set *s, iob_device *device, unsigned long round)
{
	uint8_t *at = s->dma.address, *to = at + BYTES - EDU_TRANSFER;

	memset(at, (int)(round % 251 + 1), EDU_TRANSFER);
	memset(to, 0, EDU_TRANSFER);
	must(edu_fetch(device, s->dma.iova), "fetch", round);
	must(edu_store(device, s->dma.iova + BYTES - EDU_TRANSFER), "store", round);
	if (memcmp(at, to, EDU_TRANSFER) != 0)
		errx(1, "round %lu: the device moved something else", round);
}

static void sibling_round(struct set *s, unsigned long round)
{
	must(iob_device_bind(s->sibling, iob_domain_fd(s->domain)), "bind sibling", round);
	must(iob_device_bus_master(s->sibling, 1), "enable sibling", round);
	transfer(s, s->sibling, round);
	must(iob_device_unbind(s->sibling), "unbind sibling", round);
}

static void hold_round(struct set *s, unsigned long round)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_MAP, .window_last = UINT64_MAX };
	struct iob_status_rep status;
	struct iob_dma beside;
	iob_domain *grant;

	transfer(s, s->device, round);
	if (s->sibling)
		sibling_round(s, round);
	must(iob_dma_alloc(s->domain, 4096, IOB_READ, EDU_ADDRESS_LIMIT, &beside), "map", round);
	must(iob_dma_free(s->domain, &beside), "unmap", round);
	if (round % 4 == 0) {
		must(iob_domain_grant(s->domain, &req, &grant, NULL), "grant", round);
		iob_domain_close(grant);
		must(iob_status(s->conn, &status), "status", round);
	}
}

int main(int argc, char **argv)
{
	struct set s = { 0 };
	unsigned long round = 0;

	if (argc < 3 || argc > 4)
		errx(2, "usage: steady hold|churn DEVICE [SIBLING]");
	bool hold = strcmp(argv[1], "hold") == 0;

	signal(SIGTERM, on_sigterm);
	if (hold)
		set_open(&s, argv[2], round);
	if (argc == 4)
		s.sibling = open_device(&s, argv[3], round);
	for (; !stopping; round++) {
		if (hold) {
			hold_round(&s, round);
			continue;
		}
		set_open(&s, argv[2], round);
		transfer(&s, s.device, round);
		set_close(&s);
	}
	if (hold)
		set_close(&s);
	printf("%lu rounds\n", round);
	return round == 0;
}
