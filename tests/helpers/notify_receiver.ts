/**
 * A program that listens on a datagram socket, as a service manager does, and
 * prints each datagram as a line of JSON.
 *
 * @module
 */

/** The part of the runtime's unstable interface that is used here. */
interface DatagramRuntime {
  /** Listens on a Unix socket; a name behind a zero byte is abstract. */
  listenDatagram(options: {
    transport: "unixpacket";
    path: string;
  }): AsyncIterable<[Uint8Array, unknown]>;
}

const [path = ""] = Deno.args;
const runtime = Deno as unknown as DatagramRuntime;
const socket = runtime.listenDatagram({
  transport: "unixpacket",
  path: path.replace(/^@/, "\0"),
});
function write(value: unknown): void {
  const line = JSON.stringify(value) + "\n";
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}

write("listening");
for await (const [bytes] of socket) write(new TextDecoder().decode(bytes));
