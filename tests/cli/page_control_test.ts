/**
 * `serve --http-control`: what the page may change, and which requests it
 * refuses.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { pageUrl } from "../helpers/metrics.ts";
import { makeSmallPool, serve, untilStatus } from "./served.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const OWN = {
  "authorization": `Bearer ${TOKEN}`,
  "content-type": "application/json",
};

type Work = Awaited<ReturnType<typeof makeSmallPool>>;

/** Serves a pool whose page may change it; asks for changes. */
async function control(work: Work) {
  await Deno.writeTextFile(work.path("token"), TOKEN);
  const server = await serve(
    work,
    ...["--http", "127.0.0.1:0", "--http-token-file", "token"],
    "--http-control",
  );
  const url = await pageUrl(server);
  const ask = async (
    call: string,
    request: unknown,
    headers: Record<string, string> = OWN,
    pool = "demo",
  ) => {
    const query = new URLSearchParams({ pool, call });
    const response = await fetch(`${url}api/change?${query}`, {
      method: "POST",
      headers,
      body: typeof request === "string" ? request : JSON.stringify(request),
    });
    const text = await response.text();
    return { status: response.status, text };
  };
  return { server, url, ask };
}

Deno.test("with --http-control the page adds, removes, keeps and takes snapshots", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, url, ask } = await control(work);
  const headers = { authorization: OWN.authorization };
  const shown = await (await fetch(`${url}api/status`, { headers })).json();
  assertEquals(shown.mayChange, true);
  const c = work.path("c");
  const added = await ask("add", { paths: [c], createSize: 2 ** 20 });
  assertEquals(added.status, 200, added.text);
  assertEquals(JSON.parse(added.text).answer.components[0].path, c);
  const plan = await ask("planRemove", { paths: [c] });
  assertEquals(JSON.parse(plan.text).answer.fits, true);
  assertEquals((await ask("remove", { paths: [c] })).status, 200);
  await untilStatus(work, ({ pool }) => pool.components.length === 2);
  const snapshots = [{ volume: "", snapshot: "monday" }];
  assertEquals((await ask("takeSnapshots", { snapshots })).status, 200);
  await untilStatus(
    work,
    ({ pool }) => pool.volumes[0]?.snapshots[0]?.name === "monday",
  );
  assertMatch(server.stderr, /control: The page asks for "add"/);
  // What a command refuses, the page refuses, with its words.
  const again = await ask("takeSnapshots", { snapshots });
  assertEquals([again.status, JSON.parse(again.text).error.code], [
    409,
    "exists",
  ]);
  const kept = await ask("cancelRemove", { paths: [work.path("a")] });
  assertEquals(kept.status, 409);
  assertMatch(kept.text, /it is not being removed/);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("the page forces nothing, and has no other commands", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, ask } = await control(work);
  const data = work.path("data");
  const image = new Uint8Array(2 ** 20);
  image.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);
  await Deno.writeFile(data, image);
  const more = { force: true, hardcode: true, mayLose: 2 ** 30 };
  const added = await ask("add", { paths: [data], ...more });
  assertEquals(added.status, 409, added.text);
  assertMatch(added.text, /-f overwrites it/);
  assertEquals(
    (await Deno.readFile(data)).subarray(0, 4),
    image.subarray(0, 4),
  );
  for (const path of ["nbd://localhost/x", "relative", 7, ["/a"]]) {
    const refused = await ask("add", { paths: [path] });
    assertEquals(refused.status, 409);
    assertMatch(refused.text, /Give absolute paths on this machine/);
  }
  for (const call of ["stop", "set", "rollback", "events", "constructor", ""]) {
    assertEquals((await ask(call, { force: true })).status, 404, call);
  }
  assertEquals((await ask("add", {}, OWN, "other")).status, 404);
  for (const text of ["", "{", "[]", "null", '{"paths":"/a"}']) {
    assertEquals((await ask("remove", text)).status, 409, text);
  }
  assertEquals((await ask("add", "x".repeat(20_000))).status, 413);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("the page changes nothing for another site, or without its token", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, url, ask } = await control(work);
  const request = { paths: [work.path("c")], createSize: 2 ** 20 };
  const type = { "content-type": "application/json" };
  const cases: [number, Record<string, string>][] = [
    [401, type],
    [401, { ...type, authorization: "Bearer 0123456789abcdef" }],
    // What a form of another site can send, if it could have the token.
    [415, { ...OWN, "content-type": "text/plain" }],
    [415, { ...OWN, "content-type": "application/x-www-form-urlencoded" }],
    [403, { ...OWN, "sec-fetch-site": "cross-site" }],
    [403, { ...OWN, "sec-fetch-site": "same-site" }],
    [403, { ...OWN, "sec-fetch-site": "none" }],
  ];
  for (const [status, headers] of cases) {
    const got = await ask("add", request, headers);
    assertEquals(got.status, status, JSON.stringify(headers));
  }
  // A browser asks first before it sends the fields of another site.
  const asked = await fetch(`${url}api/change`, {
    method: "OPTIONS",
    headers: { origin: "http://evil.example" },
  });
  await asked.body?.cancel();
  assertEquals(asked.status, 405);
  assertEquals(asked.headers.get("access-control-allow-origin"), null);
  await untilStatus(work, ({ pool }) => pool.components.length === 2);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("without --http-control the page changes nothing, and it needs a token", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--http", "127.0.0.1:0");
  const url = await pageUrl(server);
  const response = await fetch(`${url}api/change?pool=demo&call=remove`, {
    method: "POST",
    headers: OWN,
    body: JSON.stringify({ paths: [work.path("a")] }),
  });
  await response.body?.cancel();
  assertEquals(response.status, 405);
  assertEquals((await server.stop()).code, 0);
  const run = async (...options: string[]) => {
    const args = ["serve", "--socket", "s", ...options, "demo"];
    const { code, stderr } = await work.run(args);
    return [code, stderr.split("\n")[0]];
  };
  assertEquals(await run("--http", "0", "--http-control"), [
    64,
    "virstor: Cannot let the page change pools without a token",
  ]);
  assertEquals(await run("--http-control"), [
    64,
    "virstor: Option --http-control needs --http",
  ]);
});
