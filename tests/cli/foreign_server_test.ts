/**
 * Commands about a pool that another user serves.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { peerPath, peerTest } from "../helpers/peers.ts";
import {
  type CommandResult,
  withoutProgress,
  type Workspace,
} from "../helpers/virstor.ts";
import { makeSmallPool, serve } from "./served.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
/** Another user than that of the tests. */
const OTHER_USER = 65_534;

/** Runs a command that permissions count for, also as root. */
async function runUnprivileged(
  work: Workspace,
  args: readonly string[],
): Promise<CommandResult> {
  const dropped = ["--bounding-set=-dac_override,-dac_read_search"];
  const prefix = Deno.uid() === 0
    ? [peerPath("setpriv") ?? "", ...dropped]
    : [];
  const [program = "", ...rest] = [
    ...[...prefix, Deno.execPath(), "run", "--no-check", "--quiet", "-A"],
    ...[MAIN, ...args],
  ];
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: rest,
    cwd: work.directory,
    env: { NO_COLOR: "1", VIRSTOR_STATE_DIR: work.stateDirectory },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: withoutProgress(decoder.decode(stderr)),
  };
}

peerTest(
  "virstor says that a control socket is another user's",
  ["setpriv"],
  async () => {
    await using work = await makeSmallPool();
    const server = await serve(work);
    const socket = work.path("state/control/demo.sock");
    const owner = Deno.uid() === 0 ? OTHER_USER : Deno.uid();
    const deny = async (path: string, mode: number) => {
      if (Deno.uid() === 0) await Deno.chown(path, OTHER_USER, OTHER_USER);
      await Deno.chmod(path, mode);
    };
    const message = 'virstor: Cannot ask the server of pool "demo" on ' +
      `control socket "${socket}": permission denied, it belongs to user ` +
      `${owner}; run the command as the user of the server\n`;
    const commands = [
      ...["status", "check", "repair", "stop", "serve"].map((name) => [name]),
      ["add", "--create", "1M"],
      ["remove", "--dry-run"],
    ];
    await deny(socket, 0);
    for (const [name = "", ...options] of commands) {
      const paths = ["add", "remove"].includes(name) ? ["b"] : [];
      const args = [name, ...options, "demo", ...paths];
      assertEquals(
        await runUnprivileged(work, args),
        { code: 1, stdout: "", stderr: message },
        name,
      );
    }
    // Closed to others: the owner of the directory is seen, not of the socket.
    await deny(work.path("state/control"), 0);
    assertEquals(
      (await runUnprivileged(work, ["status", "demo"])).stderr,
      message,
    );
    await Deno.chmod(work.path("state/control"), 0o700);
    assertEquals((await server.stop()).code, 0);
  },
);
