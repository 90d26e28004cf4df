/**
 * `virstor list` of all pools, and of those that are named.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { Workspace } from "../helpers/virstor.ts";

Deno.test("virstor list NAME lists what is named", async () => {
  await using work = await Workspace.create();
  for (const name of ["one", "two", "three"]) {
    const sizes = ["-s", "64M", "--create", "4M"];
    await work.succeed(["label", ...sizes, name, `${name}.img`]);
  }
  const namesOf = async (...names: string[]) => {
    const listed = JSON.parse(
      await work.succeed(["list", "--json", ...names]),
    );
    return listed.map(({ name }: { name: string }) => name);
  };
  assertEquals(await namesOf(), ["one", "three", "two"]);
  assertEquals(await namesOf("two"), ["two"]);
  assertEquals(await namesOf("two", "one", "two"), ["two", "one"]);
  const text = await work.succeed(["list", "one"]);
  assertEquals(text.match(/^Pool: +.*$/gm)?.length, 1);
  assertMatch(text, /^Pool: +one\n/);
  const refused = await work.run(["list", "one", "four"]);
  assertEquals(refused, {
    code: 3,
    stdout: "",
    stderr: 'virstor: Cannot list pool "four": it is not registered in ' +
      `"${work.stateDirectory}"; look for it with "virstor taste DIR"\n`,
  });
});
