/**
 * Goal: whatever was acknowledged before the server ended is there afterwards,
 * byte by byte. Method: `nbdsh` keeps 32 writes under way, sends the signals
 * itself, and tells which writes were acknowledged; another one reads them after
 * a restart.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { nbdShell } from "../helpers/nbd_shell.ts";
import { peerTest } from "../helpers/peers.ts";
import { ServedPool } from "./served_pool.ts";

/** Block `n` of 4 KiB holds its number, and is at `place(n)`. */
const BLOCKS = `
def place(number):
    return number * 7919 % 65536 * 4096
def content(number):
    return number.to_bytes(4, "big") * 1024
`;

/** Writes blocks until the server is gone; tells which were acknowledged. */
function writing(kill: string): string {
  return `${BLOCKS}
import signal
h.connect_uri(uri)
pending = {}
acknowledged = []
errors = set()
count = 0
def collect():
    for cookie, number in list(pending.items()):
        result = attempt(h.aio_command_completed, cookie)
        if result is False:
            continue
        del pending[cookie]
        if result is True:
            acknowledged.append(number)
        else:
            errors.add(result)
killed = False
while not errors:
    while len(pending) < 32 and not errors:
        buffer = nbd.Buffer.from_bytearray(bytearray(content(count)))
        cookie = attempt(h.aio_pwrite, buffer, place(count))
        if type(cookie) is int:
            pending[cookie] = count
            count += 1
        else:
            errors.add(cookie)
    if attempt(h.poll, -1) == "failed":
        errors.add("failed")
    collect()
    if len(acknowledged) >= 2000 and not killed:
        killed = True
        ${kill}
while pending and (h.aio_is_ready() or h.aio_is_processing()):
    attempt(h.poll, 1000)
    collect()
collect()
tell(*acknowledged)
tell(count, killed, *sorted(errors))
`;
}

for (
  const { name, signals, codes, tcp } of [
    { name: "SIGTERM", signals: 1, codes: [0], tcp: false },
    { name: "SIGTERM", signals: 1, codes: [0], tcp: true },
    // The second one may come too late, or together with the first.
    { name: "a second SIGTERM", signals: 2, codes: [0, 143], tcp: false },
  ]
) {
  const way = tcp ? "TCP" : "a Unix socket";
  peerTest(
    `What was acknowledged before ${name} is there after it (${way})`,
    ["nbdsh"],
    async () => {
      await using pool = await ServedPool.start({
        format: "native",
        componentSize: "200M",
        virtualSize: "256M",
        chunkSize: "1M",
        tcp,
      });
      const kill = `[os.kill(${pool.server.pid}, signal.SIGTERM)
          for i in range(${signals})]`;
      const [acknowledged = [], end] = await nbdShell(
        pool.uri,
        writing(kill),
      );
      const { code } = await pool.server.ended();
      assert(codes.includes(code), `exit code ${code}`);
      assert(acknowledged.length >= 2000, `${acknowledged.length} writes`);
      assertEquals(end?.[1], true);
      if (signals === 1) assertEquals(end?.slice(2), ["ESHUTDOWN"]);
      await pool.assertSound();
      await pool.restart();
      const lost = await nbdShell(
        pool.uri,
        `${BLOCKS}
h.connect_uri(uri)
numbers = ${JSON.stringify(acknowledged)}
tell(*[number for number in numbers
  if h.pread(4096, place(number)) != content(number)])
`,
      );
      assertEquals(lost, [[]]);
      await pool.stopAndCheck();
    },
  );
}
