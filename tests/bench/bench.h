/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the measurements share: the clock, medians, figures, a client with memory.
 *
 * A measurement prints lines "figure NAME VALUE UNIT" on standard output; report.awk makes tables,
 * JSON and verdicts of them. What is compared is measured in turns, round by round, so that a
 * machine that is busy with something else slows down both sides: ratios hold where times do not.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <iommubroker.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PAGE	     UINT64_C(4096)
#define MIB	     (UINT64_C(1) << 20)

/* ---- figures.c ---- */

/* End with a message when a measurement cannot be made: half a result is none. */
void must(int code, const char *what); /* a call of the library */
void must_be(int condition, const char *what);

double clock_us(void);
/* The value that this part of 1 of the sorted ones lie below; sorts them. */
double quantile(double *values, size_t count, double part);
double median(double *values, size_t count);
/* "figure PREFIX.NAME VALUE UNIT" */
void figure(const char *name, double value, const char *unit);
void figure_of(const char *prefix, uint64_t number, const char *name, double value,
	       const char *unit);

/* ---- client.c ---- */

struct client {
	iob_conn *conn;
	iob_domain *domain;
	uint32_t memory; /* id */
	uint64_t bytes;	 /* of the memory */
};

/* A memfd as the broker wants it, touched. The caller's. */
int memory_make(uint64_t bytes);
/* Connect ($IOMMU_BROKER_SOCKET), make a domain, register the memory. max_mappings 0: half of what
 * is left. */
void client_open(struct client *c, int memory_fd, uint64_t bytes, uint32_t max_mappings);
void client_close(struct client *c);
/* Process id of the broker's monitor. */
pid_t monitor_pid(void);

/* One operation. length at iova, from the start of the memory. */
struct iob_map_op client_map_op(const struct client *c, uint64_t iova, uint64_t length);
void client_map(struct client *c, uint64_t iova, uint64_t length);
void client_unmap(struct client *c, uint64_t iova, uint64_t length);
void client_map_batch(struct client *c, const struct iob_map_op *ops, uint32_t count);
void client_unmap_batch(struct client *c, const struct iob_unmap_op *ops, uint32_t count);

/* ---- pingpong.c: the bare exchange of messages, for comparison ---- */

struct pingpong {
	int fd;
	pid_t peer;
};

/* Starts the peer, a process that answers every message with as many bytes as it is asked for. */
void pingpong_start(struct pingpong *p);
void pingpong_exchange(const struct pingpong *p, uint32_t request_bytes, uint32_t reply_bytes);
void pingpong_stop(struct pingpong *p);

/* Bytes of a MAP or UNMAP request of count operations, and of their reply. */
uint32_t map_request_bytes(uint32_t count);
uint32_t unmap_request_bytes(uint32_t count);
uint32_t batch_reply_bytes(uint32_t count);

/* ---- processes.c ---- */

struct session_cost {
	unsigned sessions;
	double pss_kib;	      /* of all sessions with their companions */
	double own_kib;	      /* of that, what is nobody else's */
	double anonymous_kib; /* heap, stack, data; where shared by both, for each */
};

/* Memory of all sessions of the broker. False where that cannot be looked at: only root may. */
int sessions_cost(pid_t monitor, struct session_cost *cost);
double process_pss_kib(pid_t pid);

/* ---- the measurements; small: a few rounds, to see that they work ---- */
void measure_latency(int small);
void measure_connect(int small);
void measure_clients(int small);
void measure_live(int small);
/* vm.c: the broker beside direct ioctls; kind: type1 or iommufd; devices: two
 * names with a comma, the broker's and our own. */
void measure_vm(const char *kind, const char *devices, int small);

#endif
