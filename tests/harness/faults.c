/* SPDX-License-Identifier: MIT */
/*
 * faults.c - what the IOMMU logged: the kernel's log, or the simulator's, which has the same lines.
 *
 * VT-d's driver logs a few lines in 5 seconds and drops the others, so a line is awaited while the
 * fault is provoked again and again; they are never counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/internal.h"

static int log_fd = -1;

void faults_forget(void)
{
	const char *path = backend_is_real() ? "/dev/kmsg" : getenv("IOB_SIM_LOG");

	if (log_fd >= 0)
		close(log_fd);
	log_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ck_assert_msg(log_fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_ge(lseek(log_fd, 0, SEEK_END), 0);
}

/* One or more whole lines: a record of /dev/kmsg, or what the simulator wrote at once. */
static ssize_t read_lines(char *text, size_t room)
{
	ssize_t n;

	do
		n = read(log_fd, text, room - 1);
	while (n < 0 && (errno == EPIPE || errno == EINTR)); /* EPIPE: records were lost */
	text[n > 0 ? n : 0] = '\0';
	return n;
}

/* "DMAR: [DMA Write NO_PASID] Request device [0000:00:03.0] fault addr 0x1000000 ..", and the
 * PCI domain is not always there. */
static bool line_tells(const char *line, const char *device, uint64_t iova)
{
	char bdf[IOB_NAME_BYTES + 2], address[48];

	snprintf(bdf, sizeof(bdf), "%.30s]", strchr(device, ':') + 1);
	snprintf(address, sizeof(address), "fault addr 0x%llx ",
		 (unsigned long long)(iova & ~(PAGE - 1)));
	return strstr(line, "DMAR") && strstr(line, bdf) && strstr(line, address);
}

static bool lines_tell(char *text, const char *device, uint64_t iova)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (line_tells(line, device, iova))
			return true;
	return false;
}

bool fault_is_logged(const char *device, uint64_t iova, void (*provoke)(void))
{
	char text[8192];

	for (unsigned tries = 0; tries < 15 * patience(); tries++) {
		provoke();
		for (int i = 0; i < 10; i++) {
			while (read_lines(text, sizeof(text)) > 0)
				if (lines_tell(text, device, iova))
					return true;
			sleep_ms(50);
		}
	}
	return false;
}
