/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line to standard error, with the priority prefix that the journal understands.
 * Everything printed is ours or has passed fault_set() or priv_check().
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdio.h>

#define log_error(format, ...) fprintf(stderr, "<3>" format "\n", ##__VA_ARGS__)
#define log_warn(format, ...)  fprintf(stderr, "<4>" format "\n", ##__VA_ARGS__)
#define log_info(format, ...)  fprintf(stderr, "<6>" format "\n", ##__VA_ARGS__)

#endif
