/* SPDX-License-Identifier: MIT */
/*
 * fault.h - for "make analyze" only, in front of proto/fault.h.
 *
 * The analyzer sees one file at a time. It must know that fault_set() never returns 0, or it goes
 * on after every refusal. MODEL_NOT_FAULT: for the file that defines it.
 */
#ifndef MODEL_FAULT_H
#define MODEL_FAULT_H

#include_next "proto/fault.h"

#ifndef MODEL_NOT_FAULT
#define fault_set(...) ((void)fault_set(__VA_ARGS__), -1)
#endif

#endif
