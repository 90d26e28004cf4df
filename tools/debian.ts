/**
 * Makes a Debian package: `deno task deb [--without-deno] [DIRECTORY]`. It has
 * the bundled program, the Deno that runs this (or none), manual pages,
 * completion for three shells, and units for systemd. Needs `dpkg-deb`.
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { COMMANDS } from "../cli/commands/mod.ts";
import { completionScript, systemdUnits } from "../cli/manuals/mod.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const LIBRARY = "usr/lib/virstor";
const DOCS = "usr/share/doc/virstor";
const WITHOUT_DENO = "--without-deno";
/** Where each shell looks for completion scripts of packages. */
const COMPLETIONS = {
  bash: "usr/share/bash-completion/completions/virstor",
  zsh: "usr/share/zsh/vendor-completions/_virstor",
  fish: "usr/share/fish/vendor_completions.d/virstor.fish",
} as const;

/** The user of the units, and the directories that they expect. */
const POSTINST = `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  if ! getent passwd virstor >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/virstor \\
      --no-create-home --shell /usr/sbin/nologin virstor
  fi
  for directory in /var/lib/virstor /srv/virstor; do
    [ -d "$directory" ] ||
      install -d -m 750 -o virstor -g virstor "$directory"
  done
  if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
fi
`;

/** Pools stay, also when the package is purged. */
const POSTRM = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
`;

const isWithDeno = !Deno.args.includes(WITHOUT_DENO);
const [target = "dist"] = Deno.args.filter((one) => one !== WITHOUT_DENO);
const architecture = isWithDeno
  ? (await run("dpkg", "--print-architecture")).trim()
  : "all";
const name = `virstor_${config.version}_${architecture}.deb`;
const root = await Deno.makeTempDir({ prefix: "virstor-deb-" });
try {
  await Deno.chmod(root, 0o755);
  await placeProgram();
  await placeTexts();
  await describe();
  await Deno.mkdir(target, { recursive: true });
  await pack(resolve(target, name));
} finally {
  await Deno.remove(root, { recursive: true });
}
// deno-lint-ignore no-console -- this is a program
console.log(`${target}/${name}`);

async function run(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

async function write(
  path: string,
  text: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  const file = `${root}/${path}`;
  await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
  const bytes = typeof text === "string"
    ? new TextEncoder().encode(text)
    : text;
  await Deno.writeFile(file, bytes);
  // The umask must not decide.
  await Deno.chmod(file, mode);
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(`${ROOT}${path}`);
}

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The program, as in the package of npm, and the Deno that it finds beside it. */
async function placeProgram(): Promise<void> {
  const library = `${root}/${LIBRARY}`;
  await run(Deno.execPath(), "run", "-A", "tools/bundle.ts", library);
  for (const extra of ["man", "README.md", "CHANGELOG.md", "LICENSE"]) {
    await Deno.remove(`${library}/${extra}`, { recursive: true });
  }
  if (isWithDeno) {
    const deno = await Deno.readFile(Deno.execPath());
    await write(`${LIBRARY}/node_modules/deno/deno`, deno, 0o755);
  }
  await Deno.mkdir(`${root}/usr/bin`, { recursive: true });
  await Deno.symlink("../lib/virstor/virstor", `${root}/usr/bin/virstor`);
}

async function placeTexts(): Promise<void> {
  for await (const { name } of Deno.readDir(`${ROOT}man`)) {
    const section = name.slice(name.lastIndexOf(".") + 1);
    const page = await gzip(await read(`man/${name}`));
    await write(`usr/share/man/man${section}/${name}.gz`, page);
  }
  for (const shell of ["bash", "zsh", "fish"] as const) {
    await write(COMPLETIONS[shell], completionScript(shell, COMMANDS));
  }
  const units = systemdUnits({
    program: "/usr/bin/virstor",
    stateDirectory: "/var/lib/virstor",
    directories: ["/srv/virstor"],
    user: "virstor",
  });
  for (const [name, text] of units) {
    await write(`lib/systemd/system/${name}`, text);
  }
  const deno = isWithDeno
    ? "\nnode_modules/deno/deno is Deno, with the licence of the MIT: Copyright " +
      "2018-2026 the Deno authors.\n"
    : "";
  await write(`${DOCS}/copyright`, await read("LICENSE") + deno);
  await write(`${DOCS}/changelog.gz`, await gzip(await read("CHANGELOG.md")));
  for await (const { name, isFile } of Deno.readDir(`${ROOT}docs`)) {
    if (!isFile || !name.endsWith(".md")) continue;
    await write(`${DOCS}/${name}`, await read(`docs/${name}`));
  }
}

async function describe(): Promise<void> {
  const size = (await run("du", "-ks", `${root}/usr`)).split("\t")[0];
  const fields = {
    Package: "virstor",
    Version: config.version,
    Architecture: architecture,
    Maintainer: "The virstor authors <virstor@localhost>",
    "Installed-Size": size ?? "",
    // Of postinst: useradd. Deno needs the others.
    Depends: isWithDeno ? "libc6, libgcc-s1, passwd" : "passwd",
    ...isWithDeno ? {} : { Recommends: "npm" },
    Suggests: "qemu-utils, libnbd-bin, nbd-client",
    Section: "admin",
    Priority: "optional",
    Description: "thin-provisioned storage pools in user space, over NBD\n" +
      " A pool maps a large virtual disk, chunk by chunk and only when a chunk\n" +
      " is first written, onto files, block devices or exports of other\n" +
      " machines, and serves it over NBD to QEMU, the Linux kernel and others.",
  };
  const control = Object.entries(fields)
    .map(([field, value]) => `${field}: ${value}\n`).join("");
  await write("DEBIAN/control", control);
  await write("DEBIAN/postinst", POSTINST, 0o755);
  await write("DEBIAN/postrm", POSTRM, 0o755);
}

async function pack(file: string): Promise<void> {
  for (const directory of await directoriesIn(root)) {
    await Deno.chmod(directory, 0o755);
  }
  const options = ["--root-owner-group", "-Zxz", "-z1", "--build"];
  await run("dpkg-deb", ...options, root, file);
}

async function directoriesIn(path: string): Promise<string[]> {
  const found = [path];
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory) found.push(...await directoriesIn(`${path}/${name}`));
  }
  return found;
}
