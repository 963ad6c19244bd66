# plot.svg: four pictures of the figures. Reads the lines "figure NAME VALUE UNIT".

$1 == "figure" { value[$2] = $3 }

# ---- drawing ----

function text(x, y, words, anchor, class) {
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", x, y, anchor,
		class, words
}

function line(x1, y1, x2, y2, class) {
	printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2,
		class
}

# A panel: where it is, its title, and the range of y. Log scale where asked for.
function panel(x, y, title, subtitle, low, high, logarithmic) {
	px = x + 62; py = y + 58; pw = 400; ph = 220
	ylow = low; yhigh = high; ylog = logarithmic
	text(x + 14, y + 24, title, "start", "title")
	text(x + 14, y + 41, subtitle, "start", "small")
	line(px, py + ph, px + pw, py + ph, "axis")
}

function at_y(v) {
	if (ylog)
		return py + ph - ph * (log(v) - log(ylow)) / (log(yhigh) - log(ylow))
	return py + ph - ph * (v - ylow) / (yhigh - ylow)
}

function grid(v, label) {
	line(px, at_y(v), px + pw, at_y(v), "grid")
	text(px - 8, at_y(v) + 4, label, "end", "small")
}

function goal_line(v, words) {
	line(px, at_y(v), px + pw, at_y(v), "goal")
	text(px + 4, at_y(v) + 14, words, "start", "goalword")
}

# Column i of n.
function at_x(i, n) { return px + pw * (i - 0.5) / n }

# A curve through what is there of the names, with its label at the end: above it, or lines below.
function curve(names, color, label, below,    n, name, i, points, last, x, y) {
	n = split(names, name, " ")
	for (i = 1; i <= n; i++)
		if (name[i] in value) {
			x = at_x(i, n); y = at_y(value[name[i]])
			points = points sprintf("%.1f,%.1f ", x, y)
			last = sprintf("%.1f %.1f", x, y)
			printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"%s\"/>\n", x, y, color
		}
	if (points == "")
		return
	printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", points, color
	split(last, end, " ")
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" class=\"small\" style=\"fill:%s\">%s</text>\n",
		end[1] + 8, end[2] + (below ? 3 + 14 * below : -9), color, label
}

function columns(words,    n, word, i) {
	n = split(words, word, " ")
	for (i = 1; i <= n; i++)
		text(at_x(i, n), py + ph + 16, word[i], "middle", "small")
}

# Two bars side by side in column i of n, with their values on top.
function bars(i, n, a, b,    w, x) {
	w = pw / n * 0.3; x = at_x(i, n)
	bar(x - w - 1, w, a, blue)
	bar(x + 1, w, b, grey)
}

function bar(x, w, name, color,    v) {
	if (!(name in value))
		return
	v = value[name]
	printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, at_y(v), w,
		py + ph - at_y(v), color
	text(x + w / 2, at_y(v) - 4, sprintf(v < 100 ? "%.1f" : "%.0f", v), "middle", "small")
}

function largest(names, start,    n, name, i, m) {
	m = start
	n = split(names, name, " ")
	for (i = 1; i <= n; i++)
		if (name[i] in value && value[name[i]] > m)
			m = value[name[i]]
	return m
}

function smallest(names, start,    n, name, i, m) {
	m = start
	n = split(names, name, " ")
	for (i = 1; i <= n; i++)
		if (name[i] in value && value[name[i]] < m)
			m = value[name[i]]
	return m
}

# ---- the pictures ----

function vm_ratio(kind, size, what) {
	return sprintf("vm.%s.%s.1.%s.ratio vm.%s.%s.16.%s.ratio vm.%s.%s.256.%s.ratio vm.%s.%s.1024.%s.ratio",
		kind, size, what, kind, size, what, kind, size, what, kind, size, what)
}

function batches(x, y,    v, low) {
	panel(x, y, "Maps through the broker, beside direct ioctls",
		"throughput, direct = 1; instructions counted in a VM; over operations in a batch", 0, 1.1, 0)
	for (v = 0; v <= 1.001; v += 0.2)
		grid(v, sprintf("%.1f", v))
	goal_line(0.98, "goal: 0.98 at 256")
	columns("1 16 256 1024")
	curve(vm_ratio("iommufd", "2MiB", "map"), light, "2 MiB", 1)
	curve(vm_ratio("type1", "2MiB", "map"), light, "", 0)
	curve(vm_ratio("type1", "4KiB", "map"), green, "4 KiB, type1", 1)
	curve(vm_ratio("iommufd", "4KiB", "map"), blue, "4 KiB, iommufd", 2)
}

function exchanges(x, y,    all, top, i, n, name, v) {
	all = "host.empty.0 host.pair.1 host.batch.16 host.batch.256 host.batch.1024"
	n = split(all, name, " ")
	top = 100
	for (i = 1; i <= n; i++)
		top = largest(name[i] ".brokered", top)
	panel(x, y, "One exchange, on the simulator",
		"us; blue: brokered; grey: bare messages of the same sizes, in the same rounds", 5,
		top * 2, 1)
	for (v = 10; v <= top * 2; v *= 10)
		grid(v, v)
	for (i = 1; i <= n; i++)
		bars(i, n, name[i] ".brokered", name[i] ".bare")
	goal_line(20, "goal for a pair: 20")
	columns("empty pair 2&#215;16 2&#215;256 2&#215;1024")
}

function lives(x, y,    pair, batch, top, v) {
	pair = "host.live.1000.pair-ratio host.live.10000.pair-ratio host.live.100000.pair-ratio host.live.1000000.pair-ratio"
	batch = pair
	gsub(/pair-ratio/, "batch-ratio", batch)
	top = largest(pair " " batch, 2) * 1.15
	panel(x, y, "Does it get slower with much mapped?",
		"cost of an operation in a random place, 1,000 live mappings = 1", 0, top, 0)
	for (v = 0; v <= top; v += top > 6 ? 2 : 0.5)
		grid(v, sprintf("%.1f", v))
	goal_line(1.5, "goal: 1.5")
	columns("1,000 10,000 100,000 1,000,000")
	curve(batch, grey, "in batches of 256", 0)
	curve(pair, blue, "in pairs", 1)
}

function clients(x, y,    pss, own, top, v, step) {
	pss = "host.clients.1.pss host.clients.10.pss host.clients.100.pss host.clients.1000.pss"
	own = pss
	gsub(/pss/, "own", own)
	top = largest(pss, 450) * 1.1
	panel(x, y, "Memory of a session with its companion",
		"KiB for each, over clients at the same time; shared pages divided by their users", 0, top, 0)
	step = top > 1000 ? 250 : 100
	for (v = 0; v <= top; v += step)
		grid(v, v)
	goal_line(400, "goal: 400")
	columns("1 10 100 1,000")
	curve(pss, blue, "all (PSS)", 0)
	curve(own, grey, "of that its own", 1)
}

BEGIN { blue = "#1f5fa8"; green = "#2e7d4f"; grey = "#8a8f98"; light = "#c08a2b" }

END {
	print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"980\" height=\"680\" viewBox=\"0 0 980 680\">"
	print "<style>text{font-family:sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}"
	print ".small{font-size:11px;fill:#555}.axis{stroke:#444}.grid{stroke:#e4e4e4}"
	print ".goal{stroke:#b3261e;stroke-dasharray:5 4}.goalword{font-size:11px;fill:#b3261e}</style>"
	print "<rect width=\"980\" height=\"680\" fill=\"#fff\"/>"
	batches(0, 10); exchanges(490, 10); lives(0, 345); clients(490, 345)
	print "</svg>"
}
