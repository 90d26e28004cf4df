#!/bin/bash
# A Ceph cluster of one node, on the loopback address, for tests:
#   ceph_one_node.sh start DIRECTORY PORT   about 20 seconds
#   ceph_one_node.sh kill-osd DIRECTORY     SIGKILL
#   ceph_one_node.sh start-osd DIRECTORY
#   ceph_one_node.sh stop DIRECTORY
# It needs root and Debian's ceph-mon, ceph-mgr, ceph-osd and ceph-common. The
# cluster has a pool "rbd" on a sparse file of $OSD_SIZE (2G), one copy of
# everything, and no authentication. CEPH_CONF=DIRECTORY/ceph.conf leads to it.
set -euo pipefail

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 64
}

[ $# -ge 2 ] || usage
verb=$1
directory=$(realpath -m "$2")
port=${3-}
export CEPH_CONF=$directory/ceph.conf
as_root=(--setuser root --setgroup root)

write_conf() {
  cat >"$CEPH_CONF" <<CONF
[global]
fsid = $1
mon host = [v2:127.0.0.1:$port/0]
public network = 127.0.0.0/8
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data = $directory/mon
mon data avail crit = 1
mgr data = $directory/mgr
mgr initial modules =
osd data = $directory/osd
osd objectstore = bluestore
bluestore block create = true
bluestore block size = $(numfmt --from=iec "${OSD_SIZE:-2G}")
osd memory target = 1073741824
run dir = $directory/run
admin socket = $directory/run/\$name.asok
log file = $directory/\$name.log
pid file = $directory/\$name.pid
CONF
}

wait_for_osd() {
  for _ in $(seq 240); do
    ceph osd stat 2>/dev/null | grep -q '1 up' && return 0
    sleep 0.5
  done
  echo "The OSD does not come up, see $directory/osd.0.log" >&2
  return 1
}

start_osd() {
  ceph-osd -i 0 "${as_root[@]}" >/dev/null 2>&1
}

case $verb in
start)
  [ -n "$port" ] || usage
  mkdir -p "$directory"/{mon,mgr,osd,run}
  fsid=$(cat /proc/sys/kernel/random/uuid)
  write_conf "$fsid"
  monmaptool --create --clobber --fsid "$fsid" \
    --addv a "[v2:127.0.0.1:$port]" "$directory/monmap" >/dev/null
  ceph-mon --mkfs -i a --monmap "$directory/monmap" "${as_root[@]}"
  ceph-mon -i a "${as_root[@]}"
  ceph-mgr -i x "${as_root[@]}"
  uuid=$(cat /proc/sys/kernel/random/uuid)
  ceph osd new "$uuid" 0 >/dev/null
  ceph-osd -i 0 --mkfs --osd-uuid "$uuid" "${as_root[@]}" >/dev/null 2>&1
  start_osd
  wait_for_osd
  ceph osd pool create rbd 8 8 >/dev/null 2>&1
  rbd pool init rbd
  ;;
kill-osd)
  kill -KILL "$(cat "$directory/osd.0.pid")"
  rm "$directory/osd.0.pid"
  ;;
start-osd)
  start_osd
  ;;
stop)
  for file in "$directory"/*.pid; do
    [ -e "$file" ] && kill "$(cat "$file")" 2>/dev/null || true
  done
  ;;
*) usage ;;
esac
