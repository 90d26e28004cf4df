/**
 * Goal: the page of a server shows what happens to its pools, is legible, and
 * works with the keyboard. Method: a headless Chromium looks at a pool that is
 * being filled, delayed, extended and evacuated, in three widths, light and
 * dark. What it sees is kept in `pictures/`, to be looked at.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Browser } from "../helpers/browser.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { axeSource, faultsIn, lookAtAll, untilText } from "../helpers/looks.ts";
import { pageUrl } from "../helpers/metrics.ts";
import { peerTest } from "../helpers/peers.ts";
import { pattern } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";
import { BLOCK, CHUNK } from "../cli/served.ts";

/** A pool of two components with a second volume and a snapshot. */
async function makePool(): Promise<Workspace> {
  const work = await Workspace.create();
  const sizes = ["-s", "64M", "-m", "128K", "--create", "2M"];
  await work.succeed(["label", ...sizes, "vm", "disk0.img", "disk1.img"]);
  await work.succeed(["volume", "create", "-s", "32M", "vm/data"]);
  return work;
}

peerTest(
  "a browser shows a pool that is filled, delayed, extended and evacuated",
  ["chromium"],
  async () => {
    await using work = await makePool();
    const options = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    const server = await work.serve(["serve", ...options, "vm"]);
    const url = await pageUrl(server);
    const axe = await axeSource();
    await using browser = await Browser.start();
    await browser.look({ width: 1400, height: 900, dark: false });
    await browser.open(url);
    await untilText(browser, "verdict-title", /^vm: healthy/);
    await browser.until("gauge.getAttribute('aria-label') === '0 % in use'");

    using client = await BusyClient.open(server);
    using other = await BusyClient.open(server, "vm/data");
    for (let i = 0; i < 12; i++) {
      await client.write(i * CHUNK, pattern(CHUNK, i));
    }
    await work.succeed(["snapshot", "vm@monday"]);
    await client.write(0, pattern(BLOCK, 1));
    for (let i = 0; i < 50; i++) await client.read(i * BLOCK, BLOCK);
    await untilText(browser, "space", /In use\s+1\.63 MiB/);
    await untilText(browser, "clients", /vm\/data/);
    await untilText(browser, "map-legend", /Free/);
    await lookAtAll(browser, "filled", axe);

    const late = Array.from(
      { length: 20 },
      (_, i) => other.write(i * CHUNK, pattern(BLOCK, i)),
    );
    await untilText(browser, "verdict-title", /writes? waits? for space/);
    await untilText(browser, "events", /The pool is full/);
    await lookAtAll(browser, "delayed", axe);

    await work.succeed(["add", "--create", "4M", "vm", "disk2.img"]);
    for (const reply of late) assertEquals((await reply).errno, 0);
    await untilText(browser, "components", /disk2\.img/);
    await untilText(browser, "delayed", /Now\s+0 \(0 B\)/);
    const args = ["remove", "--detach", "--rate", "4K", "vm", "disk0.img"];
    await work.succeed(args);
    await untilText(browser, "evacuation-text", /disk0\.img: moving/);
    await untilText(browser, "evacuation", /Time left/);
    await browser.evaluate("document.querySelector('[value=owner]').click()");
    await untilText(browser, "map-legend", /data/);
    await lookAtAll(browser, "evacuated", axe);

    assertEquals(browser.complaints, []);
    const own = new URL(url).host;
    const strangers = browser.requests.filter((one) =>
      one !== "about:blank" && new URL(one).host !== own
    );
    assertEquals(strangers, [], "No request leaves the server");
    assertEquals((await server.stop()).code, 0);
    await untilText(browser, "connection", /No answer from the server/);
  },
);

/** Adds a component, takes a snapshot and removes it again, by keyboard. */
async function changeByKeyboard(
  browser: Browser,
  work: Workspace,
  axe: string | undefined,
): Promise<void> {
  const type = async (id: string, text: string) => {
    await browser.evaluate(`document.getElementById("${id}").focus()`);
    await browser.send("Input.insertText", { text });
  };
  await type("add-path", work.path("disk2.img"));
  await type("add-size", "2M");
  await browser.press("Enter");
  await untilText(browser, "change-answer", /^Added 1 component\./);
  await type("snapshot-name", "monday");
  await browser.press("Enter");
  await untilText(browser, "change-answer", /^Took snapshot monday of vm\./);
  await type("snapshot-name", "monday");
  await browser.press("Enter");
  await untilText(browser, "change-answer", /it exists already/);
  if (axe !== undefined) assertEquals(await faultsIn(browser, axe), []);
  await browser.until("document.getElementById('remove-path').length === 3");
  await browser.evaluate("document.getElementById('remove-path').focus()");
  await browser.press("End");
  await browser.evaluate("document.getElementById('remove-button').focus()");
  await browser.press("Enter");
  await untilText(browser, "change-answer", /would move.*Press again/);
  await untilText(browser, "remove-button", /Remove it now/);
  await lookAtAll(browser, "control", undefined);
  await browser.evaluate("document.getElementById('remove-button').focus()");
  await browser.press("Enter");
  await untilText(browser, "change-answer", /^Removed .*disk2\.img\.$/);
}

peerTest("the page works with the keyboard, and asks for its token", [
  "chromium",
], async () => {
  await using work = await makePool();
  const token = "0123456789abcdef0123456789abcdef";
  await Deno.writeTextFile(work.path("token"), token);
  const server = await work.serve([
    ...["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"],
    ...["--http-token-file", "token", "--http-control", "vm"],
  ]);
  const url = await pageUrl(server);
  const axe = await axeSource();
  await using browser = await Browser.start();
  await browser.look({ width: 1000, height: 900, dark: true });
  await browser.open(url);
  await browser.until("!document.getElementById('sign-in').hidden");
  if (axe !== undefined) assertEquals(await faultsIn(browser, axe), []);
  const enter = async (text: string) => {
    await browser.until("document.activeElement.id === 'token'");
    await browser.send("Input.insertText", { text });
    await browser.press("Enter");
  };
  await enter("wrong-token-wrong-token");
  await untilText(browser, "sign-in-text", /does not know this token/);
  await enter(token);
  await browser.until("!document.getElementById('content').hidden");

  await browser.until("document.activeElement.id === 'main'");
  await browser.evaluate("document.querySelector('.skip').focus()");
  const reached: string[] = [];
  for (let i = 0; i < 40 && !reached.includes("events"); i++) {
    await browser.press("Tab");
    reached.push(
      await browser.evaluate(
        "document.activeElement.id || document.activeElement.name || " +
          "document.activeElement.textContent",
      ),
    );
  }
  for (const id of ["vm", "rows", "colours", "map", "components", "events"]) {
    assert(reached.includes(id), `${id} in ${reached}`);
  }
  await untilText(browser, "map-legend", /Free/);
  await browser.evaluate("document.getElementById('map').focus()");
  await browser.press("ArrowRight");
  await untilText(browser, "map-cell", /disk0\.img, chunk 0: 0 mapped/);
  await browser.press("ArrowRight");
  await untilText(browser, "map-cell", /disk0\.img, chunk 1: 0 mapped/);
  await browser.press("Escape");
  await untilText(browser, "map-cell", /Point to a cell/);

  await changeByKeyboard(browser, work, axe);
  // A link brings the token along, and leaves it in no address.
  await browser.evaluate("sessionStorage.clear()");
  await browser.open("about:blank");
  await browser.open(`${url}#token=${token}`);
  await browser.until("!document.getElementById('content').hidden");
  assertEquals(await browser.evaluate("location.href"), url);
  assertEquals((await server.stop()).code, 0);
});
