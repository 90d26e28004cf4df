/**
 * The rules of this project that `deno lint` does not know: layers, the length
 * of functions, private members, where arrows go, what messages look like.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import { requestEnds } from "./lint_requests.ts";

/** The layers, from the left. A layer imports itself and those before it. */
const LAYERS = ["errors", "device", "metadata", "pool", "nbd", "cli"] as const;

/**
 * The rooms: each folder of the layers, and what may be imported there is what
 * stands before it. What another room may import is what `mod.ts` exports.
 */
export const ROOMS: readonly string[] = [
  "device/linux",
  "device/measures",
  "device/leases",
  "device/block",
  "device/file",
  "device",
  "metadata/common",
  "metadata/freebsd",
  "metadata/native",
  "metadata/journal",
  "metadata",
  "pool/core",
  "pool/remote",
  "pool/member",
  "pool/format",
  "pool/format/freebsd",
  "pool/format/native",
  "pool/space",
  "pool/io",
  "pool/change",
  "pool/label",
  "pool",
  "nbd/wire",
  "nbd/listen",
  "nbd/client/connection",
  "nbd/client/bulk",
  "nbd/client/requests",
  "nbd/client",
  "nbd/server/export",
  "nbd/server/stream",
  "nbd/server/tls",
  "nbd/server/handshake",
  "nbd/server/transmission",
  "nbd/server/lanes",
  "nbd/server",
  "nbd",
  "cli/terminal",
  "cli/signals",
  "cli/state",
  "cli/control",
  "cli/calls",
  "cli/registry",
  "cli/listen",
  "cli/http",
  "cli/serve",
  "cli/manuals",
  "cli/commands",
  "cli",
];

/** Rooms that only some others may import. */
const VISITORS: Readonly<Record<string, readonly string[]>> = {
  "pool/format/native": ["pool", "pool/label"],
  "pool/format/freebsd": ["pool", "pool/label"],
};

/** Longer functions do not fit on one screen, nor in one head. */
const FUNCTION_LINES_MAX = 70;

/** Layers that touch no file: they have devices for that. */
const LAYERS_WITHOUT_FILES = ["metadata", "pool"];

type FunctionNode =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

/** The root of the checkout, as a `file:` address that ends in a slash. */
const ROOT = new URL("../", import.meta.url).href;

/** Where a file is, from the root; nothing if it is not below the root. */
function pathFromRoot(url: string): string | undefined {
  return url.startsWith(ROOT) ? url.slice(ROOT.length) : undefined;
}

/** The layer of a path: its directory, or `errors.ts`; nothing for others. */
function layerOf(path: string): string | undefined {
  const top = path === "errors.ts" ? "errors" : path.split("/")[0];
  return path.includes("/") || top === "errors"
    ? LAYERS.find((layer) => layer === top)
    : undefined;
}

function addressOf(filename: string): string {
  return filename.startsWith("file:") ? filename : pathToFileURL(filename).href;
}

function layerOfFile(filename: string): string | undefined {
  return layerOf(pathFromRoot(addressOf(filename)) ?? "");
}

function rankOf(layer: string): number {
  return LAYERS.findIndex((each) => each === layer);
}

/** What is wrong with an import, or nothing. */
function importFault(filename: string, specifier: string): string | undefined {
  const layer = layerOfFile(filename);
  if (layer === undefined) return undefined;
  if (/^\.{0,2}\//.test(specifier)) {
    const target = new URL(specifier, addressOf(filename)).href;
    return relativeFault(layer, target, specifier);
  }
  if (specifier.startsWith("node:")) {
    const isFile = /^node:fs(\/|$)/.test(specifier);
    return isFile && LAYERS_WITHOUT_FILES.includes(layer)
      ? `"${layer}" must not touch files: use a device, not "${specifier}"`
      : undefined;
  }
  if (layer === "cli" && specifier.startsWith("@std/")) return undefined;
  return `"${layer}" must not import "${specifier}": only "node:" and relative imports are allowed here`;
}

function relativeFault(
  layer: string,
  target: string,
  specifier: string,
): string | undefined {
  const path = pathFromRoot(target) ?? "";
  // The program tells its version, which is written down once.
  if (layer === "cli" && path === "deno.json") return undefined;
  const targetLayer = layerOf(path);
  if (layer === "nbd" && targetLayer === "pool") {
    return `"nbd" must not import "${specifier}": it serves any block device`;
  }
  if (targetLayer !== undefined && rankOf(targetLayer) <= rankOf(layer)) {
    return undefined;
  }
  return `"${layer}" must not import "${specifier}": imports point left only, in ${
    LAYERS.join(" < ")
  }`;
}

/** Reports the imports and re-exports of a file that have a fault. */
function visitImports(
  context: Deno.lint.RuleContext,
  faultOf: (specifier: string) => string | undefined,
): Deno.lint.LintVisitor {
  function check(
    node: Deno.lint.Node,
    source: Deno.lint.Expression | null | undefined,
  ): void {
    if (source?.type !== "Literal" || typeof source.value !== "string") return;
    const message = faultOf(source.value);
    if (message !== undefined) context.report({ node, message });
  }
  return {
    ImportDeclaration: (node) => check(node, node.source),
    ExportNamedDeclaration: (node) => check(node, node.source),
    ExportAllDeclaration: (node) => check(node, node.source),
    ImportExpression: (node) => check(node, node.source),
  };
}

const layers: Deno.lint.Rule = {
  create(context) {
    return visitImports(
      context,
      (specifier) => importFault(context.filename, specifier),
    );
  },
};

/** The room of a file: its folder, from the root. */
function roomOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** What is wrong with an import from another room, or nothing. */
function roomFault(path: string, target: string): string | undefined {
  // Texts that are served or printed are no modules.
  if (!target.endsWith(".ts")) return undefined;
  const [room, targetRoom] = [roomOf(path), roomOf(target)];
  if (targetRoom === "" || room === targetRoom) return undefined;
  const [layer, targetLayer] = [layerOf(path), layerOf(target)];
  if (layer === undefined || targetLayer === undefined) return undefined;
  // Imports to the right are found by another rule.
  if (rankOf(targetLayer) > rankOf(layer)) return undefined;
  if (!target.endsWith("/mod.ts")) {
    return `"${target}" is inside another room: import what ` +
      `"${targetRoom}/mod.ts" exports`;
  }
  const [rank, targetRank] = [ROOMS.indexOf(room), ROOMS.indexOf(targetRoom)];
  if (rank < 0 || targetRank < 0) {
    return `"${rank < 0 ? room : targetRoom}" is no room: give it a place in ` +
      "the list of tools/lint_plugin.ts";
  }
  if (targetRank > rank) {
    return `"${room}" must not import "${targetRoom}": rooms import what ` +
      "stands before them in the list of tools/lint_plugin.ts";
  }
  const visitors = VISITORS[targetRoom];
  if (visitors === undefined || visitors.includes(room)) return undefined;
  return `"${room}" must not import "${targetRoom}": only ` +
    `${visitors.map((each) => `"${each}"`).join(", ")} may`;
}

const rooms: Deno.lint.Rule = {
  create(context) {
    const address = addressOf(context.filename);
    const path = pathFromRoot(address) ?? "";
    return visitImports(context, (specifier) => {
      if (!/^\.{1,2}\//.test(specifier)) return undefined;
      const target = pathFromRoot(new URL(specifier, address).href) ?? "";
      return roomFault(path, target);
    });
  },
};

/** What makes native calls, by the runtime's name or by ours. */
const NATIVE_CALLS: Readonly<Record<string, readonly string[]>> = {
  dlopen: ["device/linux"],
  UnsafePointer: ["device/linux"],
  UnsafePointerView: ["device/linux"],
  UnsafeFnPointer: ["device/linux"],
  UnsafeCallback: ["device/linux"],
  socketCalls: ["device/linux", "nbd/server/stream", "nbd/client/connection"],
  NativeConnections: ["device/linux"],
  NativeSockets: ["device/linux", "nbd/server/stream", "nbd/server/lanes"],
};

const nativeCalls: Deno.lint.Rule = {
  create(context) {
    const path = pathFromRoot(addressOf(context.filename)) ?? "";
    if (layerOf(path) === undefined) return {};
    function check(node: Deno.lint.Node, name: string): void {
      const rooms = NATIVE_CALLS[name];
      if (rooms === undefined || rooms.includes(roomOf(path))) return;
      context.report({
        node,
        message: `"${name}" makes native calls: only ` +
          `${rooms.map((each) => `"${each}"`).join(", ")} may use it`,
      });
    }
    return {
      MemberExpression(node) {
        const { object, property } = node;
        if (object.type !== "Identifier" || object.name !== "Deno") return;
        if (property.type === "Identifier") check(node, property.name);
      },
      ImportSpecifier(node) {
        if (node.imported.type === "Identifier") {
          check(node, node.imported.name);
        }
      },
    };
  },
};

const functionLength: Deno.lint.Rule = {
  create(context) {
    function check(node: FunctionNode): void {
      const lines = context.sourceCode.getText(node).split("\n").length;
      if (lines <= FUNCTION_LINES_MAX) return;
      context.report({
        node,
        message:
          `This function has ${lines} lines, more than ${FUNCTION_LINES_MAX}`,
        hint: "Split it where it does one thing and then another",
      });
    }
    return {
      FunctionDeclaration: check,
      FunctionExpression: check,
      ArrowFunctionExpression: check,
    };
  },
};

const privateMembers: Deno.lint.Rule = {
  create(context) {
    function check(
      node: Deno.lint.PropertyDefinition | Deno.lint.MethodDefinition,
    ): void {
      if (node.accessibility !== "private") return;
      // Of a constructor there is no other form.
      if (node.type === "MethodDefinition" && node.kind === "constructor") {
        return;
      }
      context.report({
        node,
        message: 'Use "#" for private members, not "private"',
        hint: '"private" is gone when the program runs; "#" is not',
      });
    }
    return { PropertyDefinition: check, MethodDefinition: check };
  },
};

const topLevelFunctions: Deno.lint.Rule = {
  create(context) {
    function check(node: Deno.lint.VariableDeclarator): void {
      if (node.init?.type !== "ArrowFunctionExpression") return;
      context.report({
        node,
        message: 'Use "function" at the top level, not an arrow',
      });
    }
    return {
      "Program > VariableDeclaration > VariableDeclarator": check,
      "ExportNamedDeclaration > VariableDeclaration > VariableDeclarator":
        check,
    };
  },
};

/** The layers where parts of requests are in flight. */
const LAYERS_WITH_PARTS = ["device", "metadata", "pool", "nbd"];

const joinedParts: Deno.lint.Rule = {
  create(context) {
    const layer = layerOfFile(context.filename);
    if (!LAYERS_WITH_PARTS.some((each) => each === layer)) return {};
    return {
      'MemberExpression[object.name="Promise"][property.name="all"]'(
        node: Deno.lint.MemberExpression,
      ) {
        context.report({
          node,
          message: "Promise.all() ends while other parts are in flight",
          hint: "Use joinParts(), of device/",
        });
      },
    };
  },
};

/** The text of a message as far as it is known: placeholders are left out. */
function messageText(node: Deno.lint.Node | undefined): string | undefined {
  if (node?.type === "Literal" && typeof node.value === "string") {
    return node.value;
  }
  if (node?.type !== "TemplateLiteral") return undefined;
  return node.quasis.map((quasi) => quasi.cooked).join("${}");
}

const errorMessages: Deno.lint.Rule = {
  create(context) {
    // Tests make up errors of all kinds; those of the layers reach people.
    if (layerOfFile(context.filename) === undefined) return {};
    return {
      NewExpression(node) {
        if (node.callee.type !== "Identifier") return;
        const name = node.callee.name;
        if (
          !/^(VirstorError|TypeError|RangeError|SyntaxError)$/.test(name)
        ) {
          return;
        }
        const index = name === "VirstorError" ? 1 : 0;
        const text = messageText(node.arguments[index]);
        if (text === undefined || text === "") return;
        const fault = messageFault(text);
        if (fault !== undefined) context.report({ node, message: fault });
      },
    };
  },
};

function messageFault(text: string): string | undefined {
  if (/^[a-z]/.test(text)) return "An error message begins with a capital";
  if (/(^|[^.])\.$/.test(text)) return "An error message ends without a period";
  if (/\b\w+n't\b/.test(text)) return "An error message has no contractions";
  if (text.includes("\n")) return "An error message is one line";
  return undefined;
}

const plugin: Deno.lint.Plugin = {
  name: "virstor",
  rules: {
    layers,
    rooms,
    "native-calls": nativeCalls,
    "function-length": functionLength,
    "private-members": privateMembers,
    "top-level-functions": topLevelFunctions,
    "error-messages": errorMessages,
    "joined-parts": joinedParts,
    "request-ends": requestEnds((name) => layerOfFile(name) === "pool"),
  },
};
export default plugin;
