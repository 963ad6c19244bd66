/* SPDX-License-Identifier: MIT */
/* story.h - what the two programs of the demo share: telling, waiting for each other, giving up. */
#ifndef TESTS_DEMO_STORY_H
#define TESTS_DEMO_STORY_H

#include <iommubroker.h>
#include <stdint.h>

/* The socket between the two programs, given to both by launch.c. */
#define STORY_SOCKET 3

/* What A tells B to look for. Plain numbers: whoever may bind still sees no memory. */
struct story_note {
	uint64_t readable; /* IOVA of a page that devices may read and write */
	uint64_t constant; /* IOVA of a page that devices may only read */
	uint64_t nowhere;  /* IOVA at which nothing is mapped */
};

/* Print one line with the teller in front. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for something that was refused: what, and the broker's own words. */
void say_refused(const char *what, int code);
/* End with a message unless code is 0. */
void must(int code, const char *what);
/* End with a message unless what we claim is so. */
void must_be(int condition, const char *claim);

/* One byte to the other program, or from it: whose turn it is. */
void turn_give(void);
void turn_wait(void);

extern const char *story_teller;

#endif
