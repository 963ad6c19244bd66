/* SPDX-License-Identifier: MIT */
/* monitor-main.c - iommu-brokerd: options, start in order, loop, orderly end. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"
#include "daemon/monitor-manager.h"
#include "daemon/monitor-privileges.h"
#include "daemon/monitor.h"
#include "kernel-glue/sim-open.h"

#ifndef IOB_VERSION
#define IOB_VERSION "unknown"
#endif

static const char usage[] =
	"usage: iommu-brokerd [options]\n"
	"  -c, --config PATH    configuration file (default " CONFIG_DEFAULT_PATH ");\n"
	"                       what ends in .conf in the folder " CONFIG_FOLDER
	" beside it is read, too\n"
	"      --check-config[=PATH]\n"
	"                       only look at the configuration: say what is wrong, or who may what\n"
	"  -s, --socket PATH    listen here, whatever the configuration says\n"
	"  -b, --backend NAME   auto, iommufd, type1 or sim, whatever the configuration says\n"
	"      --libexec DIR    where iommu-broker-session is (default: beside this program,\n"
	"                       ../libexec/iommu-broker or ../libexec)\n"
	"  -h, --help\n"
	"  -V, --version\n";

/* What needs no configuration to be seen wrong. */
static int options_check(const struct options *o, struct fault *why)
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);
	enum config_backend backend;

	if (o->socket && o->socket[0] != '/')
		return fault_set(why, IOB_E_ARGUMENT, IOB_STEP_PARSE, EINVAL,
				 "--socket %s: not an absolute path", o->socket);
	if (o->socket && strlen(o->socket) >= room)
		return fault_set(why, IOB_E_ARGUMENT, IOB_STEP_PARSE, ENAMETOOLONG,
				 "--socket: longer than the %zu bytes that the kernel takes: %s",
				 room - 1, o->socket);
	if (o->backend && config_backend_by_name(o->backend, &backend) < 0)
		return fault_set(why, IOB_E_ARGUMENT, IOB_STEP_PARSE, EINVAL,
				 "--backend %s: not auto, iommufd, type1 or sim", o->backend);
	return 0;
}

/* Returns -1 to go on, else the exit status. */
static int options_parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", optional_argument, NULL, 'C' },
		{ "socket", required_argument, NULL, 's' },
		{ "backend", required_argument, NULL, 'b' },
		{ "libexec", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct fault why;
	bool bare = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:s:b:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'C':
			o->check = true;
			bare = !optarg;
			if (optarg)
				o->config = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'b':
			o->backend = optarg;
			break;
		case 'l':
			o->libexec = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("iommu-brokerd " IOB_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "iommu-brokerd: unexpected argument: %s%s%s\n", argv[optind],
			bare ? "; write --check-config=" : "", bare ? argv[optind] : "");
		return 2;
	}
	if (options_check(o, &why) < 0) {
		fprintf(stderr, "iommu-brokerd: %s\n", why.text);
		return 2;
	}
	return o->check ? config_check(o->config) : -1;
}

int options_apply(const struct options *o, struct config *c, struct fault *why)
{
	if (o->socket) {
		char *copy = strdup(o->socket);

		if (!copy)
			return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM,
					 "out of memory");
		free(c->socket_path);
		c->socket_path = copy;
	}
	if (o->backend)
		config_backend_by_name(o->backend, &c->backend); /* known: options_check() */
	return 0;
}

static int configure(struct monitor *m, struct fault *why)
{
	struct fault taken = { 0 };

	if (config_load(m->options.config, &m->config, why) < 0 ||
	    options_apply(&m->options, &m->config, why) < 0)
		return -1;
	if (config_uids_taken(&m->config, CONFIG_PASSWD, &taken))
		log_warn("%s", taken.text);
	m->slots = calloc(m->config.session_uids, 1);
	if (!m->slots)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_LIMIT, ENOMEM, "out of memory");
	return 0;
}

static int set_helpers(struct monitor *m, const char *dir, struct fault *why)
{
	free(m->session_path);
	free(m->sim_path);
	m->session_path = m->sim_path = NULL;
	if (asprintf(&m->session_path, "%s/iommu-broker-session", dir) >= 0 &&
	    asprintf(&m->sim_path, "%s/iommu-broker-sim", dir) >= 0)
		return 0;
	return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM, "out of memory");
}

/* The helpers are found beside this very program, not through any search path: where "make install"
 * puts them, else where they are built. */
static int find_helpers(struct monitor *m, const char *libexec, struct fault *why)
{
	static const char *const places[] = { "../libexec/iommu-broker", "../libexec" };
	char exe[PATH_MAX], dir[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return fault_set(why, IOB_E_SYSTEM, IOB_STEP_NONE, errno,
				 "/proc/self/exe cannot be read: %s", strerror(errno));
	exe[n] = '\0';
	dirname(exe);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(dir, sizeof(dir), "%s/%s", exe, places[i]);
		if (set_helpers(m, libexec ? libexec : dir, why) < 0)
			return -1;
		if (access(m->session_path, X_OK) == 0)
			return 0;
	}
	return fault_set(why, IOB_E_SYSTEM, IOB_STEP_NONE, errno, "%s: %s", m->session_path,
			 strerror(errno));
}

/* Each session gets this directory as its root. It is removed already: nothing is in it, and
 * nothing can ever be made in it. */
static int make_empty_dir(struct monitor *m, struct fault *why)
{
	char name[] = "/tmp/iommu-broker.XXXXXX";

	int error = mkdtemp(name) ? 0 : errno;

	if (!error) {
		m->empty_dir_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		error = m->empty_dir_fd < 0 ? errno : 0;
		if (rmdir(name) < 0 && !error) /* in every case: it must not stay behind */
			error = errno;
	}
	if (!error)
		return 0;
	return fault_set(why, IOB_E_SYSTEM, IOB_STEP_NONE, error,
			 "an empty directory for the sessions cannot be made in /tmp: %s",
			 strerror(error));
}

/* Descriptors are what this daemon lives on. */
static void raise_fd_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void glue_options_from(const struct monitor *m, struct glue_options *o)
{
	o->allow_unsafe_interrupts = m->config.allow_unsafe_interrupts;
	o->allow_test_kernel = m->config.allow_test_kernel;
	o->sim_devices = m->config.sim_devices;
	o->sim_path = m->sim_path;
}

/* The simulator outlives a monitor only where its control socket is kept. */
static int start_simulator(struct monitor *m, const struct glue_options *o, struct fault *why)
{
	char name[KEEP_NAME_BYTES];

	keep_name(name, KEEP_SIMULATOR, 0);
	int fd = manager_take(name);

	if (fd >= 0) {
		if (sim_open_adopt(fd, why) == 0)
			return 0;
		log_warn("%s; what was in it is lost", why->text);
		close(fd);
		manager_forget(name);
		keep_clear(m);
	}
	int r = m->glue->start(o, why);

	fd = sim_open_control_fd();
	if (r == 0)
		manager_keep(name, &fd, 1);
	return r;
}

static int start_backend(struct monitor *m, const struct glue_options *o, struct fault *why)
{
	return m->glue->backend == IOB_BACKEND_SIM ? start_simulator(m, o, why) :
						     m->glue->start(o, why);
}

/* auto means real hardware, best first; never the simulator, which would pretend. */
static int choose_backend(struct monitor *m, const struct glue_options *o, struct fault *why)
{
	static const struct {
		enum config_backend name;
		const struct glue_opener *opener;
	} all[] = {
		{ CONFIG_BACKEND_IOMMUFD, &glue_opener_iommufd },
		{ CONFIG_BACKEND_TYPE1, &glue_opener_type1 },
		{ CONFIG_BACKEND_SIM, &glue_opener_sim },
	};
	struct fault f = { 0 };
	uint32_t before = keep_backend(m);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool wanted = m->config.backend == all[i].name ||
			      (m->config.backend == CONFIG_BACKEND_AUTO &&
			       all[i].name != CONFIG_BACKEND_SIM);

		/* Whatever the configuration says: what lives cannot change its kernel interface. */
		if (before ? before != all[i].opener->backend : !wanted)
			continue;
		if (all[i].opener->probe(o, &f) == 0) {
			m->glue = all[i].opener;
			return start_backend(m, o, why);
		}
		log_warn("backend %s: %s", all[i].opener->name, f.text);
	}
	return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_IOMMU_OPEN, f.sys_errno,
			 "no backend works here: %s", f.text);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct monitor *m = arg;

	(void)what;
	log_info("signal %d: ending", (int)sig);
	manager_tell("STOPPING=1");
	event_base_loopbreak(m->base);
}

static void on_sighup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	reload_start(arg);
}

static int watch_signals(struct monitor *m, struct fault *why)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* inherited as ignored, children would vanish uncollected */
	m->on_sigterm = evsignal_new(m->base, SIGTERM, on_signal, m);
	m->on_sigint = evsignal_new(m->base, SIGINT, on_signal, m);
	m->on_sighup = evsignal_new(m->base, SIGHUP, on_sighup, m);
	if (!m->on_sigterm || !m->on_sigint || !m->on_sighup ||
	    event_add(m->on_sigterm, NULL) < 0 || event_add(m->on_sigint, NULL) < 0 ||
	    event_add(m->on_sighup, NULL) < 0)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM, "out of memory");
	return 0;
}

/* In this order: whatever needs more than the monitor keeps comes before the drop, and nobody
 * can connect before it. */
static int start(struct monitor *m, struct fault *why)
{
	struct glue_options g;
	char socket[LISTEN_TOLD_BYTES];

	if (manager_init(why) < 0)
		return -1;
	raise_fd_limit();
	m->base = event_base_new();
	if (!m->base)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM, "no event loop");
	close_init(m->base);
	if (configure(m, why) < 0 || find_helpers(m, m->options.libexec, why) < 0 ||
	    make_empty_dir(m, why) < 0 || watch_signals(m, why) < 0 || privileges_drop(why) < 0)
		return -1;
	glue_options_from(m, &g);
	if (keep_open(m, why) < 0 || choose_backend(m, &g, why) < 0 || inventory_load(m, why) < 0)
		return -1;
	adopt_all(m);
	if (listen_open(m, why) < 0)
		return -1;
	manager_discard_rest();
	if (manager_watchdog_start(m->base) < 0)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM, "out of memory");
	m->ended = !drivers_at_start(m);
	if (m->ended)
		return 0;
	listen_tell(m, socket);
	log_info("ready: backend %s, %zu devices, socket %s", m->glue->name, inventory_count(m),
		 socket);
	m->ready = true;
	manager_tell("READY=1");
	return 0;
}

/* Sessions are left alone: they serve their clients until those are done. */
static void finish(struct monitor *m)
{
	manager_watchdog_stop();
	listen_close(m);
	if (m->glue)
		m->glue->stop();
	reload_cancel(m->reload);
	if (m->on_sighup)
		event_free(m->on_sighup);
	if (m->on_sigterm)
		event_free(m->on_sigterm);
	if (m->on_sigint)
		event_free(m->on_sigint);
	inventory_free(m);
	free(m->slots);
	free(m->session_path);
	free(m->sim_path);
	config_deinit(&m->config);
}

/* What is opened next must not become standard error of the sessions. */
static int open_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	return fd < 0 ? -1 : close(fd);
}

int main(int argc, char **argv)
{
	static struct monitor m = {
		.options.config = CONFIG_DEFAULT_PATH,
		.listen_fd = -1,
		.lock_fd = -1,
		.empty_dir_fd = -1,
	};
	struct fault why = { 0 };
	int r = options_parse(argc, argv, &m.options);

	if (r >= 0)
		return r;
	umask(022);
	log_start();
	if (open_standard_fds() < 0)
		return 1;
	LIST_INIT(&m.sessions);
	LIST_INIT(&m.accounts);
	LIST_INIT(&m.domains);
	LIST_INIT(&m.moves);
	RB_INIT(&m.handles);
	RB_INIT(&m.handle_ids);
	m.started_ms = monitor_now_ms();
	r = start(&m, &why);
	if (r < 0)
		log_error("cannot start: %s", why.text);
	else if (!m.ended)
		event_base_dispatch(m.base);
	finish(&m);
	return r < 0;
}
