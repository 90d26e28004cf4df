/**
 * The page of a server: which requests it answers, and with what. What browsers
 * make of it is in `tests/interop/page_test.ts`.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { pageUrl, rawAnswer } from "../helpers/metrics.ts";
import { eventually } from "../helpers/patience.ts";
import { CHUNK, fill, makeSmallPool, serve } from "./served.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

Deno.test("the page is files of the server, and nothing from elsewhere", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--http", "127.0.0.1:0");
  const url = await pageUrl(server);
  const seen = new Set<string>();
  const queue = [""];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const response = await fetch(`${url}${path}`);
    const text = await response.text();
    assertEquals(response.status, 200, path);
    const policy = response.headers.get("content-security-policy") ?? "";
    assertMatch(policy, /^default-src 'none'; script-src 'self';/);
    assertEquals(response.headers.get("x-content-type-options"), "nosniff");
    // No address but those of namespaces.
    const addresses = text.match(/(https?:)?\/\/[\w.-]+\.\w+/g) ?? [];
    assertEquals(addresses.filter((one) => one !== "http://www.w3.org"), []);
    const files = text.matchAll(/(?:href|src|from)[= ]"(?:\.\/)?([\w.]+)"/g);
    for (const [, file = ""] of files) queue.push(file);
  }
  assertEquals(seen.size, 9);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("the figures of the page are those of the pool", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const server = await serve(work, "--http", "0");
  const url = await pageUrl(server);
  using client = await BusyClient.open(server);
  await fill(client, 3);
  const ask = async (path: string) =>
    await (await fetch(`${url}api/${path}`)).json();
  const status = await ask("status");
  assertEquals(status.connections, 1);
  assertEquals(status.clients[0].exportName, "demo");
  const [pool] = status.pools;
  assertEquals([pool.name, pool.usedChunks], ["demo", 3]);
  assertEquals(pool.exports[0].writes, 3);
  const map = await ask("map?pool=demo");
  assertEquals(map.chunkSize, CHUNK);
  assertEquals(map.volumes[0].mapped.slice(0, 4), [1, 1, 1, 0]);
  await eventually(
    "there is a sample of the load",
    async () => (await ask("history")).length > 0,
    100,
  );
  const [sample] = await ask("history");
  assertEquals(Object.keys(sample).length, 8);
  assertEquals((await fetch(`${url}api/map?pool=x`).then(drop)).status, 404);
  assertEquals((await fetch(`${url}api/x`).then(drop)).status, 404);
  assertEquals((await server.stop()).code, 0);
});

async function drop(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}

/** The status of the answer to a request with fields of its own. */
async function statusOf(
  address: Deno.ConnectOptions | Deno.UnixConnectOptions,
  path: string,
  ...fields: string[]
): Promise<number> {
  const connection = "path" in address
    ? await Deno.connect(address)
    : await Deno.connect(address);
  try {
    const lines = [`GET ${path} HTTP/1.1`, ...fields];
    const request = `${lines.join("\r\n")}\r\n\r\n`;
    return (await rawAnswer(connection, request)).status;
  } finally {
    try {
      connection.close();
    } catch {
      // Reading it to its end has closed it.
    }
  }
}

Deno.test("the page answers no request for the name of another site", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--http", "127.0.0.1:0");
  const port = Number(new URL(await pageUrl(server)).port);
  const of = (path: string, ...fields: string[]) =>
    statusOf({ port }, path, ...fields);
  for (const path of ["/", "/api/status"]) {
    assertEquals(await of(path), 421);
    for (const name of ["evil.example", "127.0.0.1.evil.example", ""]) {
      assertEquals(await of(path, `host: ${name}:${port}`), 421, name);
    }
    for (const name of ["localhost", "127.0.0.1", "LOCALHOST", "[::1]"]) {
      assertEquals(await of(path, `Host: ${name}:${port}`), 200, name);
    }
  }
  const own = `host: localhost:${port}`;
  const from = (site: string) => `sec-fetch-site: ${site}`;
  assertEquals(await of("/api/status", own, from("cross-site")), 403);
  assertEquals(await of("/api/status", own, from("same-origin")), 200);
  assertEquals(await of("/", own, from("cross-site")), 200);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("with a token the page shows figures to viewers that have it", async () => {
  await using work = await makeSmallPool();
  await Deno.writeTextFile(work.path("token"), `${TOKEN}\n`);
  const options = ["--http", "0.0.0.0:0", "--http-token-file", "token"];
  const server = await serve(work, ...options);
  const port = Number(new URL(await pageUrl(server)).port);
  await server.said(/Notice: The page is sent without encryption/);
  const of = (path: string, ...fields: string[]) =>
    statusOf({ port }, path, "host: any.example", ...fields);
  const bearer = (token: string) => `authorization: Bearer ${token}`;
  assertEquals(await of("/"), 200);
  for (const path of ["status", "history", "map?pool=demo", "x"]) {
    const at = `/api/${path}`;
    assertEquals(await of(at), 401);
    assertEquals(await of(at, bearer(TOKEN.slice(1))), 401);
    assertEquals(await of(at, bearer(`${TOKEN}0`)), 401);
    assertEquals(await of(at, bearer("")), 401);
    assertEquals(await of(at, bearer(TOKEN)), path === "x" ? 404 : 200);
  }
  const { stderr, code } = await server.stop();
  assertEquals([code, stderr.includes(TOKEN)], [0, false]);
});

Deno.test("the page is served on a Unix socket, for a proxy", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--http", "./page.sock");
  await server.said(/page: Shows its page on \.\/page\.sock/);
  const address = { transport: "unix", path: work.path("page.sock") } as const;
  assertEquals(await statusOf(address, "/api/status", "host: a.example"), 200);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("virstor serve refuses a page that other machines could read, and bad tokens", async () => {
  await using work = await makeSmallPool();
  const run = async (...options: string[]) => {
    const args = ["serve", "--socket", "s", ...options, "demo"];
    const { code, stderr } = await work.run(args);
    return [code, stderr.split("\n")[0]];
  };
  assertEquals(await run("--http", "0.0.0.0:0"), [
    64,
    "virstor: Cannot show the page on 0.0.0.0:0 without a token: other " +
    "machines could read it",
  ]);
  assertEquals(await run("--http-token-file", "t"), [
    64,
    "virstor: Option --http-token-file needs --http",
  ]);
  const [code, missing = ""] = await run(
    "--http",
    "0",
    "--http-token-file",
    "t",
  );
  assertEquals(code, 3);
  assertMatch(String(missing), /^virstor: Cannot read the token of the page/);
  for (const text of ["", "short", `two ${TOKEN}`]) {
    await Deno.writeTextFile(work.path("t"), text);
    const [code, line] = await run("--http", "0", "--http-token-file", "t");
    assertEquals(code, 9, String(line));
    assert(String(line).includes("at least 16 printable ASCII characters"));
  }
});
