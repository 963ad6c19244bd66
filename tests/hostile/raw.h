/* SPDX-License-Identifier: MIT */
/*
 * raw.h - a client without the library, written against wire.h: it can say what the library never
 * would.
 */
#ifndef TESTS_HOSTILE_RAW_H
#define TESTS_HOSTILE_RAW_H

#include "tests/harness/harness.h"

struct raw_reply {
	struct iob_hdr hdr;
	size_t bytes; /* of the body */
	unsigned fd_count;
	int fd;			     /* the only one, or -1 */
	char text[IOB_MAX_TEXT + 1]; /* of a refusal */
	uint32_t step;
	_Alignas(8) uint8_t body[IOB_MAX_MSG_BYTES];
};

/* Of the last answer. */
extern struct raw_reply raw;

/* A connection without HELLO, and one with it. */
int raw_connect(void);
int raw_connected(void);
/* Any bytes at all, with any descriptors. 0 or an errno; never waits. */
int raw_send(int fd, const void *message, size_t bytes, const int *fds, unsigned fd_count);
/* A request; false when it could not be sent without waiting. */
bool raw_request(int fd, uint16_t op, const void *body, size_t bytes, const int *fds,
		 unsigned fd_count);
/* The next message into raw; false at the end of the connection. */
bool raw_receive(int fd);
/* Request and answer: the code. The answer must be well-formed and belong to the request. */
uint32_t raw_ask(int fd, uint16_t op, const void *body, size_t bytes);
uint32_t raw_ask_fds(int fd, uint16_t op, const void *body, size_t bytes, const int *fds,
		     unsigned fd_count);
/* The answer to what raw_send() sent: checked, its code. */
uint32_t raw_code(int fd);
/* Has the broker closed this handle? Waits for it. */
bool raw_is_closed(int fd);

#define raw_ok(call)                                                                           \
	do {                                                                                   \
		uint32_t raw_c = (call);                                                       \
		ck_assert_msg(raw_c == IOB_OK, "%s: %s: %s", #call, iob_code_name((int)raw_c), \
			      raw.text);                                                       \
	} while (0)
#define raw_refused(call, wanted)                                                          \
	do {                                                                               \
		uint32_t raw_c = (call);                                                   \
		ck_assert_msg(raw_c == (wanted), "%s: %s (%s) instead of %s", #call,       \
			      iob_code_name((int)raw_c), raw.text, iob_code_name(wanted)); \
	} while (0)

/* Handles of the three kinds for one attacker: a connection, a domain with a page of memory
 * registered as 1 and mapped at RAW_IOVA, a device. */
#define RAW_IOVA UINT64_C(0x200000)

struct raw_handles {
	int conn, domain, device;
};
extern struct raw_handles raw_handles;
void raw_open_all(void);
/* As iob_hello_req of an honest client. */
extern const struct iob_hello_req raw_hello;

/* All operations of wire.h. */
struct raw_operation {
	uint16_t op;
	uint32_t kind; /* 0: any */
	size_t body;
	unsigned fds; /* that it must carry */
	bool tail;
};
extern const struct raw_operation raw_operations[];
extern const size_t raw_operation_count;
int raw_handle_for(uint32_t kind);

/*
 * An attack of alice's, watched by bob: he has a domain with a mapping before, and after it the
 * same domain, and anything new that he asks for. Her session must live at its end.
 */
void attack(step_fn *step);
/* The same when her session may end, or does not matter. */
void attack_to_the_end(step_fn *step);

#endif
