# Reads the lines "figure NAME VALUE UNIT"; knows the goals.
#
# goal(WHAT, NAME, RELATION, LIMIT, UNIT, FACTOR): the figure times the factor is to be at most
# ("<=") or at least (">=") the limit.

$1 == "figure" { value[$2] = $3; unit[$2] = $4; order[++figures] = $2 }

function goal(what, name, relation, limit, in_unit, factor) {
	goal_what[++goals] = what; goal_name[goals] = name; goal_relation[goals] = relation
	goal_limit[goals] = limit; goal_unit[goals] = in_unit; goal_factor[goals] = factor
}

function goal_value(i) { return value[goal_name[i]] * goal_factor[i] }

# "reached", "MISSED", or "not measured"
function goal_verdict(i,    v) {
	if (!(goal_name[i] in value))
		return "not measured"
	v = goal_value(i)
	return (goal_relation[i] == "<=" ? v <= goal_limit[i] : v >= goal_limit[i]) ? "reached" : "MISSED"
}

BEGIN {
	goal("batch of 256 maps of 4 KiB, throughput to direct, type1",
	     "vm.type1.4KiB.256.map.ratio", ">=", 0.98, "x", 1)
	goal("batch of 256 maps of 4 KiB, throughput to direct, iommufd",
	     "vm.iommufd.4KiB.256.map.ratio", ">=", 0.98, "x", 1)
	goal("a pair, MAP and UNMAP of one page as two requests",
	     "host.pair.1.brokered", "<=", 20, "us", 1)
	goal("cost of an operation with 1,000,000 live mappings to that with 1,000",
	     "host.live.1000000.pair-ratio", "<=", 1.5, "x", 1)
	goal("memory of a mapping, with 1,000,000 of them",
	     "host.live.1000000.bytes-per-mapping", "<=", 96, "bytes", 1)
	goal("connect to first map, 99 of 100",
	     "host.connect.p99", "<=", 10, "ms", 0.001)
	goal("memory of a session with its companion (PSS), of 100 sessions",
	     "host.clients.100.pss", "<=", 400, "KiB", 1)
}
