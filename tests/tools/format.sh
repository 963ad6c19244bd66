#!/usr/bin/env bash
# format.sh format   lay out every C file by .clang-format
# format.sh check    fail, with the differences, when that would change something
set -u
cd "$(dirname "$0")/../.." || exit 1

pinned=14 # what .clang-format is written for; other versions differ in small things
tool=$(command -v clang-format-$pinned || command -v clang-format) || exit 1
mapfile -d '' files < <(find proto daemon kernel-glue client tests -name '*.[ch]' -print0 | sort -z)

if [ "${1:-}" = format ]; then
	exec "$tool" -i "${files[@]}"
fi

bad=0
for f in "${files[@]}"; do
	"$tool" "$f" | diff -u --label "$f" --label "$f, formatted" "$f" - || bad=$((bad + 1))
done
echo "format: ${#files[@]} files, $bad to be formatted"
if [ "$bad" -gt 0 ]; then
	"$tool" --version | grep -q "version $pinned\." ||
		echo "format: the layout is pinned to clang-format $pinned; this is $("$tool" --version)"
	exit 1
fi
