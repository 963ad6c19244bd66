# iommu-broker. "make help" says what there is to ask for.

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# ---- what the caller may choose ------------------------------------------------------------------
# CC=clang   WERROR=1   V=1 (show commands)   VM=0 (leave the VM out of "check")   BUILD=directory
# SAN=address,undefined or SAN=thread   INSTRUMENT=valgrind
# CFLAGS, CPPFLAGS, LDFLAGS come after our own and so may override them.

VERSION := 0.1.0
comma   := ,
hash    := \#
variant := $(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(INSTRUMENT),-$(INSTRUMENT))
BUILD   ?= build$(variant)
# However it is spelled, the flags are the same, and what is built is not built again.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
$(if $(filter-out 1,$(words $(BUILD))),$(error BUILD must be one path without blanks))
CFLAGS  ?= $(if $(INSTRUMENT),-O1,-O2) -g
OBJCOPY ?= objcopy
tools   := tests/tools

# ---- what each program is made of ----------------------------------------------------------------
# A source that is not named here is not linked; tests/tools/binaries.sh checks what must not be.

# Messages and refusals; what takes a client's request apart; the monitor's talk with its sessions.
proto         := proto/fault.c proto/message.c proto/names.c
proto_client  := proto/operations.c
proto_private := proto/priv.c proto/rate.c

# Opens nodes, binds drivers, takes things apart: monitor only.
glue_opener := $(addprefix kernel-glue/,driver.c opener.c sysfs.c vfio-quiesce.c type1-open.c \
	iommufd-open.c sim-open.c)
# Maps with descriptors it was given: session only.
glue_mapper := $(addprefix kernel-glue/,mapper.c mapper-memory.c type1-map.c iommufd-map.c sim-map.c \
	sim-table.c)
# Drives a device by a descriptor: the session for its client, the monitor to make it quiet.
glue_device := $(addprefix kernel-glue/,vfio-device.c sim-call.c)

monitor := $(proto) $(proto_private) $(glue_opener) $(glue_device) daemon/log.c daemon/peer.c \
	$(addprefix daemon/monitor-,adopt.c bind.c close.c config.c config-check.c \
	config-devices.c config-files.c config-lines.c config-sections.c config-users.c \
	config-values.c device.c domain.c driver.c driver-child.c driver-move.c driver-start.c \
	inventory.c keep.c ledger.c listen.c main.c manager.c policy.c privileges.c rate.c reaper.c reload.c \
	requests.c resume.c session.c spawn.c table.c tape.c)
session := $(proto) $(proto_private) $(proto_client) $(glue_mapper) $(glue_device) \
	daemon/interval-map.c daemon/log.c \
	$(addprefix daemon/session-,channel.c closer.c connection.c device.c domain.c filter.c handle.c \
	main.c mapping.c memory.c rate.c reply.c sandbox.c)
sim     := proto/fault.c $(addprefix kernel-glue/sim-,answer.c answer-device.c config.c device.c \
	edu.c eventfd.c irq.c log.c main.c memory.c object.c serve.c table.c)
library := $(proto) $(addprefix client/,call.c connection.c device.c dma.c domain.c driver.c error.c \
	events.c list.c mapping.c passing.c region.c transport.c)
ctl     := $(addprefix client/iommuctl,.c -devices.c -doctor.c -domains.c -drivers.c -error.c -host.c \
	-json.c -json-write.c -limit.c -local.c -maps.c -status.c -table.c) \
	$(addprefix client/doctor,.c -boot.c -checker.c -config.c -daemon.c -devices.c -drivers.c \
	-groups.c -inventory.c -iommu.c -json.c -kernel.c -modprobe.c -modules.c -nodes.c -policy.c \
	-print.c -probe.c -safety.c -service.c -systemd.c -view.c)

# libbsd is also where every program has its lists and trees from: headers only.
monitor_libs := libevent_core libcap libbsd libsystemd inih
session_libs := libevent_core libcap libseccomp
sim_libs     := libevent_core
ctl_libs     := json-c
test_libs    := check
every_lib    := $(sort $(monitor_libs) $(session_libs) $(sim_libs) $(ctl_libs) $(test_libs))

programs := $(addprefix $(BUILD)/,bin/iommu-brokerd bin/iommuctl \
	libexec/iommu-broker-session libexec/iommu-broker-sim)
libraries := $(addprefix $(BUILD)/lib/libiommubroker,.a .so.1 .so)
headers   := $(addprefix $(BUILD)/include/,iommubroker.h iommubroker/wire.h)

# ---- flags ---------------------------------------------------------------------------------------
# Everything is asked of the compiler at hand; without one (before "make deps") nothing is set.

try  = $(shell echo '$(2)' | $(CC) -Werror -O2 $(1) -x c -fsyntax-only - 2>/dev/null && echo '$(1)')
pkgs = $(if $(1),$(shell pkg-config $(2) $(1) 2>/dev/null))

warnings := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	-Wformat=2 $(if $(filter 1,$(WERROR)),-Werror)
# -fPIC throughout: the same objects go into the library and into the programs, linked as PIE.
hardening := -fPIC -pthread -fstack-protector-strong $(call try,-fcf-protection)

# Zeroed variables would hide from the instruments what they are to find.
ifeq ($(SAN)$(INSTRUMENT),)
autozero  := -ftrivial-auto-var-init=zero
hardening += $(or $(call try,$(autozero)),$(call try,$(autozero) \
	-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang))
else
hardening += -fno-omit-frame-pointer -DIOB_INSTRUMENTED=1 \
	$(if $(filter valgrind,$(INSTRUMENT)),-DIOB_VALGRIND=1)
endif

ifeq ($(SAN),)
fortify   := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=
hardening += $(or $(call try,$(fortify)3,$(hash)include <stdio.h>),$(fortify)2)
library_ld := -Wl,-z,defs
else
sanitize := -fsanitize=$(SAN) -fno-sanitize-recover=all -U_FORTIFY_SOURCE
endif

# _GNU_SOURCE is empty so that a file may define it again; library headers get no warnings.
all_cppflags := -D_GNU_SOURCE= -DIOB_VERSION=\"$(VERSION)\" -I. -I$(BUILD)/include \
	$(patsubst -I%,-isystem%,$(call pkgs,$(every_lib),--cflags)) $(CPPFLAGS)
all_cflags  := -std=gnu11 $(warnings) $(hardening) $(sanitize) $(CFLAGS)
all_ldflags := -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(sanitize) $(LDFLAGS)

# ---- rules ---------------------------------------------------------------------------------------

say     = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
link    = $(call say,LD,$@)mkdir -p $(@D); \
	$(CC) -pie $(all_cflags) $(all_ldflags) -o $@ $(filter %.o,$^) $(filter %.a,$^) \
		$(call pkgs,$(1),--libs)

all: $(programs) $(libraries) $(headers)

$(BUILD)/bin/iommu-brokerd: $(call objects,$(monitor))
	$(call link,$(monitor_libs))
$(BUILD)/libexec/iommu-broker-session: $(call objects,$(session))
	$(call link,$(session_libs))
$(BUILD)/libexec/iommu-broker-sim: $(call objects,$(sim))
	$(call link,$(sim_libs))
$(BUILD)/bin/iommuctl: $(call objects,$(ctl)) $(BUILD)/lib/libiommubroker.a
	$(call link,$(ctl_libs))

$(BUILD)/lib/libiommubroker.so.1: $(call objects,$(library)) client/libiommubroker.map
	$(call say,LD,$@)mkdir -p $(@D); $(CC) -shared -Wl,-soname,$(@F) $(library_ld) \
		-Wl,--version-script=client/libiommubroker.map $(all_cflags) $(all_ldflags) \
		-o $@ $(filter %.o,$^)
$(BUILD)/lib/libiommubroker.so: $(BUILD)/lib/libiommubroker.so.1
	$(call say,LN,$@)ln -sf $(<F) $@

# One object in which only iob_ is global: the static library shows no more than the shared one.
$(BUILD)/lib/libiommubroker.a: $(call objects,$(library))
	$(call say,AR,$@)mkdir -p $(@D); $(LD) -r -o $(@:.a=.o) $(filter %.o,$^) && \
		$(OBJCOPY) --wildcard --keep-global-symbol='iob_*' $(@:.a=.o) && \
		rm -f $@ && $(AR) rcs $@ $(@:.a=.o) && rm $(@:.a=.o)

$(BUILD)/include/iommubroker.h: client/iommubroker.h
	$(call say,CP,$@)mkdir -p $(@D); cp $< $@
$(BUILD)/include/iommubroker/wire.h: proto/wire.h
	$(call say,CP,$@)mkdir -p $(@D); cp $< $@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(headers)
	$(call say,CC,$<)mkdir -p $(@D); $(CC) $(all_cppflags) $(all_cflags) -MMD -MP -c -o $@ $<

# Holds the flags of the last build: its date moves when they change. Lists change with the Makefile.
flags_now := $(CC) $(all_cppflags) $(all_cflags) $(all_ldflags)
$(BUILD)/flags: FORCE
	@$(tools)/deps.sh require build
	@mkdir -p $(@D); echo '$(flags_now)' | cmp -s - $@ || echo '$(flags_now)' >$@
$(programs) $(libraries): Makefile

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- tests ---------------------------------------------------------------------------------------
# unit: every module, by itself. conformance and hostile: the public library only, over the sim
# backend. tests/harness: what those two share.

unit_sources := $(wildcard tests/unit/*.c)
# These confine themselves further than valgrind can follow: it has no seccomp(2), no securebits, no
# pidfds of new processes (test_reload.c), and descriptors of its own (test_tape.c). The benchmark is
# other programs, a monitor that is killed (test_adopt.c) frees nothing, and where a close() blocks
# (test_close.c) valgrind lets no other thread run.
ifeq ($(INSTRUMENT),valgrind)
unit_sources := $(filter-out %/test_sandbox.c %/test_privileges.c %/test_bench.c %/test_driver.c \
	%/test_session.c %/test_adopt.c %/test_close.c %/test_reload.c %/test_tape.c,$(unit_sources))
endif
harness      := $(wildcard tests/harness/*.c)
suites       := $(foreach s,unit conformance hostile,$(if $(wildcard tests/$s/*.c),$(BUILD)/tests/$s))

tests: all $(suites) $(BUILD)/tests/steady $(BUILD)/bench/measure

# The linker takes from here the modules that a unit test names, whoever they belong to.
$(BUILD)/tests/modules.a: $(call objects,$(sort $(monitor) $(session) $(sim) $(library) $(ctl)))
	$(call say,AR,$@)mkdir -p $(@D); rm -f $@; $(AR) rcs $@ $^
$(BUILD)/tests/unit: $(call objects,$(unit_sources)) $(BUILD)/tests/modules.a
	$(call link,$(every_lib))
$(BUILD)/tests/conformance $(BUILD)/tests/hostile: $(BUILD)/tests/%: \
		$(call objects,$(harness)) $(BUILD)/lib/libiommubroker.a
	$(call link,$(test_libs))
$(BUILD)/tests/conformance: $(call objects,$(wildcard tests/conformance/*.c))
$(BUILD)/tests/hostile: $(call objects,$(wildcard tests/hostile/*.c))

# The two programs of the demo and what starts them: the public library only.
demos := $(addprefix $(BUILD)/demo/,mapper driver launch)
$(demos): $(BUILD)/demo/%: $(BUILD)/obj/tests/demo/%.o \
		$(call objects,tests/demo/story.c tests/demo/edu.c) $(BUILD)/lib/libiommubroker.a
	$(call link)

# A client that has to go on while monitors come and go: public library only, static (VM guests).
$(BUILD)/tests/steady: $(call objects,tests/restart/steady.c tests/demo/edu.c) \
		$(BUILD)/lib/libiommubroker.a
	$(call link)

# What operations cost, by the public library and by ioctl. Compiled with the tests, run by "bench".
bench := $(BUILD)/bench/measure
$(bench): $(call objects,$(wildcard tests/bench/*.c)) $(BUILD)/lib/libiommubroker.a
	$(call link)

# The runner learns its suites from the names of the files: test_NAME.c has test_NAME_suite().
$(BUILD)/obj/tests/unit/main.o: all_cppflags += -I$(BUILD)/obj/tests/unit
$(BUILD)/obj/tests/unit/main.o: $(BUILD)/obj/tests/unit/suites.inc
unit_suites := $(subst -,_,$(patsubst tests/unit/test_%.c,SUITE(%),$(filter tests/unit/test_%,$(unit_sources))))
$(BUILD)/obj/tests/unit/suites.inc: FORCE
	@mkdir -p $(@D); echo '$(unit_suites)' | cmp -s - $@ || echo '$(unit_suites)' >$@

# "check" and "demo" may be the first thing typed on a new machine: they fetch what is missing, then
# start a new make, which finds the compiler.
again = $(MAKE) $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
need  = $(tools)/deps.sh ensure $(1) </dev/null
run   = SAN='$(SAN)' INSTRUMENT='$(INSTRUMENT)' $(tools)/suites.sh $(BUILD)

# A library with sanitizers is not what is installed: no "install" with instruments. "shaken" is asked
# for by its name: which tests a killed monitor disturbs depends on how busy the machine is.
check_all := $(or $(SUITES),unit conformance hostile $(if $(SAN)$(INSTRUMENT),,install) \
	$(if $(filter 0,$(VM)),,vm $(if $(shell command -v apt-get),package restart)))
check:
	@$(call need,build check $(if $(filter vm package restart,$(check_all)),vm) $(if $(filter package restart,$(check_all)),package))
	@$(again) tests
	@$(run) $(check_all)
check-unit check-conformance check-shaken check-hostile check-sim check-install check-vm:
	@$(call need,build check $(filter vm,$(@:check-%=%)))
	@$(again) tests
	@$(run) $(patsubst sim,conformance hostile,$(@:check-%=%))
check-package check-restart:
	@$(call need,build check vm package)
	@$(again) tests
	@$(run) $(@:check-%=%)
demo:
	@$(call need,build $(if $(filter 1,$(VM)),vm))
	@$(again) all $(demos)
	@IOB_BUILD='$(abspath $(BUILD))' VM='$(VM)' tests/demo/demo.sh
bench:
	@$(call need,build $(if $(filter 0,$(VM)),,vm))
	@$(again) all $(bench)
	@IOB_BUILD='$(abspath $(BUILD))' VM='$(VM)' tests/bench/bench.sh

# ---- installation --------------------------------------------------------------------------------
# PREFIX, DESTDIR and the directories below may be given. Where systemd, the shell's completion and
# man look is derived from PREFIX: all of them know /usr/local too. The daemon reads /etc.

PREFIX        ?= /usr/local
bindir        ?= $(PREFIX)/bin
sbindir       ?= $(PREFIX)/sbin
libexecdir    ?= $(PREFIX)/libexec
libdir        ?= $(PREFIX)/lib
includedir    ?= $(PREFIX)/include
datadir       ?= $(PREFIX)/share
mandir        ?= $(datadir)/man
docdir        ?= $(datadir)/doc/iommu-broker
completiondir ?= $(datadir)/bash-completion/completions
sysconfdir    ?= /etc
unitdir       ?= $(PREFIX)/lib/systemd/system
sysusersdir   ?= $(PREFIX)/lib/sysusers.d
tmpfilesdir   ?= $(PREFIX)/lib/tmpfiles.d
INSTALL       ?= install

# Lists of the files are cut at blanks.
ifneq ($(strip $(foreach d,PREFIX bindir sbindir libexecdir libdir includedir datadir mandir docdir \
	completiondir sysconfdir unitdir sysusersdir tmpfilesdir,$(filter-out 0 1,$(words $($d))))),)
$(error PREFIX and the other directories must be paths without blanks; DESTDIR may have some)
endif

confdir := $(sysconfdir)/iommu-broker
filled  := $(BUILD)/install
pages    = $(wildcard man/*.[1-8])

# Mode, what, where to. "make uninstall" goes by the same lists.
programs_to := \
	0755:$(BUILD)/bin/iommuctl:$(bindir)/iommuctl \
	0755:$(BUILD)/bin/iommu-brokerd:$(sbindir)/iommu-brokerd \
	$(foreach p,iommu-broker-session iommu-broker-sim,\
		0755:$(BUILD)/libexec/$p:$(libexecdir)/iommu-broker/$p) \
	0644:$(BUILD)/lib/libiommubroker.so.1:$(libdir)/libiommubroker.so.1
files_to = \
	0644:$(BUILD)/lib/libiommubroker.a:$(libdir)/libiommubroker.a \
	0644:$(filled)/libiommubroker.pc:$(libdir)/pkgconfig/libiommubroker.pc \
	0644:client/iommubroker.h:$(includedir)/iommubroker.h \
	0644:proto/wire.h:$(includedir)/iommubroker/wire.h \
	0644:$(filled)/iommu-broker.service:$(unitdir)/iommu-broker.service \
	0644:systemd/iommu-broker.socket:$(unitdir)/iommu-broker.socket \
	0644:systemd/iommu-broker.sysusers:$(sysusersdir)/iommu-broker.conf \
	0644:systemd/iommu-broker.tmpfiles:$(tmpfilesdir)/iommu-broker.conf \
	$(if $(wildcard client/iommuctl.bash),0644:client/iommuctl.bash:$(completiondir)/iommuctl) \
	$(foreach f,LICENSE README.md proto/PROTOCOL.md,0644:$f:$(docdir)/$(notdir $f)) \
	$(foreach p,$(pages),0644:$p:$(mandir)/man$(subst .,,$(suffix $p))/$(notdir $p))
# Each function that a page names in its first lines is found by its own name.
page_names = $(shell awk 'FNR == 1 { on = 0; page = FILENAME; sub(/.*\//, "", page) } \
	/^\.Sh / { on = /NAME/ } on && $$1 == ".Nm" && $$2 ".3" != page { print $$2 ".3:" page }' \
	$(wildcard man/*.3))
links_to = libiommubroker.so.1:$(libdir)/libiommubroker.so \
	$(foreach l,$(page_names),$(word 2,$(subst :, ,$l)):$(mandir)/man3/$(word 1,$(subst :, ,$l)))
own_dirs := $(libexecdir)/iommu-broker $(includedir)/iommubroker $(docdir) $(confdir)/conf.d $(confdir)

# Field N of an entry, and the path that it goes to. Then two commands, each on a line of its own.
field = $(word $(1),$(subst :, ,$(2)))
place = '$(DESTDIR)$(lastword $(subst :, ,$(1)))'
define put
@$(INSTALL) $(2) -D -m $(call field,1,$(1)) $(call field,2,$(1)) $(call place,$(1))

endef
define put_link
@ln -sf $(call field,1,$(1)) $(call place,$(1))

endef

fill = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@SBINDIR@|$(sbindir)|g' -e 's|@LIBDIR@|$(libdir)|g' \
	-e 's|@LIBEXECDIR@|$(libexecdir)|g' -e 's|@INCLUDEDIR@|$(includedir)|g' \
	-e 's|@VERSION@|$(VERSION)|g'
$(filled)/%: systemd/%.in FORCE
	@mkdir -p $(@D); $(fill) $< >$@
$(filled)/%: client/%.in FORCE
	@mkdir -p $(@D); $(fill) $< >$@

# A configuration that is there already is the administrator's.
install: all $(filled)/libiommubroker.pc $(filled)/iommu-broker.service
	$(call say,INST,'$(DESTDIR)$(PREFIX)'):
	@$(INSTALL) -d -m 0755 '$(DESTDIR)$(confdir)' '$(DESTDIR)$(confdir)/conf.d'
	$(foreach f,$(programs_to),$(call put,$f,$(strip_flag)))
	$(foreach f,$(files_to),$(call put,$f))
	$(foreach l,$(links_to),$(call put_link,$l))
	@[ -e '$(DESTDIR)$(confdir)/iommu-broker.conf' ] || $(INSTALL) -m 0644 \
		systemd/iommu-broker.conf '$(DESTDIR)$(confdir)/iommu-broker.conf'
install-strip:
	@$(MAKE) install strip_flag=-s

# What the administrator wrote stays, and the directory with it.
uninstall:
	@rm -f $(foreach f,$(programs_to) $(files_to) $(links_to),$(call place,$f))
	@! cmp -s systemd/iommu-broker.conf '$(DESTDIR)$(confdir)/iommu-broker.conf' || \
		rm '$(DESTDIR)$(confdir)/iommu-broker.conf'
	@for d in $(own_dirs); do rmdir "$(DESTDIR)$$d" 2>/dev/null || :; done

# The top level has no place for debian/: it is put beside a copy of what git tracks. Lintian reads the
# packages where there is one.
deb_dir = $(abspath $(BUILD))/deb
# What was said to this make is not for that one, which builds elsewhere.
deb_forgets := MAKEFLAGS MAKELEVEL MAKEOVERRIDES BUILD DESTDIR PREFIX SAN INSTRUMENT CFLAGS LDFLAGS
deb:
	@$(call need,build package)
	@rm -rf '$(deb_dir)' && mkdir -p '$(deb_dir)/src'
	@git ls-files -z --cached --others --exclude-standard | \
		xargs -0 cp --parents -t '$(deb_dir)/src'
	@mv '$(deb_dir)/src/systemd/debian' '$(deb_dir)/src/debian'
	@sed -e 's|@VERSION@|$(VERSION)|' -e "s|@DATE@|$$(date -R)|" \
		'$(deb_dir)/src/debian/changelog.in' >'$(deb_dir)/src/debian/changelog'
	@cd '$(deb_dir)/src' && env $(addprefix -u ,$(deb_forgets)) dpkg-buildpackage -nc -b -us -uc \
		-j$(shell nproc) >'$(deb_dir)/build.log' 2>&1 || { tail -n 40 '$(deb_dir)/build.log'; exit 1; }
	@lintian --allow-root --fail-on error '$(deb_dir)'/*.changes
	@ls '$(deb_dir)'/*.deb

# ---- upkeep --------------------------------------------------------------------------------------

deps:
	@$(tools)/deps.sh install $(or $(SETS),build check analyze vm) </dev/null
format format-check:
	@$(tools)/deps.sh require analyze
	@$(tools)/format.sh $(@:format-%=%)
analyze: all
	@$(tools)/deps.sh require analyze
	@$(tools)/analyze.sh $(BUILD) -std=gnu11 $(all_cppflags)
clean:
	rm -rf $(BUILD) build build-*

help:
	@sed 's/^/  /' $(tools)/help.txt

FORCE:
.PHONY: FORCE all tests check check-unit check-conformance check-shaken check-hostile check-sim \
	check-install check-vm check-package check-restart demo bench install install-strip uninstall deb \
	deps format format-check analyze clean help
