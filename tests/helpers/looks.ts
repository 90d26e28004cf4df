/**
 * Looks at a page in a browser: in three widths, light and dark. What is seen is
 * kept in `pictures/`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { ROOT } from "../tidy/files.ts";
import type { Browser } from "./browser.ts";

/** The widths of a large window, a small one, and a telephone. */
const WIDTHS = [1400, 820, 390];
/** What finds faults of contrast and structure; a test loads it, no user. */
const AXE = "npm:axe-core@4.10.3";

/**
 * Loads axe-core. Another process does it, so that this project depends on
 * nothing.
 *
 * @returns Its text, which runs in the page; undefined if it is not to be had.
 */
export async function axeSource(): Promise<string | undefined> {
  const program = `const { default: axe } = await import("${AXE}");` +
    "await Deno.stdout.write(new TextEncoder().encode(axe.source));";
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "--no-lock", program],
  }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  const reason = decoder.decode(stderr).split("\n")[0];
  // deno-lint-ignore no-console -- the user must see this
  console.warn(`IGNORED: contrast and structure: no axe-core: ${reason}`);
  return undefined;
}

/**
 * Finds faults of contrast and structure in the page as it is.
 *
 * @param browser The browser.
 * @param axe The text of axe-core.
 * @returns The faults, each with its places.
 */
export async function faultsIn(
  browser: Browser,
  axe: string,
): Promise<string[]> {
  await browser.evaluate(`${axe}; 0`);
  const { violations } = await browser.evaluate("axe.run()");
  return violations.map((
    { id, nodes }: { id: string; nodes: { html: string }[] },
  ) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/**
 * Looks at the page in all ways: it fits the window, and has no faults.
 *
 * @param browser The browser.
 * @param name The beginning of the names of the pictures.
 * @param axe The text of axe-core; undefined to leave out what it finds.
 */
export async function lookAtAll(
  browser: Browser,
  name: string,
  axe: string | undefined,
): Promise<void> {
  const directory = join(ROOT, "pictures");
  await Deno.mkdir(directory, { recursive: true });
  for (const width of WIDTHS) {
    for (const dark of [false, true]) {
      await browser.look({ width, height: 900, dark });
      await drawn(browser);
      const [fits, height] = await browser.evaluate(
        "[document.documentElement.scrollWidth, " +
          "document.documentElement.scrollHeight]",
      );
      assertEquals(fits, width, `${name} fits ${width} pixels`);
      await browser.look({ width, height, dark });
      await drawn(browser);
      const colours = dark ? "dark" : "light";
      await browser.picture(join(directory, `${name}-${width}-${colours}.png`));
      if (axe === undefined) continue;
      assertEquals(await faultsIn(browser, axe), [], `${name}, ${colours}`);
    }
  }
}

/**
 * Waits until the page has been drawn twice.
 *
 * @param browser The browser.
 */
export async function drawn(browser: Browser): Promise<void> {
  const frame = "new Promise((done) => requestAnimationFrame(done))";
  await browser.evaluate(`${frame}.then(() => ${frame}).then(() => 0)`);
}

/**
 * Waits until the text of an element matches.
 *
 * @param browser The browser.
 * @param id The element.
 * @param text What to wait for.
 */
export async function untilText(
  browser: Browser,
  id: string,
  text: RegExp,
): Promise<void> {
  await browser.until(
    `${text}.test(document.getElementById("${id}").innerText)`,
  );
}
