/**
 * Goal: what the system refuses is reported in one line with the right exit
 * code, also where the runtime has no name for its error. Method: the real
 * command under strace, which makes one call of the system fail.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { peerPath, peerTest } from "../helpers/peers.ts";
import { Workspace } from "../helpers/virstor.ts";

/** Errors of file systems without locks: NFS without lockd, FUSE, old ones. */
const NO_LOCKS = ["ENOLCK", "EOPNOTSUPP", "EINVAL", "ENOSYS"];

/** Runs a command while a call of the system fails. */
function failing(
  work: Workspace,
  call: string,
  error: string,
  args: readonly string[],
): ReturnType<Workspace["run"]> {
  const strace = peerPath("strace") ?? "strace";
  return work.run(args, {
    under: [
      strace,
      "-f",
      "-qq",
      "-o",
      "/dev/null",
      "-e",
      `trace=${call}`,
      "-e",
      `inject=${call}:error=${error}`,
    ],
  });
}

for (const error of NO_LOCKS) {
  peerTest(
    `virstor says so where a file system has no locks (${error})`,
    ["strace"],
    async () => {
      await using work = await Workspace.create();
      await work.succeed(["label", "-s", "1G", "--create", "8M", "pool", "a"]);
      await work.makeFile("b", 8 * 1024 ** 2);
      const commands = [
        ["label", "-s", "1G", "new", "b"],
        ["label", "-s", "1G", "--create", "8M", "new", "c"],
        ["add", "pool", "b"],
        ["status", "pool"],
        ["serve", "--socket", "s", "pool"],
        ["clear", "a"],
      ];
      // Each error of one command, each command with the commonest error.
      const some = error === NO_LOCKS[0] ? commands : commands.slice(-1);
      for (const args of some) {
        const { code, stderr } = await failing(work, "flock", error, args);
        assertEquals(code, 7, stderr);
        assertMatch(
          stderr,
          /^virstor: (Cannot open pool "pool": c|C)annot lock ".*": its file system has no locks \(E\w+\), .*\n$/,
        );
      }
      const names = [...Deno.readDirSync(work.directory)].map((one) =>
        one.name
      );
      assertEquals(names.includes("c"), false);
      await work.succeed(["check", "pool"]);
    },
  );
}

for (const error of ["EIO", "EINTR", "ENOMEM", "ESTALE"]) {
  peerTest(
    `virstor says in one line that a lock failed (${error})`,
    ["strace"],
    async () => {
      await using work = await Workspace.create();
      await work.succeed(["label", "-s", "1G", "--create", "8M", "pool", "a"]);
      const args = ["status", "pool"];
      const { code, stderr } = await failing(work, "flock", error, args);
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /^virstor: .*annot lock ".*": E\w+.*\n$/);
    },
  );
}
