/**
 * Goal: the page holds for a pool of 200 components and 16 million chunks with
 * 100 clients. Method: a headless Chromium looks at one, in three widths, light
 * and dark; the server sums up what the page shows.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { mapAll } from "../../bench/mapped_component.ts";
import { labelPool } from "../../pool/mod.ts";
import { Browser } from "../helpers/browser.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import {
  axeSource,
  drawn,
  faultsIn,
  lookAtAll,
  untilText,
} from "../helpers/looks.ts";
import { pageUrl } from "../helpers/metrics.ts";
import { peerTest } from "../helpers/peers.ts";
import { Workspace } from "../helpers/virstor.ts";

const CHUNK = 65_536;
const [COMPONENTS, CHUNKS, CLIENTS] = [200, 2 ** 24, 100];
/** Chunks of the volume for each component. */
const PART = Math.floor(CHUNKS / COMPONENTS);

/** A pool of many components, each mapped in part. */
async function makeLargePool(): Promise<[Workspace, string[]]> {
  const work = await Workspace.create();
  const paths = Array.from(
    { length: COMPONENTS },
    (_, i) => work.path(`disk${String(i).padStart(3, "0")}.img`),
  );
  await labelPool({
    ...{ name: "large", paths, chunkSize: CHUNK, format: "native" },
    ...{ createSize: (PART + 1700) * CHUNK, virtualSize: CHUNKS * CHUNK },
  });
  // Few chunks, so that the test is cheap; a cell stands for 8192.
  for (const [index, path] of paths.entries()) {
    mapAll(path, CHUNK, (index % 4) * 80 * CHUNK, index * PART);
  }
  return [work, paths];
}

/** The map has the colours of the page, also right after these change. */
async function assertColoursFollow(browser: Browser): Promise<void> {
  const seen: unknown[] = [];
  for (const dark of [true, false]) {
    // Something has just been drawn in the old colours.
    const draw = "document.querySelector('[value=owner]').dispatchEvent(" +
      "new Event('change', { bubbles: true }))";
    await browser.evaluate(draw);
    await browser.look({ width: 820, height: 900, dark });
    await drawn(browser);
    const hole = "document.querySelector('#map-legend rect').getAttribute" +
      "('fill')";
    const wanted = "getComputedStyle(document.documentElement)" +
      ".getPropertyValue('--hole').trim()";
    assertEquals(
      await browser.evaluate(hole),
      await browser.evaluate(wanted),
      dark ? "dark" : "light",
    );
    seen.push(await browser.evaluate(hole));
  }
  assert(seen[0] !== seen[1]);
}

/** Goes to cells that do not fit into the frame of the map, by keyboard. */
async function walkTheMap(browser: Browser): Promise<void> {
  await browser.look({ width: 1400, height: 900, dark: false });
  await browser.evaluate("document.getElementById('map').focus()");
  const steps: readonly (readonly [string, RegExp])[] = [
    ["ArrowRight", /disk000\.img, chunks 0 to /],
    ["ArrowDown", /disk009\.img, chunks 0 to /],
    ["ArrowUp", /disk000\.img, chunks 0 to /],
    ["ArrowLeft", /disk000\.img, chunks 0 to /],
    ["End", /disk199\.img, chunks \d\d,/],
    ["ArrowRight", /disk199\.img, chunks \d\d,/],
    ["PageUp", /disk199\.img, chunks 0 to /],
    ["PageUp", /disk198\.img, chunks 0 to /],
    ["ArrowLeft", /disk197\.img, chunks \d\d,/],
  ];
  const scrolled = "document.querySelector('.map-frame').scrollTop";
  for (const [key, cell] of steps) {
    await browser.press(key);
    await untilText(browser, "map-cell", cell);
    const isFar = /disk19/.test(`${cell}`);
    assertEquals(await browser.evaluate(`${scrolled} > 300`), isFar, key);
  }
  await browser.press("Home");
  await untilText(browser, "map-cell", /disk000\.img, chunks 0 to /);
  await browser.until(`${scrolled} < 30`);
  await browser.press("Escape");
}

peerTest(
  "the page holds for 200 components, 16 million chunks and 100 clients",
  ["chromium"],
  async () => {
    const [workspace, paths] = await makeLargePool();
    await using work = workspace;
    const options = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    const components = paths.flatMap((path) => ["--component", path]);
    const server = await work.serve([
      ...["serve", ...options, "--threads", "1", ...components],
      "large",
    ]);
    const url = await pageUrl(server);
    const clients: BusyClient[] = [];
    for (let i = 0; i < CLIENTS; i++) {
      clients.push(await BusyClient.open(server));
    }
    await using browser = await Browser.start();
    await browser.look({ width: 1400, height: 900, dark: false });
    await browser.open(url);
    await untilText(browser, "connection", /^100 clients$/);
    await untilText(browser, "map-legend", /Free/);
    const rowsOf = (id: string) =>
      browser.evaluate(`document.querySelectorAll("#${id} tbody tr").length`);
    assertEquals(await rowsOf("components"), COMPONENTS);
    assertEquals(await rowsOf("clients"), CLIENTS);
    await lookAtAll(browser, "large", undefined);
    const axe = await axeSource();
    if (axe !== undefined) assertEquals(await faultsIn(browser, axe), []);
    await walkTheMap(browser);
    // What a viewer costs does not grow with the chunks.
    for (const path of ["status", "map?pool=large"]) {
      const { byteLength } = await (await fetch(`${url}api/${path}`))
        .arrayBuffer();
      assert(byteLength < 256 * 1024, `${path} has ${byteLength} bytes`);
    }
    await browser.evaluate("document.querySelector('[value=volumes]').click()");
    await browser.evaluate("document.querySelector('[value=owner]').click()");
    await untilText(
      browser,
      "map-legend",
      /^Hole\s+disk000\.img[^]*and 192 more, in the same colours$/,
    );
    await assertColoursFollow(browser);
    assertEquals(browser.complaints, []);
    for (const client of clients) client[Symbol.dispose]();
    assertEquals((await server.stop()).code, 0);
  },
);
