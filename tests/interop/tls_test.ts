/**
 * TLS with other clients: libnbd and nbdkit with GnuTLS, qemu. All find their
 * certificates in one directory, under the names that the server uses, too.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";
import { CERTIFICATES } from "../helpers/tls_client.ts";
import {
  CHUNK,
  peerSucceeds,
  runPeer,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";

const GOOD = `${CERTIFICATES}good`;
const VERIFY = ["--tls-certs", GOOD, "--tls-verify"];

/** A pool that only known clients get at, encrypted. */
function start(tcp: boolean): Promise<ServedPool> {
  return ServedPool.start({ tcp, serve: VERIFY });
}

/** The URI, with where a client finds its certificates. */
function uriWith(pool: ServedPool, directory = GOOD): string {
  const { uri } = pool;
  const separator = uri.includes("?") ? "&" : "?";
  return `${uri}${separator}tls-certificates=${directory}`;
}

/** An image with data in some chunks, and holes. */
async function makeImage(scratch: Scratch): Promise<string> {
  const path = scratch.file("image");
  using file = await Deno.open(path, { write: true, create: true });
  await file.truncate(512 * CHUNK);
  for (const chunk of [1, 2, 7, 100, 511]) {
    await file.seek(chunk * CHUNK, Deno.SeekMode.Start);
    await file.write(stampedBytes(CHUNK, chunk));
  }
  return path;
}

async function assertSameFiles(a: string, b: string): Promise<void> {
  const [first, second] = [await Deno.readFile(a), await Deno.readFile(b)];
  const wrong = firstDifference(first, second);
  assertEquals([second.length, wrong], [first.length, -1]);
}

/** The options that name the pool for qemu. */
function qemuArgs(
  pool: ServedPool,
  directory = GOOD,
  more = "",
): { object: string[]; image: string } {
  const { hostname, port } = new URL(pool.uri);
  const where = port === ""
    ? `server.type=unix,server.path=${pool.socket},tls-hostname=localhost`
    : `server.type=inet,server.host=${hostname},server.port=${port}`;
  return {
    object: [
      "--object",
      `tls-creds-x509,id=tls0,endpoint=client,dir=${directory}${more}`,
    ],
    image: `driver=nbd,${where},export=pool,tls-creds=tls0`,
  };
}

for (const tcp of [true, false]) {
  const where = tcp ? "TCP" : "a Unix socket";

  peerTest(
    `nbdcopy copies in and out over TLS and ${where}`,
    ["nbdcopy", "nbdinfo"],
    async () => {
      await using pool = await start(tcp);
      await using scratch = await makeScratch();
      const image = await makeImage(scratch);
      const uri = uriWith(pool);
      assertStringIncludes(
        await peerSucceeds("nbdinfo", [uri]),
        "newstyle-fixed with TLS",
      );
      await peerSucceeds("nbdcopy", [image, uri]);
      const out = scratch.file("out");
      await peerSucceeds("nbdcopy", [uri, out]);
      await assertSameFiles(image, out);
      const map: unknown[] = JSON.parse(
        await peerSucceeds("nbdinfo", ["--map", "--json", uri]),
      );
      assertEquals(map.length, 8);
      await pool.stopAndCheck();
    },
  );

  peerTest(
    `qemu-img converts and compares over TLS and ${where}`,
    ["qemu-img"],
    async () => {
      await using pool = await start(tcp);
      await using scratch = await makeScratch();
      const source = await makeImage(scratch);
      const { object, image } = qemuArgs(pool);
      await peerSucceeds("qemu-img", [
        ...["convert", ...object, "-n", "-f", "raw"],
        ...["--target-image-opts", source, image],
      ]);
      await peerSucceeds("qemu-img", [
        ...["compare", ...object, "--image-opts", image],
        `driver=raw,file.driver=file,file.filename=${source}`,
      ]);
      const out = scratch.file("out");
      await peerSucceeds("qemu-img", [
        ...["convert", ...object, "--image-opts", image, "-O", "raw", out],
      ]);
      await assertSameFiles(source, out);
      await pool.stopAndCheck();
    },
  );

  peerTest(
    `nbdkit's NBD plugin relays over TLS and ${where}`,
    ["nbdkit", "nbdcopy"],
    async () => {
      await using pool = await start(tcp);
      await using scratch = await makeScratch();
      const image = await makeImage(scratch);
      const out = scratch.file("out");
      const { port } = new URL(pool.uri);
      const at = port === ""
        ? [`socket=${pool.socket}`]
        : ["hostname=localhost", `port=${port}`];
      await peerSucceeds("nbdkit", [
        ...["-U", "-", "nbd", ...at, "export=pool"],
        ...["tls=require", `tls-certificates=${GOOD}`],
        ...["--run", `nbdcopy '${image}' "$uri" && nbdcopy "$uri" '${out}'`],
      ]);
      await assertSameFiles(image, out);
      await pool.stopAndCheck();
    },
  );
}

peerTest("qemu-nbd --list lists over TLS", ["qemu-nbd"], async () => {
  await using pool = await start(true);
  const { object } = qemuArgs(pool);
  const { port } = new URL(pool.uri);
  const args = ["-L", "-b", "localhost", "-p", port];
  const credentials = [...object, "--tls-creds", "tls0"];
  const listed = await peerSucceeds("qemu-nbd", [...args, ...credentials]);
  assertStringIncludes(listed, "export: 'pool'");
  const plain = await runPeer("qemu-nbd", args);
  assertEquals(plain.code, 1);
  assertStringIncludes(plain.stderr, "TLS");
  await pool.stopAndCheck();
});

peerTest("nbd-client -l lists over TLS", ["nbd-client"], async () => {
  await using pool = await start(true);
  const { port } = new URL(pool.uri);
  const listed = await peerSucceeds("nbd-client", [
    ...["-l", "localhost", port, "-enable-tls", "-tlshostname", "localhost"],
    ...["-cacertfile", `${GOOD}/ca-cert.pem`],
    ...["-certfile", `${GOOD}/client-cert.pem`],
    ...["-keyfile", `${GOOD}/client-key.pem`],
  ]);
  assertStringIncludes(listed, "\npool: virstor pool pool\n");
  await pool.stopAndCheck();
});

peerTest(
  "nbdinfo is refused in the clear, and without a certificate",
  ["nbdinfo"],
  async () => {
    await using pool = await start(true);
    await using scratch = await makeScratch();
    const plain = pool.uri.replace("nbds:", "nbd:");
    // It believes the server, and has nothing to show.
    Deno.copyFileSync(`${GOOD}/ca-cert.pem`, scratch.file("ca-cert.pem"));
    for (
      const uri of [
        plain,
        uriWith(pool, scratch.path),
        // It does not believe the server.
        uriWith(pool, `${CERTIFICATES}other`),
      ]
    ) {
      const { code, stdout } = await runPeer("nbdinfo", [uri]);
      assertEquals([code, stdout.includes("export=")], [1, false]);
    }
    await peerSucceeds("nbdinfo", [uriWith(pool)]);
    await pool.stopAndCheck();
  },
);

peerTest(
  "qemu-img is refused without a certificate",
  ["qemu-img"],
  async () => {
    await using pool = await start(false);
    await using scratch = await makeScratch();
    Deno.copyFileSync(`${GOOD}/ca-cert.pem`, scratch.file("ca-cert.pem"));
    const { object, image } = qemuArgs(pool, scratch.path);
    const { code } = await runPeer("qemu-img", [
      ...["info", ...object, "--image-opts", image],
    ]);
    assertEquals(code, 1);
    await pool.stopAndCheck();
  },
);

peerTest("qemu-img is taken from TLS 1.2 on", ["qemu-img"], async () => {
  await using pool = await start(true);
  for (
    const [version, wanted] of [
      ["1.1", 1],
      ["1.2", 0],
      ["1.3", 0],
    ] as const
  ) {
    const priority = `,priority=NORMAL:-VERS-ALL:+VERS-TLS${version}`;
    const { object, image } = qemuArgs(pool, GOOD, priority);
    const { code, stderr } = await runPeer("qemu-img", [
      ...["info", ...object, "--image-opts", image],
    ]);
    assertEquals(code, wanted, `TLS ${version}: ${stderr}`);
  }
  await pool.server.said(/refused: .*: Cannot negotiate TLS: peer is incompat/);
  await pool.stopAndCheck();
});

peerTest("libnbd takes TLS where it is offered", ["nbdinfo"], async () => {
  const options = ["--tls-certs", GOOD, "--tls", "optional"];
  await using pool = await ServedPool.start({ tcp: true, serve: options });
  const encrypted = uriWith(pool).replace("nbd:", "nbds:");
  for (
    const [uri, wanted] of [
      [encrypted, "with TLS"],
      [pool.uri, "without TLS"],
    ] as const
  ) {
    const told = await peerSucceeds("nbdinfo", [uri]);
    assertStringIncludes(told, `newstyle-fixed ${wanted}`);
  }
  await pool.stopAndCheck();
});
