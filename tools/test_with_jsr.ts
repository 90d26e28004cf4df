/**
 * Runs the tests against the real `@std` packages, where JSR can be reached:
 * with our configuration, but without the links to the stand-ins in `std/`.
 *
 * @module
 */

const root = new URL("../", import.meta.url);
const config = JSON.parse(
  await Deno.readTextFile(new URL("deno.json", root)),
);
delete config.links;
// It has to lie beside the other one: paths in it are relative.
const file = new URL("deno.jsr.json", root);
await Deno.writeTextFile(file, JSON.stringify(config));
try {
  const tests = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--config", "deno.jsr.json", "tests/", ...Deno.args],
    cwd: root,
  });
  const { code } = await tests.spawn().status;
  Deno.exitCode = code;
} finally {
  await Deno.remove(file);
}
