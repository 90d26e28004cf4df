/**
 * README's first command, on a clean copy of the checkout. What the demo does
 * besides is tested in `tests/cli/`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { checkComponents } from "../../pool/mod.ts";
import { peerPath, peerTest } from "../helpers/peers.ts";
import { Server, Workspace } from "../helpers/virstor.ts";
import { peerSucceeds } from "./served_pool.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** "Within seconds"; a machine that is busy with other things takes longer. */
const ANSWER_MS = PATIENCE_MS / 2;

/** Copies what git tracks, and what it would if asked to. */
async function copyCheckout(work: Workspace): Promise<string> {
  const listed = await peerSucceeds(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    ROOT,
  );
  const copy = work.path("checkout");
  for (const path of listed.split("\0")) {
    if (path === "") continue;
    await Deno.mkdir(dirname(`${copy}/${path}`), { recursive: true });
    try {
      await Deno.copyFile(`${ROOT}/${path}`, `${copy}/${path}`);
    } catch (error) {
      // Tracked, but just deleted.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return copy;
}

/** Starts the demo as a shell would: as the leader of a process group. */
async function startDemo(work: Workspace, cwd: string): Promise<Server> {
  const server = new Server(
    new Deno.Command(peerPath("setsid") ?? "setsid", {
      args: [Deno.execPath(), "task", "demo", "--listen", "127.0.0.1:0"],
      cwd,
      clearEnv: true,
      env: {
        NO_COLOR: "1",
        HOME: work.path("home"),
        PATH: Deno.env.get("PATH") ?? "",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
  await server.ready();
  return server;
}

/** What a terminal does on Ctrl-C: every process gets the signal. */
function pressControlC(server: Server): void {
  Deno.kill(-server.pid, "SIGINT");
}

/** Ends the task and what it runs, if they have not ended. */
async function killDemo(server: Server): Promise<void> {
  try {
    Deno.kill(-server.pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw error;
    }
  }
  await server.ended();
}

peerTest(
  "deno task demo answers nbdinfo within seconds, and ends with Ctrl-C",
  ["git", "setsid", "nbdinfo", "qemu-io"],
  async () => {
    await using work = await Workspace.create();
    const copy = await copyCheckout(work);
    const start = performance.now();
    const server = await startDemo(work, copy);
    try {
      const size = await peerSucceeds("nbdinfo", ["--size", server.uri]);
      assert(performance.now() - start < ANSWER_MS, "It took long");
      assertEquals(size, `${1024 ** 3}\n`);
      await peerSucceeds("qemu-io", [
        ...["-f", "raw", "-c", "write -P 9 0 1M", server.uri],
      ]);
      pressControlC(server);
      const ended = await server.ended();
      assertEquals(ended.code, 0, ended.stderr);
    } finally {
      await killDemo(server);
    }
    const { findings } = await checkComponents(
      [0, 1].map((i) => `${copy}/demo-pool/component-${i}.img`),
    );
    assertEquals(findings, []);
  },
);
