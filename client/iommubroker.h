/* SPDX-License-Identifier: MIT */
/*
 * iommubroker.h - DMA and devices for unprivileged programs, through iommu-brokerd.
 *
 * Three kinds of handle. A connection asks the broker for the other two: a domain is an IOVA
 * address space, a device is a PCI function. Each is one socket. Closing it is releasing, passing
 * the socket to another process is delegating; see iob_handle_send().
 *
 * Results. Every call that can fail returns an int: IOB_OK (0) or an enum iob_code. The details
 * of the calling thread's last failure are at iob_error(). Any call may give
 *   IOB_E_ARGUMENT    NULL where an object belongs, a number out of range; nothing was sent;
 *   IOB_E_SYSTEM      a local system call failed, see sys_errno;
 *   IOB_E_CLOSED      the broker closed the handle, or an earlier failure ended it;
 *   IOB_E_PROTOCOL    one side sent what the protocol forbids. When iob_error()->step is
 *                     IOB_STEP_TRANSPORT it was the broker, and this handle gives IOB_E_CLOSED
 *                     from then on;
 *   IOB_E_UNSUPPORTED, IOB_E_INTERNAL, IOB_E_NO_MEMORY, IOB_E_MONITOR  as in wire.h.
 * What else to expect is said at each call. Newer brokers may have further codes. Where a call
 * fails, its output arguments are untouched unless said otherwise.
 *
 * Blocking. Calls wait for the broker's answer without a time limit, whether or not the socket is
 * in non-blocking mode; signals do not interrupt them. Exceptions say "does not block".
 *
 * Threads and processes. A handle is used by one thread at a time: the library takes no locks.
 * Different handles are independent. A copy of a handle in another process (after fork, or passed
 * on) is the same channel: use one copy at a time, or the replies get mixed up and end the handle.
 * To share a domain give the other process a grant.
 *
 * Units. Lengths, offsets and budgets are bytes; *_last and *_limit are inclusive addresses.
 * "Read" and "write" are what the device does. All file descriptors made are close-on-exec.
 */
#ifndef IOMMUBROKER_H
#define IOMMUBROKER_H

#include <stddef.h>
#include <stdint.h>

#include "iommubroker/wire.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct iob_conn iob_conn;
typedef struct iob_domain iob_domain;
typedef struct iob_device iob_device;

/* ---- errors ---- */

struct iob_error {
	int code;	  /* enum iob_code */
	int step;	  /* enum iob_step: what was being done */
	int sys_errno;	  /* of the failing system call, or one that fits, or 0 */
	const char *text; /* one line for people, printable ASCII, never NULL */
};

/*
 * The calling thread's last failure; code IOB_OK and an empty text when there was none. Successful
 * calls leave it alone. Never NULL. The structure and its text belong to the library and hold
 * until this thread's next call into it.
 */
const struct iob_error *iob_error(void);

/* Short English for a code or a step; static, never NULL, also for numbers not known. */
const char *iob_strcode(int code);
const char *iob_strstep(int step);
/* The symbol of a code, as "IOB_E_BUSY"; static, never NULL. */
const char *iob_code_name(int code);

/* ---- connection ---- */

/*
 * Connect and agree on a version. path NULL: $IOMMU_BROKER_SOCKET (ignored in set-user-ID
 * programs), else IOB_DEFAULT_SOCKET. *out is the caller's; end it with iob_conn_close().
 * IOB_E_CONNECT: nobody listens, see sys_errno. IOB_E_DENIED: policy gives this user nothing.
 * IOB_E_VERSION, IOB_E_LIMIT (too many connections).
 */
int iob_connect(const char *path, iob_conn **out);

/*
 * The same on a connected AF_UNIX SOCK_SEQPACKET socket. Takes fd on success; on failure fd stays
 * the caller's. IOB_E_WRONG_KIND: it is a domain or a device handle.
 */
int iob_connect_fd(int fd, iob_conn **out);

/*
 * Close the connection; NULL is fine. Domains and devices obtained through it live on, as long as
 * their own handles do. Does not block.
 */
void iob_conn_close(iob_conn *conn);

/* The socket, for poll() and for nothing else; stays the library's. -1 for NULL. No blocking. */
int iob_conn_fd(const iob_conn *conn);

/* What the broker said about itself when connecting: features, backend, limits. Borrowed from
 * conn. NULL for NULL. Does not block. */
const struct iob_hello_rep *iob_conn_hello(const iob_conn *conn);

/*
 * The devices this user may see. *list is one array of *count records, the caller's, to be
 * released with free(); NULL when there are none. Strings in it are NUL-terminated. Devices that
 * come or go meanwhile may be missing.
 */
int iob_device_list(iob_conn *conn, struct iob_device_rec **list, size_t *count);

/* The domains this user may see; as iob_device_list(). */
int iob_domain_list(iob_conn *conn, struct iob_domain_rec **list, size_t *count);

/*
 * Make an empty domain. max_bytes and max_mappings are the budgets asked for, 0 for half of what is
 * left of this user's quota: who wants several domains says how much for each. *out, the caller's,
 * is its first handle with all rights: the domain lives until the last copy of this handle is
 * closed, grants do not keep it. *rep, if not NULL, says what was granted. IOB_E_DENIED,
 * IOB_E_LIMIT (domains, handles), IOB_E_QUOTA (more than is left).
 */
int iob_domain_create(iob_conn *conn, uint64_t max_bytes, uint32_t max_mappings, iob_domain **out,
		      struct iob_domain_create_rep *rep);

/*
 * A handle on an existing domain that can look (IOB_RIGHT_INSPECT) and nothing else.
 * IOB_E_GONE: no such domain, or not for this user's eyes. IOB_E_LIMIT.
 */
int iob_domain_open(iob_conn *conn, uint32_t domain_id, iob_domain **out);

/*
 * Open a device by its name ("0000:00:03.0"). access: IOB_ACCESS_*, 0 for mediated access. The
 * device is this client's until the last copy of *out is closed; then it is stopped, taken from its
 * domain, reset if it has a reset, and given back. Without one (IOB_DEVICE_CAN_RESET) the next
 * client can find what it remembers. *rec, if not NULL, receives the inventory record. A device
 * that somebody has is waited for, up to three seconds: its user may just have ended.
 * IOB_E_NO_DEVICE, IOB_E_DENIED, IOB_E_BUSY (someone has it), IOB_E_GROUP (or one of its group),
 * IOB_E_UNSAFE, IOB_E_LIMIT.
 */
int iob_device_open(iob_conn *conn, const char *name, uint32_t access, iob_device **out,
		    struct iob_device_rec *rec);

/*
 * The IOMMU group of a device, and what drivers its members have. *list as iob_device_list(). In a
 * group all devices must be on vfio-pci, or have no driver, for any of them to be given out.
 * IOB_E_NO_DEVICE.
 */
int iob_driver_list(iob_conn *conn, const char *name, struct iob_driver_rec **list, size_t *count);

/*
 * Move a device to vfio-pci (IOB_DRIVER_VFIO) or back (IOB_DRIVER_HOST); with IOB_DRIVER_GROUP all
 * of its group but bridges. stamp: that of the list on which it was decided; IOB_E_GROUP when the
 * group has changed since. *moved, if not NULL: how many devices. For root, or by a rule of the
 * configuration. Takes seconds; IOB_E_BUSY with errno ETIMEDOUT when it goes on without an answer.
 * IOB_E_NO_DEVICE, IOB_E_DENIED, IOB_E_BUSY (a client has a device of the group, or another move is
 * under way), IOB_E_UNSUPPORTED (a bridge, no vfio-pci), IOB_E_UNSAFE, IOB_E_LIMIT, IOB_E_KERNEL: the
 * text says which driver the device has then.
 */
int iob_driver_set(iob_conn *conn, const char *name, uint32_t driver, uint32_t flags,
		   uint64_t stamp, uint32_t *moved);

/* The broker's state in numbers. */
int iob_status(iob_conn *conn, struct iob_status_rep *out);

/* ---- domain ---- */

/*
 * Make a handle of a domain socket that came from elsewhere (another process, a service manager).
 * Asks the broker what it is. Takes fd on success; on failure fd stays the caller's.
 * IOB_E_WRONG_KIND: a connection or a device. IOB_E_ARGUMENT: no such socket at all.
 */
int iob_domain_from_fd(int fd, iob_domain **out);

/* Close this handle; NULL is fine. The memory registered through it and the mappings made through
 * it go; for the first handle, the domain. Does not block. */
void iob_domain_close(iob_domain *domain);

/* The socket: for poll(), iob_handle_send(), iob_device_bind(). Stays the library's; -1 for NULL.
 * Does not block. */
int iob_domain_fd(const iob_domain *domain);

/*
 * Rights, window and budgets of this handle; and, in ranges (room for capacity, may be NULL with
 * 0), the IOVA ranges that the hardware can use. out->range_count counts all of them, also those
 * that found no room; never more than IOB_MAX_RANGES. While out->devices is 0 they may still
 * shrink. Without IOB_RIGHT_INSPECT used_bytes and used_mappings are 0; without that and
 * IOB_RIGHT_MAP the budgets are 0 and there are no ranges.
 */
int iob_domain_info(iob_domain *domain, struct iob_domain_info_rep *out, struct iob_range *ranges,
		    uint32_t capacity);

/*
 * Register memory: fd is a memfd, sealed with F_SEAL_SHRINK, populated, and open for reading; if
 * access has IOB_WRITE, open for writing too, and without F_SEAL_WRITE and F_SEAL_FUTURE_WRITE.
 * access is IOB_READ, IOB_WRITE or both, the most that a mapping of it may ask for (otherwise
 * IOB_E_UNSUPPORTED). The broker gets its own copy of fd; fd stays the caller's and may be closed
 * at once. out->memory is the id for iob_map(), good on this handle only. Needs IOB_RIGHT_MAP.
 * IOB_E_MEMORY_KIND, _ACCESS, _SEALS, _SPARSE, IOB_E_RANGE (empty), IOB_E_LIMIT, IOB_E_RIGHTS.
 */
int iob_memory_add(iob_domain *domain, int fd, uint32_t access, struct iob_memory_add_rep *out);

/* Forget memory. IOB_E_BUSY: a mapping of it is left. IOB_E_MEMORY_ID, IOB_E_RIGHTS. */
int iob_memory_drop(iob_domain *domain, uint32_t memory);

/*
 * Map one range of registered memory. op->flags: IOB_READ and IOB_WRITE, and IOB_FIXED for a
 * mapping at op->iova; otherwise op->iova is 0 and the broker chooses, from 1 MiB upwards, at or
 * below op->iova_limit if that is not 0. Below 1 MiB only IOB_FIXED maps. *iova, if not NULL,
 * receives the place. Once this returned IOB_OK every device in the domain reaches the memory;
 * devices bound later will. Needs IOB_RIGHT_MAP. IOB_E_MEMORY_ID, IOB_E_MEMORY_ACCESS,
 * IOB_E_ALIGNMENT, IOB_E_RANGE, IOB_E_IOVA_OVERLAP, _RESERVED, _WINDOW, _EXHAUSTED, IOB_E_QUOTA,
 * IOB_E_RIGHTS, IOB_E_KERNEL, IOB_E_UNSUPPORTED (other flags, neither IOB_READ nor IOB_WRITE, an
 * iova without IOB_FIXED).
 */
int iob_map(iob_domain *domain, const struct iob_map_op *op, uint64_t *iova);

/*
 * Remove the one mapping at iova of exactly length bytes, through whichever handle it was made.
 * IOB_E_NOT_MAPPED: there is no such mapping, and nothing was changed. After IOB_OK no device
 * reaches the memory. Needs IOB_RIGHT_UNMAP. IOB_E_RIGHTS, IOB_E_IOVA_WINDOW, IOB_E_KERNEL.
 */
int iob_unmap(iob_domain *domain, uint64_t iova, uint64_t length);

/*
 * Many at once, in one message: 1 to IOB_MAX_BATCH operations, more is IOB_E_ARGUMENT. They are
 * executed in order; one that fails does not stop those behind it. results has count elements and
 * is always filled (but for IOB_E_ARGUMENT); *done, if not NULL, is the number that took effect.
 * Returns IOB_OK when all of them did, else the code of the first that failed. When the message as
 * a whole failed, every result carries that code. After IOB_E_CLOSED or IOB_E_PROTOCOL it is not
 * known which took effect. Nothing is allocated.
 */
int iob_map_batch(iob_domain *domain, const struct iob_map_op *ops, uint32_t count,
		  struct iob_result *results, uint32_t *done);
int iob_unmap_batch(iob_domain *domain, const struct iob_unmap_op *ops, uint32_t count,
		    struct iob_result *results, uint32_t *done);

/* Remove every mapping inside this handle's window, whoever made it; *out may be NULL. When the
 * kernel refuses one, those below it are gone. Needs IOB_RIGHT_UNMAP. IOB_E_KERNEL. */
int iob_unmap_all(iob_domain *domain, struct iob_unmap_all_rep *out);

/*
 * One page of mappings at or above start, in ascending order: up to capacity, and at most
 * IOB_MAX_LIST. *count is how many; *more is 1 when there are further ones: continue at the last
 * one's iova + 1. Memory ids are those of the handle that registered it. Needs IOB_RIGHT_INSPECT.
 */
int iob_map_list(iob_domain *domain, uint64_t start, struct iob_map_rec *list, uint32_t capacity,
		 uint32_t *count, int *more);

/*
 * Put a device into the domain; device_fd is a device handle and stays the caller's. Mappings that
 * exist are made for it before this returns. The same from the other side: iob_device_bind().
 * Needs IOB_RIGHT_BIND. IOB_E_ALREADY_BOUND, IOB_E_BAD_HANDLE, IOB_E_WRONG_KIND, IOB_E_GONE,
 * IOB_E_GROUP, IOB_E_UNSAFE, IOB_E_IOVA_RESERVED (a mapping lies where this device cannot reach),
 * IOB_E_BUSY, IOB_E_DEVICE_IO, IOB_E_RIGHTS, IOB_E_KERNEL.
 */
int iob_domain_bind(iob_domain *domain, int device_fd);

/*
 * Make a further handle of the same domain with at most the rights and the window of this one. *out
 * or *fd is the caller's. *grant_id, if not NULL, is for iob_domain_revoke(). A grant ends when its
 * last copy is closed, when it is revoked, or with the handle it was made through. With
 * IOB_RIGHT_UNMAP its holder can unmap what anybody mapped in the window: give a window in which
 * nobody else maps. What is mapped through it counts in the budgets of the domain. Needs
 * IOB_RIGHT_GRANT. IOB_E_RIGHTS (rights beyond one's own), IOB_E_IOVA_WINDOW, IOB_E_LIMIT.
 */
int iob_domain_grant(iob_domain *domain, const struct iob_grant_req *req, iob_domain **out,
		     uint32_t *grant_id);
int iob_domain_grant_fd(iob_domain *domain, const struct iob_grant_req *req, int *fd,
			uint32_t *grant_id);

/*
 * End a grant made through this handle, directly or through another grant: its mappings go, its
 * holders find it closed, and so do those it was passed on to. When this returned IOB_OK no device
 * reaches what it mapped. Devices bound through it stay in the domain. Needs IOB_RIGHT_GRANT.
 * IOB_E_GONE: no such grant (any more).
 */
int iob_domain_revoke(iob_domain *domain, uint32_t grant_id);

/* ---- device ---- */

/* As iob_domain_from_fd(), for a device. */
int iob_device_from_fd(int fd, iob_device **out);

/* Close this handle; NULL is fine. With the last copy the device is unbound, reset if it has a
 * reset, and given back. Does not block. */
void iob_device_close(iob_device *device);

/* The socket: for poll(), iob_handle_send(), iob_domain_bind(). Not the VFIO device: that is
 * iob_device_vfio_fd(). Stays the library's; -1 for NULL. Does not block. */
int iob_device_fd(const iob_device *device);

/* Inventory record, domain, whether it has a reset (IOB_DEVICE_CAN_RESET), and how many regions and
 * interrupt indexes. All but the record is 0 until it is bound. */
int iob_device_info(iob_device *device, struct iob_device_info_rep *out);

/* A region or an interrupt index. IOB_E_NOT_BOUND; IOB_E_RANGE: no such index. */
int iob_device_region_info(iob_device *device, uint32_t index, struct iob_region_info_rep *out);
int iob_device_irq_info(iob_device *device, uint32_t index, struct iob_irq_info_rep *out);

/*
 * Put the device into a domain; domain_fd is a domain handle with IOB_RIGHT_BIND and stays the
 * caller's. As iob_domain_bind(). The device does no DMA yet: see iob_device_bus_master().
 */
int iob_device_bind(iob_device *device, int domain_fd);

/* Take the device out of its domain. After IOB_OK it does no DMA. IOB_E_NOT_BOUND. */
int iob_device_unbind(iob_device *device);

/*
 * Read or write part of a region, 1 to IOB_MAX_REGION_BYTES. 1, 2, 4 or 8 bytes at an offset that
 * is a multiple of that are one access. Bytes are as the device has them, little-endian.
 * IOB_E_NOT_BOUND, IOB_E_RANGE, IOB_E_UNSUPPORTED (region not readable or not writeable),
 * IOB_E_DEVICE_IO, IOB_E_KERNEL.
 */
int iob_device_read(iob_device *device, uint32_t region, uint64_t offset, void *data, size_t bytes);
int iob_device_write(iob_device *device, uint32_t region, uint64_t offset, const void *data,
		     size_t bytes);

/*
 * Let the device do DMA, or not: bus mastering, bit 2 of the 16-bit command register at offset 4 of
 * IOB_REGION_CONFIG. It is off after every bind, and while it is, DMA and the interrupts that are
 * written to memory (MSI, MSI-X) are dropped without an error. on: 0 or not 0. Unbinding turns it
 * off, and so may iob_device_reset(). Not one access but two: nobody else should write the register
 * meanwhile. As iob_device_read() and iob_device_write().
 */
int iob_device_bus_master(iob_device *device, int on);

/* One register. */
int iob_device_read32(iob_device *device, uint32_t region, uint64_t offset, uint32_t *value);
int iob_device_read64(iob_device *device, uint32_t region, uint64_t offset, uint64_t *value);
int iob_device_write32(iob_device *device, uint32_t region, uint64_t offset, uint32_t value);
int iob_device_write64(iob_device *device, uint32_t region, uint64_t offset, uint64_t value);

/*
 * Interrupts start to start + count - 1 of an index: enum iob_irq_action. With IOB_IRQ_TRIGGER,
 * eventfds has fd_count == count descriptors that are signalled; with none the interrupts are
 * raised now. IOB_IRQ_DISABLE with start and count 0 turns the index off. The eventfds stay the
 * caller's and may be closed; at most IOB_MAX_IRQ_FDS in a call. IOB_E_NOT_BOUND, IOB_E_RANGE,
 * IOB_E_KERNEL.
 */
int iob_device_set_irq(iob_device *device, uint32_t index, enum iob_irq_action action,
		       uint32_t start, uint32_t count, const int *eventfds, uint32_t fd_count);

/* Reset the device; bus mastering may be off then. IOB_E_NO_RESET, IOB_E_NOT_BOUND, IOB_E_DEVICE_IO. */
int iob_device_reset(iob_device *device);

/*
 * The VFIO device itself, for drivers that need mmap or ioctls; *fd is the caller's. Only if policy
 * allows it, the device was opened with IOB_ACCESS_FD and bound through a domain handle with
 * IOB_RIGHT_DIRECT. IOB_E_DENIED, IOB_E_RIGHTS, IOB_E_NOT_BOUND, IOB_E_UNSUPPORTED.
 */
int iob_device_vfio_fd(iob_device *device, int *fd);

/* ---- events ---- */

struct iob_event {
	uint32_t type; /* IOB_EV_*, or 0: there is none */
	uint32_t lost; /* events dropped just before this one, for want of room */
	uint32_t domain_id;
	uint32_t reason; /* enum iob_unbound_reason */
	uint64_t reserved[2];
};

/*
 * The next event of a handle; out->type is 0 when there is none now. Does not block. Events so far
 * are for devices, and come on their handles: IOB_EV_DEVICE_BOUND, IOB_EV_DEVICE_UNBOUND. Of a
 * connection and of a domain these calls only ever tell the end. Events that arrived during other
 * calls wait in the handle, the newest 16; so before poll() on the handle's descriptor, call this
 * until there is none. Of those that a client does not take, the broker keeps only the newest:
 * events are hints to look, not a log. IOB_E_CLOSED after the last event when the broker closed the
 * handle: the domain was destroyed, the grant revoked, the device withdrawn. Events of types this
 * library does not know are skipped.
 */
int iob_conn_next_event(iob_conn *conn, struct iob_event *out);
int iob_domain_next_event(iob_domain *domain, struct iob_event *out);
int iob_device_next_event(iob_device *device, struct iob_event *out);

/* ---- passing handles on ---- */

/*
 * Send a descriptor over any connected AF_UNIX socket, together with one byte of data. fd stays the
 * caller's: close the handle afterwards, or do not use it while the receiver does.
 */
int iob_handle_send(int sock, int fd);

/*
 * Receive what iob_handle_send() sent; *fd is the caller's. IOB_E_CLOSED: the other end was closed.
 * IOB_E_PROTOCOL: a message without a descriptor, with several (all are closed), or with more than
 * one byte. IOB_E_SYSTEM with EMFILE: it was lost for want of a free descriptor.
 */
int iob_handle_recv(int sock, int *fd);

/* ---- memory for DMA in one call ---- */

struct iob_dma {
	void *address;	     /* in this process */
	size_t bytes;	     /* asked for, rounded up to whole pages */
	uint64_t iova;	     /* for the device */
	uint32_t memory;     /* id on the domain handle */
	uint32_t page_shift; /* 12, or 21 for huge pages */
	int fd;		     /* the memfd, sealed; to share the memory with other processes */
	uint32_t flags;	     /* IOB_READ, IOB_WRITE */
	uint64_t reserved[2];
};

/*
 * Allocate zeroed memory that the domain's devices can use: a populated memfd sealed against
 * resizing, mapped in this process and in the domain. flags: IOB_READ, IOB_WRITE or both.
 * iova_limit: highest IOVA the device can address (0xffffffff for 32 bits), 0 for no limit; the
 * broker chooses no IOVA below 1 MiB, so a lower limit gives IOB_E_IOVA_EXHAUSTED. From
 * 2 MiB on huge pages are used when the system has them free. Release with iob_dma_free().
 * Errors of iob_memory_add() and iob_map(); IOB_E_SYSTEM with ENOMEM or ENOSPC. Nothing is left
 * behind on failure.
 */
int iob_dma_alloc(iob_domain *domain, size_t bytes, uint32_t flags, uint64_t iova_limit,
		  struct iob_dma *out);

/*
 * Undo iob_dma_alloc(): unmap from the devices, unregister, unmap from this process, close. domain
 * is the handle it was allocated on. This process's part is released in any case and *dma is
 * cleared; the first failure is returned. If it came from the broker the devices may still reach
 * the memory, which then goes with the domain handle: no memory of this process is exposed. A
 * structure of zeros, or one already freed, is fine.
 */
int iob_dma_free(iob_domain *domain, struct iob_dma *dma);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
