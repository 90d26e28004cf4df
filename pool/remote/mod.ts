/**
 * Components on other machines: a journal, and the device that is written
 * through it. Of the far side this room knows an interface only.
 *
 * @module
 */

export type { FarDisk, FarDiskStatus, FarWriteOptions } from "./far_disk.ts";
export { Journal, JOURNAL_PAYLOAD_MAX, JOURNAL_SIZE_MIN } from "./journal.ts";
export type { JournalRecord } from "./journal_record.ts";
export {
  ForeignJournalError,
  readJournalHeader,
  recoverJournal,
} from "./journal_recovery.ts";
export type { JournalDevice, JournalOwner } from "./journal_recovery.ts";
export type { RecoveredJournal } from "./recovered_journal.ts";
export { Overlay } from "./overlay.ts";
export type { OverlayPart } from "./overlay.ts";
export { FarOwner, watchOwner } from "./far_owner.ts";
export { readFlushMark } from "./flush_mark.ts";
export { readOwnerBlock } from "./owner_block.ts";
export type { OwnedDisk } from "./owner_block.ts";
export { refuseOwnedFile, watchFile } from "./owned_file.ts";
export type { OnRemoteEvent } from "./far_news.ts";
export { openerOf } from "./open_uri.ts";
export { openRemoteComponent } from "./open_remote.ts";
export type {
  ConnectedDisk,
  FarConnectOptions,
  FarEvent,
  RemoteComponents,
} from "./remote_components.ts";
export { RemoteReader } from "./remote_reader.ts";
export type { OpenRemoteOptions } from "./open_remote.ts";
export { RemoteComponent } from "./remote_component.ts";
export type {
  RemoteComponentOptions,
  RemoteComponentStatus,
} from "./remote_options.ts";
