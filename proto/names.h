/* SPDX-License-Identifier: MIT */
/*
 * names.h - bits and numbers of the protocol as refusals say them: "MAP BIND", "fd", "256M".
 *
 * All write into out, and return it: nothing is allocated, nothing is asked of the system.
 */
#ifndef PROTO_NAMES_H
#define PROTO_NAMES_H

#include <stdint.h>

#define NAMES_BYTES 64 /* all names of a set, and what has none */

/* IOB_RIGHT_*: "MAP UNMAP"; IOB_ACCESS_*: "mediated and fd"; IOB_READ, _WRITE, _FIXED: "READ WRITE".
 * What has no name follows as a number; no bit at all is "none". */
const char *names_rights(uint32_t rights, char out[NAMES_BYTES]);
const char *names_access(uint32_t access, char out[NAMES_BYTES]);
const char *names_memory(uint32_t flags, char out[NAMES_BYTES]);
/* As the configuration takes it: with K, M, G or T where that is exact. */
const char *names_bytes(uint64_t bytes, char out[NAMES_BYTES]);
/* enum iob_kind: "connection", "domain", "device". */
const char *names_kind(uint32_t kind);

#endif
