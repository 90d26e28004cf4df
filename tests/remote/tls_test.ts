/**
 * Encrypted remote disks: certificates are verified unless the URI says
 * otherwise, and nothing falls back to the clear.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { NbdDisk, NbdServer, type NbdTls } from "../../nbd/mod.ts";
import { NBD } from "../helpers/nbd_messages.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, pattern, readBytes } from "../helpers/scratch.ts";
import { CERTIFICATES, goodIdentity, pem, tls } from "../helpers/tls_client.ts";
import { FarServer } from "./peers.ts";
import { ascii, ScriptedServer } from "./scripted_server.ts";

const SIZE = 1024 * 1024;
const GOOD = `tls-certificates=${CERTIFICATES}good`;

/** Our own server, over TCP. */
class TlsServer implements AsyncDisposable {
  readonly port: number;
  readonly #server: NbdServer;

  constructor(settings: NbdTls | undefined) {
    this.#server = new NbdServer({
      exports: [{
        name: "disk",
        description: "",
        device: new MemoryDevice(SIZE),
        readOnly: false,
      }],
      ...settings !== undefined && { tls: settings },
    });
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#server.serve(listener);
    this.port = listener.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
  }
}

async function useDisk(uri: string): Promise<void> {
  await using disk = await NbdDisk.connect(uri);
  assertEquals(disk.info.tls, uri.startsWith("nbds"));
  await disk.write(pattern(300_000, 1), 1000);
  await disk.flush();
  assertEquals(await readBytes(disk, 1000, 300_000), pattern(300_000, 1));
}

async function refused(uri: string): Promise<string> {
  const { message } = await assertRejects(
    async () => (await NbdDisk.connect(uri)).close(),
    VirstorError,
  );
  return message;
}

Deno.test("a remote disk is used over TLS", async () => {
  await using server = new TlsServer(tls());
  for (const host of ["localhost", "127.0.0.1"]) {
    await useDisk(`nbds://${host}:${server.port}/disk?${GOOD}`);
  }
  const name = "tls-hostname=localhost";
  await useDisk(`nbds://127.0.0.1:${server.port}/disk?${GOOD}&${name}`);
});

Deno.test("a client shows its certificate if the server asks", async () => {
  await using server = new TlsServer(tls({ verifies: true }));
  await useDisk(`nbds://localhost:${server.port}/disk?${GOOD}`);
  const uri = `nbds://localhost:${server.port}/disk`;
  const authority = pem("good/ca-cert.pem");
  await assertRejects(
    () => NbdDisk.connect(uri, { tls: { authority } }),
    VirstorError,
  );
});

Deno.test("a server that cannot be trusted is refused", async () => {
  await using server = new TlsServer(tls());
  const at = `nbds://localhost:${server.port}/disk`;
  // Another authority, those of the runtime, another name.
  const other = await refused(`${at}?tls-certificates=${CERTIFICATES}other`);
  assertMatch(other, /^Cannot connect to "nbds:.*Cannot negotiate TLS/);
  assertMatch(await refused(at), /Cannot negotiate TLS with "localhost"/);
  const name = await refused(`${at}?${GOOD}&tls-hostname=example.org`);
  assertMatch(name, /Cannot negotiate TLS with "example.org"/);
  // Unless the URI says so.
  await useDisk(`${at}?tls-verify-peer=false`);
});

Deno.test("an expired certificate is refused", async () => {
  await using server = new TlsServer({
    required: true,
    identity: () => ({
      ...goodIdentity(),
      certificate: pem("good/expired-server-cert.pem"),
      key: pem("good/expired-server-key.pem"),
    }),
  });
  const message = await refused(
    `nbds://localhost:${server.port}/disk?${GOOD}`,
  );
  assertMatch(message, /expired/i);
});

Deno.test("nothing falls back to the clear", async () => {
  await using server = new TlsServer(undefined);
  const message = await refused(`nbds://localhost:${server.port}/disk?${GOOD}`);
  assertMatch(message, /The server refuses TLS.*; use nbd or nbd\+unix/);
  await using strict = new TlsServer(tls());
  const plain = await refused(`nbd://localhost:${strict.port}/disk`);
  assertMatch(plain, /The server requires TLS.*; use nbds or nbds\+unix/);
});

Deno.test("bytes in the clear behind STARTTLS are a fault", async () => {
  await using scratch = await makeScratch();
  await using server = new ScriptedServer(
    scratch.file("s"),
    { size: SIZE, flags: 1 },
    async (conn) => {
      await conn.send(ascii("NBDMAGICIHAVEOPT"), [0, 3]);
      await conn.receive(20);
      const [ack] = [[0, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9]];
      const reply = [...ack, 0, 0, 0, NBD.OPT_STARTTLS, 0, 0, 0, 1, 0, 0, 0, 0];
      await conn.send(reply, reply);
      await conn.receive(1);
    },
  );
  const uri = server.uri.replace("nbd+unix", "nbds+unix");
  assertMatch(await refused(`${uri}&${GOOD}`), /in the clear follows STARTTLS/);
});

Deno.test("certificates that are missing are named", async () => {
  const message = await refused(
    "nbds://localhost:1/?tls-certificates=/nowhere",
  );
  assertMatch(message, /Connection refused|certificates in "\/nowhere"/);
  const uri = "nbds://localhost:1/?tls-psk-file=/nowhere";
  assertMatch(await refused(uri), /pre-shared keys are not supported/);
});

peerTest(
  "a remote disk of nbdkit is used over TLS, and survives its kill",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    const image = scratch.file("image");
    await Deno.writeFile(image, new Uint8Array(SIZE));
    const socket = scratch.file("s");
    await using far = await FarServer.nbdkit(socket, [
      ...["--tls=require", `--tls-certificates=${CERTIFICATES}good`],
      ...["file", image],
    ]);
    const uri = `nbds+unix:///?socket=${socket}&${GOOD}`;
    await using disk = await NbdDisk.connect(uri, {
      openTimeoutMs: PATIENCE_MS,
      backOff: { firstMs: 5, mostMs: 50 },
    });
    await disk.write(pattern(100_000, 1), 0);
    await far.kill();
    await far.start();
    assertEquals(await readBytes(disk, 0, 100_000), pattern(100_000, 1));
    assert(disk.status().reconnects > 0);
  },
);
