#!/bin/sh
# Runs in the guest, as root, from guest-check.sh: iommuctl bind and unbind on devices of the real
# kernel, as an administrator types them. The last line counts as that of a suite.
#
# 0000:00:0a.0 is a device that the host has a driver for; the others of the rig have none.
HOST=0000:00:0a.0 NVME=0000:00:06.0 CARD=0000:00:07.0 EDU=0000:00:03.0
PAIR_1=0000:00:08.0 PAIR_2=0000:00:08.1 PULLED=0000:00:05.0
work=/tmp/drivers checks=0 bad=0
mkdir -p $work
export IOMMU_BROKER_SOCKET=$work/socket

ctl() { /build/bin/iommuctl "$@" > $work/out 2>&1; }
driver() { basename "$(readlink "/sys/bus/pci/devices/$1/driver" 2>/dev/null || echo none)"; }

# check WORDS COMMAND..: the command succeeds
check() {
	words=$1
	shift
	checks=$((checks + 1))
	"$@" && return
	bad=$((bad + 1))
	echo "drivers: FAIL: $words"
	cat $work/out
	tail -n 5 $work/log
}
is() { [ "$(driver "$1")" = "$2" ]; }
refused() { ! ctl "$@"; }
says() { grep -qF -- "$1" $work/out; }

broker() { # the configuration comes from standard input
	{ printf '[daemon]\nbackend = %s\nsocket = %s\n' "$GUEST_KIND" "$IOMMU_BROKER_SOCKET"; cat; } > $work/conf
	/build/bin/iommu-brokerd --config $work/conf 2> $work/log &
	monitor=$!
	until grep -q ready: $work/log || ! kill -0 $monitor 2> /dev/null; do usleep 50000; done
}
broker_ends() { kill $monitor; wait $monitor 2> /dev/null; rm -f $IOMMU_BROKER_SOCKET; }

broker << END
[allow alice]
user = alice
device = $EDU
END
check "the broker starts" grep -q ready: $work/log
check "no CAP_SYS_ADMIN" [ $((0x$(sed -n 's/^CapEff:\t//p' /proc/$monitor/status) >> 21 & 1)) -eq 0 ]

# A device of the host, there and back, and the host uses it again.
was=$(driver $HOST)
echo "drivers: $HOST has $was"
check "the host has a driver for $HOST" [ "$was" != none ]
check "nobody to ask" refused bind $HOST
check "and it says so" says "nobody to ask"
check "it stayed" is $HOST "$was"
check "bind" ctl bind --yes $HOST
check "the driver it had is told" says "$was -> vfio-pci"
check "it is there" is $HOST vfio-pci
check "bind again" ctl bind --yes $HOST
check "nothing to do" says "Nothing to do"
check "its old driver is known" sh -c "/build/bin/iommuctl --json bind --yes $HOST | grep -q '\"former_driver\": \"$was\"'"
check "unbind" ctl unbind --yes $HOST
check "it is back" is $HOST "$was"
case $was in
serial) check "the host uses it" sh -c "echo hello > /dev/ttyS1" ;;
virtio-pci) check "the host uses it" [ "$(head -c 16 /dev/hwrng | wc -c)" -eq 16 ] ;;
esac

# Devices that were on vfio-pci before the broker came, and for which the host has no driver.
for device in $NVME $CARD; do
	check "unbind $device" ctl unbind --yes $device
	check "$device has none" is $device none
	check "bind $device" ctl bind --yes $device
	check "$device is there" is $device vfio-pci
done

# A group.
echo vfio-pci > /sys/bus/pci/devices/$PAIR_2/driver_override
echo $PAIR_2 > /sys/bus/pci/drivers_probe
check "both leave" ctl unbind --group --yes $PAIR_1
check "1 left" is $PAIR_1 none
check "2 left" is $PAIR_2 none
check "both come" ctl bind --group --yes $PAIR_2
check "1 came" is $PAIR_1 vfio-pci
check "2 came" is $PAIR_2 vfio-pci

# What others do to devices, by hand: nobody tells the broker.
shown() { ctl devices $1 && grep -q "^driver  *$2\$" $work/out; }
check "$CARD is on vfio-pci" shown $CARD vfio-pci
echo $CARD > /sys/bus/pci/drivers/vfio-pci/unbind
check "it is seen to have left" shown $CARD -
echo $CARD > /sys/bus/pci/drivers_probe
check "and to be back" shown $CARD vfio-pci
count=$(ctl status && sed -n 's/^devices *\([0-9]*\).*/\1/p' $work/out)
echo 1 > /sys/bus/pci/devices/$PULLED/remove
check "a device that was pulled out is not there" refused devices $PULLED
check "and not counted" [ "$(ctl status && sed -n 's/^devices *\([0-9]*\).*/\1/p' $work/out)" = $((count - 1)) ]
check "it cannot be bound" refused bind --yes $PULLED
echo 1 > /sys/bus/pci/rescan
check "it has come back" shown $PULLED -
check "and can be bound" ctl bind --yes $PULLED
check "to vfio-pci" shown $PULLED vfio-pci
check "it is free" sh -c "/build/bin/iommuctl devices $PULLED | grep -q '^state  *free'"

# Those who may not.
check "alice does not" sh -c "! su alice -c '/build/bin/iommuctl unbind --yes $EDU' > $work/out 2>&1"
check "she is told" says "policy does not let uid 1001"
check "it stayed" is $EDU vfio-pci

# Somebody outside of the broker holds the device: the kernel waits, the broker does not.
cdev=$(ls /sys/bus/pci/devices/$EDU/vfio-dev 2> /dev/null | head -n 1)
if [ -n "$cdev" ] && [ -c "/dev/vfio/devices/$cdev" ]; then
	sleep 1000 7<> "/dev/vfio/devices/$cdev" &
	holder=$!
	/build/bin/iommuctl unbind --yes $EDU > $work/blocked 2>&1 &
	asker=$!
	until ctl --json status && grep -q "moves $EDU" $work/log; do :; done
	for _ in 1 2 3 4 5; do check "status meanwhile" ctl status; done
	check "one at a time" refused unbind --yes $EDU
	check "another device meanwhile" ctl unbind --yes $CARD
	check "and back" ctl bind --yes $CARD
	wait $asker
	check "who asked was told" grep -q 'vfio-pci has not let go' $work/blocked
	kill $holder
	wait $holder 2> /dev/null
	until grep -q "device $EDU: vfio-pci -> no driver" $work/log; do usleep 50000; done
	check "it went when it was let go" is $EDU none
	check "it comes back" ctl bind --yes $EDU
fi
broker_ends

# At the start.
broker << END
[drivers]
vfio-pci = $HOST
END
check "taken at the start" is $HOST vfio-pci
check "given back" ctl unbind --yes $HOST
check "to its driver" is $HOST "$was"
broker_ends

# Without vfio-pci, where it is a module.
if [ -e /sys/module/vfio_pci/refcnt ]; then
	for device in /sys/bus/pci/drivers/vfio-pci/0*; do
		echo "${device##*/}" > /sys/bus/pci/drivers/vfio-pci/unbind
		echo "${device##*/}" >> $work/on_vfio
	done
	rmmod vfio-pci
	broker < /dev/null
	check "no vfio-pci" refused bind --yes $HOST
	check "what to do" says "modprobe vfio-pci"
	check "it stayed" is $HOST "$was"
	broker_ends
	insmod /lib/rig-modules/vfio-pci.ko
	while read -r device; do echo "$device" > /sys/bus/pci/drivers_probe; done < $work/on_vfio
fi

echo "$((checks == 0 ? 0 : (checks - bad) * 100 / checks))%: Checks: $checks, Failures: $bad, Errors: 0"
[ $bad -eq 0 ]
