/* SPDX-License-Identifier: MIT */
/* iommuctl-status.c - the broker itself. */
#include <stdio.h>
#include <sys/utsname.h>

#include "iommuctl.h"

void ctl_kernel(char cell[CTL_CELL])
{
	struct utsname u;

	ctl_cell_text(cell, uname(&u) == 0 ? u.release : "");
}

static void print_status(const struct iob_status_rep *status, const struct iob_hello_rep *hello)
{
	char version[CTL_CELL], uptime[CTL_CELL], kernel[CTL_CELL], message[CTL_CELL];

	ctl_cell_text(version, status->version);
	ctl_cell_duration(uptime, status->uptime_ms);
	ctl_kernel(kernel);
	ctl_cell_size(message, hello->max_msg_bytes);
	printf("version   %s, protocol %u\n", version, hello->version);
	printf("backend   %s\n", ctl_backend_name(status->backend));
	printf("kernel    %s\n", kernel);
	printf("uptime    %s\n", uptime);
	printf("monitor   process %u\n", status->monitor_pid);
	printf("clients   %u\n", status->sessions);
	printf("domains   %u\n", status->domains);
	printf("devices   %u, %u open\n", status->devices, status->devices_open);
	printf("limits    %u operations in a batch, messages of %s\n", hello->max_batch, message);
}

int ctl_status(const struct ctl *ctl)
{
	const struct iob_hello_rep *hello = iob_conn_hello(ctl->conn);
	struct iob_status_rep rep;

	if (ctl_ask(ctl, iob_status(ctl->conn, &rep)) != IOB_OK)
		return ctl_failed("status");
	if (ctl->json)
		ctl_json_status(&rep, hello);
	else
		print_status(&rep, hello);
	return CTL_OK;
}
