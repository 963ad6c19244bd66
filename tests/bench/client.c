/* SPDX-License-Identifier: MIT */
/* client.c - a client of the broker with a domain and registered memory. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/bench.h"

int memory_make(uint64_t bytes)
{
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *at;

	must_be(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "a memfd");
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must_be(at != MAP_FAILED, "mapping a memfd");
	memset(at, 1, bytes);
	munmap(at, bytes);
	must_be(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0, "sealing a memfd");
	return fd;
}

void client_open(struct client *c, int memory_fd, uint64_t bytes, uint32_t max_mappings)
{
	struct iob_memory_add_rep added;

	must(iob_connect(NULL, &c->conn), "connecting to the broker");
	must(iob_domain_create(c->conn, max_mappings ? max_mappings * PAGE + bytes : 0,
			       max_mappings, &c->domain, NULL),
	     "making a domain");
	must(iob_memory_add(c->domain, memory_fd, IOB_READ | IOB_WRITE, &added),
	     "registering memory");
	c->memory = added.memory;
	c->bytes = bytes;
}

void client_close(struct client *c)
{
	iob_domain_close(c->domain);
	iob_conn_close(c->conn);
}

pid_t monitor_pid(void)
{
	struct iob_status_rep status;
	iob_conn *conn;

	must(iob_connect(NULL, &conn), "connecting to the broker");
	must(iob_status(conn, &status), "STATUS");
	iob_conn_close(conn);
	return (pid_t)status.monitor_pid;
}

struct iob_map_op client_map_op(const struct client *c, uint64_t iova, uint64_t length)
{
	return (struct iob_map_op){
		.memory = c->memory,
		.flags = IOB_READ | IOB_WRITE | IOB_FIXED,
		.length = length,
		.iova = iova,
	};
}

void client_map(struct client *c, uint64_t iova, uint64_t length)
{
	const struct iob_map_op op = client_map_op(c, iova, length);

	must(iob_map(c->domain, &op, NULL), "MAP");
}

void client_unmap(struct client *c, uint64_t iova, uint64_t length)
{
	must(iob_unmap(c->domain, iova, length), "UNMAP");
}

static struct iob_result results[IOB_MAX_BATCH];

void client_map_batch(struct client *c, const struct iob_map_op *ops, uint32_t count)
{
	must(iob_map_batch(c->domain, ops, count, results, NULL), "MAP of a batch");
}

void client_unmap_batch(struct client *c, const struct iob_unmap_op *ops, uint32_t count)
{
	must(iob_unmap_batch(c->domain, ops, count, results, NULL), "UNMAP of a batch");
}
