/**
 * The commands of `docs/operations.md` work as they stand there, one after the
 * other. They run with the paths of the page, in namespaces of their own: a copy
 * of the root directory in memory, and a network of one machine.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { hasPeer, testUnless } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BLOCK = /```sh\n([^]*?)```/g;

/** What has to be there before a command, by how the command begins. */
const PREPARED: Readonly<Record<string, string>> = {
  "virstor serve --socket /run/disks.sock vm backup":
    "virstor label --create 1G backup /data/backup.img",
  "virstor serve vm --on-event":
    "mkdir -p /usr/local/bin; cp /bin/true /usr/local/bin/page",
  "virstor taste /data": "halt",
  "virstor serve vm --component /new/a.img":
    "mkdir /new; mv /data/a.img /data/b.img /new",
  "virstor serve vm --auto-extend":
    "halt; mv /new/*.img /data; virstor taste /data; mkdir /data/more",
  "virstor completion zsh": "mkdir -p ~/.zfunc",
  "virstor completion fish": "mkdir -p ~/.config/fish/completions",
};

/** Begins a server, and ends it. The follower of events ends with it. */
const FUNCTIONS = `
set -eu
cd /data
server= followers=
virstor() {
  "$DENO" run -A --no-check --quiet "$MAIN" "$@"
}
start() {
  halt
  : >/run/out
  "$DENO" run -A --no-check --quiet "$MAIN" "$@" >/run/out 2>/run/err & server=$!
  until grep -q ^nbd /run/out; do
    kill -0 $server || { cat /run/err; exit 1; }
    sleep 0.05
  done
}
follow() {
  "$@" >/run/followed & followers=$!
  virstor snapshot vm@now
  until grep -q Took /run/followed; do sleep 0.05; done
  virstor snapshot remove vm@now
}
halt() {
  [ -n "$server" ] || return 0
  kill $server
  wait $server $followers
  server= followers=
}
`;

/** What overlays the root directory of the machine, and goes into it. */
const ENTER = `
mount -t tmpfs none "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay none \\
  -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
for each in proc dev; do mount --rbind /$each "$0/root/$each"; done
mount -t tmpfs none "$0/root/run"
mkdir -p "$0/root/data" "$0/root/srv/home"
ip link set lo up
exec chroot "$0/root" bash -c "$1"
`;

/** The commands of the page, one a line, without comments. */
async function commandsOf(): Promise<string[]> {
  const page = await Deno.readTextFile(`${ROOT}docs/operations.md`);
  return [...page.matchAll(BLOCK)].flatMap(([, block = ""]) =>
    block.replaceAll("\\\n", " ").split("\n")
      .map((line) => line.replace(/\s+#.*/, "").replace(/\s+/g, " ").trim())
      .filter((line) => /^(eval "\$\()?(virstor|truncate) /.test(line))
  );
}

/** The lines of the script that run a command. */
function stepsOf(command: string): string[] {
  const [, preparation] =
    Object.entries(PREPARED).find(([start]) => command.startsWith(start)) ?? [];
  const [, words] = /^virstor (serve .*)/.exec(command) ?? [];
  return [
    `echo ${JSON.stringify(`+ ${command}`).replaceAll("$", "\\$")}`,
    ...words === undefined ? [] : ["halt"],
    ...preparation === undefined ? [] : [preparation],
    words !== undefined
      ? `start ${words}`
      : command.includes("--follow")
      ? `follow ${command}`
      : command,
  ];
}

async function run(script: string, scratch: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--mount", "--net", "sh", "-e", "-c", ENTER, scratch, script],
    env: {
      HOME: "/srv/home",
      DENO: Deno.execPath(),
      MAIN: `${ROOT}cli/main.ts`,
      VIRSTOR_STATE_DIR: "/srv/home/state",
    },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout);
  assert(success, text + decoder.decode(stderr));
  return text;
}

/** Why there can be no namespaces here, if so. */
async function whyNoNamespaces(): Promise<string | undefined> {
  const peers = ["unshare", "ip", "chroot", "bash", "openssl"];
  const missing = peers.find((one) => !hasPeer(one));
  if (missing !== undefined) return `"${missing}" is not installed`;
  if (Deno.uid() !== 0) return "only root may overlay the root directory";
  await using scratch = await makeScratch();
  return await run("true", scratch.path).then(
    () => undefined,
    () => "the root directory cannot be overlaid here",
  );
}

testUnless(
  "the commands of docs/operations.md work as they stand",
  await whyNoNamespaces(),
  async () => {
    await using scratch = await makeScratch();
    const commands = await commandsOf();
    assert(commands.length > 30, `${commands.length}`);
    // The page makes the certificates that it serves with.
    const page = await Deno.readTextFile(`${ROOT}docs/operations.md`);
    const certificates = [...page.matchAll(BLOCK)].map(([, block]) => block)
      .find((block) => block?.includes("openssl req -x509")) ?? "";
    const script = [
      "mkdir -p /etc/virstor/pki; cd /etc/virstor/pki",
      certificates.replaceAll("rsa:3072", "rsa:2048"),
      FUNCTIONS,
      ...commands.flatMap(stepsOf),
      "halt; echo done",
    ].join("\n");
    const text = await run(script, scratch.path);
    assertEquals(text.match(/^\+ /gm)?.length, commands.length);
    assert(text.endsWith("done\n"), text);
  },
);
