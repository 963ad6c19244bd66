#!/bin/sh
# Runs in the guest, as root: the broker for one device and user, ioctls on another device.
broker=0000:00:03.0 direct=0000:00:04.0
cat > /tmp/conf <<END
[daemon]
backend = $GUEST_KIND
socket = /tmp/socket

[allow bench]
user = 1001
device = $broker
domains = yes
max-bytes = 1T
max-mappings = 65536
END
/build/bin/iommu-brokerd --config /tmp/conf 2> /tmp/log &
daemon=$!
while [ ! -S /tmp/socket ] && kill -0 "$daemon"; do
	sleep 0.05
done
IOMMU_BROKER_SOCKET=/tmp/socket /build/bench/measure @SMALL@ vm "$GUEST_KIND" "$broker,$direct"
status=$?
[ "$status" -eq 0 ] || cat /tmp/log
exit "$status"
