/**
 * URIs of NBD exports.
 *
 * Source: `doc/uri.md` of the NBD project. The query parameters `tls-...` are
 * those of libnbd.
 *
 * @module
 */

import { hidePassword, VirstorError } from "../../../errors.ts";

/** The port of NBD. */
const PORT_DEFAULT = 10_809;
const PORT_MAX = 65_535;
/** The longest name that the protocol allows, bytes. */
const NAME_SIZE_MAX = 4096;

/** The parts of a URI: where the server is, and which export is meant. */
export interface NbdUri {
  /** Host of a TCP connection; "" for a Unix socket. */
  readonly host: string;
  /** Port of a TCP connection; 0 for a Unix socket. */
  readonly port: number;
  /** Path of a Unix socket; "" for TCP. */
  readonly socket: string;
  /** Name of the export; "" for the default one. */
  readonly exportName: string;
  /** Whether the connection must be encrypted: `nbds` and `nbds+unix`. */
  readonly tls: boolean;
  /**
   * Directory with `ca-cert.pem`, and `client-cert.pem` and `client-key.pem` if
   * the server asks for them; "" if the URI names none.
   */
  readonly tlsCertificates: string;
  /** Name that the server's certificate must have; "" for the host's. */
  readonly tlsHostname: string;
  /** Whether the server's certificate is verified. Default: true. */
  readonly tlsVerify: boolean;
  /** The URI without its password, for messages. */
  readonly text: string;
}

/**
 * Tells whether a text is meant as the URI of an export, not as a path.
 *
 * @param text Any text.
 * @returns Whether it begins with one of the schemes.
 */
export function isNbdUri(text: string): boolean {
  return /^nbds?(?:\+\w+)?:/i.test(text);
}

/**
 * Parses the URI of an export.
 *
 * @param text For instance `nbd://localhost/vm`, `nbds://host:10810/vm` or
 *   `nbd+unix:///vm?socket=/run/vm.sock`.
 * @returns The parts of the URI.
 * @throws {VirstorError} `invalid` if the URI is malformed, or `unsupported` if
 *   it asks for something that this client does not have.
 */
export function parseNbdUri(text: string): NbdUri {
  const shown = hidePassword(text);
  const match =
    /^(nbds?)(?:\+(\w+))?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i
      .exec(text);
  if (match === null) {
    throw invalid(shown, "it is not of the form nbd://HOST[:PORT]/EXPORT");
  }
  const [, scheme = "", transport = "tcp", authority = "", path = "", query] =
    match;
  if (!/^(tcp|unix)$/i.test(transport)) {
    throw new VirstorError(
      "unsupported",
      `Cannot use URI "${shown}": transport "${transport}" is not supported; ` +
        "use nbd, nbds, nbd+unix or nbds+unix",
    );
  }
  const parameters = parseQuery(query ?? "", shown);
  const isUnix = transport.toLowerCase() === "unix";
  return {
    ...isUnix
      ? unixAddress(authority, parameters, shown)
      : tcpAddress(authority, parameters, shown),
    exportName: exportNameOf(path, shown),
    tls: scheme.toLowerCase() === "nbds",
    tlsCertificates: parameters.get("tls-certificates") ?? "",
    tlsHostname: parameters.get("tls-hostname") ?? "",
    tlsVerify: parseVerify(parameters.get("tls-verify-peer"), shown),
    text: shown,
  };
}

function exportNameOf(path: string, shown: string): string {
  const name = unescape(path, shown);
  if (
    name.includes("\0") ||
    new TextEncoder().encode(name).length > NAME_SIZE_MAX
  ) {
    throw invalid(
      shown,
      `the export's name is longer than ${NAME_SIZE_MAX} bytes, or contains ` +
        "NUL",
    );
  }
  return name;
}

function unixAddress(
  authority: string,
  parameters: ReadonlyMap<string, string>,
  shown: string,
): Pick<NbdUri, "host" | "port" | "socket"> {
  const socket = parameters.get("socket") ?? "";
  if (socket === "" || socket.includes("\0")) {
    throw invalid(shown, 'it names no socket; append "?socket=PATH"');
  }
  if (authority !== "") {
    throw invalid(
      shown,
      'a Unix socket has no host; write "///" before the export',
    );
  }
  return { host: "", port: 0, socket };
}

function tcpAddress(
  authority: string,
  parameters: ReadonlyMap<string, string>,
  shown: string,
): Pick<NbdUri, "host" | "port" | "socket"> {
  if (parameters.has("socket")) {
    throw invalid(shown, "TCP has no socket path; use nbd+unix or nbds+unix");
  }
  const match = /^(?:[^@]*@)?(?:\[([0-9A-Fa-f:.%]+)\]|([^:@[\]]*))(?::(\d*))?$/
    .exec(authority);
  if (match === null) throw invalid(shown, "its host is malformed");
  const [, bracketed, plain = "", digits = ""] = match;
  const host = bracketed ?? (unescape(plain, shown) || "localhost");
  const port = digits === "" ? PORT_DEFAULT : Number(digits);
  if (port < 1 || port > PORT_MAX) {
    throw invalid(shown, `port ${digits} is not 1 to ${PORT_MAX}`);
  }
  return { host, port, socket: "" };
}

/** A plus sign is a plus sign here, not a space. */
function parseQuery(query: string, shown: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split(/[&;]/)) {
    if (part === "") continue;
    const at = part.indexOf("=");
    const name = unescape(at < 0 ? part : part.slice(0, at), shown);
    const value = at < 0 ? "" : unescape(part.slice(at + 1), shown);
    if (parameters.has(name)) {
      throw invalid(shown, `parameter "${name}" is given twice`);
    }
    if (name.startsWith("tls-psk")) {
      throw new VirstorError(
        "unsupported",
        `Cannot use URI "${shown}": pre-shared keys are not supported; use ` +
          "certificates",
      );
    }
    parameters.set(name, value);
  }
  return parameters;
}

function parseVerify(value: string | undefined, shown: string): boolean {
  if (value === undefined || /^(true|1|on|yes)$/i.test(value)) return true;
  if (/^(false|0|off|no)$/i.test(value)) return false;
  throw invalid(shown, `parameter "tls-verify-peer" is "${value}"`);
}

function unescape(text: string, shown: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(shown, "its escapes (%) are malformed");
  }
}

function invalid(shown: string, fault: string): VirstorError {
  return new VirstorError("invalid", `Cannot read URI "${shown}": ${fault}`);
}
