/* SPDX-License-Identifier: MIT */
/*
 * wire.h - the client protocol, version 1, as C types. Installed; part of the public ABI.
 *
 * This file transcribes the specification, PROTOCOL.md; iommu-broker-protocol(7) is a digest of it,
 * and says where it is. Every message is one SOCK_SEQPACKET record: struct iob_hdr, then the body
 * named at the operation. Integers are little-endian on every machine this builds for (asserted in
 * the daemon and in the library); structures have no implicit padding (asserted below); reserved
 * fields are sent as zero and refused otherwise.
 *
 * Growth: a body may only grow at its end. A receiver takes a shorter body, down to the version-1
 * size, as if the rest were zero, and a longer one if the bytes it does not know are all zero
 * (requests) or by ignoring them (replies).
 */
#ifndef IOMMUBROKER_WIRE_H
#define IOMMUBROKER_WIRE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define IOB_ASSERT_SIZE(type, n) static_assert(sizeof(type) == (n), #type)
#else
#define IOB_ASSERT_SIZE(type, n) _Static_assert(sizeof(type) == (n), #type)
#endif

#define IOB_PROTOCOL_VERSION 1u
#define IOB_DEFAULT_SOCKET   "/run/iommu-broker/socket"

/* ---- limits of version 1: each is enforced by the receiver ---- */
#define IOB_MAX_MSG_BYTES    65536u /* one message, header included */
#define IOB_MAX_BATCH	     1024u  /* operations in one MAP or UNMAP */
#define IOB_MAX_LIST	     1024u  /* records in one LIST reply */
#define IOB_MAX_DEVICE_LIST  32u    /* records in one DEVICE_LIST or DOMAIN_LIST reply */
#define IOB_MAX_RANGES	     64u    /* IOVA ranges in one INFO reply */
#define IOB_MAX_REGION_BYTES 4096u  /* data of one region READ or WRITE */
#define IOB_MAX_IRQ_FDS	     16u    /* eventfds in one SET_IRQ */
#define IOB_MAX_TEXT	     240u   /* bytes of an error text, without terminator */
#define IOB_NAME_BYTES	     32u    /* device name, NUL-terminated and NUL-padded */

/* ---- header ---- */
#define IOB_MSG_REPLY 0x0001u /* answers the request of the same op and tag */
#define IOB_MSG_EVENT 0x0002u /* unasked; tag is 0 */

struct iob_hdr {
	uint32_t size;	/* bytes of the whole message, this header included */
	uint16_t op;	/* enum iob_op */
	uint16_t flags; /* IOB_MSG_*; a request has none */
	uint32_t tag;	/* chosen by the requester, echoed in the reply */
	uint32_t code;	/* reply: enum iob_code; otherwise 0 */
};
IOB_ASSERT_SIZE(struct iob_hdr, 16);

/* ---- operations: numbers are never reused ---- */
enum iob_op {
	/* on any handle */
	IOB_OP_HELLO = 0x0001,
	/* on a connection */
	IOB_OP_DEVICE_LIST = 0x0002,
	IOB_OP_DOMAIN_CREATE = 0x0003, /* reply carries 1 fd: the domain handle */
	IOB_OP_DEVICE_OPEN = 0x0004,   /* reply carries 1 fd: the device handle */
	IOB_OP_DOMAIN_LIST = 0x0005,
	IOB_OP_DOMAIN_OPEN = 0x0006, /* reply carries 1 fd: a grant with IOB_RIGHT_INSPECT only */
	IOB_OP_STATUS = 0x0007,
	IOB_OP_DRIVER_LIST = 0x0010,
	IOB_OP_DRIVER_SET = 0x0011,
	/* on a domain handle */
	IOB_OP_DOMAIN_INFO = 0x0101,
	IOB_OP_MEMORY_ADD = 0x0102, /* request carries 1 fd: the memory */
	IOB_OP_MEMORY_DROP = 0x0103,
	IOB_OP_MAP = 0x0104,
	IOB_OP_UNMAP = 0x0105,
	IOB_OP_UNMAP_ALL = 0x0106,
	IOB_OP_MAP_LIST = 0x0107,
	IOB_OP_DOMAIN_BIND = 0x0108, /* request carries 1 fd: a device handle */
	IOB_OP_GRANT = 0x0109,	     /* reply carries 1 fd: the new domain handle */
	IOB_OP_REVOKE = 0x010a,
	/* on a device handle */
	IOB_OP_DEVICE_INFO = 0x0201,
	IOB_OP_REGION_INFO = 0x0202,
	IOB_OP_IRQ_INFO = 0x0203,
	IOB_OP_DEVICE_BIND = 0x0204, /* request carries 1 fd: a domain handle */
	IOB_OP_DEVICE_UNBIND = 0x0205,
	IOB_OP_REGION_READ = 0x0206,
	IOB_OP_REGION_WRITE = 0x0207,
	IOB_OP_SET_IRQ = 0x0208, /* request carries 0 to IOB_MAX_IRQ_FDS eventfds */
	IOB_OP_DEVICE_RESET = 0x0209,
	IOB_OP_DEVICE_FD = 0x020a, /* reply carries 1 fd: the VFIO device */
	/* events */
	IOB_EV_DEVICE_BOUND = 0x0301,	/* on a device handle: it joined a domain */
	IOB_EV_DEVICE_UNBOUND = 0x0302, /* on a device handle: it left its domain */
};

/* ---- result codes ---- */
enum iob_code {
	IOB_OK = 0,
	IOB_E_PROTOCOL = 1,	   /* malformed message; the text says what */
	IOB_E_VERSION = 2,	   /* no common protocol version */
	IOB_E_UNSUPPORTED = 3,	   /* operation, flag or feature not known or not available here */
	IOB_E_DENIED = 4,	   /* policy gives this user no such access */
	IOB_E_RIGHTS = 5,	   /* this handle does not carry the right */
	IOB_E_WRONG_KIND = 6,	   /* a handle of the other kind where this one belongs */
	IOB_E_BAD_HANDLE = 7,	   /* the passed fd is no handle of this broker */
	IOB_E_GONE = 8,		   /* the object behind the handle no longer exists */
	IOB_E_NO_DEVICE = 9,	   /* no such device, or none that this user may see */
	IOB_E_BUSY = 10,	   /* in use; the text says by what kind of holder */
	IOB_E_NOT_BOUND = 11,	   /* the device is in no domain */
	IOB_E_ALREADY_BOUND = 12,  /* the device is in a domain already */
	IOB_E_LIMIT = 13,	   /* a named limit is reached; the text names it */
	IOB_E_QUOTA = 14,	   /* the byte or mapping budget is used up */
	IOB_E_NO_MEMORY = 15,	   /* the system is out of memory, or a memlock limit was hit */
	IOB_E_IOVA_OVERLAP = 16,   /* the range overlaps a mapping */
	IOB_E_IOVA_RESERVED = 17,  /* outside what the hardware can address, or reserved */
	IOB_E_IOVA_WINDOW = 18,	   /* outside the window of this grant */
	IOB_E_IOVA_EXHAUSTED = 19, /* no free range for a broker-chosen IOVA */
	IOB_E_NOT_MAPPED = 20,	   /* the range is not exactly one mapping */
	IOB_E_ALIGNMENT = 21,	   /* IOVA, offset or length not aligned to the page size */
	IOB_E_RANGE = 22,	   /* zero, overflowing, or beyond the end of the object */
	IOB_E_MEMORY_KIND = 23,	   /* not a memfd */
	IOB_E_MEMORY_ACCESS = 24,  /* fd not open for the access asked */
	IOB_E_MEMORY_SEALS = 25,   /* F_SEAL_SHRINK missing, or a write seal present */
	IOB_E_MEMORY_SPARSE = 26,  /* pages not allocated yet */
	IOB_E_MEMORY_ID = 27,	   /* no such memory on this handle */
	IOB_E_GROUP = 28,     /* the IOMMU group is not viable, or shared with another client */
	IOB_E_UNSAFE = 29,    /* isolation missing: noiommu, unsafe interrupts, coherency */
	IOB_E_NO_RESET = 30,  /* the device has no reset method */
	IOB_E_DEVICE_IO = 31, /* the device did not answer, or is in a bad state */
	IOB_E_KERNEL = 32,    /* the kernel refused for a reason of its own; see sys_errno */
	IOB_E_MONITOR = 33,   /* the monitor of this handle is gone for good */
	IOB_E_INTERNAL = 34,  /* a defect of the broker */
	/* from 1000: never on the wire, made by the library */
	IOB_E_CONNECT = 1000,  /* cannot reach the broker */
	IOB_E_CLOSED = 1001,   /* the broker closed the handle */
	IOB_E_ARGUMENT = 1002, /* the caller's arguments make no sense */
	IOB_E_SYSTEM = 1003,   /* a local system call failed; see sys_errno */
};

/* The step at which a request failed: the same errno means different things at different steps. */
enum iob_step {
	IOB_STEP_NONE = 0,
	IOB_STEP_PARSE = 1,	  /* reading the request */
	IOB_STEP_HELLO = 2,	  /* agreeing on a version */
	IOB_STEP_POLICY = 3,	  /* looking up what this user may do */
	IOB_STEP_HANDLE = 4,	  /* recognising the handle */
	IOB_STEP_LIMIT = 5,	  /* charging limits and budgets */
	IOB_STEP_MEMORY = 6,	  /* checking the memory fd */
	IOB_STEP_RANGE = 7,	  /* checking offsets, lengths, IOVAs */
	IOB_STEP_IOMMU_OPEN = 8,  /* opening the IOMMU context */
	IOB_STEP_DEVICE_OPEN = 9, /* opening the device node */
	IOB_STEP_GROUP = 10,	  /* checking or claiming the IOMMU group */
	IOB_STEP_BIND = 11,	  /* binding the device to the context */
	IOB_STEP_ATTACH = 12,	  /* attaching the device to the address space */
	IOB_STEP_REPLAY = 13,	  /* pinning what was mapped before */
	IOB_STEP_MAP = 14,	  /* mapping in the kernel */
	IOB_STEP_UNMAP = 15,	  /* unmapping in the kernel */
	IOB_STEP_DETACH = 16,	  /* taking the device out of the domain */
	IOB_STEP_REGION = 17,	  /* region access */
	IOB_STEP_IRQ = 18,	  /* interrupt setup */
	IOB_STEP_RESET = 19,	  /* device reset */
	IOB_STEP_SESSION = 20,	  /* talking to the session that holds the object */
	IOB_STEP_CONNECT = 21,	  /* library: connecting */
	IOB_STEP_TRANSPORT = 22,  /* library: sending or receiving */
	IOB_STEP_DRIVER = 23,	  /* changing the driver of a device */
};

/* Body of every reply whose code is not IOB_OK. text_bytes of printable ASCII follow, not ended. */
struct iob_error_body {
	uint32_t step;	     /* enum iob_step */
	int32_t sys_errno;   /* errno of the failing system call, or one that fits, or 0 */
	uint32_t text_bytes; /* at most IOB_MAX_TEXT */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_error_body, 16);

/* ---- HELLO ---- */
enum iob_kind {
	IOB_KIND_CONNECTION = 1,
	IOB_KIND_DOMAIN = 2,
	IOB_KIND_DEVICE = 3,
};

enum iob_backend {
	IOB_BACKEND_SIM = 1,
	IOB_BACKEND_TYPE1 = 2,
	IOB_BACKEND_IOMMUFD = 3,
};

#define IOB_FEATURE_GRANT     (UINT64_C(1) << 0)
#define IOB_FEATURE_DEVICE_FD (UINT64_C(1) << 1) /* the backend has a device fd to give */

struct iob_hello_req {
	uint32_t version_min; /* lowest and highest version the client speaks */
	uint32_t version_max;
	uint64_t features; /* IOB_FEATURE_* the client knows */
};
IOB_ASSERT_SIZE(struct iob_hello_req, 16);

struct iob_hello_rep {
	uint32_t version;  /* chosen */
	uint32_t kind;	   /* enum iob_kind of this very handle */
	uint64_t features; /* known to both */
	uint32_t backend;  /* enum iob_backend */
	uint32_t max_msg_bytes;
	uint32_t max_batch;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_hello_rep, 32);

/* ---- connection ---- */
#define IOB_DEVICE_OPENED   (1u << 0) /* some client has it open */
#define IOB_DEVICE_BOUND    (1u << 1) /* it is in a domain */
#define IOB_DEVICE_YOURS    (1u << 2) /* the asking connection opened it */
#define IOB_DEVICE_UNUSABLE (1u << 3) /* not on a VFIO driver, or refused for safety */

#define IOB_ACCESS_MEDIATED (1u << 0) /* requests on the handle */
#define IOB_ACCESS_FD	    (1u << 1) /* the VFIO device fd itself */

struct iob_device_rec {
	char name[IOB_NAME_BYTES]; /* BDF, e.g. "0000:00:03.0" */
	char driver[24];	   /* host driver, "" when none */
	uint32_t class_code;	   /* 24 bits: class, subclass, interface */
	uint16_t vendor;
	uint16_t device;
	uint32_t group;	    /* IOMMU group; valid until the next boot */
	uint32_t flags;	    /* IOB_DEVICE_* */
	uint32_t access;    /* IOB_ACCESS_* that policy gives the asker */
	uint32_t owner_uid; /* of the client that has it open, or UINT32_MAX */
};
IOB_ASSERT_SIZE(struct iob_device_rec, 80);

struct iob_list_req {	 /* DEVICE_LIST, DOMAIN_LIST */
	uint32_t cursor; /* 0 first, then next of the reply */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_list_req, 8);

struct iob_list_rep { /* followed by count records of stride bytes */
	uint32_t count;
	uint32_t stride;
	uint32_t next; /* 0: this was the last */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_list_rep, 16);

struct iob_domain_create_req {
	uint64_t max_bytes;    /* budget of mapped bytes; 0: half of what the user has left */
	uint32_t max_mappings; /* budget of mappings; 0: half of what is left */
	uint32_t flags;	       /* 0 */
};
IOB_ASSERT_SIZE(struct iob_domain_create_req, 16);

struct iob_domain_create_rep {
	uint64_t max_bytes; /* as charged */
	uint32_t max_mappings;
	uint32_t domain_id; /* for people: iommuctl, logs */
};
IOB_ASSERT_SIZE(struct iob_domain_create_rep, 16);

struct iob_device_open_req {
	char name[IOB_NAME_BYTES];
	uint32_t access; /* IOB_ACCESS_* wanted; 0: mediated */
	uint32_t flags;	 /* 0 */
};
IOB_ASSERT_SIZE(struct iob_device_open_req, 40);

/* DEVICE_OPEN reply: struct iob_device_rec */

struct iob_domain_rec { /* DOMAIN_LIST */
	uint32_t domain_id;
	uint32_t uid;
	uint32_t pid;	  /* of the client that made it, for people */
	uint32_t devices; /* bound now */
	uint64_t max_bytes;
	uint32_t max_mappings;
	uint32_t reserved;
	char first_device[IOB_NAME_BYTES];
};
IOB_ASSERT_SIZE(struct iob_domain_rec, 64);

struct iob_domain_open_req {
	uint32_t domain_id;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_domain_open_req, 8);

struct iob_status_rep {
	uint32_t monitor_pid;
	uint32_t backend; /* enum iob_backend */
	uint64_t uptime_ms;
	uint32_t sessions;
	uint32_t domains;
	uint32_t devices; /* in the inventory */
	uint32_t devices_open;
	char version[IOB_NAME_BYTES];
};
IOB_ASSERT_SIZE(struct iob_status_rep, 64);

/* Whose a device is. */
enum iob_driver {
	IOB_DRIVER_VFIO = 1, /* vfio-pci: clients can open it */
	IOB_DRIVER_HOST = 2, /* the driver that the host has for it, or none */
};

struct iob_driver_list_req {
	char name[IOB_NAME_BYTES]; /* the IOMMU group of this device */
	uint32_t cursor;	   /* 0 first, then next of the reply */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_driver_list_req, 40);

#define IOB_DRIVER_ON_VFIO (1u << 0) /* its driver is vfio-pci, or a variant of it */
#define IOB_DRIVER_STAYS   (1u << 1) /* a bridge: not moved with the group */
#define IOB_DRIVER_YOURS   (1u << 2) /* the asker may move it */
#define IOB_DRIVER_MOVING  (1u << 3) /* a move that has not ended concerns it */

/* DRIVER_LIST: struct iob_list_rep, then these */
struct iob_driver_rec {
	struct iob_device_rec device;
	char former[24]; /* the driver it had before the broker moved it, or "" */
	uint32_t flags;	 /* IOB_DRIVER_* */
	uint32_t reserved;
	uint64_t stamp; /* of the group and the drivers in it: the same in every record; not 0 */
};
IOB_ASSERT_SIZE(struct iob_driver_rec, 120);

#define IOB_DRIVER_GROUP (1u << 0) /* all devices of the group but the bridges */

struct iob_driver_set_req {
	char name[IOB_NAME_BYTES];
	uint32_t driver; /* enum iob_driver */
	uint32_t flags;	 /* IOB_DRIVER_GROUP */
	uint64_t stamp;	 /* as DRIVER_LIST gave it: the group is still what was shown */
};
IOB_ASSERT_SIZE(struct iob_driver_set_req, 48);

struct iob_driver_set_rep {
	uint32_t moved; /* devices; 0: all were there already */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_driver_set_rep, 8);

/* ---- domain ---- */
#define IOB_RIGHT_MAP	  (1u << 0) /* MEMORY_ADD, MEMORY_DROP, MAP */
#define IOB_RIGHT_UNMAP	  (1u << 1) /* UNMAP, UNMAP_ALL: what anybody mapped in the window */
#define IOB_RIGHT_BIND	  (1u << 2) /* put a device into the domain */
#define IOB_RIGHT_INSPECT (1u << 3) /* DOMAIN_INFO in full, MAP_LIST */
#define IOB_RIGHT_GRANT	  (1u << 4) /* make further handles with at most these rights */
#define IOB_RIGHT_DIRECT  (1u << 5) /* a device bound through this handle may be had as fd */
#define IOB_RIGHT_ALL	  0x3fu

struct iob_range {
	uint64_t first;
	uint64_t last; /* inclusive */
};
IOB_ASSERT_SIZE(struct iob_range, 16);

struct iob_domain_info_rep { /* followed by range_count struct iob_range */
	uint32_t domain_id;
	uint32_t rights;     /* of this handle */
	uint64_t page_sizes; /* bit n: pages of 2^n bytes; the lowest is the alignment */
	uint64_t window_first;
	uint64_t window_last; /* of this handle, inclusive */
	uint64_t max_bytes;
	uint64_t used_bytes;
	uint32_t max_mappings;
	uint32_t used_mappings;
	uint32_t devices; /* bound now; while 0 the ranges are not final */
	uint32_t range_count;
};
IOB_ASSERT_SIZE(struct iob_domain_info_rep, 64);

/* Access of a device to memory: MEMORY_ADD, MAP */
#define IOB_READ  (1u << 0) /* the device reads */
#define IOB_WRITE (1u << 1) /* the device writes */
#define IOB_FIXED (1u << 8) /* MAP: at this iova; otherwise the broker chooses */

struct iob_memory_add_req {
	uint32_t access; /* IOB_READ, IOB_WRITE: the most a MAP of it may ask for */
	uint32_t flags;	 /* 0 */
};
IOB_ASSERT_SIZE(struct iob_memory_add_req, 8);

struct iob_memory_add_rep {
	uint32_t memory;     /* id on this handle, never 0 */
	uint32_t page_shift; /* of the file's pages: 12, 21, 30 */
	uint64_t bytes;
};
IOB_ASSERT_SIZE(struct iob_memory_add_rep, 16);

struct iob_memory_drop_req {
	uint32_t memory;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_memory_drop_req, 8);

struct iob_batch_req { /* MAP, UNMAP: followed by count operations of stride bytes */
	uint32_t count;
	uint32_t stride;
};
IOB_ASSERT_SIZE(struct iob_batch_req, 8);

struct iob_map_op {
	uint32_t memory;
	uint32_t flags;	     /* IOB_READ, IOB_WRITE, IOB_FIXED */
	uint64_t offset;     /* into the memory, bytes */
	uint64_t length;     /* bytes */
	uint64_t iova;	     /* IOB_FIXED: where; otherwise 0 */
	uint64_t iova_limit; /* broker-chosen, from 1 MiB: highest address allowed; 0: no limit */
};
IOB_ASSERT_SIZE(struct iob_map_op, 40);

struct iob_unmap_op {
	uint64_t iova;
	uint64_t length;
};
IOB_ASSERT_SIZE(struct iob_unmap_op, 16);

struct iob_batch_rep { /* followed by count struct iob_result, then text_bytes of text */
	uint32_t count;
	uint32_t done;	       /* operations that took effect */
	uint32_t first_failed; /* index, or UINT32_MAX */
	uint32_t text_bytes;   /* why first_failed failed */
};
IOB_ASSERT_SIZE(struct iob_batch_rep, 16);

struct iob_result {
	uint64_t iova;
	uint32_t code; /* enum iob_code */
	uint16_t step; /* enum iob_step */
	uint16_t sys_errno;
};
IOB_ASSERT_SIZE(struct iob_result, 16);

struct iob_unmap_all_rep {
	uint32_t count; /* mappings removed */
	uint32_t reserved;
	uint64_t bytes;
};
IOB_ASSERT_SIZE(struct iob_unmap_all_rep, 16);

struct iob_map_list_req {
	uint64_t start; /* mappings at or above this IOVA */
	uint32_t max;	/* at most IOB_MAX_LIST */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_map_list_req, 16);

struct iob_map_rec {
	uint64_t iova;
	uint64_t length;
	uint64_t offset;
	uint32_t memory;
	uint32_t flags; /* IOB_READ, IOB_WRITE */
};
IOB_ASSERT_SIZE(struct iob_map_rec, 32);

struct iob_map_list_rep { /* followed by count records of stride bytes */
	uint32_t count;
	uint32_t stride;
	uint32_t more; /* 1: there are further mappings above the last one */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_map_list_rep, 16);

#define IOB_GRANT_READ_ONLY (1u << 0) /* mappings through it never let a device write */

struct iob_grant_req {
	uint32_t rights; /* IOB_RIGHT_*, a subset of the giver's */
	uint32_t flags;	 /* IOB_GRANT_* */
	uint64_t window_first;
	uint64_t window_last; /* inclusive, inside the giver's window */
};
IOB_ASSERT_SIZE(struct iob_grant_req, 24);

struct iob_grant_rep {
	uint32_t grant_id; /* for REVOKE */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_grant_rep, 8);

struct iob_revoke_req {
	uint32_t grant_id;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_revoke_req, 8);

/* ---- device ---- */
#define IOB_DEVICE_CAN_RESET (1u << 0) /* else it is only stopped when its user leaves it */

struct iob_device_info_rep {
	struct iob_device_rec rec;
	uint32_t domain_id; /* or 0 when not bound; the fields below are 0 then */
	uint32_t flags;	    /* IOB_DEVICE_CAN_RESET */
	uint32_t regions;
	uint32_t irqs;
};
IOB_ASSERT_SIZE(struct iob_device_info_rep, 96);

struct iob_index_req { /* REGION_INFO, IRQ_INFO */
	uint32_t index;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_index_req, 8);

#define IOB_REGION_READ	 (1u << 0) /* can be read */
#define IOB_REGION_WRITE (1u << 1) /* can be written */
#define IOB_REGION_MMAP	 (1u << 2) /* who has the device fd can mmap it, at fd_offset */

/* Region indexes of PCI devices, as in VFIO */
enum {
	IOB_REGION_BAR0 = 0,   /* BAR n is n, 0 to 5 */
	IOB_REGION_ROM = 6,    /* expansion ROM */
	IOB_REGION_CONFIG = 7, /* configuration space, part of it a picture that VFIO makes */
};

struct iob_region_info_rep {
	uint32_t index;
	uint32_t flags;	    /* IOB_REGION_* */
	uint64_t bytes;	    /* 0: not implemented by the device */
	uint64_t fd_offset; /* where the region lies in the device fd */
};
IOB_ASSERT_SIZE(struct iob_region_info_rep, 24);

/* Interrupt indexes of PCI devices, as in VFIO */
enum {
	IOB_IRQ_INTX = 0, /* the interrupt line */
	IOB_IRQ_MSI = 1,
	IOB_IRQ_MSIX = 2,
	IOB_IRQ_ERR = 3, /* the device has failed: an error that PCI Express reports */
	IOB_IRQ_REQ = 4, /* the host wants the device back */
};

#define IOB_IRQ_EVENTFD	   (1u << 0) /* can signal eventfds */
#define IOB_IRQ_MASKABLE   (1u << 1) /* MASK and UNMASK work */
#define IOB_IRQ_AUTOMASKED (1u << 2) /* masks itself when it comes, until UNMASK */
#define IOB_IRQ_NORESIZE   (1u << 3) /* all at once: to use others, turn the index off first */

struct iob_irq_info_rep {
	uint32_t index;
	uint32_t flags; /* IOB_IRQ_* */
	uint32_t count;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct iob_irq_info_rep, 16);

struct iob_region_req { /* REGION_READ; REGION_WRITE: followed by bytes of data */
	uint32_t index;
	uint32_t bytes; /* 1 to IOB_MAX_REGION_BYTES; 1, 2, 4 and 8 aligned are one access */
	uint64_t offset;
};
IOB_ASSERT_SIZE(struct iob_region_req, 16);

/* REGION_READ reply: the data */

enum iob_irq_action {
	IOB_IRQ_DISABLE = 0, /* count and start 0: the whole index off */
	IOB_IRQ_TRIGGER = 1, /* eventfds: signal them; none: raise now */
	IOB_IRQ_MASK = 2,    /* hold back, until UNMASK */
	IOB_IRQ_UNMASK = 3,  /* one eventfd: unmask when it is signalled; none: now */
};

struct iob_set_irq_req {
	uint32_t index;
	uint32_t action; /* enum iob_irq_action */
	uint32_t start;
	uint32_t count; /* interrupts; equals the number of fds when there are any */
};
IOB_ASSERT_SIZE(struct iob_set_irq_req, 16);

/* ---- events ---- */
enum iob_unbound_reason {
	IOB_UNBOUND_REQUEST = 1,     /* UNBIND was asked for */
	IOB_UNBOUND_DOMAIN_GONE = 2, /* the domain was torn down */
	IOB_UNBOUND_FAILED = 3,	     /* the broker could not keep it there */
};

struct iob_ev_device {
	uint32_t domain_id;
	uint32_t reason; /* enum iob_unbound_reason; 0 for DEVICE_BOUND */
};
IOB_ASSERT_SIZE(struct iob_ev_device, 8);

#ifdef __cplusplus
}
#endif
#endif
