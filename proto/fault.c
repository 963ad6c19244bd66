/* SPDX-License-Identifier: MIT */
/* fault.c - making and naming refusals. */
#include "proto/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	uint32_t code;
	const char *name;
	const char *text;
} codes[] = {
	{ IOB_OK, "IOB_OK", "success" },
	{ IOB_E_PROTOCOL, "IOB_E_PROTOCOL", "malformed message" },
	{ IOB_E_VERSION, "IOB_E_VERSION", "no common protocol version" },
	{ IOB_E_UNSUPPORTED, "IOB_E_UNSUPPORTED", "not supported" },
	{ IOB_E_DENIED, "IOB_E_DENIED", "denied by policy" },
	{ IOB_E_RIGHTS, "IOB_E_RIGHTS", "the handle lacks the right" },
	{ IOB_E_WRONG_KIND, "IOB_E_WRONG_KIND", "wrong kind of handle" },
	{ IOB_E_BAD_HANDLE, "IOB_E_BAD_HANDLE", "not a handle of this broker" },
	{ IOB_E_GONE, "IOB_E_GONE", "the object no longer exists" },
	{ IOB_E_NO_DEVICE, "IOB_E_NO_DEVICE", "no such device" },
	{ IOB_E_BUSY, "IOB_E_BUSY", "in use" },
	{ IOB_E_NOT_BOUND, "IOB_E_NOT_BOUND", "the device is in no domain" },
	{ IOB_E_ALREADY_BOUND, "IOB_E_ALREADY_BOUND", "the device is in a domain already" },
	{ IOB_E_LIMIT, "IOB_E_LIMIT", "limit reached" },
	{ IOB_E_QUOTA, "IOB_E_QUOTA", "budget used up" },
	{ IOB_E_NO_MEMORY, "IOB_E_NO_MEMORY", "out of memory" },
	{ IOB_E_IOVA_OVERLAP, "IOB_E_IOVA_OVERLAP", "IOVA overlaps a mapping" },
	{ IOB_E_IOVA_RESERVED, "IOB_E_IOVA_RESERVED", "IOVA reserved or not addressable" },
	{ IOB_E_IOVA_WINDOW, "IOB_E_IOVA_WINDOW", "IOVA outside the window of this handle" },
	{ IOB_E_IOVA_EXHAUSTED, "IOB_E_IOVA_EXHAUSTED", "no free IOVA range" },
	{ IOB_E_NOT_MAPPED, "IOB_E_NOT_MAPPED", "not exactly one mapping" },
	{ IOB_E_ALIGNMENT, "IOB_E_ALIGNMENT", "not aligned to the page size" },
	{ IOB_E_RANGE, "IOB_E_RANGE", "range out of bounds" },
	{ IOB_E_MEMORY_KIND, "IOB_E_MEMORY_KIND", "not a memfd" },
	{ IOB_E_MEMORY_ACCESS, "IOB_E_MEMORY_ACCESS", "memory not open for that access" },
	{ IOB_E_MEMORY_SEALS, "IOB_E_MEMORY_SEALS", "memory seals unsuitable" },
	{ IOB_E_MEMORY_SPARSE, "IOB_E_MEMORY_SPARSE", "memory not populated" },
	{ IOB_E_MEMORY_ID, "IOB_E_MEMORY_ID", "no such memory" },
	{ IOB_E_GROUP, "IOB_E_GROUP", "IOMMU group cannot be given out" },
	{ IOB_E_UNSAFE, "IOB_E_UNSAFE", "isolation missing" },
	{ IOB_E_NO_RESET, "IOB_E_NO_RESET", "the device has no reset" },
	{ IOB_E_DEVICE_IO, "IOB_E_DEVICE_IO", "device I/O failed" },
	{ IOB_E_KERNEL, "IOB_E_KERNEL", "refused by the kernel" },
	{ IOB_E_MONITOR, "IOB_E_MONITOR", "the monitor is away" },
	{ IOB_E_INTERNAL, "IOB_E_INTERNAL", "internal error of the broker" },
	{ IOB_E_CONNECT, "IOB_E_CONNECT", "cannot reach the broker" },
	{ IOB_E_CLOSED, "IOB_E_CLOSED", "the broker closed the handle" },
	{ IOB_E_ARGUMENT, "IOB_E_ARGUMENT", "invalid argument" },
	{ IOB_E_SYSTEM, "IOB_E_SYSTEM", "system call failed" },
};

static const char *const steps[] = {
	[IOB_STEP_NONE] = "none",
	[IOB_STEP_PARSE] = "parse",
	[IOB_STEP_HELLO] = "hello",
	[IOB_STEP_POLICY] = "policy",
	[IOB_STEP_HANDLE] = "handle",
	[IOB_STEP_LIMIT] = "limit",
	[IOB_STEP_MEMORY] = "memory check",
	[IOB_STEP_RANGE] = "range check",
	[IOB_STEP_IOMMU_OPEN] = "iommu open",
	[IOB_STEP_DEVICE_OPEN] = "device open",
	[IOB_STEP_GROUP] = "group",
	[IOB_STEP_BIND] = "bind",
	[IOB_STEP_ATTACH] = "attach",
	[IOB_STEP_REPLAY] = "replay",
	[IOB_STEP_MAP] = "map",
	[IOB_STEP_UNMAP] = "unmap",
	[IOB_STEP_DETACH] = "detach",
	[IOB_STEP_REGION] = "region",
	[IOB_STEP_IRQ] = "interrupt",
	[IOB_STEP_RESET] = "reset",
	[IOB_STEP_SESSION] = "session",
	[IOB_STEP_CONNECT] = "connect",
	[IOB_STEP_TRANSPORT] = "transport",
	[IOB_STEP_DRIVER] = "driver",
};

int fault_set(struct fault *f, enum iob_code code, enum iob_step step, int sys_errno,
	      const char *format, ...)
{
	va_list args;

	f->code = code;
	f->step = step;
	f->sys_errno = sys_errno;
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	for (char *p = f->text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return sys_errno > 0 ? -sys_errno : -EPERM;
}

const char *fault_code_text(uint32_t code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].text;
	return "unknown code";
}

const char *fault_code_name(uint32_t code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "IOB_E_?";
}

const char *fault_step_text(uint32_t step)
{
	if (step < sizeof(steps) / sizeof(steps[0]) && steps[step])
		return steps[step];
	return "unknown step";
}
