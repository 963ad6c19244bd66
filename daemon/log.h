/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line to standard error; where that is the journal, with the priority prefix that it
 * understands. Everything printed is ours or has passed fault_set() or priv_check().
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdio.h>

/* Called once at the start, while fstat() may still be asked anything. Before it there are no prefixes. */
void log_start(void);
/* The prefix, or "". */
const char *log_prefix(const char *prefix);

#define log_line(prefix, format, ...) \
	fprintf(stderr, "%s" format "\n", log_prefix(prefix), ##__VA_ARGS__)
#define log_error(format, ...) log_line("<3>", format, ##__VA_ARGS__)
#define log_warn(format, ...)  log_line("<4>", format, ##__VA_ARGS__)
#define log_info(format, ...)  log_line("<6>", format, ##__VA_ARGS__)

#endif
