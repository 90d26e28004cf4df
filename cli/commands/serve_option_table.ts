/**
 * The options of `virstor serve`, with what their help says.
 *
 * @module
 */

import type { OptionSpec } from "../terminal/mod.ts";

/** The options of `serve`. */
export const SERVE_OPTIONS: readonly OptionSpec[] = [
  {
    name: "listen",
    value: "HOST:PORT",
    repeatable: true,
    help: "TCP address (default 127.0.0.1:10809)",
  },
  {
    name: "socket",
    value: "PATH",
    repeatable: true,
    help: "Unix socket; both are repeatable",
  },
  {
    name: "socket-mode",
    value: "MODE",
    help: "its permissions, octal (default: the umask)",
  },
  {
    name: "socket-owner",
    value: "OWNER",
    help: "its USER[:GROUP], names or numbers",
  },
  {
    name: "allow",
    value: "CIDR",
    repeatable: true,
    help: "TCP clients of these networks only; repeatable",
  },
  {
    name: "tls",
    value: "MODE",
    help: "off, optional, or required (default with DIR)",
  },
  {
    name: "tls-certs",
    value: "DIR",
    help: "where server-cert.pem and server-key.pem are",
  },
  {
    name: "tls-verify",
    help: "clients must show a certificate, too",
  },
  {
    name: "tls-ca",
    value: "FILE",
    help: "who has signed it (default DIR/ca-cert.pem)",
  },
  { name: "max-clients", value: "N", help: "clients at once (default 128)" },
  {
    name: "threads",
    value: "N",
    help: "threads for several clients (default 4)",
  },
  {
    name: "idle-timeout",
    value: "SECONDS",
    help: "end idle clients after this (default never)",
  },
  { name: "exit-on-last-client", help: "end when the last client has left" },
  {
    name: "run",
    value: "COMMAND",
    help: "run it, and end when it ends, with its exit code",
  },
  {
    name: "grace",
    value: "SECONDS",
    help: "requests may hold up the end so long (default 10)",
  },
  { name: "pid-file", value: "PATH", help: "write the process id there" },
  {
    name: "log-level",
    value: "LEVEL",
    help: "error, warning, info (default) or debug",
  },
  {
    name: "log-format",
    value: "text|json",
    help: "how standard error is written (default text)",
  },
  {
    name: "component",
    value: "PATH",
    repeatable: true,
    help: "where a component is now; repeatable",
  },
  { name: "read-only", help: "refuse all writes" },
  {
    name: "degraded",
    help: "serve what is there of a native pool, read-only",
  },
  {
    name: "on-full",
    value: "delay|error",
    help: "a write without a chunk waits (default) or fails",
  },
  {
    name: "full-timeout",
    value: "SECONDS",
    help: "fail delayed writes after this (default never)",
  },
  {
    name: "max-delayed",
    value: "SIZE",
    help: "hold this much of delayed writes (default 64M)",
  },
  {
    name: "chunk-watermark",
    value: "N",
    help: "warn when fewer chunks are free (default 100)",
  },
  {
    name: "component-watermark",
    value: "N",
    help: "warn when fewer components are empty (default 1)",
  },
];
