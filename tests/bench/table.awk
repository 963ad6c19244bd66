# The tables for people. After goals.awk.

function has(name) { return name in value }
function get(name, format) { return has(name) ? sprintf(format, value[name]) : "-" }

function exchange(label, prefix) {
	if (has(prefix ".brokered"))
		printf "  %-34s %9s %9s %8s   %9s %9s\n", label, get(prefix ".brokered", "%.1f"),
			get(prefix ".bare", "%.1f"), get(prefix ".ratio", "%.2f"),
			get(prefix ".brokered-best", "%.1f"), get(prefix ".bare-best", "%.1f")
}

function exchanges() {
	print "One exchange, simulator, one processor: us, median over rounds; beside it messages of the same sizes"
	print "between two processes that do nothing else, in the same rounds"
	printf "  %-34s %9s %9s %8s   %9s %9s\n", "", "brokered", "bare", "ratio", "best", "best bare"
	exchange("empty request", "host.empty.0")
	exchange("pair: MAP, UNMAP", "host.pair.1")
	exchange("MAP[16], UNMAP[16]", "host.batch.16")
	exchange("MAP[256], UNMAP[256]", "host.batch.256")
	exchange("MAP[1024], UNMAP[1024]", "host.batch.1024")
	printf "  connect to first map: median %s ms, 99 of 100 below %s ms\n\n",
		has("host.connect.p50") ? sprintf("%.2f", value["host.connect.p50"] / 1000) : "-",
		has("host.connect.p99") ? sprintf("%.2f", value["host.connect.p99"] / 1000) : "-"
}

function lives(   n, i, p) {
	print "Live mappings, one processor, operations in random places: us for each, ratio to 1,000"
	printf "  %-12s %12s %8s   %14s %8s   %12s\n", "", "in a pair", "ratio", "in MAP[256]", "ratio",
		"bytes each"
	n = split("1000 10000 100000 1000000", level, " ")
	for (i = 1; i <= n; i++) {
		p = "host.live." level[i]
		if (has(p ".pair-operation"))
			printf "  %-12s %12s %8s   %14s %8s   %12s\n", level[i], get(p ".pair-operation", "%.1f"),
				get(p ".pair-ratio", "%.2f"), get(p ".batch-operation", "%.2f"),
				get(p ".batch-ratio", "%.2f"), get(p ".bytes-per-mapping", "%.1f")
	}
	print ""
}

function clients(   n, i, p) {
	print "Clients at the same time, each doing pairs; memory is that of a session and its companion"
	printf "  %-12s %10s %10s %12s %14s %14s\n", "", "pairs/s", "us a pair", "us to start", "KiB PSS each",
		"KiB own each"
	n = split("1 10 100 1000", level, " ")
	for (i = 1; i <= n; i++) {
		p = "host.clients." level[i]
		if (has(p ".start"))
			printf "  %-12s %10s %10s %12s %14s %14s\n", level[i], get(p ".pairs-per-second", "%.0f"),
				get(p ".us-per-pair", "%.1f"), get(p ".start", "%.0f"), get(p ".pss", "%.0f"),
				get(p ".own", "%.0f")
	}
	print ""
}

function vm_line(kind, size, count,    p) {
	p = "vm." kind "." size "." count
	if (has(p ".map.ratio"))
		printf "  %-8s %-6s %5s %12s %12s %7s   %12s %12s %7s\n", kind, size, count,
			get(p ".map.brokered", "%.0f"), get(p ".map.direct", "%.0f"), get(p ".map.ratio", "%.3f"),
			get(p ".unmap.brokered", "%.0f"), get(p ".unmap.direct", "%.0f"),
			get(p ".unmap.ratio", "%.3f")
}

function vms(   k, s, c, kind, size, count) {
	if (!has("vm.type1.bare-exchange") && !has("vm.iommufd.bare-exchange"))
		return
	print "Beside direct ioctls, in a VM: instructions for an operation; ratio: throughput, direct is 1"
	printf "  %-8s %-6s %5s %12s %12s %7s   %12s %12s %7s\n", "", "", "batch", "MAP", "direct", "ratio",
		"UNMAP", "direct", "ratio"
	split("type1 iommufd", kind, " "); split("4KiB 2MiB 64MiB", size, " ")
	split("1 16 256 1024", count, " ")
	for (k = 1; k <= 2; k++) for (s = 1; s <= 3; s++) for (c = 1; c <= 4; c++)
		vm_line(kind[k], size[s], count[c])
	print ""
}

END {
	print ""
	exchanges(); lives(); clients(); vms()
	print "Goals"
	for (i = 1; i <= goals; i++)
		printf "  %-12s %-70s %10s (%s %s %s)\n", goal_verdict(i), goal_what[i],
			goal_name[i] in value ? sprintf("%.3g", goal_value(i)) : "-", goal_relation[i],
			goal_limit[i], goal_unit[i]
}
