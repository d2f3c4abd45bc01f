/** NOTIFY_SOCKET (man 3 sd_notify): who started a container as a service learns that it is ready, and nothing else. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type OciWorld, ociPath, useOciWorld } from './oci-fixture.ts';
import { run } from './tsrun.ts';

let world: OciWorld;
useOciWorld((made) => {
  world = made;
});

/**
 * The part of systemd: `NAME BUNDLE ID WORD… -- COMMAND…` listens at the address NAME and calls COMMAND, which creates and starts or
 * runs. What the container would say is said from here at its socket; then it prints what came, and the container is killed.
 */
const manager = [
  'import json, os, socket, subprocess, sys, time',
  'name, bundle, id, mode, *command = sys.argv[1:]',
  'def listen(address):',
  '  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(address); s.settimeout(30); return s',
  'server = listen(name.replace("@", "\\0"))',
  'os.environ["NOTIFY_SOCKET"] = name',
  'output = open(bundle + "/output", "w")',
  'call = lambda *words: subprocess.Popen([*command, *words], stdout=output, stderr=output, stdin=subprocess.DEVNULL)',
  'if mode == "start":',
  '  if call("create", "--bundle", bundle, id).wait() != 0: sys.exit(open(bundle + "/output").read())',
  '  caller = call("start", id)',
  'else: caller = call(*mode.split(), "--bundle", bundle, id)',
  'deadline = time.time() + 30',
  'client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)',
  'while True:',
  '  try:',
  '    pid = json.loads(subprocess.run([*command, "state", id], capture_output=True).stdout)["pid"]',
  '    client.connect(f"/proc/{pid}/root/run/notify/notify.sock")',
  '    break',
  '  except (ValueError, KeyError, OSError):',
  '    if time.time() > deadline: sys.exit(open(bundle + "/output").read())',
  '    time.sleep(0.05)',
  'client.send(b"STATUS=warm\\nMAINPID=1")',
  'ended = caller.poll()',
  'client.send(b"FDSTORE=1\\nREADY=1\\n")',
  'said = server.recv(4096).decode()',
  'if mode != "run": caller.wait(30)',
  'subprocess.run([*command, "kill", id, "KILL"], check=True)',
  'caller.wait(30)',
  'server.setblocking(False)',
  'try: said += server.recv(4096).decode()',
  'except BlockingIOError: pass',
  'print(json.dumps([ended, caller.returncode, said.replace(str(pid), "PID"), open(bundle + "/output").read()]))',
].join('\n');

test.each([
  ['start', 'socket', 0, 'READY=1\nMAINPID=PID'],
  ['run --detach', '@', 0, 'READY=1\nMAINPID=PID'],
  // Who waits is the service itself.
  ['run', 'socket', 137, 'READY=1'],
])(
  '%s: readiness of the container is passed on, and nothing else of what it says',
  async (mode, address, code, said) => {
    const directory = mkdtempSync('/var/tmp/tsrun-notify.');
    try {
      const name = address === '@' ? `@${directory}` : join(directory, address);
      const bundle = world.bundle('notify', 'echo "$NOTIFY_SOCKET"; exec sleep 1000');
      const { stdout, stderr } = await run('python3', [
        '-c',
        manager,
        name,
        bundle,
        'notify',
        mode,
        ociPath,
        '--root',
        world.root,
      ]);
      expect(JSON.parse(stdout || JSON.stringify(stderr))).toEqual([null, code, said, '/run/notify/notify.sock\n']);
    } finally {
      await world.oci(['delete', '--force', 'notify']);
      rmSync(directory, { recursive: true });
    }
  },
);
