/**
 * The options of `virstor serve`, with their help texts.
 *
 * @module
 */

import { LOG_LEVELS, type OptionSpec } from "../terminal/mod.ts";
import { JOURNAL } from "./common_options.ts";

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
    help: "Unix socket; repeatable, as is --listen",
  },
  {
    name: "socket-mode",
    value: "MODE",
    help: "permissions of Unix sockets (default: by umask)",
  },
  {
    name: "socket-owner",
    value: "OWNER",
    help: "USER[:GROUP] of Unix sockets, names or numbers",
  },
  {
    name: "allow",
    value: "CIDR",
    repeatable: true,
    help: "take TCP clients of this network; repeatable",
  },
  {
    name: "tls",
    value: "MODE",
    words: ["off", "optional", "required"],
    help: "off, optional, or required (default with DIR)",
  },
  {
    name: "tls-certs",
    value: "DIR",
    help: "directory of server-cert.pem and server-key.pem",
  },
  {
    name: "tls-verify",
    help: "require certificates of clients, too",
  },
  {
    name: "tls-ca",
    value: "FILE",
    help: "signer of those (default DIR/ca-cert.pem)",
  },
  {
    name: "max-clients",
    value: "N",
    help: "limit of connected clients (default 128)",
  },
  {
    name: "threads",
    value: "N",
    help: "clients that get a thread each (default 4)",
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
    help: "run COMMAND, end when it ends, with its exit code",
  },
  {
    name: "grace",
    value: "SECONDS",
    help: "wait so long for requests at the end (default 10)",
  },
  JOURNAL,
  {
    name: "drain-timeout",
    value: "SECONDS",
    help: "at the end, wait for other machines (default 30)",
  },
  {
    name: "wait",
    value: "SECONDS",
    help: "wait so long for missing components (default 0)",
  },
  {
    name: "pid-file",
    value: "PATH",
    help: "write the process id to this file",
  },
  {
    name: "log-level",
    value: "LEVEL",
    words: LOG_LEVELS,
    help: "error, warning, info (default) or debug",
  },
  {
    name: "log-format",
    value: "text|json",
    help: "format of standard error (default text)",
  },
  {
    name: "on-event",
    value: "COMMAND",
    repeatable: true,
    help: "run [KIND,...=]PROGRAM [ARG...] for events",
  },
  {
    name: "metrics",
    value: "ADDRESS",
    help: "HOST:PORT or ./PATH of metrics for Prometheus",
  },
  {
    name: "http",
    value: "ADDRESS",
    help: "HOST:PORT or ./PATH of a page for browsers",
  },
  {
    name: "http-token-file",
    value: "FILE",
    help: "ask viewers of the page for the token in FILE",
  },
  {
    name: "http-control",
    help: "let viewers with the token add, remove, snapshot",
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
    help: "serve without missing components, read-only",
  },
  {
    name: "older-versions",
    help: "with --degraded, show what snapshots still have",
  },
  {
    name: "on-full",
    value: "delay|error",
    help: "without a free chunk, wait (default) or fail",
  },
  {
    name: "full-timeout",
    value: "SECONDS",
    help: "fail delayed writes after this (default never)",
  },
  {
    name: "max-delayed",
    value: "SIZE",
    help: "limit of all delayed writes (default 64M)",
  },
  {
    name: "chunk-watermark",
    value: "N",
    help: "warn when fewer chunks, N% or SIZE are free (100)",
  },
  {
    name: "auto-extend",
    value: "SIZE",
    help: "add components of this size before it is full",
  },
  {
    name: "auto-extend-at",
    value: "N",
    help: "when N percent are used (default 80)",
  },
  {
    name: "auto-extend-max",
    value: "SIZE",
    help: "limit of all components together",
  },
  {
    name: "auto-extend-in",
    value: "DIR",
    help: "directory of the new components",
  },
  {
    name: "host-watermark",
    value: "SPACE",
    help: "warn when a disk below has less free, N% or SIZE",
  },
  {
    name: "component-watermark",
    value: "N",
    help: "warn when fewer components are unused (default 1)",
  },
];
