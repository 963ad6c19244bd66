/* SPDX-License-Identifier: MIT */
/* log.c - is standard error the journal? */
#include "daemon/log.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool to_journal;

/* systemd.exec(5), JOURNAL_STREAM: device and inode of the stream, in decimal. The variable alone tells
 * nothing: whoever redirects the output of a program leaves it there. */
void log_start(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return;
	snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	to_journal = strcmp(stream, ours) == 0;
}

const char *log_prefix(const char *prefix)
{
	return to_journal ? prefix : "";
}
