/**
 * The units for systemd. `contrib/systemd` has them with the usual paths, and
 * `virstor install-units` with those of this machine.
 *
 * @module
 */

/** What differs from machine to machine. */
export interface UnitPaths {
  /** The program `virstor`, and the words before those of a command. */
  readonly program: string;
  /** The state directory. */
  readonly stateDirectory: string;
  /** The directories of components. */
  readonly directories: readonly string[];
  /** The user that owns the components. */
  readonly user: string;
}

/** The paths of the units in `contrib/systemd`. */
export const USUAL_PATHS: UnitPaths = {
  program: "/opt/virstor/virstor",
  stateDirectory: "/var/lib/virstor",
  directories: ["/srv/virstor"],
  user: "virstor",
};

/**
 * Makes the units.
 *
 * @param paths What differs from machine to machine.
 * @returns The text of each unit, by the name of its file.
 */
export function systemdUnits(paths: UnitPaths): ReadonlyMap<string, string> {
  return new Map([
    ["virstor@.service", serviceUnit(paths)],
    ["virstor@.socket", SOCKET_UNIT],
  ]);
}

/** The lines that give the service its state directory. */
function stateLines(stateDirectory: string): string[] {
  const [, name] = /^\/var\/lib\/([\w.-]+)$/.exec(stateDirectory) ?? [];
  return [
    `Environment=VIRSTOR_STATE_DIR=${quoted(stateDirectory)}`,
    ...name === undefined ? [] : [`StateDirectory=${name}`],
  ];
}

/** Escapes what systemd expands or splits at. */
function quoted(path: string): string {
  const text = path.replaceAll("%", "%%");
  return /[\s"'\\;]/.test(text)
    ? `"${text.replaceAll(/["\\]/g, "\\$&")}"`
    : text;
}

function serviceUnit(paths: UnitPaths): string {
  const { program, stateDirectory, directories, user } = paths;
  const isUsual = stateDirectory.startsWith("/var/lib/");
  const writable = [...directories, ...isUsual ? [] : [stateDirectory]];
  return `# Serves a pool: systemctl enable --now virstor@POOL. See docs/systemd.md.
[Unit]
Description=virstor pool %i
Documentation=man:virstor-serve(1)
After=local-fs.target
RequiresMountsFor=${writable.map(quoted).join(" ")}

[Service]
# READY when clients can connect; "systemctl status" shows how full the pool is.
Type=notify
User=${user}
${stateLines(stateDirectory).join("\n")}
Environment=DENO_DIR=/var/cache/virstor XDG_CACHE_HOME=/var/cache
Environment=DENO_NO_UPDATE_CHECK=1
CacheDirectory=virstor
RuntimeDirectory=virstor-%i
ExecStart=${quoted(program)} serve \\
  --socket /run/virstor-%i/nbd.sock --socket-mode 660 --log-format json \\
  --wait 300 %i
# Opening may repair a map; that takes as long as it takes.
TimeoutStartSec=infinity
# The grace of 10 seconds, and a flush.
TimeoutStopSec=90
WatchdogSec=2min
Restart=on-failure
# Damage, a missing component, wrong usage: an operator has to look first.
RestartPreventExitStatus=2 3 64

# The directories of components.
ReadWritePaths=${writable.map(quoted).join(" ")}
${HARDENING}`;
}

const HARDENING = `ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
# For components that are block devices see docs/systemd.md.
PrivateDevices=yes
# Threads wake each other over the loopback. Networks of TCP clients, if there
# are any, need an IPAddressAllow= too.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
IPAddressDeny=any
IPAddressAllow=localhost
PrivateUsers=yes
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
# Not MemoryDenyWriteExecute=yes: the runtime compiles code while it runs.

[Install]
WantedBy=multi-user.target
`;

const SOCKET_UNIT =
  `# Starts virstor@POOL.service at the first connection. See docs/systemd.md.
[Unit]
Description=Socket of virstor pool %i
Documentation=man:virstor-serve(1)

[Socket]
ListenStream=/run/virstor-%i.sock
SocketMode=0660
SocketGroup=kvm

[Install]
WantedBy=sockets.target
`;
