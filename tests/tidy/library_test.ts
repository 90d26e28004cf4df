/**
 * Goal: an exported name is a promise to users of the library, so none comes or
 * goes by accident. Method: the doors of `deno.json` are read as text, types
 * included, and compared with the lists below.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path/posix";
import { readTextFiles } from "./files.ts";

const FILES = new Map(
  (await readTextFiles()).map(({ path, text }) => [path, text]),
);

/** The names that each door exports, types included. */
const NAMES: Readonly<Record<string, string>> = {
  "device/mod.ts": `
    BlockDevice Completion DeviceCapabilities Extent ExtentKind FileDevice KeptBytes
    FileDeviceOptions FileLock MemoryDevice MemoryDeviceOptions SliceDevice
    Transfers WriteOptions WriteZeroesOptions createSparseFile`,
  "metadata/mod.ts": `
    COMPONENT_ALLOCATED COMPONENT_CURRENT COMPONENT_JOINING
    DecodedSuperblock EntryOwner EpochRange FREEBSD_COMPONENTS_MAX
    FREEBSD_LABEL_SIZE FREEBSD_MAP_ENTRY_SIZE FREEBSD_MAP_GRAIN
    FREEBSD_NAME_LENGTH_MAX FREEBSD_SECTOR_SIZES FileEnds FreebsdLabel
    FreebsdMapEntry MemberState NATIVE_CHUNK_SIZE NATIVE_CHUNK_SIZE_MAX
    NATIVE_CHUNK_SIZE_MIN NATIVE_NAME_SIZE_MAX NATIVE_PAGE_SIZE
    NEVER_WRITTEN NativeGeometry NewerSuperblock OVERFLOW_SIZE_MAX SECTOR_SIZE
    SIGNATURE_HEAD_SIZE SIGNATURE_TAIL_SIZE SUPERBLOCK_MEMBERS_MAX
    SUPERBLOCK_SLOTS SUPERBLOCK_SLOT_SIZE Signature SnapshotRecord
    Superblock SuperblockMember TABLE_PAGE_ENTRIES TABLE_PAGE_OFFSET
    TABLE_SLOTS TABLE_SLOTS_SIZE UUID_SIZE UsedOverflow VOLUMES_MAX ViewRecord
    VolumeFullPolicy VolumeRecord VolumeTable VolumeTablePool checkPage
    clearEntry decodeFreebsdLabel decodeFreebsdMapEntry decodeSuperblock
    decodeUuid decodeVolumeRecords encodeFreebsdLabel encodeFreebsdMapEntry
    encodeSuperblock encodeUuid encodeVolumeRecords entryBirth entryDigest
    entrySequence entryVirtualChunk entryVolume findSignatures
    findingInSuperblock findingInVolumes findingInVolumesSize
    freebsdChunkCount freebsdLabelOffset freebsdMapSize
    freebsdReservedChunks isFreebsdLabel isNativeName isOwned isProvisional
    isSuperblock isVolumeName nativeGeometry newOverflowSize newerSuperblock
    overflowPosition pageGeneration pickSlot sameEntries sealPage setEntry settleEntry superblockPosition
    superblockWriteSize tableSlotPosition usedOverflow volumeRecordsSize`,
  "pool/mod.ts": `
    AddOptions AddResult BesidePool BesideReport CHANGED CHUNK_COMPONENT_SHIFT
    CHUNK_DELAYED CHUNK_MAPPED CHUNK_UNKNOWN ChangedRange ClearOptions ComponentLabel
    ComponentStatus DelayedStatus EvacuationStatus Finding FindingKind
    FormatName FullPolicy GrowResult HostStatus InspectOptions JobKind JobStatus LabelOptions LabelResult
    LiveSettings Loss LossStatus
    ConnectedDisk FarConnectOptions FarDisk FarDiskStatus FarEvent FarWriteOptions RemoteComponents findLabel
    MissedEvents MissingMember PRESSURE_DELAYED PRESSURE_FREE_SHIFT PRESSURE_FULL
    PRESSURE_LOW PRESSURE_STOPPED Pool PoolCounters PoolEvent PoolEventData
    PoolEventKind PoolOptions
    PoolPlaces PoolSettings PoolStatus RecoveryStep RemoteChange RemoteStatus RemoveOptions RemovePlan RemoveResult
    RepairOptions RepairReport ResizeOptions ResumeOptions RollbackOptions Severity SpaceMark SpaceSettings
    SnapshotChanges SnapshotDisk SnapshotName SnapshotRemovalPlan SnapshotStatus SnapshotSummary
    StatusContext StatusFamily StatusRun TasteOptions TasteReport TastedComponent TastedPool Volume
    VolumeChanges VolumeSettings VolumeStatus VolumeSummary
    Watermarks checkComponents clearLabels inspectComponents labelPool
    grownPoolName lookBeside openPool openToGrow readLabel repairComponents taste`,
  "nbd/mod.ts": `
    Address DEFAULT_THREADS ExportOptions ExportSource exportOf serve Served
    ServeOptions
    BackOffOptions CopyOptions CopyResult DEFAULT_LIMITS DescribeOptions
    FreezeReason HandshakeStyle ListedExport NbdClientInfo NbdClientTls
    NbdCloseOptions NbdContext NbdContextFamily NbdCounters NbdDialect NbdDisk NbdDiskEvent
    NbdDiskOptions NbdDiskStatus NbdEvent NbdExport NbdExportFeatures
    NbdExportInfo NbdIdentityRead NbdLimits NbdServer NbdServerOptions
    NbdStatusRun NbdTls NbdTlsIdentity NbdWriteOptions copyDisk describeExport featuresOf
    listNbdExports`,
};

/** The names that a module exports, in the order of the alphabet. */
function namesOf(path: string): string[] {
  const text = FILES.get(path) ?? "";
  const named = text.matchAll(/^export (?:type )?\{([^}]*)\}/gm);
  const starred = text.matchAll(/^export \* from "(\.[^"]+)"/gm);
  return [
    ...Array.from(named, ([, list = ""]) => list.split(",")).flat()
      .map((name) => name.trim()).filter((name) => name !== ""),
    ...Array.from(starred, ([, target = ""]) => join(dirname(path), target))
      .flatMap(namesOf),
  ].toSorted();
}

for (const [path, names] of Object.entries(NAMES)) {
  Deno.test(`${path} exports what users of the library are promised`, () => {
    assertEquals(namesOf(path), names.trim().split(/\s+/).toSorted());
  });
}

Deno.test("mod.ts exports what the doors export but metadata, and the errors", async () => {
  const doors = ["device/mod.ts", "pool/mod.ts", "nbd/mod.ts"];
  const errors = ["AssertionError", "ErrorCode", "VirstorError"];
  assertEquals(
    namesOf("mod.ts"),
    [...doors.flatMap(namesOf), ...errors].toSorted(),
  );
  // What is read as text is what the runtime sees.
  const values = Object.keys(await import("../../mod.ts"));
  assert(values.every((name) => namesOf("mod.ts").includes(name)));
});

Deno.test("every door has an example that runs", () => {
  const without = [...Object.keys(NAMES), "mod.ts"].filter((path) =>
    !/^ \* ```ts$/m.test(FILES.get(path) ?? "")
  );
  assertEquals(without, []);
});

Deno.test("docs/library.md has an example of every door, and the tests run it", () => {
  const page = FILES.get("docs/library.md") ?? "";
  const examples = [...page.matchAll(/^```ts\n([^]*?)^```/gm)];
  for (const path of Object.keys(NAMES)) {
    const door = `"@virstor/virstor/${dirname(path)}"`;
    assert(examples.some(([text]) => text.includes(`from ${door}`)), door);
  }
  const calls = [
    ...["labelPool(", "openPool(", "serve(", "exportOf(", "copyDisk("],
    ...["NbdDisk.connect(", ".events()", ".evacuated(", "await using "],
  ];
  for (const call of calls) {
    assert(examples.some(([text]) => text.includes(call)), call);
  }
  const suite = FILES.get("tests/run_suite.ts") ?? "";
  assert(suite.includes('"--doc"') && suite.includes('"docs/"'));
  const skipped = [...FILES].filter(([path, text]) =>
    path.endsWith(".md") && /^```(ts|typescript) +\S/m.test(text)
  );
  assertEquals(skipped.map(([path]) => path), []);
});

Deno.test("every door that is published is listed here", () => {
  const { exports } = JSON.parse(FILES.get("deno.json") ?? "{}");
  const paths = Object.values<string>(exports).map((path) => path.slice(2));
  const known = [...Object.keys(NAMES), "mod.ts", "cli/main.ts"];
  assertEquals(paths.toSorted(), known.toSorted());
});
