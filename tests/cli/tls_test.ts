/**
 * `virstor serve` with TLS: its options, its files, and what it says.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { NBD, type NbdAddress, NbdClient } from "../helpers/nbd_client.ts";
import { CERTIFICATES, TlsClient } from "../helpers/tls_client.ts";
import { Workspace } from "../helpers/virstor.ts";
import { makeSmallPool, serve } from "./served.ts";

const USAGE = 64;

/** Copies a certificate and its key to where a server looks. */
function install(work: Workspace, from: string, name = "server"): void {
  for (const part of ["cert", "key"]) {
    Deno.copyFileSync(
      `${CERTIFICATES}${from}-${part}.pem`,
      work.path(`pki/${name}-${part}.pem`),
    );
  }
}

/** Fills a directory as a server wants it. */
function makeDirectory(work: Workspace): void {
  Deno.mkdirSync(work.path("pki"));
  install(work, "good/server");
  Deno.copyFileSync(
    `${CERTIFICATES}good/ca-cert.pem`,
    work.path("pki/ca-cert.pem"),
  );
}

/** What is refused. */
interface Refusal {
  /** In words. */
  readonly what: string;
  /** Changes the directory `pki`. */
  prepare?(work: Workspace): void;
  /** Options of `serve`. */
  readonly args: readonly string[];
  /** The exit code. */
  readonly code: number;
  /** What is said, with `~` for the workspace. */
  readonly message: string;
}

const CERTS = ["--tls-certs", "pki"];

const REFUSALS: readonly Refusal[] = [
  {
    what: "a mode that it does not know",
    args: ["--tls", "on"],
    code: USAGE,
    message: 'Option --tls has no value "on"\n' +
      "Values are off, optional and required",
  },
  {
    what: "TLS without certificates",
    args: ["--tls", "optional"],
    code: USAGE,
    message: "Option --tls optional needs --tls-certs DIR\n" +
      "DIR has server-cert.pem and server-key.pem",
  },
  {
    what: "to verify clients that do not encrypt",
    args: ["--tls-verify"],
    code: USAGE,
    message: "Option --tls-verify needs TLS\n" +
      "Use --tls-certs DIR, and not --tls off",
  },
  {
    what: "to verify clients where TLS is off",
    args: [...CERTS, "--tls", "off", "--tls-verify"],
    code: USAGE,
    message: "Option --tls-verify needs TLS\n" +
      "Use --tls-certs DIR, and not --tls off",
  },
  {
    what: "an authority for nothing",
    args: [...CERTS, "--tls-ca", "pki/ca-cert.pem"],
    code: USAGE,
    message: "Option --tls-ca needs --tls-verify\n" +
      "It names the authority that signs the certificates of clients",
  },
  {
    what: "a directory that is not there",
    args: ["--tls-certs", "elsewhere"],
    code: 3,
    message:
      'Cannot read "elsewhere/server-cert.pem": there is no such file, TLS needs it',
  },
  {
    what: "a missing key",
    prepare: (work) => Deno.removeSync(work.path("pki/server-key.pem")),
    args: CERTS,
    code: 3,
    message:
      'Cannot read "pki/server-key.pem": there is no such file, TLS needs it',
  },
  {
    what: "a missing authority",
    prepare: (work) => Deno.removeSync(work.path("pki/ca-cert.pem")),
    args: [...CERTS, "--tls-verify"],
    code: 3,
    message:
      'Cannot read "pki/ca-cert.pem": there is no such file, TLS needs it',
  },
  {
    what: "an authority that is a key",
    args: [...CERTS, "--tls-verify", "--tls-ca", "pki/server-key.pem"],
    code: 9,
    message: 'Cannot use "pki/server-key.pem": it holds no certificate (PEM)',
  },
  {
    what: "a certificate that is none",
    prepare: (work) =>
      Deno.writeTextFileSync(work.path("pki/server-cert.pem"), "nonsense"),
    args: CERTS,
    code: 9,
    message: 'Cannot use "pki/server-cert.pem": it holds no certificate (PEM)',
  },
  {
    what: "a key that is none",
    prepare: (work) =>
      Deno.writeTextFileSync(work.path("pki/server-key.pem"), ""),
    args: CERTS,
    code: 9,
    message: 'Cannot use "pki/server-key.pem": ' +
      "it holds no key (PEM) without a passphrase",
  },
  {
    what: "the key of another certificate",
    prepare: (work) =>
      Deno.copyFileSync(
        `${CERTIFICATES}other/server-key.pem`,
        work.path("pki/server-key.pem"),
      ),
    args: CERTS,
    code: 9,
    message: 'Cannot use "pki/server-key.pem": ' +
      'it is not the key of "pki/server-cert.pem"',
  },
];

for (const { what, prepare, args, code, message } of REFUSALS) {
  Deno.test(`virstor serve refuses ${what}`, async () => {
    await using work = await Workspace.create();
    makeDirectory(work);
    prepare?.(work);
    // There is no such pool: it has not been looked for yet.
    const result = await work.run(["serve", ...args, "nowhere"]);
    const said = result.stderr.replaceAll(work.directory, "~");
    assertEquals(
      { ...result, stderr: said },
      { code, stdout: "", stderr: `virstor: ${message}\n` },
    );
  });
}

Deno.test("virstor serve refuses a certificate that is damaged or expired", async () => {
  await using work = await Workspace.create();
  makeDirectory(work);
  install(work, "good/expired-server");
  const expired = await work.run(["serve", ...CERTS, "nowhere"]);
  assertEquals(expired.code, 9);
  assertEquals(
    expired.stderr.replace(/\d{4}-\d\d-\d\d/, "DAY"),
    'virstor: Cannot use "pki/server-cert.pem": ' +
      "it has expired on DAY, renew it\n",
  );
  Deno.writeTextFileSync(
    work.path("pki/server-cert.pem"),
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
  );
  const damaged = await work.run(["serve", ...CERTS, "nowhere"]);
  assertEquals(damaged.code, 9);
  assertEquals(
    damaged.stderr.replace(/damaged: [^\n]+/, "damaged: WHY"),
    'virstor: Cannot use "pki/server-cert.pem": ' +
      "its certificate is damaged: WHY\n",
  );
});

/** What LIST is answered without encryption. */
async function listedInTheClear(address: NbdAddress): Promise<unknown> {
  using client = await NbdClient.connect(address);
  await client.greet();
  return (await client.option(NBD.OPT_LIST)).at(-1)?.type;
}

Deno.test("virstor serve --tls-certs serves over TLS only", async () => {
  await using work = await makeSmallPool();
  makeDirectory(work);
  const path = work.path("s");
  const server = await serve(work, ...CERTS, "--socket", "s");
  const [first = "", second] = server.stdout.split("\n");
  assertEquals(first, `nbds://localhost:${server.port}/demo`);
  assertEquals(second, `nbds+unix:///demo?socket=${path}`);
  for (const address of [{ path }, { port: server.port }]) {
    assertEquals(await listedInTheClear(address), NBD.REP_ERR_TLS_REQD);
    using client = await TlsClient.encrypted(address);
    assertEquals(await client.list(), ["demo"]);
    await client.go("demo");
    await client.write(0, new Uint8Array(4096).fill(7));
    await client.disconnect();
  }
  assertEquals((await server.stop()).code, 0);
});

Deno.test("virstor serve --tls optional serves both kinds of clients, off those without TLS", async () => {
  await using work = await makeSmallPool();
  makeDirectory(work);
  for (const mode of ["optional", "off"]) {
    const server = await serve(work, ...CERTS, "--tls", mode);
    const { port } = server;
    assertEquals(server.uri, `nbd://localhost:${port}/demo`);
    assertEquals(await listedInTheClear({ port }), NBD.REP_ACK);
    if (mode === "optional") {
      using client = await TlsClient.encrypted({ port });
      assertEquals(await client.list(), ["demo"]);
    } else {
      await assertRejects(() => TlsClient.encrypted({ port }));
    }
    await server.stop();
  }
});

Deno.test("virstor serve --tls-verify serves known clients only", async () => {
  await using work = await makeSmallPool();
  makeDirectory(work);
  Deno.renameSync(work.path("pki/ca-cert.pem"), work.path("ours.pem"));
  const verify = ["--tls-verify", "--tls-ca", "ours.pem"];
  const server = await serve(work, ...CERTS, ...verify);
  const { port } = server;
  for (const options of [{}, { certificate: "other/client" }]) {
    await assertRejects(async () => {
      using client = await TlsClient.encrypted({ port }, options);
      await client.list();
    });
  }
  await server.said(/(refused: .*: Cannot negotiate TLS: .*\n[^]*){2}/);
  const known = { certificate: "good/client" };
  using client = await TlsClient.encrypted({ port }, known);
  assertEquals(await client.list(), ["demo"]);
  await server.stop();
});

Deno.test("virstor serve takes certificates that were renewed", async () => {
  await using work = await makeSmallPool();
  makeDirectory(work);
  const server = await serve(work, ...CERTS);
  const { port } = server;
  const connect = async (authority: string) => {
    using client = await TlsClient.encrypted({ port }, { authority });
    assertEquals(await client.list(), ["demo"]);
  };
  await connect("good/ca-cert.pem");
  // Half of a renewal: the old certificate stays in use.
  Deno.copyFileSync(
    `${CERTIFICATES}other/server-cert.pem`,
    work.path("pki/server-cert.pem"),
  );
  await connect("good/ca-cert.pem");
  await server.said(
    /certificates: Cannot use "pki\/server-key.pem": it is not the key of "pki\/server-cert.pem"; the earlier certificates stay in use\n/,
  );
  install(work, "other/server");
  await connect("other/ca-cert.pem");
  await server.said(/ certificates: The certificates have changed and are in/);
  Deno.removeSync(work.path("pki"), { recursive: true });
  await connect("other/ca-cert.pem");
  assertEquals((await server.stop()).code, 0);
});

Deno.test("virstor serve looks at its certificates, and at no other file beside it", async () => {
  await using work = await makeSmallPool();
  makeDirectory(work);
  const server = await serve(work, ...CERTS);
  // The working directory changes.
  await work.makeFile("other", 0);
  const known = { authority: "good/ca-cert.pem" };
  using client = await TlsClient.encrypted({ port: server.port }, known);
  assertEquals(await client.list(), ["demo"]);
  const { stderr } = await server.stop();
  assertEquals(stderr.match(/certificates: .*/g), null);
});

for (
  const [options, notice] of [
    [[], "there is no encryption and no password"],
    [
      [...CERTS, "--tls", "optional"],
      "encryption is left to the client (--tls optional), and there is no password",
    ],
    [
      CERTS,
      "it is encrypted, but there is no password, and no certificate is asked for (--tls-verify)",
    ],
    [[...CERTS, "--tls-verify"], undefined],
  ] as const
) {
  const what = options.length === 0 ? "no TLS" : options.slice(2).join(" ");
  Deno.test(`virstor serve warns on a network: ${what || "TLS"}`, async () => {
    await using work = await makeSmallPool();
    makeDirectory(work);
    const server = await work.serve([
      ...["serve", "--listen", "0.0.0.0:0", ...options, "demo"],
    ]);
    const { stderr } = await server.stop();
    const notices = stderr.split("\n").filter((line) => /Notice/.test(line));
    assertEquals(
      notices,
      notice === undefined ? [] : [
        "virstor: Notice: Any client that reaches this address can read and " +
        `write the pool: ${notice}`,
      ],
    );
  });
}
