/**
 * Text that is wider or narrower than its letters are many: in tables, and in
 * the line that tells how far something is.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { cutText, padText, textWidth } from "../../cli/terminal/text_width.ts";
import { textTable } from "../../cli/terminal/text_table.ts";
import { peerPath, peerTest } from "../helpers/peers.ts";
import { withoutRuntime, Workspace } from "../helpers/virstor.ts";

/** Texts, and the columns that they take. */
const WIDTHS: readonly (readonly [string, number])[] = [
  ["", 0],
  ["plain ASCII", 11],
  ["Größe", 5],
  ["e\u0301te\u0301", 3], // combining accents
  ["\u4ed3\u5e93", 4], // Han
  ["\uc800\uc7a5", 4], // Hangul syllables
  ["\u1112\u1161\u11ab", 2], // the same letter by letter
  ["\u30b9\u30c8\u30a2\u3001", 8], // Katakana and a comma
  ["\uff7d\uff84\uff71", 3], // Katakana of half the width
  ["\uff34\uff11", 4], // letters of full width
  ["\u{20000}", 2], // Han beyond 16 bits
  ["\u{1f4bd}", 2], // an emoji
  ["\u2764\ufe0f", 2], // a heart in colour
  ["\u2764", 1], // and in black
  ["\u{1f468}\u200d\u{1f469}\u200d\u{1f467}", 2], // a family
  ["\u{1f1e9}\u{1f1ea}", 2], // a flag
  ["\u{1f44d}\u{1f3fd}", 2], // a hand with a colour
  ["1\ufe0f\u20e3", 2], // a key
  ["\u0434\u0438\u0441\u043a", 4],
  ["\u05d3\u05b4\u05e1\u05e7", 3], // a vowel below
  ["a\u200bb", 2],
];

Deno.test("textWidth() counts columns", () => {
  const counted = WIDTHS.map(([text]) => [text, textWidth(text)]);
  assertEquals<unknown>(counted, WIDTHS);
});

Deno.test("padText() and cutText() count columns, too", () => {
  for (const [text, width] of WIDTHS) {
    assertEquals(textWidth(padText(text, 20)), 20);
    assert(padText(text, 20, "start").endsWith(text));
    for (let columns = 0; columns <= width + 1; columns++) {
      const cut = cutText(`${text}`, columns);
      assert(text.startsWith(cut) && textWidth(cut) <= columns);
      assert(textWidth(cut) >= Math.min(width, columns) - 1);
    }
  }
  assertEquals(cutText("ab\u{1f1e9}\u{1f1ea}c", 3), "ab");
});

Deno.test("the columns of a table begin at one place each", () => {
  const names = WIDTHS.map(([text]) => text);
  const lines = textTable([
    ["Name", "Free"],
    ...names.map((name) => [`<${name}`, "-> 1"]),
  ]).split("\n").slice(1);
  const places = lines.map((line) =>
    textWidth(line.slice(0, line.indexOf("->")))
  );
  assertEquals(new Set(places).size, 1, lines.join("\n"));
});

Deno.test("virstor status has its columns under one another for any name", async () => {
  await using work = await Workspace.create();
  const names = ["ascii", "\u4ed3\u5e93", "\u{1f4bd} disk", "e\u0301te\u0301"];
  for (const [index, name] of names.entries()) {
    const path = `${name}.img`;
    const sizes = ["-s", "64M", "--create", `${4 + index}M`];
    await work.succeed(["label", ...sizes, name, path]);
  }
  const lines = (await work.succeed(["status"])).trimEnd().split("\n");
  assertEquals(lines.length, 1 + names.length);
  const places = lines.slice(1).map((line) =>
    textWidth(line.slice(0, line.indexOf("stopped")))
  );
  assertEquals(new Set(places).size, 1, lines.join("\n"));
});

/** Shows progress on a terminal, the window of which becomes narrower. */
const TERMINAL = `
import fcntl, json, os, pty, struct, sys, termios, unicodedata
columns = [int(word) for word in sys.argv[1].split(",")]
def width_of(line):
    return sum(1 + (unicodedata.east_asian_width(one) == "W") for one in line)
def resize(width):
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
ours, theirs = pty.openpty()
resize(columns[0])
child = os.fork()
if child == 0:
    for number in (0, 1, 2): os.dup2(theirs, number)
    os.execv(sys.argv[2], sys.argv[2:])
os.close(theirs)
text, now = b"", 0
while True:
    try: data = os.read(ours, 65536)
    except OSError: break
    if not data: break
    text += data
    # A line that was on its way when the window shrank does not count.
    line = text.split(b"\\r\\x1b[K")[-1].decode(errors="ignore")
    if columns[now] - width_of(line) in (1, 2) and now + 1 < len(columns):
        now += 1
        resize(columns[now])
os.waitpid(child, 0)
print(json.dumps(text.decode()))
`;

peerTest(
  "the progress line stays in its line, also when the window shrinks",
  ["python3"],
  async () => {
    const program = fileURLToPath(
      new URL("../helpers/progress_program.ts", import.meta.url),
    );
    const columns = [40, 21, 10, 0];
    const { stdout, stderr } = await new Deno.Command(
      peerPath("python3") ?? "",
      {
        args: [
          ...["-c", TERMINAL, columns.join(","), Deno.execPath()],
          ...["run", "--quiet", "--no-check", "-A", program],
        ],
        env: { NO_COLOR: "1" },
      },
    ).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    const text: string = JSON.parse(new TextDecoder().decode(stdout));
    const [first, ...lines] = withoutRuntime(text)
      .replaceAll("\r\n", "").split("\r\x1b[K");
    assertEquals(first, "");
    // On a busy machine there are several lines of one width.
    const most = lines.map((line) => {
      const width = textWidth(line);
      // Half of a wide character does not fit into what may be left.
      return columns.find((all) => [1, 2].includes((all || 80) - width));
    });
    assertEquals([...new Set(most)], columns, text);
  },
);
