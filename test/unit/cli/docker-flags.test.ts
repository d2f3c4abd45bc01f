/** Every flag that docker has in its commands is known here: it works, or is refused with a reason. */
import { expect, test } from 'vitest';
import { findCommand } from '../../../src/cli/commands.ts';

/** `COMMAND: [LETTER/]FLAG …` as docker's client 28.2 lists them (`build`: with and without buildx); indented lines go on. */
const flags = `
run: add-host annotation a/attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count
  cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime c/cpu-shares cpus cpuset-cpus cpuset-mems d/detach detach-keys
  device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns
  dns-option dns-search domainname entrypoint e/env env-file expose gpus group-add health-cmd health-interval health-retries
  health-start-interval health-start-period health-timeout help h/hostname init i/interactive io-maxbandwidth io-maxiops ip
  ip6 ipc isolation kernel-memory l/label label-file link link-local-ip log-driver log-opt mac-address m/memory
  memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck oom-kill-disable
  oom-score-adj pid pids-limit platform privileged p/publish P/publish-all pull q/quiet read-only restart rm runtime
  security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs t/tty ulimit use-api-socket u/user userns
  uts v/volume volume-driver volumes-from w/workdir
create: add-host annotation a/attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile
  cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime c/cpu-shares cpus cpuset-cpus cpuset-mems device
  device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-option
  dns-search domainname entrypoint e/env env-file expose gpus group-add health-cmd health-interval health-retries
  health-start-interval health-start-period health-timeout help h/hostname init i/interactive io-maxbandwidth io-maxiops ip
  ip6 ipc isolation kernel-memory l/label label-file link link-local-ip log-driver log-opt mac-address m/memory
  memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck oom-kill-disable
  oom-score-adj pid pids-limit platform privileged p/publish P/publish-all pull q/quiet read-only restart rm runtime
  security-opt shm-size stop-signal stop-timeout storage-opt sysctl tmpfs t/tty ulimit use-api-socket u/user userns uts
  v/volume volume-driver volumes-from w/workdir
start: a/attach checkpoint checkpoint-dir detach-keys i/interactive
stop: s/signal t/timeout
restart: s/signal t/timeout
kill: s/signal
rm: f/force l/link v/volumes
ps: a/all f/filter format n/last l/latest no-trunc q/quiet s/size
inspect: f/format s/size type
logs: details f/follow since n/tail t/timestamps until
exec: d/detach detach-keys e/env env-file i/interactive privileged t/tty u/user w/workdir
attach: detach-keys no-stdin sig-proxy
cp: a/archive L/follow-link q/quiet
top:
stats: a/all format no-stream no-trunc
wait:
port:
rename:
update: blkio-weight cpu-period cpu-quota cpu-rt-period cpu-rt-runtime c/cpu-shares cpus cpuset-cpus cpuset-mems m/memory
  memory-reservation memory-swap pids-limit restart
pause:
unpause:
diff:
commit: a/author c/change m/message p/pause
export: o/output
container prune: filter f/force
images: a/all digests f/filter format no-trunc q/quiet tree
rmi: f/force no-prune platform
tag:
history: format H/human no-trunc platform q/quiet
save: o/output platform
load: i/input platform q/quiet
import: c/change m/message platform
pull: a/all-tags disable-content-trust platform q/quiet
push: a/all-tags disable-content-trust platform q/quiet
image inspect: f/format platform
image prune: a/all filter f/force
network create: attachable aux-address config-from config-only d/driver gateway ingress internal ip-range ipam-driver ipam-opt
  ipv4 ipv6 label o/opt scope subnet
network ls: f/filter format no-trunc q/quiet
network inspect: f/format v/verbose
network rm: f/force
network connect: alias driver-opt gw-priority ip ip6 link link-local-ip
network disconnect: f/force
network prune: filter f/force
volume create: availability d/driver group label limit-bytes o/opt required-bytes scope secret sharing topology-preferred
  topology-required type
volume ls: cluster f/filter format q/quiet
volume inspect: f/format
volume rm: f/force
volume prune: a/all filter f/force
system df: format v/verbose
system prune: a/all filter f/force volumes
info: f/format
version: f/format
events: f/filter format since until
login: p/password password-stdin u/username
logout:
build: add-host allow annotation attest build-arg build-context builder cache-from cache-to call cgroup-parent check compress
  cpu-period cpu-quota c/cpu-shares cpuset-cpus cpuset-mems disable-content-trust f/file force-rm iidfile isolation label load
  m/memory memory-swap metadata-file network no-cache no-cache-filter o/output platform progress provenance pull push q/quiet
  rm sbom secret security-opt shm-size squash ssh t/tag target ulimit
manifest create: a/amend insecure
manifest annotate: arch os os-features os-version variant
manifest inspect: insecure v/verbose
manifest push: insecure p/purge
manifest rm:
builder prune: a/all filter f/force keep-storage
search: f/filter format limit no-trunc
`;

const commands = flags
  .trim()
  .replace(/\n {2}/g, ' ')
  .split('\n')
  .map((line) => line.split(': '));

test.each(commands)('%s', async (name = '', words = '') => {
  const known = (await findCommand(name)?.load())?.flags.map(
    (flag) => `${flag.short ? `${flag.short}/` : ''}${flag.name}`,
  );
  const wanted = words.split(' ').filter((word) => word !== '' && word !== 'help');
  expect(wanted.filter((word) => known?.includes(word) !== true)).toEqual([]);
});
